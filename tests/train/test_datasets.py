"""Trees with the names of published data sets go in, labelled clips come out."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
import trees
from click.testing import CliRunner

from videmo.cli import main
from videmo.cli import videmo as group
from videmo.errors import InputError, ManifestError, UnknownName
from videmo.evaluate import EvaluationProtocol
from videmo.labels import label_set
from videmo.runs.inputs import Clip, read_manifest
from videmo.stages.decode import open_video
from videmo.train import datasets
from videmo.train.datasets import DATASETS, Dataset, protocol_of, read_dataset

posix = pytest.mark.skipif(os.name == "nt", reason="links want a right on Windows")
each = pytest.mark.parametrize("name", DATASETS)


def read(name: str, root: Path, fold: int | None = None) -> Dataset:
    return read_dataset(name, trees.plant(name, root), fold)


def table(dataset: Dataset, root: Path) -> list[tuple[str, str | None, str | None, str | None]]:
    return [
        (Path(c.path).relative_to(root).as_posix(), c.label, c.split, c.subject)
        for c in dataset.clips
    ]


def noted(dataset: Dataset, *words: str) -> bool:
    return any(all(word in note for word in words) for note in dataset.notes)


def refused(name: str, root: Path, fold: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_dataset(name, root, fold)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_data_set_has_a_tree() -> None:
    assert list(trees.TREES) == list(DATASETS)


@each
def test_every_clip_is_there_and_has_a_label_of_its_set(name: str, tmp_path: Path) -> None:
    dataset = read(name, tmp_path)
    assert dataset.clips and dataset.name == name
    assert all(Path(clip.path).exists() and clip.label in dataset.labels for clip in dataset.clips)
    assert {clip.split for clip in dataset.clips} <= {"train", "val", "test", None}
    assert dataset.metric in ("accuracy", "uar", "weighted_f1")
    if labels := DATASETS[name].labels:
        assert dataset.labels == (label_set(labels) if isinstance(labels, str) else labels)


@each
def test_reading_twice_gives_the_same_order(name: str, tmp_path: Path) -> None:
    once = read(name, tmp_path)
    assert read_dataset(name, trees.plant(name, tmp_path)) == once


@each
def test_a_pointer_of_git_lfs_is_refused_by_name(name: str, tmp_path: Path) -> None:
    root = trees.plant(name, tmp_path)
    path = Path(read_dataset(name, root).clips[0].path)
    if path.is_dir():  # in the place of a folder of pictures
        shutil.rmtree(path)
        path = path.with_name(f"{path.name}.mp4")
    path.write_text(trees.POINTER)
    said = refused(name, root)
    assert path.name in said and "git-lfs pointers" in said and "run git lfs pull" in said


@each
def test_a_root_without_the_folders_names_what_was_expected_and_what_is_there(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "readme.txt").touch()
    root = tmp_path / "readme.txt" if name != "manifest" else tmp_path
    for place in (tmp_path, root):
        said = refused(name, place)
        assert str(place) in said and DATASETS[name].wants in said
    assert "readme.txt" in refused(name, tmp_path)
    assert "no such file" in refused(name, tmp_path / "gone")


def test_an_unknown_data_set_lists_the_known() -> None:
    with pytest.raises(UnknownName, match="no data set is called 'afew7'; there is afew, "):
        read_dataset("afew7", ".")


def test_an_unknown_protocol_lists_the_published_sets() -> None:
    with pytest.raises(UnknownName, match="no protocol is called 'afw'; there is afew, ") as caught:
        protocol_of("afw")
    assert "folders" not in str(caught.value)


def test_a_protocol_counts_the_clips_of_the_split_it_is_of() -> None:
    assert protocol_of("afew") == EvaluationProtocol("afew", ("accuracy",), "val", 383)
    assert protocol_of("mafw") == EvaluationProtocol(
        "mafw", ("uar", "accuracy", "macro_f1"), None, 9172
    )
    assert protocol_of("enterface") == EvaluationProtocol("enterface", ("uar", "accuracy"))


@pytest.mark.parametrize(("name", "fold"), [("ravdess", 7), ("dfew", 0), ("afew", 1), ("meld", 1)])
def test_a_fold_that_is_not_there_is_refused(name: str, fold: int, tmp_path: Path) -> None:
    assert f"fold {fold} is not there: {name} has " in refused(name, tmp_path, fold)


@pytest.mark.parametrize("name", [n for n, layout in DATASETS.items() if layout.folds])
def test_folds_part_every_clip_once_and_no_subject(name: str, tmp_path: Path) -> None:
    root, tested = trees.plant(name, tmp_path), Counter[str]()
    for fold in range(1, 3 if name in ("dfew", "mafw") else DATASETS[name].folds + 1):
        clips = read_dataset(name, root, fold).clips
        sides = {
            s: {c.subject for c in clips if c.split == s and c.subject} for s in ("train", "test")
        }
        assert not sides["train"] & sides["test"]
        tested.update(clip.path for clip in clips if clip.split == "test")
    assert set(tested.values()) == {1}
    everything = read_dataset(name, root).clips
    assert {clip.split for clip in everything} == {None}
    assert name in ("dfew", "mafw") or set(tested) == {clip.path for clip in everything}


MINE = """
from videmo.runs.inputs import Clip
from videmo.train.datasets.reader import Layout

