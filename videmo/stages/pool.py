"""From the features of many faces to one vector: streaming statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from videmo.data import F32, F64, I64, Array, Descriptor, Faces, Features
from videmo.errors import InputError, UnknownName

FEATURES = "features"


@dataclass(frozen=True)
class Pooling:
    """Which statistics of which faces, and in which order they stand side by side."""

    stats: tuple[str, ...] = ("mean", "std", "min", "max")
    within: tuple[str, ...] = ()  # statistics of the faces of one frame, taken first
    normalise: Literal["l2"] | None = "l2"  # of the whole vector
    of: str = FEATURES  # what of a face: its features, or an output of the network by name
    prior: tuple[float, ...] = ()  # factors of that output's mean probabilities; none: no change

    def __post_init__(self) -> None:
        if self.prior and (self.of == FEATURES or self.stats != ("mean",) or self.normalise):
            raise InputError("a prior is for the mean probabilities of a network's output alone")
        if not all(0 < factor < float("inf") for factor in self.prior):
            raise InputError(f"the factors of a prior are {self.prior}; give numbers above 0")
        if not self.stats or isinstance(self.stats, str) or isinstance(self.within, str):
            raise InputError(f"stats is {self.stats!r}; give a tuple such as ('mean', 'std')")
        for name in (*self.stats, *self.within):
            if name not in STATS:
                raise UnknownName("statistic", name, STATS)
        if self.normalise not in ("l2", None):
            raise UnknownName("normalisation", str(self.normalise), ("l2", "None"))


class Moments:
    """Count, mean, spread and range of rows that arrive in batches, in float64.

    Two sets of rows are joined as in Chan, Golub and LeVeque 1979, which stays exact where
    the mean is large and the spread is small. Memory does not grow with the rows.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: F64 = np.zeros(0)
        self._squares: F64 = np.zeros(0)  # sum of squared distances from the mean
        self.min: F64 = np.zeros(0)
        self.max: F64 = np.zeros(0)

    def add(self, rows: Array) -> None:
        """Take in `rows` (M, D), M may be 0."""
        if not len(rows):
            return
        rows = rows.astype(np.float64)
        mean = rows.mean(0)
        squares = ((rows - mean) ** 2).sum(0)
        if not self.count:
            self.count, self.mean, self._squares = len(rows), mean, squares
            self.min, self.max = rows.min(0), rows.max(0)
            return
        total = self.count + len(rows)
        apart = mean - self.mean
        self._squares += squares + apart**2 * (self.count * len(rows) / total)
        self.mean = self.mean + apart * (len(rows) / total)
        self.min, self.max = np.minimum(self.min, rows.min(0)), np.maximum(self.max, rows.max(0))
        self.count = total

    @property
    def std(self) -> F64:
        """The population standard deviation (D,): zero for one row."""
        return np.asarray(np.sqrt(self._squares / max(self.count, 1)))


STATS = ("mean", "std", "min", "max")  # what Moments knows; a new one is a property of it as well


def pool(
    batches: Iterable[Features],
    pooling: Pooling | None = None,
    before: Accumulator | None = None,
) -> Descriptor:
    """Return one vector for the clip: the statistics of its faces' features, side by side.

    The order is `pooling.stats`, by default mean, std (population), min, max, as in the AFEW
    recipe of Savchenko (HSEmotion, AFEW_train.ipynb). With `pooling.within` the faces of a
    frame become one row first and the statistics are of those rows, as in the VGAF recipe
    (VGAF_train.ipynb: mean and std within, mean and std over). One pass; memory does not grow
    with the clip.

    batches: features of shape (M, D), M may be 0; with `pooling.of` the output of that name takes
        their place
    before: other frames of the clip, by the same pooling, that these are added to
    Returns values of shape (len(stats) * D,), or with `within` (len(stats) * len(within) * D,),
    empty where no face was seen.
    """
    pooling = pooling or Pooling()
    whole = before or Accumulator()
    for features in batches:
        whole.look(features.seen)
        whole.add(_rows_of(features, pooling.of), features.faces, pooling)
    return whole.descriptor(pooling)


