"""videmo train head, from labelled clips, features or numbers to a head that classify follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from commands import Ran

from videmo import store
from videmo.cli import main
from videmo.data import Descriptor, Faces, Features
from videmo.stages.pool import pool
from videmo.write.npz import FeatureFile

LABELS = ("calm", "glad", "tense")
FAST = ("--kind", "svm", "--strength", "1", "--try", "balanced=false", "--folds", "3")
Command = Callable[..., Ran]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process; its exit code is part of the answer."""

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Ran(int(end.value.code or 0), said.out, said.err)

    return run


def write_features(path: Path, *, faceless: int = 0, splits: bool = False, **changes: str) -> Path:
    """Write 36 clips of 6 subjects, of the recipe of afew7; some more have no face.

    changes: of one clip, the tenth: label="..." and so on
    """
    recipe = store.load("afew7").recipe
    size = 4 * store.load(recipe.backbone).backbone_spec().dim
    rng, meta = np.random.default_rng(0), {"options": recipe.to_dict()}
    centre = rng.normal(size=(3, size))
    with FeatureFile(path, names=[str(i) for i in range(size)], meta=meta) as file:
        for i in range(36 + faceless):
            row = (centre[i % 3] + rng.normal(0, 0.3, size)).astype(np.float32)
            facts = {"label": LABELS[i % 3], "subject": f"s{i // 3 % 6}"}
            if splits:
                facts["split"] = "val" if i // 3 % 6 > 3 else "train"
            facts |= changes if i == 9 else {}
            ok = i < 36
            found = Descriptor(row / np.linalg.norm(row), 3, 3, 3) if ok else None
            file.add(f"{i}.mp4", "ok" if ok else "no_face", descriptor=found, **facts)
    return path


def test_features_become_a_head_with_a_whole_card(command: Command, tmp_path: Path) -> None:
    feats = write_features(tmp_path / "feats.npz", faceless=4)
    ran = command("train", "head", feats, "--out", tmp_path / "mine", "--license", "mine", *FAST)
    assert ran.code == 0, ran.err
    card = store.load(tmp_path / "mine").card
    assert card["spec"] == {"type": "linear", "level": "clip", "labels": list(LABELS)}
    assert store.load(tmp_path / "mine").recipe == store.load("afew7").recipe
    trained, found = card["trained"], card["measured"]["cross_validation"]
    assert trained["classes"] == dict.fromkeys(LABELS, 12) and trained["without_face"] == 4
    assert trained["subjects"] == [f"s{i}" for i in range(6)]
    assert trained["data"] == ["feats.npz"] and str(tmp_path) not in json.dumps(card)
    assert trained["command"].startswith("videmo train head feats.npz --out mine --kind svm")
    assert card["license"]["data"] == "mine" and card["limits"] and card["source"]
    assert (found["n"], found["accuracy"]) == (36, 1.0)
    assert (found["all"]["n"], found["all"]["accuracy"]) == (40, 0.9)
    assert 0 <= found["ece"] < 0.2


def test_the_record_is_on_stdout_and_words_on_stderr(command: Command, tmp_path: Path) -> None:
    feats = write_features(tmp_path / "feats.npz")
    ran = command("train", "head", feats, "--out", tmp_path / "mine", *FAST)
    (record,) = ran.records
    assert record["measured"] == json.loads(
        json.dumps(store.load(tmp_path / "mine").card["measured"])
    )
    assert record["chosen"]["C"] == 1
    assert "accuracy 100.0% (90.4% to 100.0%) of 36 clips with a face" in ran.err


