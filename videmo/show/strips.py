"""Rows of a timeline go in; for each person what is shown when, and where nothing is known.

Windows that overlap are told as their middle parts, so that each moment has one answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from videmo.data import F64, I64, Array
from videmo.errors import UnknownName
from videmo.labels import meaning

_JOIN = 1.5  # usual distances of two cells that may lie between them without a gap
_WHOLE = 0.75  # coverage from which a window is taken to show a person to its end
_ROUNDING = 2e-4  # s; a timeline's times have four decimals

# Okabe and Ito 2008, by what labels mean; other labels take what is left
_COLOURS = {
    "happiness": "#f0c000", "sadness": "#0072b2", "anger": "#d55e00", "fear": "#8c5bb5",
    "disgust": "#009e73", "surprise": "#56b4e9", "neutral": "#b5b5b5", "contempt": "#8c564b",
    "calm": "#c9dbb2", "positive": "#f0c000", "negative": "#d55e00",
}  # fmt: skip
_OTHERS = ("#cc79a7", "#e69f00", "#4d4d4d", "#7fc8a9", "#a0522d", "#1b1b8f")


@dataclass(frozen=True)
class Cell:
    """What one person shows in one span of time, as a row of a timeline tells it."""

    person: int | None  # None: faces that are nobody's
    start: float  # s
    end: float  # s
    scores: Sequence[float]  # probabilities, in the order of the labels
    coverage: float = 1.0  # share of the frames of the span that show the person


@dataclass(frozen=True, eq=False)
class Strip:
    """One person from the first second to the last; cells neither overlap nor touch across gaps."""

    person: int | None
    start: F64  # (K,) s, rising
    end: F64  # (K,) s
    scores: F64  # (K, C) probabilities

    @property
    def best(self) -> I64:
        """The number (K,) of the label that is most probable in each cell."""
        return np.asarray(self.scores.argmax(1), np.int64)

    def gaps(self, begin: float, end: float) -> list[tuple[float, float]]:
        """Return the spans of a clip in which nothing is known of the person, in s."""
        edges = [begin, *np.column_stack([self.start, self.end]).ravel().tolist(), end]
        spans = zip(edges[::2], edges[1::2], strict=True)
        return [(a, b) for a, b in spans if b - a > _ROUNDING]

    def runs(self) -> Iterator[tuple[float, float, int]]:
        """Yield start, end and label of each run of cells that touch and agree."""
        best, first = self.best, 0
        for n in range(1, len(best) + 1):
            if n < len(best) and best[n] == best[first] and self.touches(n):
                continue
            yield float(self.start[first]), float(self.end[n - 1]), int(best[first])
            first = n

    def touches(self, n: int) -> bool:
        """Return whether cell `n` follows the one before without a gap."""
        return bool(self.start[n] - self.end[n - 1] <= _ROUNDING)

    def pieces(self) -> Iterator[slice]:
        """Yield the cells between two gaps."""
        first = 0
        for n in range(1, len(self.start) + 1):
            if n == len(self.start) or not self.touches(n):
                yield slice(first, n)
                first = n


def strips_of(cells: Iterable[Cell]) -> list[Strip]:
    """Return a strip for each person, in order of their numbers; nobody's faces come last."""
    by_person: dict[int | None, list[Cell]] = {}
    for cell in cells:
        by_person.setdefault(cell.person, []).append(cell)
    order = sorted(by_person, key=lambda person: (person is None, person or 0))
    return [_strip(person, by_person[person]) for person in order]


def _strip(person: int | None, cells: list[Cell]) -> Strip:
    cells = sorted(cells, key=lambda cell: (cell.start, cell.end))
    start, end = (np.array([getattr(cell, name) for cell in cells]) for name in ("start", "end"))
    scores = np.array([cell.scores for cell in cells], np.float64)
    whole = np.array([cell.coverage >= _WHOLE for cell in cells])
    start, end = _apart(start, end, whole)
    keep = end - start > 0
    return Strip(person, start[keep], end[keep], scores[keep])


def _apart(start: F64, end: F64, whole: Array) -> tuple[F64, F64]:
    """Return spans that do not overlap: of windows the parts nearest to their middles.

    whole: (K,) whether the person is seen all through a window; at a gap it then counts to its end
    """
    if len(start) < 2 or (start[1:] >= end[:-1] - _ROUNDING).all():
        return start, end
    middle, half = (start + end) / 2, float(np.median(np.diff(start))) / 2
    between = np.diff(middle)
    near = between <= _JOIN * 2 * half
    left = np.where(near, middle[1:] - between / 2, middle[1:] - half)
    right = np.where(near, middle[:-1] + between / 2, middle[:-1] + half)
    first, last = np.append(True, ~near), np.append(~near, True)  # of what lies between two gaps
    left = np.where(first & whole, start, np.append(middle[0] - half, left))
    right = np.where(last & whole, end, np.append(right, middle[-1] + half))
    return left, right


def colours_of(labels: Sequence[str]) -> list[str]:
    """Return a colour for each label, #rrggbb: one for what it means, so that all pages agree."""
    spare = iter(_OTHERS * (1 + len(labels) // len(_OTHERS)))
    return [_colour(label) or next(spare) for label in labels]


def _colour(label: str) -> str | None:
    try:
        return _COLOURS.get(meaning(label))
    except UnknownName:
        return None


def name_of(person: int | None) -> str:
    """Return what a person is called."""
    return "others" if person is None else f"person {person}"