def pool_tracks(batches: Iterable[Features], pooling: Pooling | None = None) -> list[Descriptor]:
    """Return one vector for each track, in the order in which they began; see `pool`.

    `seen` of each counts the frames of the whole clip.
    """
    pooling = pooling or Pooling()
    tracks: dict[int, Accumulator] = {}
    seen = 0
    for features in batches:
        seen += features.seen
        for number in _distinct(features.faces.track):
            here = features.faces.track == number
            one = tracks.setdefault(number, Accumulator())
            one.add(_rows_of(features, pooling.of)[here], features.faces[here], pooling)
    for one in tracks.values():
        one.look(seen)
    return [tracks[number].descriptor(pooling, number) for number in sorted(tracks)]


@dataclass
class Accumulator:
    """What is kept of the faces that belong together."""

    moments: Moments = field(default_factory=Moments)
    faces: int = 0
    frames: int = 0
    seen: int = 0
    start: float | None = None
    end: float | None = None

    def look(self, frames: int) -> None:
        self.seen += frames

    def add(self, values: F32, faces: Faces, pooling: Pooling) -> None:
        if not len(faces):
            return
        self.faces += len(faces)
        self.frames += len(_distinct(faces.index))
        first, last = float(faces.time.min()), float(faces.time.max())
        self.start = first if self.start is None else min(self.start, first)
        self.end = last if self.end is None else max(self.end, last)
        rows = _frame_statistics(values, faces, pooling.within) if pooling.within else values
        self.moments.add(rows)

    def descriptor(self, pooling: Pooling, track: int | None = None) -> Descriptor:
        values: Array = _side_by_side(self.moments, pooling.stats)
        if pooling.prior and len(values):
            values = reweigh(values, pooling.prior)
        if pooling.normalise == "l2" and len(values):
            values = unit(values)
        return Descriptor(
            values.astype(np.float32), self.faces, self.frames, self.seen,
            track, self.start, self.end,
        )  # fmt: skip


def _distinct(numbers: I64) -> list[int]:
    """Return the numbers in order, each once; np.unique would import numpy.ma for that."""
    return sorted(set(numbers.tolist()))


def _rows_of(features: Features, of: str) -> F32:
    return features.values if of == FEATURES else features.outputs[of]


def _frame_statistics(values: F32, faces: Faces, stats: tuple[str, ...]) -> F64:
    """Return one row a frame: statistics of its faces. A batch never ends within a frame."""
    return np.stack(list(_frame_rows(values, faces, stats)))


def _frame_rows(values: F32, faces: Faces, stats: tuple[str, ...]) -> Iterator[F64]:
    for index in _distinct(faces.index):
        yield statistics(values[faces.index == index], stats)


def _side_by_side(moments: Moments, stats: tuple[str, ...]) -> F64:
    return np.concatenate([getattr(moments, name) for name in stats])


def statistics(rows: Array, stats: tuple[str, ...]) -> F64:
    """Return the named statistics of rows (M, D), M > 0, side by side: (len(stats) * D,)."""
    moments = Moments()
    moments.add(rows)
    return _side_by_side(moments, stats)


def reweigh(probabilities: Array, factors: Sequence[float]) -> F64:
    """Return probabilities (..., C) times the factors (C,), summing to 1 again."""
    if len(factors) != probabilities.shape[-1]:
        raise InputError(
            f"a prior of {len(factors)} labels for {probabilities.shape[-1]}; give prior= anew"
        )
    weighed = probabilities * np.asarray(factors, np.float64)
    return np.asarray(weighed / weighed.sum(-1, keepdims=True))


def unit(values: Array) -> F32:
    """Return a vector divided by its length (L2)."""
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-12), np.float32)
