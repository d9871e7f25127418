"""Where exactly a face is, by O-Net of MTCNN alone: of one that is known to be about there.

It follows a face from frame to frame, and brings the boxes of another detector to MTCNN's kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from videmo.data import F64, I64, U8, Array
from videmo.files.openvino import runner
from videmo.stages.detect.networks import (
    O_SIDE,
    compiled_of,
    folder_of_weights,
)
from videmo.stages.image import averaged, resize


class ONet:
    """The last network of the cascade by itself. Several threads may call it.

    run: what runs it, as `files.openvino.runner` gives it
    """

    def __init__(self, run: Callable[[Mapping[Any, Any]], Any]) -> None:
        self._run = run

    @classmethod
    def of_package(cls, threads: int) -> ONet:
        """Return it with the weights of the package mtcnn; raises what `compiled_of` raises."""
        return cls(runner(compiled_of("onet", folder_of_weights(), threads)))

    def __call__(self, pixels: U8, box: Array) -> tuple[F64, F64, F64]:
        """Return box (M, 4), score (M,) and points (M, 5, 2) of the face about each box.

        pixels: one frame (H, W, 3); box: (M, 4) px of it
        Where there is none, the score says so, and the others mean nothing.
        """
        k, square = squares(np.asarray(box, np.float64), O_SIDE, _halvings(pixels))
        crops = np.empty((len(square), O_SIDE, O_SIDE, 3), np.uint8)
        for crop, halvings, edges in zip(crops, k.tolist(), square.tolist(), strict=True):
            crop[:] = _closeup(pixels, edges, halvings)
        answers = self._run({0: crops})[0] if len(crops) else np.zeros((0, 15), np.float32)
        return faces_in(square.astype(np.float64), answers)


def squares(box: F64, side: int, most: int) -> tuple[I64, I64]:
    """Return squares (M, 4) around the boxes, and how often each is halved for a crop of `side`.

    A square has the centre and the longer side of its box, in whole px of what it is halved to.
    most: halvings at most
    """
    length = (box[:, 2:] - box[:, :2]).max(1, initial=1)
    corner = (box[:, :2] + box[:, 2:] - length[:, None]) / 2
    k = np.log2(length / side).astype(np.int64).clip(0, most)
    unit = np.exp2(k)[:, None]
    low = np.rint(corner / unit).astype(np.int64)
    high = low + np.rint(length[:, None] / unit).astype(np.int64)
    return k, np.concatenate([low, high], 1) << k[:, None]


def window(pixels: U8, x0: int, y0: int, x1: int, y1: int) -> U8:
    """Return pixels[y0:y1, x0:x1], black where that lies outside."""
    height, width = pixels.shape[:2]
    inside = pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return inside
    black = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    top, left = max(-y0, 0), max(-x0, 0)
    black[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return black


def faces_in(square: F64, answers: Array) -> tuple[F64, F64, F64]:
    """Return box (M, 4), score (M,) and points (M, 5, 2), px, from what O-Net says of squares."""
    answers = answers.astype(np.float64)
    score = 1 / (1 + np.exp(-answers[:, -1]))
    points = np.stack([answers[:, 4:9], answers[:, 9:14]], -1)  # (M, 5, 2), 0..1 of the square
    points = square[:, None, :2] + points * (square[:, None, 2:] - square[:, None, :2])
    return moved(square, answers[:, :4]), score, points


def moved(box: Array, by: Array) -> F64:
    """Return the boxes with their edges moved by shares of their width and height."""
    size = box[:, 2:] - box[:, :2]
    return np.asarray(box + by * np.concatenate([size, size], 1), np.float64)


def _halvings(pixels: U8) -> int:
    """Return how often a frame may be halved before it is smaller than a crop."""
    height, width = pixels.shape[:2]
    return int(min(height, width) // O_SIDE).bit_length()


def _closeup(pixels: U8, edges: list[int], halvings: int) -> U8:
    """Return a square of the frame as O-Net looks at it, as MTCNN cuts it from halved frames."""
    seen = window(pixels, *edges)
    for _ in range(halvings):
        seen = averaged(seen)
    return resize(seen, O_SIDE, O_SIDE, average=False)
