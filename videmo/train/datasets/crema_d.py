"""CREMA-D: names tell the emotion that was acted, a table the one that was seen."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace

from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile
from videmo.train.datasets.lists import table_rows
from videmo.train.datasets.reader import DatasetReader, Layout

_NAME = re.compile(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_(?:LO|MD|HI|XX|X)", re.IGNORECASE)
_CODES = {  # of summaryTable.csv, and the third field of a name
    "A": "Anger", "D": "Disgust", "F": "Fear", "H": "Happy", "N": "Neutral", "S": "Sad",
    "ANG": "Anger", "DIS": "Disgust", "FEA": "Fear", "HAP": "Happy", "NEU": "Neutral",
    "SAD": "Sad",
}  # fmt: skip
# The last subject of each fold, so that a missing one moves nobody: the folds of MAE-DFER
# (saved/data/crema-d/split0*/test.csv).
_FOLDS = (1018, 1036, 1054, 1072, 1091)


def _crema_d(reader: DatasetReader) -> Iterator[Clip]:
    """Read <actor>_<sentence>_<emotion>_<level>.flv (or re-encoded): the emotion that was acted."""
    return (clip for _, clip in _acted(reader))


def _crema_d_votes(reader: DatasetReader) -> Iterator[Clip]:
    """Read the same clips with what most people saw in the silent video.

    That is the column FaceVote of processedResults/summaryTable.csv, in which a tie is `A:F`:
    such clips have no label and are left out.
    """
    places = ("processedResults", "data/InfoAndStats/processedResults", "docs/processedResults")
    path = reader.require(*(f"{place}/summaryTable.csv" for place in places), "summaryTable.csv")
    votes = {
        row["FileName"]: row["FaceVote"] for _, row in table_rows(path, "FileName", "FaceVote")
    }
    tied, silent = [], []
    for name, clip in _acted(reader):
        if name not in votes:
            silent.append(name)
        elif votes[name] not in _CODES:
            tied.append(name)
        else:
            yield replace(clip, label=_CODES[votes[name]])
    reader.note(tied, "as many votes for one emotion as for another, left out")
    reader.note(silent, f"not in {os.path.basename(path)}, left out")


def _acted(reader: DatasetReader) -> Iterator[tuple[str, Clip]]:
    """Yield clips with the emotion that was acted, each with its name in the table."""
    first: dict[str, tuple[re.Match[str], ClipFile]] = {}
    others, twice = [], []
    for clip in reader.walk():
        name = _NAME.fullmatch(clip.stem)
        key = re.sub("_X$", "_XX", clip.stem.upper())  # 1040_ITH_SAD_X, in the table with XX
        if not name or name[2].upper() not in _CODES:
            others.append(clip.stem)
        elif key in first:
            twice.append("/".join(clip.inside))
        else:
            first[key] = name, clip
    for key, (name, clip) in first.items():
        label = _CODES[name[2].upper()]
        split = reader.split(int(name[1]), _FOLDS)
        yield key, Clip(clip.path, label=label, split=split, subject=name[1])
    reader.note(twice, "second copies in another folder or format, left out")
    reader.note(others, "not named as CREMA-D names clips, left out")


_WANTS = "VideoFlash/1001_DFA_ANG_XX.flv and so on"

LAYOUTS = {
    "crema-d": Layout(
        _crema_d,
        labels="cremad6",
        metrics=("uar", "accuracy"),
        wants=_WANTS,
        folds=len(_FOLDS),
        sizes={"": 7442},
        remark="the emotion acted",
    ),
    "crema-d-votes": Layout(
        _crema_d_votes,
        labels="cremad6",
        metrics=("uar", "accuracy"),
        wants=f"{_WANTS}, and processedResults/summaryTable.csv",
        folds=len(_FOLDS),
        remark="the one seen",
    ),
}
