"""MELD: dialogues and utterances, and a table a split."""

from __future__ import annotations

import re
from collections.abc import Iterator

from videmo.errors import InputError, ManifestError
from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile
from videmo.train.datasets.lists import ListRow, table_rows
from videmo.train.datasets.reader import DatasetReader, Layout

_NAME = re.compile(r"(final_videos_test)?dia(\d+)_utt(\d+)", re.IGNORECASE)
_SPLITS = {  # split -> its list, and the folder of its clips
    "train": ("train_sent_emo.csv", ("train/train_splits", "train_splits", "train")),
    "val": ("dev_sent_emo.csv", ("dev/dev_splits_complete", "dev_splits_complete", "dev")),
    "test": (
        "test_sent_emo.csv",
        ("test/output_repeated_splits_test", "output_repeated_splits_test", "test"),
    ),
}


def _meld(reader: DatasetReader) -> Iterator[Clip]:
    """Read dia<D>_utt<U>.mp4 of each split and {train,dev,test}_sent_emo.csv.

    The same names are in every split, for other utterances. In test, final_videos_test<name>
    holds the right cut of an utterance whose plain file is wrong, and takes its place. The
    split dev is called val here. The subject is the speaker, who is not the only face of a
    clip; the main characters speak in all three splits, as published (`Dataset.shared`).
    """
    for split, (list_, folders) in _SPLITS.items():
        folder = reader.find(*folders)
        ways = [list_, *(f"{way}/{list_}" for way in (list_.split("_")[0], "data/MELD", "data"))]
        path = reader.find(*ways)
        if folder is None:
            continue
        if path is None:
            raise InputError(
                f"{folder}: {list_} is neither in the root nor beside it; add the list"
            )
        found: dict[object, ClipFile] = {}
        for clip in reader.walk(folder):  # final_... comes after dia..., and so replaces it
            name = _NAME.fullmatch(clip.stem)
            if name and name[3]:
                found[int(name[2]), int(name[3])] = clip
        yield from reader.match(_meld_rows(reader, path, split), found)


def _meld_rows(reader: DatasetReader, path: str, split: str) -> Iterator[ListRow]:
    for line, row in table_rows(path, "Dialogue_ID", "Utterance_ID", "Emotion", "Speaker"):
        label, dialogue, utterance = (
            reader.label(row["Emotion"]),
            *(row[name].strip() for name in ("Dialogue_ID", "Utterance_ID")),
        )
        if label is None or not (dialogue.isdigit() and utterance.isdigit()):
            reason = f"dialogue {dialogue!r}, utterance {utterance!r}, emotion {row['Emotion']!r}"
            raise ManifestError(path, line, f"{reason} is not two numbers and a label of MELD")
        key, speaker = (int(dialogue), int(utterance)), row["Speaker"].strip() or None
        name = f"dia{key[0]}_utt{key[1]} ({split})"
        yield ListRow(key, name, label, split, (path, line), speaker)


LAYOUTS = {
    "meld": Layout(
        _meld,
        labels="meld7",
        metrics=("weighted_f1",),
        judged="test",
        wants="train_sent_emo.csv and train/train_splits/dia0_utt0.mp4, dev_sent_emo.csv and "
        "dev/dev_splits_complete, test_sent_emo.csv and test/output_repeated_splits_test",
        sizes={"train": 9989, "val": 1109, "test": 2610},
    ),
}
