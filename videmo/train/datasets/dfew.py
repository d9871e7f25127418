"""DFEW: numbered clips, and the lists of five folds."""

from __future__ import annotations

import os
from collections.abc import Iterator

from videmo.errors import InputError, ManifestError
from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile, clip_stem
from videmo.train.datasets.lists import ListRow, table_rows
from videmo.train.datasets.reader import DatasetReader, Layout

# From the picture that a detector would meet to frames that others have cut and thinned out
_CLIPS = ("original", "clip_224x224", "jpg_256", "clip_224x224_avi", "clip_224x224_16f")


def _dfew(reader: DatasetReader) -> Iterator[Clip]:
    """Read EmoLabel_DataSplit/{train,test}(single-labeled)/set_<fold>.csv and one folder of Clip.

    The lists say 1, the clips 00001: numbers are compared. Labels are 1 to 7, or their names.
    """
    lists, clips = reader.require("EmoLabel_DataSplit"), reader.require("Clip")
    kept = reader.find(*_CLIPS, below=clips) or clips
    reader.notes.append(f"the clips are those of {os.path.relpath(kept, reader.root)}")
    found: dict[object, ClipFile] = {
        int(clip.stem): clip for clip in reader.walk(kept) if clip.stem.isdigit()
    }
    rows: list[ListRow] = []
    for split in ("train", "test"):
        ways = [
            f"{folder}/set_{reader.fold or 1}.csv" for folder in (f"{split}(single-labeled)", split)
        ]
        path = reader.find(*ways, below=lists)
        if path is None:
            raise InputError(f"{lists}: {ways[0]} is not there; unpack all lists of DFEW")
        rows += _dfew_rows(reader, path, split if reader.fold else None)
    yield from reader.match(rows, found)


def _dfew_rows(reader: DatasetReader, path: str, split: str | None) -> Iterator[ListRow]:
    for line, row in table_rows(path, "video_name", "label"):
        name, word = clip_stem(row["video_name"]), row["label"]
        code = int(word) if word.isdigit() else 0
        label = reader.labels[code - 1] if 1 <= code <= len(reader.labels) else None
        label = label or reader.label(word)
        if not name.isdigit() or label is None:
            reason = f"{row['video_name']},{word} is not a number and a label 1 to 7"
            raise ManifestError(path, line, reason)
        yield ListRow(int(name), f"{int(name):05d}", label, split, (path, line))


LAYOUTS = {
    "dfew": Layout(
        _dfew,
        labels="dfew7",
        metrics=("uar", "accuracy"),
        wants="EmoLabel_DataSplit/{train,test}(single-labeled)/set_1.csv and Clip/<kind>/00001",
        folds=5,
        sizes={"": 11697},
    ),
}
