"""MAFW, single expressions: numbered clips, and the lists of five folds.

Not verified: where its archive puts clips other than in data/clips and data/frames.
"""

from __future__ import annotations

from collections.abc import Iterator

from videmo.errors import InputError
from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile, clip_stem
from videmo.train.datasets.lists import ListRow, as_number
from videmo.train.datasets.reader import DatasetReader, Layout


def _mafw(reader: DatasetReader) -> Iterator[Clip]:
    """Read Train & Test Set/single/no_caption/set_<fold>/{train,test}.txt and data/clips.

    A row is `00001.mp4 anger`. Numbers in its place are refused, for it is not told whether
    they begin at 0 or at 1. Without data/clips, the frames in data/frames are taken.
    """
    tops = ("Train & Test Set", "Train_Test_Set", "split", "anno")
    within = ("single/no_caption", "single")
    ways = [f"{top}/{way}/set_{reader.fold or 1}" for top in tops for way in within]
    lists = reader.require(*ways)
    clips = reader.require("data/clips", "data/frames", "clips", "frames")
    found: dict[object, ClipFile] = {as_number(clip.stem): clip for clip in reader.walk(clips)}
    rows: list[ListRow] = []
    for split in ("train", "test"):
        path = reader.find(f"{split}.txt", f"{split}.csv", below=lists)
        if path is None:
            raise InputError(f"{lists}: {split}.txt is not there; unpack all lists of MAFW")
        kept = split if reader.fold else None
        for line, name, label in reader.pairs(path, lambda _, word: reader.label(word)):
            rows.append(ListRow(as_number(clip_stem(name)), name, label, kept, (path, line)))
    yield from reader.match(rows, found)


LAYOUTS = {
    "mafw": Layout(
        _mafw,
        labels="mafw11",
        metrics=("uar", "accuracy", "macro_f1"),
        wants="Train & Test Set/single/no_caption/set_1/{train,test}.txt and data/clips/00001.mp4",
        folds=5,
        sizes={"": 9172},
    ),
}
