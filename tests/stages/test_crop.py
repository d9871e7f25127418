"""Faces cut out of frames whose pixel values are their own coordinates: red is x, green is y."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videmo.data import Faces, FrameBatch
from videmo.stages.crop import FIVE_POINTS, Cropping, crop, to_source
from videmo.stages.image import resize, to_grey

NO_POINTS = np.full((5, 2), np.nan, np.float32)


def ramp(height: int = 200, width: int = 240) -> np.ndarray:
    """Return a picture whose pixel at column x and row y is (x, y, 0)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, 0 * x], -1).astype(np.uint8)


def batch(*pictures: np.ndarray, scale: float = 1.0) -> FrameBatch:
    n = len(pictures)
    return FrameBatch(np.stack(pictures), np.arange(n), np.arange(n) / 25, scale)


def faces(box: Any, row: Any = None, points: Any = None) -> Faces:
    box = np.asarray(box, np.float32).reshape(-1, 4)
    m = len(box)
    row = np.zeros(m, np.int64) if row is None else np.asarray(row, np.int64)
    points = np.tile(NO_POINTS, (m, 1, 1)) if points is None else np.asarray(points, np.float32)
    return Faces(row, row, row / 25, box, np.ones(m, np.float32), points.reshape(m, 5, 2))


def cut(frames: FrameBatch, some: Faces, **options: Any) -> np.ndarray:
    (crops,) = crop([(frames, some)], Cropping(**options))
    return crops.pixels


def shown_of_ramp(box: Any, **options: Any) -> np.ndarray:
    """Return where a crop reads: as `cut` of a ramp, without what rounding halves up adds."""
    up = cut(batch(ramp()), faces(box), **options)[0].astype(float)
    return (up + 255 - cut(batch(255 - ramp()), faces(box), **options)[0]) / 2


