"""What every detector promises, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videmo.data import Faces, FrameBatch
from videmo.files.wheels import PACKAGED, find_network
from videmo.stages.detect import DETECTORS, Detection, Detector, detector

# boxes may move with the batch by what float32 sums in another order make of a 200 px face
PX = 0.01
CASES = [
    pytest.param(name, marks=[pytest.mark.slow] * (name == "retinaface-resnet50"))
    for name in DETECTORS
]


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of RetinaFace that know nothing: its promises are tested without a download."""
    import torch

    from videmo.stages.detect.retina_network import network

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network().state_dict(), path)
    return path


@pytest.fixture(scope="module", params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def options(name: str) -> Detection:
    if name == "retinaface-resnet50":  # untrained scores lie around one half: some pass, not all
        return Detection(name, score=0.5, max_side=96)
    return Detection(name)


@pytest.fixture(scope="module")
def weights(name: str, request: pytest.FixtureRequest) -> Path | None:
    """Where a detector's own weights lie, of those that would fetch them."""
    if name == "retinaface-resnet50":
        path: Path = request.getfixturevalue("random_weights")
        return path
    for packed in PACKAGED:
        if packed.name == name and find_network(packed) is None:
            pytest.skip(f"{name} is not here: videmo models pull {name}")
    return None


@pytest.fixture(scope="module")
def find(options: Detection, weights: Path | None) -> Detector:
    return detector(options, threads=2, weights=weights)


@pytest.fixture(scope="module")
def frames() -> FrameBatch:
    """Six frames: a face in different places, and none."""
    from skimage.data import astronaut

    face = astronaut()[:220, 120:340]
    pixels = np.full((6, 240, 320, 3), 90, np.uint8)
    for row, (x, y) in enumerate([(0, 0), (20, 10), (60, 20), (100, 0), (40, 5)]):
        pixels[row, y : y + 220, x : x + 220] = face
    return FrameBatch(pixels, np.arange(10, 70, 10), np.arange(6) / 25 + 1)


def one(frames: FrameBatch, row: int) -> FrameBatch:
    rows = slice(row, row + 1)
    return FrameBatch(frames.pixels[rows], frames.index[rows], frames.time[rows], frames.scale)


def test_no_frames_give_no_faces(find: Detector) -> None:
    none = FrameBatch(np.zeros((0, 48, 64, 3), np.uint8), np.zeros(0, np.int64), np.zeros(0))
    assert len(find(none)) == 0


@pytest.mark.parametrize("size", [(1, 1), (7, 11), (12, 12), (30, 400), (33, 35)])
def test_frames_of_any_size_are_looked_at(find: Detector, size: tuple[int, int]) -> None:
    pixels = np.full((2, *size, 3), 128, np.uint8)
    faces = find(FrameBatch(pixels, np.arange(2), np.arange(2.0)))
    assert np.isfinite(faces.box).all()


def test_boxes_lie_inside_the_frame(find: Detector, frames: FrameBatch) -> None:
    box = find(frames).box
    assert len(box)
    assert (box >= 0).all() and (box <= [320, 240, 320, 240]).all()
    assert (box[:, 2:] > box[:, :2]).all()


def test_faces_come_by_row_and_then_by_falling_score(find: Detector, frames: FrameBatch) -> None:
    faces = find(frames)
    order = np.lexsort((-faces.score, faces.row))
    assert order.tolist() == list(range(len(faces)))


def test_faces_carry_the_number_and_time_of_their_frame(find: Detector, frames: FrameBatch) -> None:
    faces = find(frames)
    assert (faces.index == frames.index[faces.row]).all()
    assert (faces.time == frames.time[faces.row]).all()


def test_boxes_and_points_are_in_px_of_the_source(find: Detector, frames: FrameBatch) -> None:
    here, source = find(frames), find(replace(frames, scale=0.5))
    assert source.box == pytest.approx(2 * here.box, abs=1e-3)
    assert source.landmarks == pytest.approx(2 * here.landmarks, abs=1e-3, nan_ok=True)


def test_a_frame_has_the_same_faces_in_any_batch(find: Detector, frames: FrameBatch) -> None:
    together = find(frames)
    for row in range(len(frames)):
        alone, expected = find(one(frames, row)), together[together.row == row]
        assert alone.box == pytest.approx(expected.box, abs=PX)
        assert alone.landmarks == pytest.approx(expected.landmarks, abs=PX, nan_ok=True)


def test_the_same_frames_give_the_same_bytes(find: Detector, frames: FrameBatch) -> None:
    first, second = find(frames), find(frames)
    for column in ("row", "box", "score", "landmarks"):
        assert getattr(first, column).tobytes() == getattr(second, column).tobytes()


@pytest.mark.parametrize("policy", ["largest", "best"])
def test_a_policy_leaves_one_face_a_frame(
    options: Detection,
    find: Detector,
    frames: FrameBatch,
    policy: str,
    name: str,
    weights: Path | None,
) -> None:
    if name == "retinaface-resnet50":
        pytest.skip("building it again is slow, and select() has tests of its own")
    all_of_them = find(frames)
    chosen: Faces = detector(replace(options, faces=policy), threads=2, weights=weights)(frames)
    assert chosen.row.tolist() == np.unique(all_of_them.row).tolist()
