"""The nouns: columns of one length and type, boxes in px of the source, no pixels in print."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest

from videmo.data import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Crops,
    Descriptor,
    Faces,
    Features,
    FrameBatch,
    Prediction,
    Range,
)
from videmo.errors import InputError


def frames(n: int = 2, height: int = 40, width: int = 60, scale: float = 1.0) -> FrameBatch:
    pixels = np.zeros((n, height, width, 3), np.uint8)
    return FrameBatch(pixels, np.arange(n) * 5 + 100, np.arange(n) * 0.2 + 4, scale)


def faces(m: int) -> Faces:
    return Faces(
        row=np.arange(m),
        index=np.arange(m) + 10,
        time=np.arange(m) / 25,
        box=np.tile(np.array([1, 2, 3, 4], np.float32), (m, 1)),
        score=np.linspace(0, 1, m, dtype=np.float32),
        landmarks=np.zeros((m, 5, 2), np.float32),
    )


def descriptor(**changes) -> Descriptor:
    made = Descriptor(np.zeros(8, np.float32), faces=5, frames=3, seen=12)
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: FrameBatch(np.zeros((2, 4, 6), np.uint8), np.arange(2), np.zeros(2)),
            r"FrameBatch.pixels is uint8 \(2, 4, 6\), expected uint8 \(2, \?, \?, 3\)",
        ),
        (
            lambda: FrameBatch(np.zeros((2, 4, 6, 3), np.float32), np.arange(2), np.zeros(2)),
            r"FrameBatch.pixels is float32 \(2, 4, 6, 3\), expected uint8 \(2, \?, \?, 3\)",
        ),
        (
            lambda: FrameBatch(np.zeros((2, 4, 6, 4), np.uint8), np.arange(2), np.zeros(2)),
            r"\(2, 4, 6, 4\), expected uint8 \(2, \?, \?, 3\)",
        ),
        (
            lambda: FrameBatch(np.zeros((2, 4, 6, 3), np.uint8), np.arange(3), np.zeros(2)),
            r"FrameBatch.index is int64 \(3,\), expected int64 \(2\)",
        ),
        (
            lambda: FrameBatch(
                np.zeros((2, 4, 6, 3), np.uint8), np.arange(2), np.zeros(2, np.float32)
            ),
            r"FrameBatch.time is float32 \(2,\), expected float64 \(2\)",
        ),
        (
            lambda: dataclasses.replace(faces(3), row=np.arange(3, dtype=np.int32)),
            r"Faces.row is int32 \(3,\), expected int64 \(3\)",
        ),
        (
            lambda: dataclasses.replace(faces(3), box=np.zeros((3, 5), np.float32)),
            r"Faces.box is float32 \(3, 5\), expected float32 \(3, 4\)",
        ),
        (
            lambda: dataclasses.replace(faces(3), landmarks=np.zeros((3, 10), np.float32)),
            r"Faces.landmarks is float32 \(3, 10\), expected float32 \(3, 5, 2\)",
        ),
        (
            lambda: faces(3).tracked(np.arange(2)),
            r"Faces.track is int64 \(2,\), expected int64 \(3\)",
        ),
        (
            lambda: Crops(np.zeros((2, 8, 9, 3), np.uint8), faces(2), 2),
            r"Crops.pixels is uint8 \(2, 8, 9, 3\), expected uint8 \(2, 8, 8, 3\)",
        ),
        (
            lambda: Crops(np.zeros((3, 8, 8, 3), np.uint8), faces(2), 2),
            r"\(3, 8, 8, 3\), expected uint8 \(2, 8, 8, 3\)",
        ),
        (
            lambda: Crops(np.zeros((2, 8), np.uint8), faces(2), 2),
            r"Crops.pixels is uint8 \(2, 8\), expected uint8 \(2, \?, \?, 3\)",
        ),
        (
            lambda: Features(np.zeros((2, 4)), faces(2), 2),
            r"Features.values is float64 \(2, 4\), expected float32 \(2, \?\)",
        ),
        (
            lambda: Features(
                np.zeros((2, 4), np.float32), faces(2), 2, {"age": np.zeros(2, np.float32)}
            ),
            r"Features.outputs\['age'\] is float32 \(2,\), expected float32 \(2, \?\)",
        ),
        (
            lambda: descriptor(values=np.zeros((1, 8), np.float32)),
            r"Descriptor.values is float32 \(1, 8\), expected float32 \(\?\)",
        ),
        (
            lambda: Prediction(("a", "b"), np.zeros(3, np.float32), descriptor()),
            r"Prediction.scores is float32 \(3,\), expected float32 \(2\)",
        ),
    ],
)
def test_a_wrong_shape_or_type_is_refused_with_what_came_and_what_was_expected(make, text) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_faces_begin_without_a_track() -> None:
    assert faces(3).track.tolist() == [-1, -1, -1]


def test_no_faces_is_zero_rows_of_every_column() -> None:
    none = Faces.none()
    assert len(none) == 0
    assert none.box.shape == (0, 4) and none.landmarks.shape == (0, 5, 2)


@pytest.mark.parametrize(
    ("keep", "rows"),
    [
        (np.array([True, False, True, False]), [0, 2]),
        (np.array([3, 1]), [3, 1]),
        (slice(1, 3), [1, 2]),
        (np.zeros(0, np.int64), []),
    ],
)
def test_faces_are_selected_by_mask_indices_or_slice(keep, rows: list[int]) -> None:
    some = faces(4).tracked(np.array([7, 8, 9, 10]))[keep]
    assert some.row.tolist() == rows
    assert some.index.tolist() == [10 + i for i in rows]
    assert some.track.tolist() == [7 + i for i in rows]


def test_tracking_leaves_the_faces_it_was_given_alone() -> None:
    before = faces(2)
    after = before.tracked([3, 4])
    assert before.track.tolist() == [-1, -1] and after.track.tolist() == [3, 4]


def test_faces_found_on_frames_take_their_number_and_time() -> None:
    got = Faces.on(frames(3), [2, 0], [[0, 0, 9, 9], [1, 1, 5, 5]], [0.9, 0.8])
    assert got.row.tolist() == [2, 0]
    assert got.index.tolist() == [110, 100]
    np.testing.assert_allclose(got.time, [4.4, 4.0])


def test_a_box_is_clipped_to_the_frame() -> None:
    got = Faces.on(frames(), [0, 1], [[-5, -6, 70, 80], [50, 30, 61, 41]], [1, 1])
    assert got.box.tolist() == [[0, 0, 60, 40], [50, 30, 60, 40]]


@pytest.mark.parametrize(
    "box", [[5, 5, 5, 9], [5, 5, 9, 5], [9, 9, 5, 5], [61, 5, 70, 9], [-9, 5, -1, 9], [np.nan] * 4]
)
def test_a_box_without_area_in_the_frame_is_dropped(box: list[float]) -> None:
    got = Faces.on(frames(), [0, 1], [box, [1, 1, 2, 2]], [0.7, 0.6], np.ones((2, 5, 2)))
    assert got.row.tolist() == [1] and got.score.tolist() == [np.float32(0.6)]


def test_boxes_and_points_on_shrunken_frames_are_mapped_to_the_source() -> None:
    points = np.arange(10.0).reshape(1, 5, 2)
    got = Faces.on(frames(scale=0.25), [0], [[10, 5, 100, 20]], [1], points)
    assert got.box.tolist() == [[40, 20, 240, 80]]
    np.testing.assert_array_equal(got.landmarks, points * 4)


def test_faces_without_points_have_nan_points() -> None:
    got = Faces.on(frames(), [0], [[1, 1, 5, 5]], [1])
    assert got.landmarks.shape == (1, 5, 2) and np.isnan(got.landmarks).all()


def test_no_boxes_on_frames_is_no_faces() -> None:
    assert len(Faces.on(frames(), [], [], [])) == 0
    assert len(Faces.on(frames(0), np.zeros(0), np.zeros((0, 4)), np.zeros(0))) == 0


@pytest.mark.parametrize(
    ("noun", "parts"),
    [
        (frames(), ["pixels=uint8[2, 40, 60, 3]", "scale=1.0"]),
        (faces(3), ["box=float32[3, 4]", "track=int64[3]"]),
        (Crops(np.zeros((2, 8, 8, 3), np.uint8), faces(2), 9), ["uint8[2, 8, 8, 3]", "seen=9"]),
        (
            Features(
                np.zeros((2, 4), np.float32), faces(2), 2, {"age": np.zeros((2, 1), np.float32)}
            ),
            ["values=float32[2, 4]", "outputs={age: float32[2, 1]}"],
        ),
        (
            Prediction(("a",), np.ones(1, np.float32), descriptor()),
            ["'a' 1.00", "in 3 of 12 frames"],
        ),
    ],
)
def test_print_shows_shapes_not_pixels(noun, parts: list[str]) -> None:
    text = repr(noun)
    assert text.startswith(type(noun).__name__ + "(") and "array(" not in text
    assert all(part in text for part in parts), text


def test_a_noun_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        frames().scale = 2.0  # type: ignore[misc]


def test_faces_survive_pickling() -> None:
    again = pickle.loads(pickle.dumps(faces(3)))
    np.testing.assert_array_equal(again.box, faces(3).box)


@pytest.mark.parametrize(("with_face", "seen", "share"), [(3, 12, 0.25), (0, 12, 0.0), (0, 0, 0.0)])
def test_coverage_is_the_share_of_frames_with_a_face(with_face, seen, share) -> None:
    assert descriptor(frames=with_face, seen=seen).coverage == share


def test_the_label_is_the_most_probable_one() -> None:
    scores = np.array([0.2, 0.5, 0.3], np.float32)
    assert Prediction(("a", "b", "c"), scores, descriptor()).label == "b"


# ranges


@pytest.mark.parametrize(
    "bad", [math.nan, math.inf, -math.inf, -1, "1", True, None, pytest.param(10**400, id="huge")]
)
def test_only_finite_numbers_in_it_are_in_a_range(bad: object) -> None:
    assert bad not in NOT_NEGATIVE
    with pytest.raises(InputError, match=r"start is .*; give a number of 0 or more"):
        NOT_NEGATIVE.check("start", bad)


def test_a_range_may_leave_out_its_ends_and_what_is_between_whole_numbers() -> None:
    assert 0 in NOT_NEGATIVE and 0 not in POSITIVE and np.float32(0.5) in POSITIVE
    assert 1 in COUNT and np.int64(3) in COUNT and 1.5 not in COUNT
    assert (str(SHARE), str(Range(0, 1, open=True)), str(COUNT), str(Range())) == (
        "a number from 0 to 1", "a number between 0 and 1", "a whole number of 1 or more",
        "a finite number",
    )  # fmt: skip