def read_at(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where in the source, in continuous px, the columns and rows of a crop were read."""
    return pixels[..., 0].mean(0) + 0.5, pixels[..., 1].mean(1) + 0.5


def centres(low: float, high: float, size: int) -> np.ndarray:
    """Return the centres of `size` equal parts of low..high."""
    return low + (np.arange(size) + 0.5) * (high - low) / size


def assert_covers(pixels: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> None:
    """Check to one grey level, which here is one px, that a crop shows this box."""
    size = len(pixels)
    x, y = read_at(pixels)
    assert np.abs(x - centres(x0, x1, size)).max() <= 1
    assert np.abs(y - centres(y0, y1, size)).max() <= 1
    # half a px would be a fault
    assert x.mean() == pytest.approx((x0 + x1) / 2, abs=0.25)
    assert y.mean() == pytest.approx((y0 + y1) / 2, abs=0.25)


@pytest.mark.parametrize("size", [20, 64, 100])
def test_a_box_that_is_the_frame_gives_the_shrunken_frame(rng, size: int) -> None:
    picture = rng.integers(0, 256, (100, 140, 3), np.uint8)
    got = cut(batch(picture), faces([0, 0, 140, 100]), size=size)[0]
    assert np.abs(got.astype(int) - resize(picture, size, size)).max() <= 1


def test_a_box_that_is_the_frame_gives_the_grown_frame() -> None:
    got = cut(batch(ramp(60, 80)), faces([0, 0, 80, 60]), size=224)[0]
    assert np.abs(got.astype(int) - resize(ramp(60, 80), 224, 224)).max() <= 1


@pytest.mark.parametrize("size", [16, 50, 112, 224])
@pytest.mark.parametrize("box", [(60, 50, 160, 150), (60.5, 50.25, 100, 170), (31, 90, 211, 120)])
def test_a_box_is_stretched_onto_the_square(size: int, box: tuple[float, ...]) -> None:
    assert_covers(shown_of_ramp(box, size=size), *box)


def test_whole_pixels_are_copied_exactly(rng) -> None:
    picture = rng.integers(0, 256, (90, 90, 3), np.uint8)
    got = cut(batch(picture), faces([20, 30, 52, 62]), size=32)[0]
    assert (got == picture[30:62, 20:52]).all()


@pytest.mark.parametrize(
    ("box", "covers"),
    [
        ((100, 50, 140, 150), (70, 50, 170, 150)),  # tall
        ((60, 90, 180, 110), (60, 40, 180, 160)),  # broad
    ],
)
def test_a_square_is_centred_on_the_box_and_not_stretched(box, covers) -> None:
    assert_covers(shown_of_ramp(box, size=64, shape="square"), *covers)


@pytest.mark.parametrize(
    ("options", "covers"),
    [
        ({"scale": 1.5}, (90, 55, 150, 145)),
        ({"scale": 0.5}, (110, 85, 130, 115)),
        ({"shift": (0.25, 0)}, (110, 70, 150, 130)),
        ({"shift": (0, -0.5)}, (100, 40, 140, 100)),
        ({"margin": (20, 0)}, (80, 70, 160, 130)),
        ({"margin": (0, 10)}, (100, 60, 140, 140)),
        ({"margin": (-5, -5)}, (105, 75, 135, 125)),
        ({"scale": 2, "margin": (10, 20), "shift": (-0.25, 0.1)}, (60, 26, 160, 186)),
        ({"shape": "square", "scale": 1.5}, (75, 55, 165, 145)),
        ({"shape": "square", "shift": (0.5, 0)}, (110, 70, 170, 130)),
        ({"shape": "square", "margin": (10, 10)}, (80, 60, 160, 140)),
    ],
)
def test_scale_shift_and_margin_do_what_they_say(options: dict[str, Any], covers) -> None:
    assert_covers(shown_of_ramp([100, 70, 140, 130], size=48, **options), *covers)


faces_in_view = st.tuples(
    st.floats(-np.pi, np.pi),  # turn
    st.floats(0.1, 0.6),  # source px per px of the template
    st.floats(100, 140),  # middle
    st.floats(85, 115),
)


def placed(turn: float, scale: float, x: float, y: float) -> np.ndarray:
    """Return the template's points turned, scaled and moved to lie around (x, y)."""
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    return (FIVE_POINTS - FIVE_POINTS.mean(0)) @ np.array([[c, s], [-s, c]]) + [x, y]


@given(faces_in_view, st.sampled_from([64, 112, 224]))
def test_five_points_land_on_the_template(face: tuple[float, ...], size: int) -> None:
    points = placed(*face).astype(np.float32)
    matrix = to_source(np.zeros(4, np.float32), points, Cropping(size=size, shape="five"))
    back = np.linalg.solve(matrix[:, :2], (points - matrix[:, 2]).T).T
    assert np.abs(back - FIVE_POINTS * size / 224).max() < 0.5


@settings(max_examples=50)
@given(faces_in_view)
def test_the_picture_at_the_template_is_the_picture_at_the_points(face) -> None:
    points = placed(*face)
    some = faces([0, 0, 9, 9], points=points)
    got = cut(batch(ramp()), some, size=224, shape="five")[0]
    column, row = FIVE_POINTS.astype(int).T  # the pixel in which each point lies
    # one level of rounding, and at most one px of the template, which is `scale` px here
    assert np.abs(got[row, column, :2] + 0.5 - points).max() <= 1 + 0.6 * np.sqrt(2)


def test_points_that_are_no_similarity_are_met_as_well_as_can_be(rng) -> None:
    points = (placed(0.3, 0.4, 120, 100) + rng.normal(0, 2, (5, 2))).astype(np.float32)
    options = Cropping(shape="five")
    matrix = to_source(np.zeros(4, np.float32), points, options)
    a, b = matrix[:, 0]
    np.testing.assert_allclose(matrix[:, 1], [-b, a])  # a turn and a scale, no shear or mirror

    def squares(m: np.ndarray) -> float:
        return float(((FIVE_POINTS @ m[:, :2].T + m[:, 2] - points) ** 2).sum())

    for nudge in rng.normal(0, 1e-3, (50, 4)):
        da, db, x, y = nudge
        assert squares(matrix) <= squares(matrix + np.array([[da, -db, x], [db, da, y]])) + 1e-9


def test_a_scale_and_a_shift_move_the_five_points() -> None:
    """As dlib cuts faces: closer, and lower, than ArcFace does."""
    points = FIVE_POINTS.astype(np.float32)[None]
    plain = to_source(np.zeros(4, np.float32), points[0], Cropping(size=224, shape="five"))
    options = Cropping(size=112, shape="five", scale=0.5, shift=(0.0, 0.25))
    moved = to_source(np.zeros(4, np.float32), points[0], options)
    corners = moved @ np.array([[0, 0, 1], [112, 112, 1]]).T
    assert plain == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]]), abs=1e-5)
    np.testing.assert_allclose(corners.T, [[56, 112], [168, 224]], atol=1e-4)


def test_five_without_points_is_square() -> None:
    box = [100, 50, 140, 150]
    five = cut(batch(ramp()), faces(box), size=64, shape="five")
    assert (five == cut(batch(ramp()), faces(box), size=64, shape="square")).all()


