"""Labelled rows: read from where they lie, and refused by name where something is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videmo.data import Descriptor
from videmo.errors import InputError, ManifestError
from videmo.recipe import Recipe
from videmo.runs.inputs import Clip
from videmo.train.clip_rows import (
    check_enough,
    read_features,
    read_numbers,
    rows_of_clips,
    targets_of,
    with_labels,
)
from videmo.write.npz import FeatureFile

RECIPE = Recipe("net", "0" * 64)


def feature_file(path: Path, clips: list[Clip], values: np.ndarray, recipe: Recipe = RECIPE) -> str:
    """Write a feature file as extract-features does; a row of NaN is a clip without a face."""
    names, meta = [f"f{i}" for i in range(values.shape[1])], {"options": recipe.to_dict()}
    with FeatureFile(path, names=names, meta=meta) as file:
        for clip, row in zip(clips, values.astype(np.float32), strict=True):
            silent = np.isnan(row).all()
            file.add(
                clip.path, "no_face" if silent else "ok",
                descriptor=None if silent else Descriptor(row, 3, 3, 3),
                label=clip.label, split=clip.split, subject=clip.subject,
            )  # fmt: skip
    return str(path)


def clips(count: int = 12) -> list[Clip]:
    """Return clips a and b in turn, of three subjects."""
    return [Clip(f"c{i}.mp4", label="ab"[i % 2], subject=f"s{i % 3}") for i in range(count)]


def rows(found: list[Clip] | None = None):
    return rows_of_clips("list.csv", clips() if found is None else found)


def test_a_clip_without_a_face_is_a_row_without_an_answer(tmp_path, rng) -> None:
    values = rng.normal(size=(4, 3))
    values[2] = np.nan
    found = read_features([feature_file(tmp_path / "a.npz", clips(4), values)])
    assert found.answered.tolist() == [True, True, False, True]
    assert found.label == ("a", "b", "a", "b") and found.subject == ("s0", "s1", "s2", "s0")
    assert found.recipe == RECIPE.to_dict()


def test_files_of_one_recipe_are_joined(tmp_path, rng) -> None:
    files = [
        feature_file(tmp_path / f"{name}.npz", clips(4), rng.normal(size=(4, 3))) for name in "xy"
    ]
    found = read_features(files)
    assert len(found) == 8 and found.values.shape == (8, 3) and found.files == tuple(files)


def test_files_of_two_recipes_are_refused(tmp_path, rng) -> None:
    one = feature_file(tmp_path / "x.npz", clips(4), rng.normal(size=(4, 3)))
    other = RECIPE.with_changes(sampling={"fps": 5})
    two = feature_file(tmp_path / "y.npz", clips(4), rng.normal(size=(4, 3)), other)
    with pytest.raises(InputError, match=r"y\.npz: was made with another .*sampling.fps None -> 5"):
        read_features([one, two])


def test_a_value_that_is_no_number_is_named(tmp_path, rng) -> None:
    values = rng.normal(size=(4, 3))
    values[1, 2] = np.nan
    path = feature_file(tmp_path / "a.npz", clips(4), values)
    with pytest.raises(InputError, match=r"a\.npz: row 2 \(c1\.mp4\): f2 is no finite number"):
        read_features([path])


def test_a_file_without_a_recipe_is_refused(tmp_path) -> None:
    with FeatureFile(tmp_path / "a.npz", names=["x"], meta={}) as file:
        file.add("a.mp4", "no_face")
    with pytest.raises(InputError, match="holds no recipe"):
        read_features([str(tmp_path / "a.npz")])


def numbers(tmp_path: Path, text: str) -> str:
    path = tmp_path / "units.csv"
    path.write_text(text)
    return str(path)


def test_a_table_of_numbers_is_read_by_its_columns(tmp_path) -> None:
    path = numbers(
        tmp_path, "clip;label;actor;AU1;AU2;take\nx;sad;07;0.5;1;3\n\ny;calm;08;2;-1e-3;4\n"
    )
    found = read_numbers(path, ["AU*"], {"path": "clip", "subject": "actor"})
    assert found.columns == ("AU1", "AU2") and found.recipe is None
    assert found.values.tolist() == [[0.5, 1.0], [2.0, np.float32(-1e-3)]]
    assert (found.path, found.label, found.subject) == (("x", "y"), ("sad", "calm"), ("07", "08"))
    assert found.place == (f"{path}:2", f"{path}:4")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("path,label,AU1\nx,sad,1\ny,sad,\n", 3, "AU1 is '', expected a finite number"),
        ("path,label,AU1\nx,sad,nan\n", 2, "AU1 is 'nan'"),
        ("path,label,AU1\nx,sad\n", 2, "has 2 cells under 3 columns"),
        ("path,label,unit\nx,sad,1\n", 1, r"no column matches AU\*; there is path, label, unit"),
        ("path,emotion,AU1\nx,sad,1\n", 1, "no column is called 'label'"),
        ("", 1, "no column is called 'label'; there is none"),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path, text: str, line: int, said: str) -> None:
    with pytest.raises(ManifestError, match=said) as caught:
        read_numbers(numbers(tmp_path, text), ["AU*"])
    assert caught.value.line == line


def test_a_missing_table_is_one_line(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read \(No such file"):
        read_numbers(str(tmp_path / "none.csv"), ["AU*"])


def test_labels_of_a_list_are_matched_by_path_not_by_order(tmp_path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("path,label,subject\nb.mp4,sad,p2\na.mp4,calm,p1\n")
    found = rows_of_clips("feats.npz", [Clip(str(tmp_path / "a.mp4")), Clip("/elsewhere/b.mp4")])
    got = with_labels(found, str(path))
    assert got.label == ("calm", "sad") and got.subject == ("p1", "p2")


def test_a_name_that_two_clips_have_is_not_matched(tmp_path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("path,label\none/a.mp4,sad\ntwo/a.mp4,calm\n")
    with pytest.raises(InputError, match=r"feats\.npz: /x/a\.mp4: .*labels\.csv has no row"):
        with_labels(rows_of_clips("feats.npz", [Clip("/x/a.mp4")]), str(path))


def test_folders_name_labels_and_splits() -> None:
    found = rows_of_clips("data", [Clip("data/train/happy/1.mp4"), Clip("data/Val/sad/2.mp4")])
    got = with_labels(found, "folder")
    assert (got.label, got.split) == (("happy", "sad"), ("train", "val"))


def test_published_labels_keep_their_order() -> None:
    names = ["Neutral", "Positive", "Negative"]
    found = targets_of(rows([Clip(f"{i}.mp4", label=names[i % 3]) for i in range(6)]))
    assert found.labels == ("Positive", "Neutral", "Negative")
    assert found.truth.tolist() == [1, 0, 2, 1, 0, 2]


def test_parts_of_one_video_are_kept_together() -> None:
    found = targets_of(
        rows([Clip(f"v{i // 2}.mp4", i % 2, label="ab"[i // 2 % 2]) for i in range(8)])
    )
    assert found.groups is not None and found.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert targets_of(rows([Clip("x", label="a"), Clip("y", label="b")])).groups is None


def changed(number: int, **facts: str | None) -> list[Clip]:
    found = clips()
    found[number] = replace(found[number], **facts)
    return found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (changed(3, label=None), r"list\.csv: c3\.mp4: has no label; give one"),
        (changed(5, subject=None), r"list\.csv: c5\.mp4: has no subject while others have"),
        (changed(2, split="train"), r"c0\.mp4: has no split"),
        ([replace(c, label="a") for c in clips()], "all have the label 'a'; give clips of two"),
        ([], "hold no clip"),
    ],
)
def test_rows_that_are_wrong_are_named(found: list[Clip], said: str) -> None:
    with pytest.raises(InputError, match=said):
        targets_of(rows(found))


def splits(first: str, second: str) -> list[Clip]:
    return [
        replace(c, split=first if i < 6 else second, subject=f"{i // 6}{c.subject}")
        for i, c in enumerate(clips())
    ]


def test_splits_are_known_by_their_usual_names() -> None:
    found = targets_of(rows(splits("Training", "dev")))
    assert found.split.tolist() == ["train"] * 6 + ["val"] * 6


def test_an_unknown_split_and_one_without_train_are_errors() -> None:
    with pytest.raises(InputError, match=r"c6\.mp4: the split 'tset' is none of train, val, test"):
        targets_of(rows(splits("train", "tset")))
    with pytest.raises(InputError, match="no clip is in the split train"):
        targets_of(rows(splits("val", "test")))


def test_a_subject_on_both_sides_is_an_error_naming_both_rows() -> None:
    found = [replace(c, split="train" if i < 6 else "test") for i, c in enumerate(clips())]
    said = r"c6\.mp4: the subject 's0' is in test here and in train at list\.csv: c3\.mp4"
    with pytest.raises(InputError, match=said):
        targets_of(rows(found))
    targets_of(replace(rows(found), shared=True))  # as some published splits have it


def test_a_video_on_both_sides_is_an_error() -> None:
    found = [replace(c, subject=None, split="train") for c in clips()]
    found.append(Clip("c1.mp4", 1.0, 2.0, label="a", split="val"))
    with pytest.raises(InputError, match=r"the video 'c1\.mp4' is in val here and in train"):
        targets_of(rows(found))


def test_a_label_that_is_not_expected_is_an_error() -> None:
    found = changed(4, label="bb")
    with pytest.raises(
        InputError, match=r"c4\.mp4: the label 'bb' is none of a, b; did you mean b"
    ):
        targets_of(replace(rows(found), classes=("a", "b")))


def test_a_label_of_val_that_train_has_not_is_an_error() -> None:
    found = splits("train", "val")
    found[7] = replace(found[7], label="c")
    with pytest.raises(InputError, match=r"c7\.mp4: the label 'c' is none of a, b"):
        targets_of(rows(found))


def test_a_label_with_fewer_clips_than_folds_is_an_error() -> None:
    found = rows([Clip(f"{i}.mp4", label="rare" if i < 3 else "common") for i in range(20)])
    said = r"list\.csv: the label 'rare' has 3 clips to learn from, fewer than the 5 folds"
    with pytest.raises(InputError, match=said):
        check_enough(found, targets_of(found), 5)
    check_enough(found, targets_of(found), 3)


def test_fewer_subjects_than_folds_is_an_error() -> None:
    found = rows()
    with pytest.raises(InputError, match="3 subjects for 5 folds; give --folds 3, or clips"):
        check_enough(found, targets_of(found), 5)