def _mine(reader):
    return (Clip(clip.path, label=reader.label("WARM")) for clip in reader.walk())

METRICS = ("uar", "accuracy")
LAYOUTS = {"mine": Layout(_mine, ("cold", "warm"), METRICS, "clips", remark="of the test")}
"""


def test_a_new_data_set_is_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.text(tmp_path, "more/mine.py", *MINE.splitlines())
    trees.clip(tmp_path, "root/x.mp4")
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path / "more")])
    found = datasets._layouts()
    monkeypatch.delitem(sys.modules, "videmo.train.datasets.mine")
    assert set(found) == {*DATASETS, "mine"}
    monkeypatch.setitem(DATASETS, "mine", found["mine"])
    dataset = read_dataset("mine", tmp_path / "root")
    assert dataset.clips == (Clip(str(tmp_path / "root/x.mp4"), label="warm"),)
    assert dataset.labels == ("cold", "warm") and noted(dataset, "no clip is labelled cold")
    assert protocol_of("mine") == EvaluationProtocol("mine", ("uar", "accuracy"))
    words = CliRunner().invoke(group, ["dataset", "--help"]).output
    assert "mine (of the test)" in " ".join(words.split())


def test_afew_takes_videos_by_split_and_emotion_but_not_the_aligned_faces(tmp_path: Path) -> None:
    dataset = read("afew", tmp_path)
    assert table(dataset, tmp_path) == [
        ("Train_AFEW/Angry/000046280.avi", "Angry", "train", None),
        ("Train_AFEW/Happy/000149120.AVI", "Happy", "train", None),
        ("Val_AFEW/Angry/000104400.avi", "Angry", "val", None),
        ("Val_AFEW/Surprise/000200040.avi", "Surprise", "val", None),
    ]
    assert noted(dataset, "left out (1): Test_AFEW/000000001.avi")
    assert noted(dataset, "clips of val: 2 here, 383 published")


def test_afew_is_also_read_as_emotiefflib_lays_it_out(tmp_path: Path) -> None:
    trees.clip(tmp_path, "train/angry/1.avi", "val/Sad/2.mp4")
    trees.frames(tmp_path, "val/Fear/000123")
    assert table(read_dataset("afew", tmp_path), tmp_path) == [
        ("train/angry/1.avi", "Angry", "train", None),
        ("val/Fear/000123", "Fear", "val", None),
        ("val/Sad/2.mp4", "Sad", "val", None),
    ]


def test_aligned_faces_of_afew_are_labelled_by_the_video_of_their_name(tmp_path: Path) -> None:
    dataset = read("afew-aligned", tmp_path)
    assert [(Path(c.path).name, c.label, c.split) for c in dataset.clips] == [
        ("000046280", "Angry", "train"),
        ("000104400", "Angry", "val"),
    ]
    assert noted(dataset, "faces without a video", "(2)", "999999999")


def test_aligned_faces_of_afew_may_lie_in_folders_of_emotions(tmp_path: Path) -> None:
    trees.frames(tmp_path, "Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Fear/000123")
    (clip,) = read_dataset("afew-aligned", tmp_path).clips
    assert (clip.label, clip.split) == ("Fear", "val")


def test_vgaf_has_a_header_and_codes_from_one(tmp_path: Path) -> None:
    assert table(read("vgaf", tmp_path), tmp_path) == [
        ("Train/1_1.mp4", "Positive", "train", None),
        ("Train/1_2.mp4", "Neutral", "train", None),
        ("Train/10_3.mp4", "Negative", "train", None),
        ("Val/2_1.mp4", "Negative", "val", None),
        ("Val/2_2.MP4", "Positive", "val", None),
    ]


def test_vgaf_names_may_have_suffixes_and_lists_may_lie_beside_the_clips(tmp_path: Path) -> None:
    trees.clip(tmp_path, "Val/2_1.mp4")
    trees.text(tmp_path, "Val/Val_labels.txt", "Vid_name Label", "2_1.mp4 2")
    (clip,) = read_dataset("vgaf", tmp_path).clips
    assert (clip.label, clip.split) == ("Neutral", "val")


def test_a_code_that_vgaf_does_not_have_names_file_and_line(tmp_path: Path) -> None:
    trees.vgaf(tmp_path)
    trees.text(tmp_path, "Val_labels.txt", "Vid_name Label", "2_1 3", "2_2 0")
    with pytest.raises(
        ManifestError, match=r"'0' is no label of vgaf; there is Positive"
    ) as caught:
        read_dataset("vgaf", tmp_path)
    assert caught.value.path.endswith("Val_labels.txt") and caught.value.line == 3


def test_vgaf_without_a_list_says_which(tmp_path: Path) -> None:
    trees.clip(tmp_path, "Train/1_1.mp4")
    assert "Train_labels.txt is neither in it nor beside it" in refused("vgaf", tmp_path)


def test_ravdess_takes_each_take_once_and_no_song(tmp_path: Path) -> None:
    dataset = read("ravdess", tmp_path)
    assert len(dataset.clips) == 4 * 8 + 1
    names = [Path(clip.path).name for clip in dataset.clips]
    assert sum(name.startswith("02") for name in names) == 1  # where there is no 01 of the take
    assert noted(dataset, "second copies of a take, left out (32): 02-01-01")
    assert noted(dataset, "song, left out (1): 01-02-03")
    assert [c.label for c in dataset.clips if c.subject == "24"] == list(label_set("ravdess8"))


def test_the_song_of_ravdess_is_read_on_demand(tmp_path: Path) -> None:
    dataset = read("ravdess-all", tmp_path)
    assert len(dataset.clips) == 4 * 8 + 2 and not noted(dataset, "song")


def test_the_copy_with_sound_is_kept_whichever_comes_first(tmp_path: Path) -> None:
    trees.clip(tmp_path, "a/02-01-03-01-01-01-01.mp4", "b/01-01-03-01-01-01-01.mp4")
    dataset = read_dataset("ravdess", tmp_path)
    assert [Path(c.path).name[:2] for c in dataset.clips] == ["01"]
    assert noted(dataset, "second copies", "02-01-03")


@pytest.mark.parametrize(
    ("name", "fold", "tested"),
    [
        ("ravdess", 1, {"01", "04"}),
        ("ravdess", 2, {"05"}),
        ("ravdess", 6, {"24"}),
        ("crema-d", 1, {"1001", "1018"}),
        ("crema-d", 2, {"1019"}),
        ("crema-d", 5, {"1091"}),
        ("enterface", 1, {"1", "2", "3", "10"}),
        ("enterface", 2, {"11"}),
        ("enterface", 5, {"44"}),
    ],
)
def test_folds_are_the_published_ones_though_subjects_are_missing(
    name: str, fold: int, tested: set[str], tmp_path: Path
) -> None:
    clips = read(name, tmp_path, fold).clips
    assert {clip.subject for clip in clips if clip.split == "test"} == tested


def test_crema_d_is_labelled_by_what_was_acted(tmp_path: Path) -> None:
    assert table(read("crema-d", tmp_path), tmp_path) == [
        ("VideoFlash/1001_DFA_ANG_XX.flv", "Anger", None, "1001"),
        ("VideoFlash/1001_IEO_HAP_LO.FLV", "Happy", None, "1001"),
        ("VideoFlash/1018_IEO_SAD_HI.flv", "Sad", None, "1018"),
        ("VideoFlash/1019_IEO_NEU_XX.flv", "Neutral", None, "1019"),
        ("VideoFlash/1040_ITH_SAD_X.flv", "Sad", None, "1040"),
        ("VideoFlash/1091_TIE_FEA_XX.flv", "Fear", None, "1091"),
    ]


def test_crema_d_by_votes_leaves_out_ties_and_what_nobody_saw(tmp_path: Path) -> None:
    dataset = read("crema-d-votes", tmp_path)
    assert [(Path(c.path).name[:8], c.label) for c in dataset.clips] == [
        ("1001_DFA", "Disgust"),
        ("1001_IEO", "Happy"),
        ("1019_IEO", "Neutral"),
        ("1040_ITH", "Sad"),  # in the table as 1040_ITH_SAD_XX
    ]
    assert noted(dataset, "as many votes", "(1): 1018_IEO_SAD_HI")
    assert noted(dataset, "not in summaryTable.csv, left out (1): 1091_TIE_FEA_XX")


def test_votes_without_their_column_name_the_column(tmp_path: Path) -> None:
    trees.crema_d(tmp_path)
    trees.text(tmp_path, "processedResults/summaryTable.csv", "FileName,Vote")
    with pytest.raises(ManifestError, match="no column is called 'FaceVote'; there is FileName"):
        read_dataset("crema-d-votes", tmp_path)


def test_a_clip_of_crema_d_in_two_formats_counts_once(tmp_path: Path) -> None:
    trees.clip(tmp_path, "VideoFlash/1001_DFA_ANG_XX.flv", "VideoMP4/1001_DFA_ANG_XX.mp4")
    dataset = read_dataset("crema-d", tmp_path)
    assert len(dataset.clips) == 1 and noted(dataset, "second copies", "VideoMP4")


def test_enterface_goes_by_folders_with_spaces(tmp_path: Path) -> None:
    dataset = read("enterface", tmp_path)
    assert [(c.subject, c.label) for c in dataset.clips] == [
        ("1", "anger"), ("10", "sadness"), ("11", "surprise"), ("2", "anger"), ("3", "fear"),
        ("44", "disgust"),
    ]  # fmt: skip
    assert noted(dataset, "left out (1): subject 6/happiness/s6.avi")


@pytest.mark.parametrize(
    "path",
    ["subject_7/Fear/sentence_2/s7_fe_2.avi", "subject-7/fear/sentence-2/x.mp4", "s7_fe_2.avi"],
)
def test_enterface_is_also_read_where_spaces_are_gone(path: str, tmp_path: Path) -> None:
    trees.clip(tmp_path, path)
    (clip,) = read_dataset("enterface", tmp_path).clips
    assert (clip.subject, clip.label) == ("7", "fear")


@pytest.mark.parametrize("kind", ["original", "clip_224x224", "clip_224x224_16f"])
def test_dfew_matches_numbers_whatever_their_zeros(kind: str, tmp_path: Path) -> None:
    trees.dfew(tmp_path, kind)
    dataset = read_dataset("dfew", tmp_path, 1)
    found = {int(Path(c.path).stem): (c.label, c.split) for c in dataset.clips}
    assert found == {
        1: ("happy", "test"), 2: ("sad", "test"), 3: ("neutral", "train"), 4: ("angry", "train"),
        5: ("surprise", "train"), 6: ("disgust", "train"),
    }  # fmt: skip
    assert noted(dataset, "the clips are those of", kind)
    assert noted(dataset, "in no list of this set, left out (1): ", "7")
    assert noted(dataset, "no clip of train is labelled", "happy")


def test_dfew_prefers_the_whole_picture_where_there_are_several_kinds(tmp_path: Path) -> None:
    trees.dfew(tmp_path, "clip_224x224_16f")
    trees.dfew(tmp_path)
    assert all("original" in clip.path for clip in read_dataset("dfew", tmp_path).clips)


def test_a_label_that_dfew_does_not_have_names_file_and_line(tmp_path: Path) -> None:
    trees.dfew(tmp_path)
    name = "EmoLabel_DataSplit/test(single-labeled)/set_1.csv"
    trees.text(tmp_path, name, "video_name,label", "1,1", "2,8")
    with pytest.raises(ManifestError, match="2,8 is not a number and a label 1 to 7") as caught:
        read_dataset("dfew", tmp_path)
    assert caught.value.line == 3


def test_dfew_without_the_list_of_a_fold_says_which(tmp_path: Path) -> None:
    trees.dfew(tmp_path)
    assert "train(single-labeled)/set_5.csv is not there" in refused("dfew", tmp_path, 5)


def test_ferv39k_takes_folders_of_pictures_whose_numbers_repeat(tmp_path: Path) -> None:
    dataset = read("ferv39k", tmp_path)
    assert table(dataset, tmp_path) == [
        ("2_ClipsforFaceCrop/Action/Sad/0010", "Sad", "train", None),
        ("2_ClipsforFaceCrop/Action/Angry/0010", "Angry", "train", None),
        ("2_ClipsforFaceCrop/War/Fear/0001", "Fear", "test", None),
        ("2_ClipsforFaceCrop/Crime/Happy/0007", "Happy", "test", None),
    ]
    assert noted(dataset, "in no list", "(1): 0099")


@pytest.mark.parametrize("sad", ["1", "5"])  # in MAE-DFER's order, in alphabetical order
def test_numbers_in_lists_of_ferv39k_decide_nothing(sad: str, tmp_path: Path) -> None:
    trees.ferv39k(tmp_path)
    trees.text(tmp_path, "4_setups/All_scenes/train_All.csv", f"Action/Sad/0010 {sad}")
    assert read_dataset("ferv39k", tmp_path).clips[0].label == "Sad"


def test_a_list_of_ferv39k_that_disagrees_with_its_folders_decides_and_is_told(
    tmp_path: Path,
) -> None:
    trees.ferv39k(tmp_path)
    trees.text(tmp_path, "4_setups/All_scenes/train_All.csv", "Action/Sad/0010 Fear")
    dataset = read_dataset("ferv39k", tmp_path)
    assert dataset.clips[0].label == "Fear" and noted(
        dataset, "in the folder of another emotion than listed (1)"
    )


def test_ferv39k_may_lie_in_a_folder_of_its_own_name(tmp_path: Path) -> None:
    trees.ferv39k(tmp_path / "x")
    clips, deeper = "2_ClipsforFaceCrop", tmp_path / "2_ClipsforFaceCrop"
    deeper.mkdir()
    shutil.move(tmp_path / "x" / clips, deeper)
    shutil.move(tmp_path / "x" / "4_setups", tmp_path)
    assert len(read_dataset("ferv39k", tmp_path).clips) == 4


def test_mafw_goes_by_words_and_folds(tmp_path: Path) -> None:
    dataset = read("mafw", tmp_path, 2)
    assert {Path(c.path).name: (c.label, c.split) for c in dataset.clips} == {
        "00001.mp4": ("anger", "train"),
        "00002.mp4": ("disappointment", "test"),
        "00003.mp4": ("contempt", "train"),
    }
    assert noted(dataset, "in no list of this set, left out (2): 00004, 00005")


@pytest.mark.parametrize("line", [1, 2])
def test_numbers_in_lists_of_mafw_are_refused(line: int, tmp_path: Path) -> None:
    trees.mafw(tmp_path)
    rows = ["00001.mp4 anger", "00002.mp4 fear"]
    rows[line - 1] = rows[line - 1][:10] + "3"
    trees.text(tmp_path, "Train & Test Set/single/no_caption/set_1/test.txt", *rows)
    with pytest.raises(ManifestError, match="'3' is no label of mafw; there is anger") as caught:
        read_dataset("mafw", tmp_path)
    assert caught.value.line == line


def test_meld_keeps_the_same_name_of_three_splits_apart(tmp_path: Path) -> None:
    assert table(read("meld", tmp_path), tmp_path) == [
        ("train/train_splits/dia0_utt0.mp4", "neutral", "train", "Chandler"),
        ("train/train_splits/dia0_utt1.mp4", "joy", "train", "Joey"),
        ("dev/dev_splits_complete/dia0_utt0.mp4", "sadness", "val", "Phoebe"),
        ("test/output_repeated_splits_test/dia0_utt0.mp4", "surprise", "test", "Mark"),
        ("test/output_repeated_splits_test/final_videos_testdia1_utt0.mp4", "joy", "test", "Joey"),
    ]


def test_meld_tells_what_is_missing_what_is_not_listed_and_who_is_in_two_splits(
    tmp_path: Path,
) -> None:
    dataset = read("meld", tmp_path)
    assert dataset.missing == ("dia110_utt7 (val)",)
    assert noted(dataset, "in its lists and not there (1): dia110_utt7 (val)")
    assert noted(dataset, "in no list of this set, left out (1): dia66_utt9")
    assert dataset.shared == ("Joey",)


def test_meld_survives_an_utterance_in_another_encoding(tmp_path: Path) -> None:
    trees.meld(tmp_path)
    file = tmp_path / "test_sent_emo.csv"
    file.write_bytes(file.read_bytes().replace(b"Why", b"You\x92re"))
    assert len(read_dataset("meld", tmp_path).clips) == 5


def test_meld_without_a_list_says_which(tmp_path: Path) -> None:
    trees.meld(tmp_path)
    (tmp_path / "dev_sent_emo.csv").unlink()
    assert "dev_sent_emo.csv is neither" in refused("meld", tmp_path)


def test_an_emotion_that_meld_does_not_have_names_file_and_line(tmp_path: Path) -> None:
    trees.meld(tmp_path)
    file = tmp_path / "dev_sent_emo.csv"
    file.write_text(file.read_text().replace("anger", "bored"))
    with pytest.raises(ManifestError, match=r"dev_sent_emo.csv:3: .*'bored'"):
        read_dataset("meld", tmp_path)


def test_folders_of_classes_are_labels(tmp_path: Path) -> None:
    dataset = read("folders", tmp_path)
    assert table(dataset, tmp_path) == [
        ("train/happy/a.mp4", "happy", "train", None),
        ("train/happy/b.MOV", "happy", "train", None),
        ("train/sad/c.webm", "sad", "train", None),
        ("val/happy/d.mkv", "happy", "val", None),
        ("val/sad/e", "sad", "val", None),
    ]
    assert dataset.labels == ("happy", "sad")


def test_folders_of_classes_need_no_split_and_may_have_folders_below(tmp_path: Path) -> None:
    trees.clip(tmp_path, "Joy/person 1/take 2.mp4", "anger/x.mp4", "stray.mp4")
    (tmp_path / "fear").mkdir()
    dataset = read_dataset("folders", tmp_path)
    assert [(c.label, c.split) for c in dataset.clips] == [("Joy", None), ("anger", None)]
    assert noted(dataset, "folders that hold nothing (1): fear") and "fear" not in dataset.labels
    assert noted(dataset, "in no folder of a class, left out (1): stray.mp4")


def test_a_class_that_a_split_lacks_is_told(tmp_path: Path) -> None:
    trees.clip(tmp_path, "train/happy/a.mp4", "train/sad/b.mp4", "val/happy/c.mp4")
    (tmp_path / "val/sad").mkdir()
    dataset = read_dataset("folders", tmp_path)
    assert noted(dataset, "no clip of val is labelled sad")
    assert noted(dataset, "folders that hold nothing (1): val/sad")


def test_classes_that_differ_by_case_alone_are_refused(tmp_path: Path) -> None:
    trees.clip(tmp_path, "train/Happy/a.mp4", "val/happy/b.mp4")
    assert "Happy and happy differ by case alone" in refused("folders", tmp_path)


def test_splits_beside_classes_are_refused(tmp_path: Path) -> None:
    trees.clip(tmp_path, "train/happy/a.mp4", "sad/b.mp4")
    assert "folders of splits lie beside folders of classes" in refused("folders", tmp_path)


def test_pictures_right_in_a_class_are_refused(tmp_path: Path) -> None:
    trees.frames(tmp_path, "train/happy")
    assert "happy: pictures lie right in the folder of a class" in refused("folders", tmp_path)


def test_a_manifest_is_read_with_its_own_words(tmp_path: Path) -> None:
    dataset = read("manifest", tmp_path)
    assert table(dataset, tmp_path) == [
        ("a.mp4", "glad", None, "2"),
        ("sub/b.mp4", "cross", None, "10"),
        ("c.mp4", "glad", None, "2"),
    ]
    assert dataset.labels == ("cross", "glad")


def test_subjects_of_a_manifest_are_dealt_to_folds_as_numbers(tmp_path: Path) -> None:
    clips = read("manifest", tmp_path, 1).clips
    assert [clip.split for clip in clips] == ["test", "train", "test"]  # 2 is before 10


@pytest.mark.parametrize(
    ("rows", "fold", "says"),
    [
        (["path,split", "a.mp4,train"], None, "a.mp4 has no label; fill the column 'label'"),
        (["path,label", "a.mp4,x"], 1, "has no subject; folds want a column 'subject'"),
        (["path,label,subject,split", "a.mp4,x,1,val"], 1, "has the split val"),
        (["path,label", "gone.mp4,x"], None, "none of its 1 clips is there"),
    ],
)
def test_a_manifest_that_does_not_do_is_refused(
    rows: list[str], fold: int | None, says: str, tmp_path: Path
) -> None:
    trees.clip(tmp_path, "a.mp4")
    trees.text(tmp_path, "m.csv", *rows)
    assert says in refused("manifest", tmp_path / "m.csv", fold)


def test_clips_of_a_manifest_that_are_gone_stay_for_their_records(tmp_path: Path) -> None:
    trees.clip(tmp_path, "a.mp4")
    trees.text(tmp_path, "m.csv", "path,label", "a.mp4,x", "gone.mp4,x")
    dataset = read_dataset("manifest", tmp_path / "m.csv")
    assert len(dataset.clips) == 2 and noted(dataset, "not there", "(1)", "gone.mp4")


def test_a_clip_in_both_lists_of_a_split_is_refused(tmp_path: Path) -> None:
    trees.ferv39k(tmp_path)
    trees.text(tmp_path, "4_setups/All_scenes/test_All.csv", "Action/Sad/0010 Sad")
    with pytest.raises(ManifestError, match=r"Sad/0010 is Sad train at train_All.csv:1; one of"):
        read_dataset("ferv39k", tmp_path)


def test_a_row_that_says_the_same_again_counts_once(tmp_path: Path) -> None:
    trees.vgaf(tmp_path)
    trees.text(tmp_path, "Val_labels.txt", "Vid_name Label", "2_1 3", "2_1 3", "2_2 1")
    assert len(read_dataset("vgaf", tmp_path).clips) == 5


def test_empty_files_stay_and_are_told(tmp_path: Path) -> None:
    trees.folders(tmp_path)
    (tmp_path / "train/happy/a.mp4").write_bytes(b"")
    dataset = read_dataset("folders", tmp_path)
    assert len(dataset.clips) == 5 and noted(
        dataset, "empty files, which their records will say (1): a"
    )


@posix
def test_links_are_followed_but_not_round_in_circles(tmp_path: Path) -> None:
    trees.clip(tmp_path, "elsewhere/a.mp4")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "happy").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "root")
    (tmp_path / "elsewhere" / "self.mp4").symlink_to(tmp_path / "elsewhere" / "self.mp4")
    names = [Path(c.path).name for c in read_dataset("folders", tmp_path / "root").clips]
    assert names == ["a.mp4", "self.mp4"]


def test_a_folder_of_pictures_is_a_clip_that_the_decoder_reads(tmp_path: Path) -> None:
    from PIL import Image

    trees.ferv39k(tmp_path)
    clip = read_dataset("ferv39k", tmp_path).clips[0]
    for file in Path(clip.path).iterdir():
        Image.new("RGB", (48, 48)).save(file)
    with open_video(clip.path) as video:
        assert video.info.frames == 2


def test_a_folder_is_walked_once_and_no_video_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("happy", "sad"):
        trees.clip(tmp_path, *(f"{label}/{number}.mp4" for number in range(50)))
        for number in range(50):
            (tmp_path / label / f"{number}.mp4").write_bytes(bytes(2000))
    walked, scandir = Counter[str](), os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: walked.update([place]) or scandir(place))
    monkeypatch.setattr("builtins.open", None)
    assert len(read_dataset("folders", tmp_path).clips) == 100
    assert sum(walked.values()) <= 3 + 3  # each folder, and those of classes for empty ones


@each
def test_the_command_writes_what_a_manifest_reads_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trees.plant(name, tmp_path / "data")
    (tmp_path / "data" / "lists").mkdir()
    out = tmp_path / "data" / "lists" / "all.csv"
    monkeypatch.chdir(tmp_path)
    given = os.path.relpath(root)
    ran = CliRunner().invoke(group, ["dataset", name, given, "--out", str(out), "-q"])
    assert (ran.exit_code, ran.output) == (0, "")
    back, there = read_manifest(str(out)), read_dataset(name, root).clips
    assert [(c.label, c.split, c.subject) for c in back] == [
        (c.label, c.split, c.subject) for c in there
    ]
    for one, other in zip(back, there, strict=True):
        assert os.path.samefile(one.path, other.path)


def test_a_manifest_in_a_folder_above_the_clips_has_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees.folders(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(group, ["dataset", "folders", "data", "--out", "m.csv"])
    assert Path("m.csv").read_text().splitlines()[1] == "data/train/happy/a.mp4,happy,train,"
    (tmp_path / "data").rename(tmp_path / "m")  # the manifest moves along with its clips
    assert Path("m.csv").read_bytes().endswith(b"\r\n")


def test_the_command_keeps_parts_of_clips_and_odd_names(tmp_path: Path) -> None:
    odd = 'a, "b" ü\n.mp4' if os.name != "nt" else "a, ü.mp4"
    trees.clip(tmp_path, odd)
    quoted = '"' + odd.replace('"', '""') + '"'
    trees.text(tmp_path, "m.csv", "path,label,start,end", f"{quoted},x,0.5,2")
    out = tmp_path / "out.csv"
    CliRunner().invoke(group, ["dataset", "manifest", str(tmp_path / "m.csv"), "--out", str(out)])
    assert read_manifest(str(out)) == [Clip(str(tmp_path / odd), 0.5, 2.0, "x")]


def test_the_command_says_counts_and_notes_on_stderr(videmo_command, tmp_path: Path) -> None:
    trees.meld(tmp_path)
    ran = videmo_command("dataset", "meld", tmp_path)
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "path,label,split,subject"
    assert ran.err.splitlines()[0] == (
        "videmo: meld: clips 5 (train 2, val 1, test 2), labels 7, subjects 4; "
        "judged by weighted_f1"
    )
    assert "videmo: note: in its lists and not there (1): dia110_utt7 (val)\n" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nope", "."], 2, "there is afew, afew-aligned, "),
        (["afew", "."], 2, "for afew expected Train_AFEW"),
        (["ravdess", "no/such"], 2, "no/such: no such file or folder"),
        (["ravdess", ".", "--fold", "0"], 2, "--fold"),
    ],
)
def test_the_command_ends_with_the_exit_code_of_wrong_use(
    arguments: list[str], code: int, says: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["dataset", *arguments])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (code, "")
    assert says in err


def test_the_help_names_every_data_set() -> None:
    words = CliRunner().invoke(group, ["dataset", "--help"]).output
    assert all(name in words.replace("\n", " ") for name in DATASETS)
