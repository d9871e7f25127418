"""VGAF of EmotiW: folders of splits, each with a list of codes.

Not verified: the words of the header of its lists; a first row that has no label is passed over,
whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterator

from videmo.errors import InputError
from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile, clip_stem
from videmo.train.datasets.lists import ListRow
from videmo.train.datasets.reader import DatasetReader, Layout

_CODES = {"1": "Positive", "2": "Neutral", "3": "Negative"}  # HSEmotion VGAF_train.ipynb


def _vgaf(reader: DatasetReader) -> Iterator[Clip]:
    """Read Train/, Val/ and their lists: a header, then `name 1|2|3` a row."""
    for split, names in {"train": ("Train",), "val": ("Val", "Validation")}.items():
        folder = reader.find(*names)
        if folder is None:
            continue
        lists = [f"{name}_labels.txt" for name in names]
        path = reader.find(*lists) or reader.find(*lists, below=folder)
        if path is None:
            raise InputError(f"{folder}: {lists[0]} is neither in it nor beside it; add the list")
        found: dict[object, ClipFile] = {clip.stem: clip for clip in reader.walk(folder)}
        pairs = reader.pairs(path, lambda name, word: _CODES.get(word))
        rows = (ListRow(clip_stem(n), n, label, split, (path, line)) for line, n, label in pairs)
        yield from reader.match(rows, found)


LAYOUTS = {
    "vgaf": Layout(
        _vgaf,
        labels="vgaf3",
        metrics=("accuracy",),
        judged="val",
        wants="Train/*.mp4, Train_labels.txt, Val/*.mp4, Val_labels.txt",
        sizes={"train": 2661, "val": 766},
    ),
}
