"""YuNet: OpenCV's own answer, large and small frames, its files, and the settings of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from videmo.data import U8, FrameBatch
from videmo.errors import CorruptModel, ModelError, ModelNotFound
from videmo.stages.detect import Detection
from videmo.stages.detect.yunet import FILE, YuNet
from videmo.stages.image import resize

Find = Callable[..., YuNet]


@pytest.fixture(scope="module")
def weights(shared: Path) -> Path:
    path = shared / "reference" / "yunet_n_dynamic.onnx"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in ../shared/reference")
    return path


@pytest.fixture(scope="module")
def find(weights: Path) -> YuNet:
    return YuNet(Detection("yunet", score=0.6, min_face=10), threads=2, weights=weights)


@pytest.fixture(scope="module")
def picture() -> U8:
    from skimage.data import astronaut

    return np.asarray(astronaut())[:288, 80:368]  # (288, 288, 3), the face 90 px wide


def batch(*pixels: U8) -> FrameBatch:
    return FrameBatch(np.stack(pixels), np.arange(len(pixels)), np.arange(len(pixels)) / 25)


def by_opencv(path: Path, pixels: U8, score: float) -> U8:
    """Return what FaceDetectorYN finds: x y w h, five points, score."""
    import cv2

    size = pixels.shape[1::-1]
    there = cv2.FaceDetectorYN.create(str(path), "", size, score, 0.3, 5000)
    return np.asarray(there.detect(np.ascontiguousarray(pixels[..., ::-1]))[1])


@pytest.mark.parametrize("name", ["yunet_n_dynamic.onnx", "yunet_n_640_640.onnx"])
def test_faces_are_those_of_opencv(weights: Path, picture: U8, name: str) -> None:
    path = weights.with_name(name)
    pixels = np.concatenate([picture, picture[:, ::-1]], 1)[:, :500]  # two faces, no whole stride
    ours = YuNet(Detection("yunet", score=0.6, min_face=1), threads=2, weights=path)(batch(pixels))
    theirs = by_opencv(path, pixels, 0.6)
    theirs = theirs[np.lexsort((theirs[:, 0], -theirs[:, 14]))]
    assert len(ours) == len(theirs) == 2
    # float32 summed in another order
    assert ours.score == pytest.approx(theirs[:, 14], abs=1e-4)
    assert ours.box[:, :2] == pytest.approx(theirs[:, :2].clip(0), abs=0.01)
    assert ours.box[:, 2:] == pytest.approx(theirs[:, :2] + theirs[:, 2:4], abs=0.01)
    assert ours.landmarks.reshape(-1, 10) == pytest.approx(theirs[:, 4:14], abs=0.01)


def test_points_are_eyes_nose_and_mouth_with_the_image_left_first(find: YuNet, picture: U8) -> None:
    left, right, nose, mouth_left, mouth_right = find(batch(picture)).landmarks[0]
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_colours_are_turned_for_the_network(find: YuNet, picture: U8) -> None:
    right, wrong = find(batch(picture)).score[0], find(batch(picture[..., ::-1])).score[0]
    assert right != pytest.approx(wrong, abs=1e-3)  # and test_faces_are_those_of_opencv says which


@pytest.mark.parametrize("side", [720, 1440])
def test_faces_larger_than_it_was_trained_on_are_found(
    weights: Path, picture: U8, side: int
) -> None:
    face = picture[50:200, 70:220]  # 111 px of 150 are the face
    options = Detection("yunet", score=0.8, max_side=None)
    faces = YuNet(options, threads=2, weights=weights)(batch(resize(face, side, side)))
    assert len(faces) == 1
    assert (faces.box[0, 3] - faces.box[0, 1]) / side == pytest.approx(111 / 150, abs=0.1)


def test_a_frame_of_4k_is_looked_at(weights: Path, picture: U8) -> None:
    pixels = np.zeros((2160, 3840, 3), np.uint8)
    pixels[1000:1864, 2000:2864] = resize(picture, 864, 864)  # a face of 330 px
    faces = YuNet(Detection("yunet", score=0.7), threads=2, weights=weights)(batch(pixels))
    assert len(faces) == 1
    assert faces.box[0, 0] > 2000 and faces.box[0, 2] < 2864


def test_a_smallest_face_of_64_px_keeps_those_and_drops_the_smaller(
    weights: Path, picture: U8
) -> None:
    small = np.zeros_like(picture)
    small[:144, :144] = resize(picture, 144, 144)  # a face of 45 by 55 px
    find = YuNet(Detection("yunet", score=0.6, min_face=64), threads=2, weights=weights)
    assert find(batch(picture, small)).row.tolist() == [0]


def test_no_face_is_no_row(find: YuNet) -> None:
    assert len(find(batch(np.full((200, 300, 3), 90, np.uint8)))) == 0


def test_opencv_keeps_its_threads(weights: Path, picture: U8) -> None:
    import cv2

    before = cv2.getNumThreads()
    YuNet(threads=1, weights=weights)(batch(picture))
    assert cv2.getNumThreads() == before


@pytest.mark.parametrize("content", [b"", b"no network " * 100, None])
def test_a_file_that_is_no_network_is_refused_by_name(
    weights: Path, tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(weights.read_bytes()[:100_000] if content is None else content)
    with pytest.raises(CorruptModel, match=r"bad\.onnx: expected the network of YuNet in ONNX"):
        YuNet(weights=path)
    assert capfd.readouterr().err == ""


def test_another_network_is_refused() -> None:
    from videmo.store import EMBEDDED

    with pytest.raises(CorruptModel, match="expected the network of YuNet in ONNX"):
        YuNet(weights=EMBEDDED / "resnet18n_faces" / "graph.onnx")


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"none\.onnx"):
        YuNet(weights=tmp_path / "none.onnx")


def test_without_network_the_file_and_its_place_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path))
    monkeypatch.setenv("VIDEMO_OFFLINE", "1")
    with pytest.raises(ModelError, match=FILE.name):
        YuNet()


def test_weights_in_the_cache_with_another_sum_are_refused(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path))
    monkeypatch.setenv("VIDEMO_OFFLINE", "1")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / FILE.name).write_bytes(weights.read_bytes())
    with pytest.raises(CorruptModel, match=f"SHA-256 {FILE.sha256[:12]}"):
        YuNet()
