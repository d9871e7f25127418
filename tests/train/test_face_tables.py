"""Layouts of face data sets: who is in which split, which labels, and one error for a bad row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import stills

from videmo.errors import InputError
from videmo.train.face_tables import READERS, lfw_people, read_table


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stills.encoded(stills.face(0, 0)))
    return path


def test_ferplus_leaves_out_faces_that_are_in_train_too(tmp_path: Path) -> None:
    table = read_table("ferplus", stills.ferplus(tmp_path / "faces.parquet"))
    assert [table.split.count(split) for split in ("train", "val", "test")] == [32, 31, 31]
    assert table.votes is not None and table.votes.sum(1) == pytest.approx(1)
    assert table.voted == stills.EMOTIONS


def test_fairface_keeps_its_val_for_the_test_and_holds_out_some_of_train(tmp_path: Path) -> None:
    image = stills.encoded(stills.face(0, 0))
    rows: list[dict[str, object]] = [
        {"file": f"train/{n}.jpg", "split": "train", "age": "more than 70", "gender": "Male",
         "race": "Latino_Hispanic", "image": image} for n in range(1, 41)
    ]  # fmt: skip
    rows.append({**rows[0], "file": "val/1.jpg", "split": "val"})
    table = read_table("fairface", stills.parquet(tmp_path / "ff.parquet", rows))
    assert [table.split.count(split) for split in ("train", "val", "test")] == [38, 2, 1]
    assert table.known["age"][0] == "70-89"
    assert table.known["gender"][0] == "male"
    assert table.known["ethnicity"][0] == "latino hispanic"


def lfw(folder: Path) -> Path:
    (folder / "lfw_pairs.csv").write_text(
        "fold,a,b,same\n0,Ann_A_0001.jpg,Ann_A_0002.jpg,1\n5,Bob_0001.jpg,Cy_0001.jpg,0\n"
        "9,Di_0001.jpg,Di_0002.jpg,1\n"
    )
    image = stills.encoded(stills.face(0, 0))
    count = {"Ann_A": 5, "Bob": 4, "Cy": 1, "Di": 2}
    rows: list[dict[str, object]] = [
        {"file": f"{name}_{n:04}.jpg", "identity": name, "image": image}
        for name, many in count.items() for n in range(1, many + 1)
    ]  # fmt: skip
    return stills.parquet(folder / "lfw.parquet", rows)


def test_nobody_of_the_tested_pairs_of_lfw_is_learned(tmp_path: Path) -> None:
    table = read_table("lfw", lfw(tmp_path))
    by_split = {split: set(table.of_split(split).known["identity"]) for split in set(table.split)}
    assert by_split == {"train": {"Bob", None}, "val": {"Bob", "Di"}, "test": {"Ann_A"}}
    assert table.split.count("val") == 3  # of Bob the last picture
    assert lfw_people(tmp_path / "lfw_pairs.csv", range(5)) == {"Ann_A"}


def test_a_folder_of_folders_has_its_own_splits(tmp_path: Path) -> None:
    table = read_table("folder", stills.folder(tmp_path))
    assert [table.split.count(split) for split in ("train", "val")] == [24, 12]
    assert set(table.known["emotion"]) == {"happiness", "sadness"}


def test_a_folder_of_people_is_split_the_same_way_every_time(tmp_path: Path) -> None:
    for i in range(60):
        picture(tmp_path / f"person{i % 3}" / f"{i}.png")
    one, two = (read_table("folder:identity", tmp_path) for _ in range(2))
    assert one.split == two.split and 0 < one.split.count("val") < 15
    assert set(one.known["identity"]) == {"person0", "person1", "person2"}


def test_a_manifest_may_tell_several_things_of_a_picture(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    text = (
        "path,label,age,gender,split,subject\na.png,happiness,25,female,train,s1\na.png,,,,val,s2\n"
    )
    (tmp_path / "faces.csv").write_text(text)
    table = read_table("manifest", tmp_path / "faces.csv")
    assert table.known == {
        "emotion": ["happiness", None], "age": ["25", None], "gender": ["female", None],
    }  # fmt: skip
    assert list(table.subjects) == ["s1", "s2"]


def test_a_manifest_s_missing_picture_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_text("path,label\nnone.png,happiness\n")
    with pytest.raises(InputError, match=r"faces\.csv: line 2: no file 'none\.png'"):
        read_table("manifest", tmp_path / "faces.csv")


def test_parquet_with_labels_is_a_manifest_with_its_pictures(tmp_path: Path) -> None:
    image = stills.encoded(stills.face(0, 0))
    rows: list[dict[str, object]] = [{"image": image, "emotion": "fear", "split": "train"}]
    table = read_table("parquet", stills.parquet(tmp_path / "f.parquet", rows))
    assert table.known == {"emotion": ["fear"]} and table.pictures == [image]


def test_affectnet_drops_what_is_no_emotion_and_keeps_the_box(tmp_path: Path) -> None:
    picture(tmp_path / "Manually_Annotated_Images" / "1" / "a.jpg")
    head = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression\n"
    )
    rows = ["1/a.jpg,2,4,10,20,,6", "1/a.jpg,2,4,10,20,,8", "1/a.jpg,2,4,-1,20,,0"]
    for name in ("training.csv", "validation.csv"):
        (tmp_path / name).write_text(head + "\n".join(rows) + "\n")
    table = read_table("affectnet", tmp_path)
    assert table.known["emotion"] == ["Anger", "Anger"] and table.split == ["train", "val"]
    assert np.array_equal(table.boxes, [[2, 4, 12, 24]] * 2)  # type: ignore[arg-type]


def test_affectnet_names_the_line_whose_picture_is_missing(tmp_path: Path) -> None:
    head = "subDirectory_filePath,face_x,face_y,face_width,face_height,expression\n"
    (tmp_path / "training.csv").write_text(head + "9/z.jpg,0,0,5,5,1\n")
    with pytest.raises(InputError, match=r"training\.csv: line 2: no picture '9/z\.jpg'"):
        read_table("affectnet", tmp_path)


def test_utkface_reads_its_file_names(tmp_path: Path) -> None:
    for name in ("25_0_3_20170116.jpg.chip.jpg", "61_1_20170109.jpg.chip.jpg"):
        picture(tmp_path / name)
    table = read_table("utkface", tmp_path)
    assert {task: column for task, column in table.known.items()} == {
        "age": ["25"], "gender": ["male"], "ethnicity": ["indian"],
    }  # fmt: skip


def test_a_limit_takes_rows_from_the_whole_table() -> None:
    part = stills.table(64).of_split("train", 4)
    assert part.names == ["row 0", "row 21", "row 42", "row 63"]


@pytest.mark.parametrize("layout", sorted(READERS))
def test_a_path_that_is_not_there_is_one_clear_error(layout: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        read_table(layout, tmp_path / "nowhere")


def test_an_unknown_layout_names_those_there_are() -> None:
    with pytest.raises(InputError, match="no layout 'zip'; there are ferplus"):
        read_table("zip", "x")
