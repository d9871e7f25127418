"""A teacher says who the faces of a data set are, and identity learns it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import stills

from videmo.errors import InputError
from videmo.stages.crop import FIVE_POINTS, Cropping
from videmo.train.backbone_model import TrainingJob, options_of, train_backbone
from videmo.train.distillation import with_embedding_targets
from videmo.train.face_dataset import make_dataset
from videmo.train.likeness import FILE, centred, embeddings, face_crops, likeness_file
from videmo.train.losses import LIKENESS


def test_a_model_tells_of_each_face_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = stills.table(6)
    path = likeness_file("lite0_faces", [table], tmp_path)
    with np.load(path) as kept:
        assert kept.files == ["synthetic"] and kept["synthetic"].shape == (6, 128)
        assert kept["synthetic"].mean(0) == pytest.approx(0, abs=1e-6)
    monkeypatch.setattr("videmo.train.likeness.embeddings", None)  # it is not asked again
    assert likeness_file("lite0_faces", [table], tmp_path) == path
    assert likeness_file("mine.npz", [table], tmp_path) == Path("mine.npz")


def test_a_picture_without_a_box_is_the_crop_itself() -> None:
    table = stills.table(2)
    cuts = [*face_crops(table, Cropping(size=32, shape="square", scale=0.95))]
    np.testing.assert_array_equal(cuts[1], stills.face(1, 1))


def test_a_teacher_that_wants_aligned_faces_gets_them(demo: Path) -> None:
    """The eyes of a face that was turned by 20 degrees come to lie where they should."""
    cv2 = pytest.importorskip("cv2")
    from videmo.stages.decode import Sampling, open_video
    from videmo.stages.detect import Detection, detector

    with open_video(demo) as video:
        frames = next(iter(video.read(Sampling(end=0.1))))
    find = detector(Detection(faces="largest"))
    centre = tuple(float(v) for v in find(frames).landmarks[0].mean(0))
    turned = cv2.warpAffine(
        frames.pixels[0], cv2.getRotationMatrix2D(centre, 20, 1), frames.pixels.shape[2:0:-1]
    )
    again = find(type(frames)(turned[None], frames.index[:1], frames.time[:1]))
    table = stills.table(1)
    table.pictures[0] = stills.encoded(turned)
    object.__setattr__(table, "boxes", again.box[:1])
    (cut,) = face_crops(table, Cropping(size=224, shape="five"))
    seen = find(type(frames)(np.pad(cut, ((60, 60), (60, 60), (0, 0)), "edge")[None],
                             frames.index[:1], frames.time[:1]))  # fmt: skip
    assert seen.landmarks[0] - 60 == pytest.approx(FIVE_POINTS, abs=12)


def test_a_model_that_does_not_tell_who_is_no_teacher_of_it(tmp_path: Path) -> None:
    job = TrainingJob((("folder", str(stills.folder(tmp_path / "faces"))),), tmp_path / "mine")
    options = options_of(
        "", architecture="resnet10t", arguments={"channels": [8, 8, 16, 16]}, input_size=32,
        epochs=1, batch=8,
    )  # fmt: skip
    emotions = train_backbone(job, options)
    with pytest.raises(InputError, match="no output identity"):
        embeddings(stills.table(1), str(emotions.folder))


def test_strangers_are_at_right_angles_once_the_mean_is_off() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.normal(0, 0.1, (400, 128)) + 1).astype(np.float32)
    found = centred({"a": rows[:100], "b": rows[100:]})
    both = np.concatenate([found["a"], found["b"]])
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    assert abs((both @ both.T)[np.triu_indices(400, 1)].mean()) < 0.01


def test_embeddings_of_other_faces_are_refused(tmp_path: Path) -> None:
    table = stills.table(4)
    faces = make_dataset(table, {"emotion": ("happiness", "sadness")}, side=32, colour=False)
    np.savez(tmp_path / FILE, synthetic=np.zeros((3, 128), np.float32))
    with pytest.raises(InputError, match="make it anew"):
        with_embedding_targets(faces, tmp_path / FILE, 128)
    np.savez(tmp_path / FILE, other=np.zeros((3, 128), np.float32))
    assert LIKENESS not in with_embedding_targets(faces, tmp_path / FILE, 128).targets


def test_identity_learns_from_a_model_by_its_name(tmp_path: Path) -> None:
    """Two people in one light each: what a teacher sees of them is learned without their names."""
    rows: list[dict[str, object]] = [
        {"image": stills.encoded(stills.face(i % 2, i)), "split": "train" if i < 8 else "val",
         "identity": ("a", "b")[i % 2]} for i in range(12)
    ]  # fmt: skip
    data = stills.parquet(tmp_path / "people.parquet", rows)
    options = options_of(
        "", architecture="resnet10t", arguments={"channels": [8, 8, 16, 16]}, input_size=32,
        epochs=1, batch=8, likeness="lite0_faces",
    )  # fmt: skip
    job = TrainingJob((("parquet", str(data)),), tmp_path / "out")
    model = train_backbone(job, options)
    assert len(model.backbone_spec().outputs["identity"]) == 128
    assert model.card["trained"]["options"]["likeness"] == "lite0_faces"
    with np.load(tmp_path / "out.run" / FILE) as kept:
        assert kept["people.parquet"].shape == (8, 128)