def test_val_is_for_figures_alone(command: Command, tmp_path: Path) -> None:
    feats = write_features(tmp_path / "feats.npz", splits=True)
    ran = command("train", "head", feats, "--out", tmp_path / "mine", *FAST)
    assert ran.code == 0, ran.err
    card = store.load(tmp_path / "mine").card
    assert list(card["measured"]) == ["val"] and card["measured"]["val"]["n"] == 12
    assert card["trained"]["n"] == 24
    assert card["trained"]["subjects"] == ["s0", "s1", "s2", "s3"]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("logistic", ["--strength", "1"]),
        ("rbf", ["--strength", "1", "--try", "gamma=1", "--try", "balanced=true"]),
        ("forest", ["--try", "trees=5", "--try", "depth=3,null"]),
        ("mlp", ["--try", "width=4", "--try", "alpha=1"]),
    ],
)
def test_every_kind_can_be_stored_and_followed(
    command: Command, tmp_path: Path, kind: str, more: list[str]
) -> None:
    feats, out = write_features(tmp_path / "feats.npz"), tmp_path / "mine"
    ran = command("train", "head", feats, "--out", out, "--kind", kind, "--folds", "3", *more)
    assert ran.code == 0, ran.err
    head = store.load(out).head()
    with np.load(feats) as found:
        chances = head(found["features"])
    assert chances.shape == (36, 3) and (chances.argmax(1) == np.arange(36) % 3).mean() > 0.9


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write clips as folders of pictures, dark ones and bright ones, and their manifest."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    rows = ["path,label"]
    for i in range(12):
        clip = folder / f"clip{i}"
        clip.mkdir()
        for frame in range(2):
            noise = rng.integers(0, 60, (64, 64, 3)) + (170 if i % 2 else 10)
            Image.fromarray(noise.astype(np.uint8)).save(clip / f"{frame}.png")
        rows.append(f"clip{i},{'bright' if i % 2 else 'dark'}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_clips_become_a_head_that_classify_follows(
    command: Command, faces: Path, tmp_path: Path
) -> None:
    out, kept = tmp_path / "mine", tmp_path / "kept.npz"
    given = ("--detector", "whole", "--every", "2", "--features", kept, "--threads", "1")
    ran = command("train", "head", faces / "clips.csv", "--out", out, *given, *FAST)
    assert ran.code == 0, ran.err
    assert ran.records[0]["measured"]["cross_validation"]["n"] == 12
    recipe = store.load(out).recipe
    assert (recipe.detection.detector, recipe.sampling.every) == ("whole", 2)
    manifest = faces / "clips.csv"
    ran = command("classify", "--manifest", manifest, "--head", out, "--threads", "1")
    assert [record["label"] for record in ran.records] == ["dark", "bright"] * 6
    assert {record["frames"] for record in ran.records} == {1}  # of two, by the head's recipe
    assert "note" not in ran.err
    again = command("train", "head", kept, "--out", tmp_path / "again", *FAST)
    assert again.records[0]["measured"] == store.load(out).card["measured"]


def test_labels_are_found_wrong_before_a_clip_is_read(command: Command, tmp_path: Path) -> None:
    manifest = tmp_path / "clips.csv"
    manifest.write_text(
        "path,label\n" + "".join(f"{i}.mp4,{'ab'[i % 2]}\n" for i in range(9)) + "9.mp4,\n"
    )
    ran = command("train", "head", manifest, "--out", tmp_path / "mine")
    assert ran.code == 2 and ran.out == ""
    said = f"{manifest}: {tmp_path}/9.mp4: has no label; give one, or leave the clip out"
    assert ran.err == f"videmo: error: {said}\n"


