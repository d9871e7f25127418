"""Resizing, warping and grey, against plain arithmetic."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videmo.errors import MissingDependency, OutOfMemory
from videmo.stages.image import Still, brightness, resize, sharpness, to_grey, warp


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """Return slow waves, which change by at most 8 grey levels from one pixel to the next."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 17 + y / 31), np.cos(x / 23 - y / 19), np.sin(y / 16)]
    return np.stack([127.5 + 120 * wave for wave in waves], -1).round().astype(np.uint8)


def chequerboard(side: int) -> np.ndarray:
    board = np.indices((side, side)).sum(0) % 2 * 255
    return np.repeat(board[..., None], 3, -1).astype(np.uint8)


def bilinear(pixels: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """Return the warp by its definition, in float64: bilinear, the border repeated."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:side, :side]
    u, v = np.tensordot(matrix, np.stack([x, y, np.ones_like(x)]), 1)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    result = np.zeros((side, side, 3))
    for i, weight_x in ((0, 1 - u + left), (1, u - left)):
        for j, weight_y in ((0, 1 - v + top), (1, v - top)):
            rows, columns = (top + j).clip(0, height - 1), (left + i).clip(0, width - 1)
            result += pixels[rows, columns] * (weight_x * weight_y)[..., None]
    return result


def apart(a: np.ndarray, b: np.ndarray | float) -> float:
    return float(np.abs(np.asarray(a, float) - b).max())


def turned(turn: float, step: float, x: float, y: float) -> np.ndarray:
    a, b = step * np.cos(turn), step * np.sin(turn)
    return np.array([[a, -b, x], [b, a, y]])


def within_frame(
    matrix: np.ndarray, side: int, height: int, width: int, margin: float
) -> np.ndarray:
    """Return which pixels (side, side) of a warp are read inside the frame, off its border."""
    y, x = np.mgrid[:side, :side]
    u, v = np.tensordot(matrix, np.stack([x, y, np.ones_like(x)]), 1)
    clear = [u > margin, u < width - 1 - margin, v > margin, v < height - 1 - margin]
    return np.logical_and.reduce(clear)


turns = st.floats(-np.pi, np.pi)
places = st.floats(-60, 160)


@pytest.mark.parametrize(
    "size", [(1, 1), (20, 30), (48, 64), (48, 30), (30, 64), (200, 20), (97, 131)]
)
@pytest.mark.parametrize("value", [0, 1, 127, 255])
def test_resizing_keeps_a_constant_picture_constant(size: tuple[int, int], value: int) -> None:
    picture = np.full((48, 64, 3), value, np.uint8)
    got = resize(picture, *size)
    assert got.shape == (*size, 3) and got.dtype == np.uint8
    assert (got == value).all()


def test_resizing_to_the_same_size_changes_nothing() -> None:
    assert (resize(noise(48, 64), 48, 64) == noise(48, 64)).all()


def test_shrinking_by_a_whole_number_is_the_mean_of_the_blocks() -> None:
    picture = noise(48, 64)
    blocks = picture.reshape(12, 4, 16, 4, 3).mean((1, 3))
    assert apart(resize(picture, 12, 16), blocks) <= 1  # halved twice, and rounded twice


@pytest.mark.parametrize("size", [(32, 32), (45, 45), (50, 50), (60, 60), (32, 60)])
def test_shrinking_a_fine_chequerboard_gives_grey(size: tuple[int, int]) -> None:
    # a block of 2.84 x 2.84 px (45) is uneven by 0.84 / 2.84 in x and in y: 127.5 * 0.09
    assert apart(resize(chequerboard(128), *size), 127.5) < 12


@pytest.mark.parametrize("size", [(128, 43), (43, 128)])
def test_shrinking_one_side_alone_averages_too(size: tuple[int, int]) -> None:
    # a block of 2.98 x 1 px holds two of one colour and about one of the other: 127.5 / 2.98
    assert apart(resize(chequerboard(128), *size), 127.5) < 44


def test_growing_is_bilinear_on_pixel_centres() -> None:
    ramp = np.repeat(np.arange(0, 200, 20, dtype=np.uint8)[None, :, None], 4, 0).repeat(3, -1)
    got = resize(ramp, 4, 20)[0, :, 0]
    expected = np.interp((np.arange(20) + 0.5) / 2 - 0.5, np.arange(10), ramp[0, :, 0])
    assert apart(got, expected) <= 0.5


def test_the_identity_gives_the_picture_back() -> None:
    assert (warp(noise(40, 40), np.eye(2, 3), 40) == noise(40, 40)).all()


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, 5), (17, 0), (47, 27)])
def test_a_shift_by_whole_pixels_is_exact(x: int, y: int) -> None:
    picture = noise(60, 80)
    got = warp(picture, np.array([[1, 0, x], [0, 1, y]]), 32)
    assert (got == picture[y : y + 32, x : x + 32]).all()


@pytest.mark.parametrize(("x", "y"), [(-10, -7), (70, 50), (-200, 20), (300, 300), (20, -90)])
def test_beyond_the_border_the_outermost_pixels_are_repeated(x: int, y: int) -> None:
    picture = noise(60, 80)
    got = warp(picture, np.array([[1, 0, x], [0, 1, y]]), 32)
    rows, columns = np.arange(y, y + 32).clip(0, 59), np.arange(x, x + 32).clip(0, 79)
    assert (got == picture[np.ix_(rows, columns)]).all()


def test_a_turn_by_a_right_angle_is_exact() -> None:
    picture = noise(40, 40)
    got = warp(picture, np.array([[0, -1, 39], [1, 0, 0]]), 40)  # (x, y) reads (39 - y, x)
    assert (got == picture.transpose(1, 0, 2)[::-1]).all()


@settings(max_examples=60)
@given(turns, st.floats(0.05, 1), places, places)
def test_a_warp_that_does_not_shrink_is_bilinear_by_definition(turn, step, x, y) -> None:
    matrix = turned(turn, step, x, y)
    got = warp(smooth(90, 120), matrix, 48)
    # half a level of rounding, and 8 levels/px * 1/64 px in x and y: the engine's own steps
    assert apart(got, bilinear(smooth(90, 120), matrix, 48)) <= 1


@settings(max_examples=80)
@given(turns, st.floats(0.05, 6), places, places)
def test_a_warp_does_not_depend_on_the_region_that_is_cut_for_it(turn, step, x, y) -> None:
    around = 40  # px, already repeated: the same picture, other regions
    wide = np.pad(smooth(90, 120), ((around, around), (around, around), (0, 0)), "edge")
    got = warp(smooth(90, 120), turned(turn, step, x, y), 24).astype(float)
    again = warp(wide, turned(turn, step, x + around, y + around), 24)
    inside = within_frame(turned(turn, step, x, y), 24, 90, 120, margin=2 * step)
    if step <= 1:
        assert apart(got, again) <= 1
    elif inside.any():
        assert apart(got[inside], again[inside]) <= 4  # averaged blocks begin elsewhere
    # where it shrinks, the outermost block is repeated, not the outermost pixel, and up to half of
    # one may be left out: 8 levels a px
    assert apart(got, again) <= 12 * max(1, step)


@pytest.mark.parametrize("step", [1.5, 2, 3, 4.7, 8])
@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_warp_that_shrinks_a_fine_chequerboard_gives_grey(step: float, turn: float) -> None:
    side = int(128 / step)
    got = warp(chequerboard(256), turned(turn, step, 64, 40), side)
    assert apart(got, 127.5) < 24  # 23 at 1.5 px, which a Gaussian leaves; 127 unsmoothed


def skin(rng: np.random.Generator, side: int = 400) -> np.ndarray:
    """Return a picture with as much detail of each size as the next, as photographs have."""
    grids = [rng.normal(size=(side >> k, side >> k, 3)).repeat(1 << k, 0).repeat(1 << k, 1)
             for k in range(5)]  # fmt: skip
    rough = sum(grid[: side - side % 16, : side - side % 16] * 2**k for k, grid in enumerate(grids))
    return (128 + rough * 3).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("step", [1.0, 1.12, 1.4, 1.97, 3.94])
def test_a_face_that_grows_by_a_little_is_as_sharp_as_before(rng, step: float) -> None:
    picture = skin(rng)

    def sharp(step: float) -> float:
        shifts = np.linspace(0, 2, 9)  # of a grid that falls on pixels, or between them
        crops = [warp(picture, turned(0, step, 8 + x, 8 + x / 3), 64) for x in shifts]
        return float(sharpness(np.stack(crops)).mean())

    assert sharp(step * 1.03) == pytest.approx(sharp(step), rel=0.15)


@pytest.mark.parametrize("step", [1.0, 1.6, 2.0, 3.3, 7.5])
def test_a_warp_that_shrinks_stays_in_place(step: float) -> None:
    ramp = np.repeat(np.arange(250, dtype=np.uint8)[None, :, None], 250, 0).repeat(3, -1)
    side = int(100 / step)
    got = warp(ramp, np.array([[step, 0, 60.25], [0, step, 60]]), side)
    expected = 60.25 + step * np.arange(side)
    assert apart(got[..., 0], np.tile(expected, (side, 1))) <= 1


def test_a_warp_leaves_its_arguments_alone() -> None:
    picture, matrix = noise(60, 80), turned(0.2, 2.5, 10, 5)
    before = matrix.copy()
    warp(picture, matrix, 16)
    assert (matrix == before).all() and (picture == noise(60, 80)).all()


def test_a_picture_of_one_pixel_fills_the_result() -> None:
    got = warp(np.full((1, 1, 3), 9, np.uint8), turned(0.5, 0.1, -3, 2), 16)
    assert (got == 9).all()


def test_grey_is_the_weighted_sum_within_one_level() -> None:
    picture = noise(64, 64)
    expected = picture @ np.array([0.299, 0.587, 0.114])
    got = to_grey(picture)
    assert got.dtype == np.uint8 and got.shape == picture.shape
    assert apart(got, expected[..., None]) <= 1


def test_grey_keeps_greys_and_does_not_overflow() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, -1)
    assert (to_grey(greys) == greys).all()


def test_grey_takes_any_number_of_pictures() -> None:
    assert to_grey(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 8, 8, 3)


class Broken:
    """Finds cv2, whose import then fails, as it does without libGL or where memory is short."""

    def __init__(self, said: str) -> None:
        self.said = said

    def find_spec(self, name: str, *_: object) -> None:
        if name == "cv2":
            raise ImportError(self.said)


@pytest.mark.parametrize(
    ("said", "error", "step"),
    [
        ("libGL.so.1: cannot open shared object file", MissingDependency,
         "cannot be loaded .libGL.*--force-reinstall --no-deps opencv-python-headless"),
        ("libavcodec.so: failed to map segment from shared object", OutOfMemory, "ulimit -v"),
    ],
)  # fmt: skip
def test_an_opencv_that_cannot_be_loaded_says_how_to_mend_it(
    monkeypatch, said: str, error: type[Exception], step: str
) -> None:
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(said), *sys.meta_path])
    with pytest.raises(error, match=step):
        resize(np.zeros((4, 4, 3), np.uint8), 2, 2)


def test_blur_lowers_the_sharpness_and_light_raises_the_brightness(rng):
    noise = rng.integers(0, 256, (1, 32, 32, 3), np.uint8)
    soft = resize(resize(noise[0], 8, 8), 32, 32)[None]
    flat = np.full_like(noise, 100)
    assert sharpness(noise) > 2 * sharpness(soft) and sharpness(flat) == 0
    assert brightness(flat) == pytest.approx([100 / 255])
    assert len(sharpness(noise[:0])) == len(brightness(noise[:0])) == 0


@pytest.mark.parametrize("size", [(360, 640), (64, 48), (1, 1), (9, 300)])
def test_a_still_frame_is_like_itself_and_noise_but_not_like_another(size) -> None:
    still, frame = Still(), np.full((*size, 3), 90, np.uint8)
    assert not still.like(frame)  # none was kept
    still.keep(frame)
    assert still.like(frame) and still.like(frame + 2) and not still.like(frame + 3)
    assert not still.like(np.zeros((7, 5, 3), np.uint8))
    still.keep(None)
    assert not still.like(frame)


def test_a_face_of_32_px_that_comes_into_view_is_no_still_frame() -> None:
    still, frame = Still(), np.full((360, 640, 3), 90, np.uint8)
    still.keep(frame)
    frame[101:133, 307:339] = 99  # a tenth brighter
    assert not still.like(frame)
