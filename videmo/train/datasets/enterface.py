"""eNTERFACE'05: folders of subjects, emotions and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from videmo.runs.inputs import Clip
from videmo.train.datasets.files import ClipFile
from videmo.train.datasets.reader import DatasetReader, Layout

_NAME = re.compile(r"s_?(\d+)_(an|di|fe|ha|sa|su)_\d+", re.IGNORECASE)
_CODES = {
    "an": "anger", "di": "disgust", "fe": "fear", "ha": "happiness", "sa": "sadness",
    "su": "surprise",
}  # fmt: skip
# The last subject of each fold, so that a missing one moves nobody: the folds of MAE-DFER
# (saved/data/enterface/split0*/test.csv).
_FOLDS = (10, 19, 28, 37, 44)


def _enterface(reader: DatasetReader) -> Iterator[Clip]:
    """Read subject n/<emotion>/sentence n/*.avi, with spaces, _ or - in the names.

    Folders decide, for file names disagree with them here and there (s2_an_2 in sentence 1).
    Subject 6 is not cut into sentences, and is left out as by MAE-DFER.
    """
    others = []
    for clip in reader.walk():
        subject, label = _enterface_name(reader, clip)
        if subject is None or label is None:
            others.append("/".join(clip.inside))
            continue
        split = reader.split(subject, _FOLDS)
        yield Clip(clip.path, label=label, split=split, subject=str(subject))
    reader.note(others, "not in folders of a subject, an emotion and a sentence, left out")


def _enterface_name(reader: DatasetReader, clip: ClipFile) -> tuple[int | None, str | None]:
    """Return the subject and label that the folders tell or, of a flat copy, the file's name."""
    subject, label, cut = None, None, False
    for part in clip.inside[:-1]:
        numbered = re.fullmatch(r"(subject|sentence)[ _-]*(\d+)", part.strip(), re.IGNORECASE)
        if numbered and numbered[1].casefold() == "subject":
            subject = int(numbered[2])
        cut = cut or bool(numbered and numbered[1].casefold() == "sentence")
        label = reader.label(part) or label
    name = _NAME.fullmatch(clip.stem)
    if subject is None and label is None and name:
        return int(name[1]), _CODES[name[2].casefold()]
    return (subject, label) if cut else (None, None)


LAYOUTS = {
    "enterface": Layout(
        _enterface,
        labels="enterface6",
        metrics=("uar", "accuracy"),
        wants="subject 1/anger/sentence 1/s1_an_1.avi and so on",
        folds=len(_FOLDS),
    ),
}
