"""How well a face can be seen, from its box, its points and its picture."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.data import Crops, Faces
from videmo.errors import InputError
from videmo.stages.quality import NAMES, Filtering, QualityTally, Seen, frontal, quality, sift

AHEAD = np.array([[[20, 20], [40, 20], [30, 30], [24, 40], [36, 40]]], np.float32)


def moved(x: float) -> np.ndarray:
    points = AHEAD.copy()
    points[0, 2, 0] += x
    return points


def test_a_nose_between_the_eyes_looks_ahead_and_one_below_an_eye_aside():
    assert frontal(AHEAD) == pytest.approx([1])
    assert frontal(moved(5)) == frontal(moved(-5)) == pytest.approx([1 / 3])
    assert frontal(moved(10)) == frontal(moved(30)) == [0]


def test_a_tilted_head_looks_ahead_all_the_same():
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert frontal(moved(3) @ turn) == pytest.approx(frontal(moved(3)))


def test_what_is_not_known_is_nan():
    assert np.isnan(frontal(np.full((1, 5, 2), np.nan))).all()
    assert np.isnan(frontal(np.zeros((1, 5, 2)))).all(), "both eyes at one place"
    assert frontal(np.zeros((0, 5, 2))).shape == (0,)


def test_the_columns_stand_in_the_order_of_their_names():
    one = np.zeros(1, np.int64)
    box = np.array([[0, 0, 40, 90]], np.float32)
    faces = Faces(one, one, np.zeros(1), box, np.ones(1, np.float32), AHEAD)
    found = dict(
        zip(NAMES, quality(faces.pictured(np.array([7]), np.array([0.5])))[0], strict=True)
    )
    assert found == pytest.approx({"side": 60, "sharpness": 7, "brightness": 0.5, "frontal": 1})


def crops(*sides: float, points: np.ndarray | None = None) -> Crops:
    m = len(sides)
    index = np.arange(m)
    box = np.array([[0, 0, side, side] for side in sides], np.float32).reshape(m, 4)
    points = np.full((m, 5, 2), np.nan, np.float32) if points is None else points
    faces = Faces(index, index, index / 10, box, np.ones(m, np.float32), points)
    return Crops(np.zeros((m, 8, 8, 3), np.uint8), faces, m)


def test_faces_of_too_little_quality_are_left_out_and_counted():
    left: list[int] = []
    first, second = sift([crops(10, 60), crops()], Filtering(side=48), left.append)
    assert (len(first.faces), first.seen, len(second.faces)) == (1, 2, 0)
    assert first.faces.index.tolist() == [1] and left == [1]


def test_what_is_not_known_of_a_face_passes():
    strict = Filtering(frontal=0.5)
    (found,) = sift([crops(10)], strict, lambda faces: None)
    assert len(found.faces) == 1
    (found,) = sift([crops(10, points=moved(9))], strict, lambda faces: None)
    assert len(found.faces) == 0


@pytest.mark.parametrize("wrong", [{"side": -1}, {"frontal": 2}, {"sharpness": float("nan")}])
def test_a_least_quality_that_is_none_is_refused(wrong):
    with pytest.raises(InputError):
        Filtering(**wrong)


def test_medians_leave_out_what_is_not_known():
    tally = QualityTally()
    assert tally.seen() == Seen()
    for side in (10, 30, 20):
        tally.add(crops(side).faces)
    assert (tally.seen().side, tally.seen().frontal) == (20, None)
