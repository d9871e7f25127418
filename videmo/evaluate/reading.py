"""What a row answers, as one of the labels that are compared: by name, or by what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from videmo.errors import InputError, UnknownName
from videmo.evaluate.pairs import Scores
from videmo.evaluate.rows import Row
from videmo.labels import LABELS, map_scores

LabelReader = Callable[[Row, str, Scores], tuple[str, Scores]]  # what is compared of a row


def reading_by_name(labels: Sequence[str]) -> LabelReader:
    """Return what takes these labels by name, and raises ManifestError for all others."""

    def read(row: Row, label: str, scores: Scores) -> tuple[str, Scores]:
        for name in (label, *scores):
            if name not in labels:
                raise row.wrong(
                    f"label {name!r} is not among {', '.join(labels)}; name all labels with "
                    "labels=, or compare what they mean: by_meaning=True"
                )
        return label, scores

    return read


def reading_by_meaning(labels: Sequence[str]) -> LabelReader:
    """Return what folds all others onto these labels; it raises ManifestError where none fits."""

    def read(row: Row, label: str, scores: Scores) -> tuple[str, Scores]:
        source = scores or {label: 1.0}
        try:
            folded = map_scores(np.array([*source.values()]), [*source], labels)
        except UnknownName as error:
            raise row.wrong(str(error)) from error
        if not folded.any():
            raise row.wrong(
                f"label {label!r} means none of {', '.join(labels)}; name the set with labels=, "
                "or give probabilities, so that the next of them can count"
            )
        sure = dict(zip(labels, folded.tolist(), strict=True))
        return max(sure, key=sure.__getitem__), sure if scores else {}

    return read


def published_set(given: Iterable[str]) -> tuple[str, ...]:
    """Return the smallest published set that has every label that is given.

    These alone would not do: leaving out labels that no clip has makes it easier.
    """
    there = set(given)
    sets = [labels for labels in LABELS.values() if there <= set(labels)]
    if not sets:
        names = ", ".join(sorted(there))
        raise InputError(f"no published set has the labels {names}; name all with labels=")
    return min(sets, key=len)