def test_the_published_protocol_is_one_option(
    command: Command, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videmo.runs.inputs import Clip
    from videmo.train import datasets

    labels, splits = ("Happy", "Sad") * 6, ["train"] * 8 + ["val"] * 4
    clips = tuple(
        Clip(str(faces / f"clip{i}"), label=label, split=split)
        for i, (label, split) in enumerate(zip(labels, splits, strict=True))
    )
    found = datasets.Dataset("afew", ("Happy", "Sad"), "accuracy", clips)
    monkeypatch.setattr(datasets, "read_dataset", lambda name, root, fold: found)
    out, given = tmp_path / "mine", ("--dataset", "afew", "--root", faces, "--threads", "1")
    ran = command(
        "train", "head", *given, "--protocol", "afew", "--detector", "whole", "--out", out
    )
    assert ran.code == 0, ran.err
    card, recipe = store.load(out).card, store.load(out).recipe
    assert recipe.detection.faces == "best" and recipe.sampling.every == 1
    assert recipe.pooling.stats == ("mean", "std", "min", "max")
    assert card["trained"]["kind"] == "svm" and card["trained"]["chosen"]["C"] == 1.1
    assert card["trained"]["protocol"] == "afew" and card["measured"]["val"]["all"]["n"] == 4


def test_features_of_another_recipe_are_not_the_protocols(command: Command, tmp_path: Path) -> None:
    feats = write_features(tmp_path / "feats.npz", splits=True)
    ran = command("train", "head", feats, "--protocol", "afew", "--out", tmp_path / "mine")
    assert ran.code == 2 and "detection.faces largest -> best" in ran.err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": ""}, "row 10 (9.mp4): has no label"),
        ({"label": "gald"}, "the label 'gald' has 1 clip to learn from, fewer than the 3 folds"),
        ({"subject": ""}, "row 10 (9.mp4): has no subject while others have"),
    ],
)
def test_wrong_rows_are_one_line(
    command: Command, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    feats = write_features(tmp_path / "feats.npz", **changes)
    ran = command("train", "head", feats, "--out", tmp_path / "mine", *FAST)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err and len(ran.err.splitlines()) == 1
    assert not (tmp_path / "mine").exists()


def test_classes_are_those_that_are_named(command: Command, tmp_path: Path) -> None:
    feats = write_features(tmp_path / "feats.npz", label="gald")
    given = ("--classes", "tense,glad,calm", "--out", tmp_path / "mine")
    ran = command("train", "head", feats, *given, *FAST)
    assert (
        "row 10 (9.mp4): the label 'gald' is none of tense, glad, calm; did you mean glad?"
        in ran.err
    )
    ran = command("train", "head", write_features(tmp_path / "good.npz"), *given, *FAST)
    assert store.load(tmp_path / "mine").head_spec().labels == ("tense", "glad", "calm")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["feats.npz", "--fps", "5"], 2, "--fps is for clips, and feats.npz holds numbers"),
        (["feats.npz", "a.mp4"], 2, "give feature files or clips"),
        ([], 2, "give feature files, a manifest"),
        (["--dataset", "afew"], 2, "--dataset and --root belong together"),
        (["feats.npz", "--kind", "forest", "--strength", "1"], 2, "forest has no 'C'"),
        (["feats.npz", "--try", "C"], 2, "no NAME=V"),
        (["feats.npz", "--try", "C=x"], 2, "'x' is no number"),
        (["feats.npz", "--kind", "mlp", "--protocol", "afew"], 2, "is a linear SVM"),
        (["none.npz"], 2, "none.npz: cannot be read"),
    ],
)
def test_wrong_use_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_features(tmp_path / "feats.npz")
    ran = command("train", "head", *arguments, "--out", "mine")
    assert ran.code == code and said in ran.err and "Traceback" not in ran.err
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_is_there_is_not_touched(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    ran = command("train", "head", "none.npz", "--out", tmp_path / "mine")
    assert ran.code == 1 and "is there already; give --overwrite" in ran.err
    assert list((tmp_path / "mine").iterdir()) == []


def test_action_units_of_real_actors_are_learned(
    command: Command, shared: Path, tmp_path: Path
) -> None:
    units = shared / "reference" / "ravdess_au" / "clip_mean_au.csv"
    if not units.is_file():
        pytest.skip(f"{units.name} of ../shared is not here")
    ran = command(
        "train", "head", units, "--columns", "AU*", "--path-column", "clip",
        "--subject-column", "actor", "--kind", "svm", "--strength", "0.03",
        "--try", "balanced=true", "--folds", "4", "--out", tmp_path / "units",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = ran.records[0]["measured"]["cross_validation"]
    assert found["n"] == 1440 and len(found["recall"]) == 8
    assert 0.52 < found["accuracy"] < 0.62  # of unseen actors; 1 in 8 is chance
    assert found["ece"] < 0.1
    head = store.load(tmp_path / "units")
    assert len(head.card["trained"]["subjects"]) == 24 and len(head.card["spec"]["columns"]) == 35
    refused = command("classify", "clip.mp4", "--head", tmp_path / "units")
    assert refused.code == 4 and "learned from a table of numbers" in refused.err


def write_faces(path: Path, clips: int, flicker: float) -> Path:
    """Write clips of 40 frames and their faces, by the recipe of afew7 for features.

    flicker: how much a frame differs from its clip
    """
    recipe = store.load("afew7").recipe.for_features()
    names, meta = [str(n) for n in range(4 * 3)], {"options": recipe.to_dict()}
    rng = np.random.default_rng(0)
    with FeatureFile(path, names=names, meta=meta, frames=True) as file:
        for i in range(clips):
            rows = np.eye(3)[i % 3] + rng.normal(0, flicker, (40, 3)) + rng.normal(0, 0.2, 3)
            found = faces_in_frames(rows.astype(np.float32))
            facts = {"label": LABELS[i % 3], "subject": f"s{i // 3 % 12}"}
            file.add(f"{i}.mp4", "ok", "", pool([found]), 1.6, [found], **facts)
    return path


def faces_in_frames(rows: np.ndarray) -> Features:
    count = len(rows)
    zeros = np.zeros(count, np.float32)
    index, box, points = np.arange(count), np.zeros((count, 4)), np.zeros((count, 5, 2))
    faces = Faces(index, index, index / 25, box.astype("f4"), zeros, points.astype("f4"))
    return Features(rows, faces, count)


def test_a_head_learns_how_sure_it_must_be_where_faces_are_kept(
    command: Command, tmp_path: Path
) -> None:
    faces = write_faces(tmp_path / "faces.npz", 240, 0.3)
    ran = command("train", "head", faces, *FAST, "-o", tmp_path / "head")
    assert ran.code == 0, ran.err
    told = store.load(tmp_path / "head").card["budget"]
    assert told["strides"] == [18, 6] and told["learnt"]["n"] == 120
    (measured,) = told["measured"].values()
    assert measured["changed"] <= 0.05 and measured["frames_share"] < 0.8
    assert "budget fast, other half" in ran.err


def test_a_head_whose_frames_differ_much_says_that_it_is_not_worth_it(
    command: Command, tmp_path: Path
) -> None:
    faces = write_faces(tmp_path / "faces.npz", 240, 9.0)
    assert command("train", "head", faces, *FAST, "-o", tmp_path / "head").code == 0
    assert "most of the frames" in store.load(tmp_path / "head").card["budget"]["note"]


def test_a_head_of_descriptors_alone_says_nothing_of_some_frames(
    command: Command, tmp_path: Path
) -> None:
    features = write_features(tmp_path / "f.npz")
    assert command("train", "head", features, *FAST, "-o", tmp_path / "head").code == 0
    assert "budget" not in store.load(tmp_path / "head").card