def test_five_takes_the_points_where_there_are_some() -> None:
    points = np.stack([NO_POINTS, placed(0, 0.3, 120, 100)])
    box = [100, 50, 140, 150]
    both = cut(batch(ramp()), faces([box, box], points=points), size=64, shape="five")
    assert (both[0] != both[1]).any()
    assert (both[0] == cut(batch(ramp()), faces(box), size=64, shape="square")[0]).all()


@pytest.mark.parametrize(
    ("options", "shape"),
    [({}, "box"), ({"margin": (8, 4)}, "box"), ({}, "square"), ({}, "five")],
)
@pytest.mark.parametrize("size", [32, 96])
def test_a_shrunken_frame_gives_nearly_the_same_crop(options, shape: str, size: int) -> None:
    steep = 2 * ramp(100, 120)  # two levels a px, so that halving it needs no rounding
    half = batch(resize(steep, 50, 60), scale=0.5)
    some = faces([30, 25, 80, 65], points=placed(0.4, 0.15, 60, 50))
    whole = cut(batch(steep), some, size=size, shape=shape, **options)
    got = cut(half, some, size=size, shape=shape, **options)
    assert np.abs(got.astype(int) - whole).max() <= 2
    assert got.mean() == pytest.approx(whole.mean(), abs=0.3)


def test_no_faces_is_zero_crops_and_the_frames_still_count() -> None:
    (crops,) = crop([(batch(ramp(), ramp()), Faces.none())], Cropping(size=48))
    assert crops.pixels.shape == (0, 48, 48, 3) and crops.pixels.dtype == np.uint8
    assert crops.seen == 2


def test_no_faces_in_grey_is_zero_crops() -> None:
    assert cut(batch(ramp()), Faces.none(), size=48, colour="grey").shape == (0, 48, 48, 3)


@pytest.mark.parametrize("shape", ["box", "square"])
def test_beyond_the_border_the_outermost_pixels_are_repeated(shape: str) -> None:
    got = cut(batch(ramp()), faces([0, 0, 40, 40]), size=80, shape=shape, scale=2)[0]
    x, y = read_at(got)
    expected = centres(-20, 60, 80).clip(0.5)
    assert np.abs(x - expected).max() <= 1 and np.abs(y - expected).max() <= 1


def test_a_face_in_the_last_corner_is_cut() -> None:
    got = cut(batch(ramp()), faces([200, 160, 240, 200]), size=40, margin=(20, 20))[0]
    x, y = read_at(got)
    assert x[-1] == 239.5 and y[-1] == 199.5


def test_a_face_of_a_sliver_is_cut() -> None:
    got = cut(batch(ramp()), faces([100, 70, 100.01, 130]), size=32)[0]
    x, _ = read_at(got)
    assert np.abs(x - 100).max() <= 1


def test_each_face_is_cut_from_its_own_frame() -> None:
    pictures = [np.full((50, 50, 3), 10 * i, np.uint8) for i in range(4)]
    row = [3, 0, 3, 1]
    got = cut(batch(*pictures), faces([[5, 5, 25, 25]] * 4, row=row), size=16)
    assert got.shape == (4, 16, 16, 3)
    for pixels, i in zip(got, row, strict=True):
        assert (pixels == 10 * i).all()


def test_a_face_is_cut_alike_in_any_company(rng) -> None:
    picture = rng.integers(0, 256, (200, 240, 3), np.uint8)
    boxes = [[60, 50, 160, 130], [3, 4, 50, 60], [100, 20, 239, 199]]
    together = cut(batch(picture), faces(boxes), size=48)
    for i, box in enumerate(boxes):
        assert (cut(batch(picture), faces(box), size=48)[0] == together[i]).all()


def test_grey_is_the_grey_of_the_crop_in_three_channels(rng) -> None:
    picture = rng.integers(0, 256, (200, 240, 3), np.uint8)
    box = faces([60, 50, 160, 130])
    grey = cut(batch(picture), box, size=48, colour="grey")
    assert (grey == to_grey(cut(batch(picture), box, size=48))).all()
    assert (grey[..., 0] == grey[..., 2]).all()


def test_batches_come_out_in_order_one_by_one() -> None:
    taken = []

    def batches():
        for i in range(3):
            taken.append(i)
            yield batch(ramp()), faces([[0, 0, 9, 9]] * i)

    stream = crop(batches(), Cropping(size=8))
    assert len(next(stream).faces) == 0 and taken == [0]
    assert [len(crops.faces) for crops in stream] == [1, 2]
