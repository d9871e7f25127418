"""RAVDESS: every fact stands in a clip's name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile
from videmo.train.datasets.reader import DatasetReader, Layout

_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d-\d\d-\d\d)-(\d\d)")
# The last subject of each fold, so that a missing one moves nobody: the folds of MAE-DFER
# (saved/data/ravdess/split0*/test.csv).
_FOLDS = (4, 8, 12, 16, 20, 24)


def _ravdess(reader: DatasetReader, channels: Sequence[str] = ("01",)) -> Iterator[Clip]:
    """Read MM-VC-EM-IN-ST-RE-AC.mp4 in any folder: what is in the name decides.

    MM 01 (picture and sound) and 02 (picture alone) are one take, of which 01 is kept; 03 is
    sound alone. VC 01 is speech, 02 song. Neutral (01) and calm (02) are two labels.
    """
    takes: dict[tuple[str, ...], tuple[str, ClipFile]] = {}
    songs, others, twice = [], [], []
    for clip in reader.walk():
        name = _NAME.fullmatch(clip.stem)
        if not name or name[1] not in ("01", "02") or not 1 <= int(name[3]) <= len(reader.labels):
            others.append(clip.stem)
        elif name[2] not in channels:
            songs.append(clip.stem)
        else:
            known = takes.get(name.groups()[1:])
            if known:
                twice.append(max(known[0], name[1]) + clip.stem[2:])
            if not known or name[1] < known[0]:
                takes[name.groups()[1:]] = name[1], clip
    for (_, emotion, _, actor), (_, clip) in sorted(
        takes.items(), key=lambda item: item[1][1].path
    ):
        split = reader.split(int(actor), _FOLDS)
        yield Clip(clip.path, label=reader.labels[int(emotion) - 1], split=split, subject=actor)
    reader.note(twice, "second copies of a take, left out")
    reader.note(songs, "song, left out")
    reader.note(others, "not named as RAVDESS names clips with a picture, left out")


def _ravdess_all(reader: DatasetReader) -> Iterator[Clip]:
    """Read speech and song."""
    return _ravdess(reader, ("01", "02"))


LAYOUTS = {
    "ravdess": Layout(
        _ravdess,
        labels="ravdess8",
        metrics=("uar", "accuracy"),
        wants="Actor_01/01-01-01-01-01-01-01.mp4 and so on",
        folds=len(_FOLDS),
        sizes={"": 1440},
        remark="speech",
    ),
    "ravdess-all": Layout(
        _ravdess_all,
        labels="ravdess8",
        metrics=("uar", "accuracy"),
        wants="Actor_01/01-01-01-01-01-01-01.mp4 and so on",
        folds=len(_FOLDS),
        remark="speech and song",
    ),
}
