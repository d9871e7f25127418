"""The doorstep of the detectors: options, choice, order, suppression, the whole frame."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from videmo.data import Array, Faces, FrameBatch
from videmo.errors import InputError, UnknownName
from videmo.stages.detect import (
    DETECTORS,
    MEASURED,
    Detection,
    WholeFrame,
    detect,
    detector,
    ordered,
    select,
    suppress,
)


def frames(n: int = 1, height: int = 60, width: int = 100) -> FrameBatch:
    return FrameBatch(np.zeros((n, height, width, 3), np.uint8), np.arange(n), np.arange(n) / 25)


def faces(row: list[int], box: list[list[float]], score: list[float]) -> Faces:
    return Faces.on(frames(max(row) + 1), np.array(row), np.array(box), np.array(score))


def test_the_table_holds_the_four_detectors() -> None:
    assert set(DETECTORS) == {
        "mtcnn", "retinaface-mobilenet", "centerface", "retinaface-resnet50", "whole"
    }  # fmt: skip


def test_every_detector_that_looks_says_what_it_has_shown() -> None:
    assert set(MEASURED) == set(DETECTORS) - {"whole"}
    assert json.loads(json.dumps(MEASURED)) == MEASURED


def test_the_old_name_of_a_detector_is_answered_with_the_new_one() -> None:
    with pytest.raises(UnknownName, match=r"called 'retinaface'; there is .*retinaface-resnet50"):
        detector(Detection("retinaface"))


def test_an_unknown_detector_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="no detector is called 'mtcn'; there is mtcnn"):
        detector(Detection("mtcn"))


def test_an_unknown_choice_of_faces_is_refused() -> None:
    with pytest.raises(UnknownName, match="all, largest, best"):
        Detection(faces="biggest")


@pytest.mark.parametrize(
    ("field", "value"), [("score", 1.5), ("score", -0.1), ("min_face", 0), ("max_side", 3)]
)
def test_an_option_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InputError, match=field):
        Detection(**{field: value})  # type: ignore[arg-type]


def test_importing_the_room_imports_no_foreign_library() -> None:
    heavy = "cv2", "openvino", "torch", "lz4", "retinaface", "mtcnn"
    script = f"import sys, videmo.stages.detect; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_detect_gives_each_batch_with_its_faces() -> None:
    batches = [frames(2), frames(0), frames(3)]
    got = list(detect(iter(batches), WholeFrame()))
    assert [batch is one for (batch, _), one in zip(got, batches, strict=True)] == [True] * 3
    assert [len(found) for _, found in got] == [2, 0, 3]


def test_detect_looks_at_a_batch_only_when_it_is_asked_for() -> None:
    def endless() -> Array:
        while True:
            yield frames(1)

    assert len(next(detect(endless(), WholeFrame()))[1]) == 1


def test_the_whole_frame_is_one_sure_face_without_points() -> None:
    found = WholeFrame()(frames(2, 60, 100))
    assert found.box.tolist() == [[0, 0, 100, 60]] * 2
    assert found.score.tolist() == [1, 1]
    assert np.isnan(found.landmarks).all()


def test_largest_keeps_the_greatest_area_of_each_frame() -> None:
    found = faces([0, 0, 2], [[0, 0, 10, 10], [0, 0, 20, 20], [0, 0, 5, 5]], [0.9, 0.8, 0.7])
    kept = select(found, "largest")
    assert (kept.row.tolist(), kept.score.round(1).tolist()) == ([0, 2], pytest.approx([0.8, 0.7]))


def test_best_keeps_the_highest_score_of_each_frame() -> None:
    found = faces([0, 0, 2], [[0, 0, 10, 10], [0, 0, 20, 20], [0, 0, 5, 5]], [0.9, 0.8, 0.7])
    assert select(found, "best").box[:, 2].tolist() == [10, 5]


@pytest.mark.parametrize("policy", ["largest", "best"])
def test_ties_do_not_depend_on_the_order_of_the_faces(policy: str) -> None:
    found = faces([0] * 3, [[30, 5, 40, 15], [30, 0, 40, 10], [50, 0, 60, 10]], [0.9] * 3)
    chosen = {tuple(select(found[order], policy).box[0]) for order in ([0, 1, 2], [2, 1, 0])}
    assert chosen == {(30, 0, 40, 10)}


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UnknownName, match="choice of faces"):
        select(Faces.none(), "first")


@pytest.mark.parametrize("policy", ["all", "largest", "best"])
def test_no_faces_stay_no_faces(policy: str) -> None:
    assert len(select(Faces.none(), policy)) == 0


def test_faces_are_ordered_by_row_then_by_falling_score() -> None:
    found = ordered(faces([1, 0, 1, 0], [[0, 0, 9, 9]] * 4, [0.5, 0.6, 0.7, 0.8]))
    assert found.row.tolist() == [0, 0, 1, 1]
    assert found.score.tolist() == pytest.approx([0.8, 0.6, 0.7, 0.5])


def one_by_one(row: Array, box: Array, score: Array, overlap: float, smaller: bool) -> set[int]:
    """The definition: take the best, drop what it covers, repeat; one box and one frame a time."""
    kept: list[int] = []
    for i in np.argsort(-score):
        for j in kept:
            w, h = np.minimum(box[i, 2:], box[j, 2:]) - np.maximum(box[i, :2], box[j, :2])
            shared = max(w, 0) * max(h, 0)
            area, other = ((box[k, 2] - box[k, 0]) * (box[k, 3] - box[k, 1]) for k in (i, j))
            whole = min(area, other) if smaller else area + other - shared
            if row[i] == row[j] and shared > overlap * whole:
                break
        else:
            kept.append(int(i))
    return set(kept)


@pytest.mark.parametrize("smaller", [False, True])
@pytest.mark.parametrize("overlap", [0.3, 0.5, 0.7])
def test_suppression_equals_taking_the_best_one_by_one(
    rng: np.random.Generator, overlap: float, smaller: bool
) -> None:
    row, corner = rng.integers(0, 5, 400), rng.uniform(0, 60, (400, 2))
    box = np.concatenate([corner, corner + rng.uniform(5, 40, (400, 2))], 1)
    score = rng.permutation(400) / 400
    got = suppress(row, box, score, overlap, smaller=smaller)
    assert set(got.tolist()) == one_by_one(row, box, score, overlap, smaller)
    assert len(got) == len(set(got.tolist())) < 400


def test_suppression_of_nothing_is_nothing() -> None:
    assert len(suppress(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), 0.5)) == 0
