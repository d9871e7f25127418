"""Resizing and warping, the only room in which OpenCV is spoken."""

from __future__ import annotations

from typing import Any

import numpy as np

from videmo.data import F64, U8, Array
from videmo.files.extras import missing_dependency


def resize(pixels: U8, height: int, width: int, *, average: bool = True) -> U8:
    """Return `pixels` (H, W, 3) at another size, in uint8, bilinear.

    average: what shrinks to half or less is halved before, as often as it can be, and what remains
    is smoothed, for bilinear sampling alone would skip some pixels. Averaging over the exact area
    of each pixel, whose edges lie within others, takes 3 to 16 times as long
    """
    if average:
        pixels, _ = _ready(pixels, np.array([pixels.shape[1] / width, pixels.shape[0] / height]))
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(_opencv().resize(pixels, (width, height)), np.uint8)


def averaged(pixels: U8, down: int = 2, across: int = 2) -> U8:
    """Return `pixels` (H, W, 3), each the mean of `down` x `across`; odd edges are left out."""
    cv2 = _opencv()
    height, width = pixels.shape[0] // down, pixels.shape[1] // across
    area = pixels[: height * down, : width * across]
    return np.asarray(cv2.resize(area, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _ready(pixels: U8, steps: Array) -> tuple[U8, Array]:
    """Return `pixels` (H, W, 3) so that bilinear sampling skips none, and how often smaller.

    steps: px of `pixels` for each of the result, along x and y; the answer is 1, 2, 4 ... of each
    """
    times = np.ones(2)
    while (halve := (steps >= 2) & (np.array(pixels.shape[1::-1]) >= 2)).any():
        by = 1 + halve
        pixels = averaged(pixels, down=int(by[1]), across=int(by[0]))
        steps, times = steps / by, times * by
    return _smoothed(pixels, steps), times


def _smoothed(pixels: U8, steps: Array) -> U8:
    """Return `pixels` (H, W, 3) without the detail that steps of 1 to 2 px would skip.

    By a Gaussian that grows with the step from nothing to what halving does, or a face that grows
    by a pixel would be sharper or softer all at once. Its variance goes from 0 to 3/4 px ** 2:
    the mean of two pixels has 1/4, and sampling at half their pace 2/3, at their own 1/6.
    """
    x, y = (np.sqrt(steps.clip(1, 2) ** 2 - 1) / 2).tolist()
    if max(x, y) < 0.25:  # which leaves a pixel as it is
        return pixels
    kernel = [3 if sigma < 0.5 else 5 for sigma in (x, y)]
    cv2 = _opencv()
    same = cv2.BORDER_REPLICATE
    return np.asarray(cv2.GaussianBlur(pixels, kernel, x + 1e-6, None, y + 1e-6, same), np.uint8)


class Cuts:
    """Says of each frame in turn whether a cut parts it from the one before.

    In 17 clips of faces two frames, at 5 frames/s too, change by 19 at most without a cut, and by
    79 at least at one.

    change: mean change of the colours (0..255) that is a cut
    """

    GRID = 32  # points a side at which two frames are compared

    def __init__(self, change: float) -> None:
        self._change = change
        self._before = np.zeros(0, np.int16)
        self._points: tuple[Array, Array] | None = None
        self._size: tuple[int, ...] = ()

    def __call__(self, pixels: U8) -> bool:
        """Return it for the next frame (H, W, 3), which may have another size."""
        if self._points is None or pixels.shape[:2] != self._size:
            self._size = pixels.shape[:2]
            middles = ((np.arange(self.GRID) + 0.5) * side // self.GRID for side in self._size)
            down, across = (middle.astype(int) for middle in middles)
            self._points = down[:, None], across
        now = pixels[self._points].astype(np.int16)
        before, self._before = self._before, now
        return len(before) > 0 and bool(np.abs(now - before).mean() > self._change)


class Still:
    """Says whether a frame looks as one that was kept does, but for noise.

    What it compares are means of the colours over squares of a `SQUARES`th of the longer side: a
    face that comes into view changes several of them by more than `NOISE`, unless it comes out of
    the dark.
    """

    SQUARES, NOISE = 60, 2  # of a side; grey levels of 255

    def __init__(self) -> None:
        self._kept: Array | None = None

    def keep(self, pixels: U8 | None) -> None:
        """Remember a frame (H, W, 3), or none."""
        self._kept = None if pixels is None else self._means(pixels)

    def like(self, pixels: U8) -> bool:
        """Return whether a frame looks as the one that was kept."""
        if self._kept is None:
            return False
        now = self._means(pixels)
        same_size = now.shape == self._kept.shape
        return same_size and bool(np.abs(now - self._kept).max() <= self.NOISE)

    def _means(self, pixels: U8) -> Array:
        height, width = pixels.shape[:2]
        square = -(-max(height, width) // self.SQUARES)
        return averaged(pixels, min(square, height), min(square, width)).astype(np.int16)


def warp(pixels: U8, matrix: Array, side: int) -> U8:
    """Return the (side, side, 3) picture whose pixel (x, y) is `pixels` at matrix @ (x, y, 1).

    matrix: (2, 3), from pixel centres of the result to pixel centres of the source
    Beyond the border the outermost pixels are repeated. What shrinks is made ready as by `resize`.
    """
    cv2 = _opencv()
    pixels, matrix = _region(pixels, np.array(matrix, np.float64), side)
    pixels, times = _ready(pixels, np.hypot(matrix[:, 0], matrix[:, 1]))
    matrix = matrix / times[:, None]
    matrix[:, 2] += 0.5 / times - 0.5  # a pixel's centre lies half a pixel from its corner
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(pixels, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _region(pixels: U8, matrix: F64, side: int) -> tuple[U8, F64]:
    """Return the part of `pixels` that the warp reads, and the matrix into that part."""
    corners = matrix @ np.array([[0, side, 0, side], [0, 0, side, side], [1, 1, 1, 1]])
    reach = 2 + np.ceil(np.linalg.norm(matrix[:, :2], axis=1)).astype(int)  # for the averaging
    size = np.array(pixels.shape[1::-1])
    low = np.clip(np.floor(corners.min(1)).astype(int) - reach, 0, size - 1)
    high = np.clip(np.ceil(corners.max(1)).astype(int) + reach, low + 1, size)
    matrix[:, 2] -= low
    return pixels[low[1] : high[1], low[0] : high[0]], matrix


def to_grey(pixels: U8) -> U8:
    """Return RGB `pixels` (..., 3) as grey in three equal channels (ITU-R BT.601 weights)."""
    weights = np.array([77, 150, 29], np.uint16)  # 0.299, 0.587, 0.114 in 1/256
    grey = ((pixels.astype(np.uint16) * weights).sum(-1, dtype=np.uint16) + 128) >> 8
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


def brightness(pixels: U8) -> F64:
    """Return the mean grey (ITU-R BT.601) of pictures (M, S, S, 3), 0..1: (M,)."""
    cv2 = _opencv()
    means = np.array([cv2.mean(one)[:3] for one in pixels]).reshape(len(pixels), 3)
    return np.asarray(means @ [0.299, 0.587, 0.114] / 255)


def sharpness(pixels: U8) -> F64:
    """Return how much fine detail pictures (M, S, S, 3) hold: (M,), from 0 up, in grey levels.

    The root mean square of the Laplacian of the green channel (after Pech-Pacheco et al. 2000,
    who take its variance): blur, coarse compression and growing a small face all lower it.
    """
    cv2 = _opencv()
    green = (cv2.extractChannel(one, 1) for one in pixels)
    lengths = [cv2.norm(cv2.Laplacian(one, cv2.CV_16S)) for one in green]
    return np.asarray(np.array(lengths) / np.sqrt(pixels.shape[1] * pixels.shape[2]), np.float64)


def _opencv() -> Any:
    """Return OpenCV, or say how to mend it: its desktop build wants libGL, which servers lack."""
    try:
        import cv2
    except ImportError as error:
        raise missing_dependency("cv2") from error
    return cv2
