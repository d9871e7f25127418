"""FERV39k: folders of scenes and emotions, and a list a split.

Not verified: whether the label in a list always agrees with the folder; the list decides, and
differences are told.
"""

from __future__ import annotations

from collections.abc import Iterator

from videmo.errors import InputError
from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile, clip_stem
from videmo.train.datasets.lists import ListRow
from videmo.train.datasets.reader import DatasetReader, Layout


def _ferv39k(reader: DatasetReader) -> Iterator[Clip]:
    """Read 2_ClipsforFaceCrop/<Scene>/<Emotion>/<number>/ and 4_setups/All_scenes/*_All.csv.

    A row is `Action/Sad/0010 Sad`. Others have rewritten these lists with numbers, in two
    orders that agree on no label: there the folder tells the emotion.
    """
    clips = reader.require("2_ClipsforFaceCrop")
    lists = reader.require("4_setups/All_scenes", "All_scenes")
    found: dict[object, ClipFile] = {}
    for clip in reader.walk(clips):
        found["/".join((*clip.inside[:-1], clip.stem)).casefold()] = clip
    rows, other = list[ListRow](), list[str]()
    for split in ("train", "test"):
        path = reader.find(f"{split}_All.csv", f"{split}.csv", below=lists)
        if path is None:
            raise InputError(f"{lists}: {split}_All.csv is not there; add it")
        for line, name, label in reader.pairs(path, lambda n, w: _ferv39k_label(reader, n, w)):
            key = name.replace("\\", "/").strip("/")
            rows.append(ListRow(clip_stem(key).casefold(), key, label, split, (path, line)))
            other += [key] if label not in key.split("/") else []
    reader.note(other, "in the folder of another emotion than listed")
    yield from reader.match(rows, found)


def _ferv39k_label(reader: DatasetReader, name: str, word: str) -> str | None:
    parts = name.replace("\\", "/").strip("/").split("/")
    return reader.label(parts[-2] if word.isdigit() and len(parts) > 1 else word)


LAYOUTS = {
    "ferv39k": Layout(
        _ferv39k,
        labels="ferv39k7",
        metrics=("uar", "accuracy"),
        judged="test",
        wants="2_ClipsforFaceCrop/<Scene>/<Emotion>/<number>/ and "
        "4_setups/All_scenes/{train,test}_All.csv",
        sizes={"train": 31088, "test": 7847},
    ),
}
