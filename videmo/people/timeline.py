"""The moments of a clip go in; rows by frame, by window or as segments come out, person by person.

    for row in rows(moments, pipeline, Timing(by="segment")):
        row.person, row.start, row.end, row.label

A spell is what smoothing and segments stay within: one person without a gap and without a cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from videmo.data import F32, F64, I64, NOT_NEGATIVE, POSITIVE, SHARE, Array
from videmo.errors import InputError, UnknownName
from videmo.people.linking import NOBODY
from videmo.people.moments import Moments
from videmo.pipeline import Pipeline

BY = ("frame", "window", "segment", "person")
SMOOTH = ("auto", "none", "mean", "median")
ROUNDING = 1e-6  # s; times are sums of floats
ALONE = 0.04  # s that the one frame of a clip is shown, such as a picture, as `decode` has it


@dataclass(frozen=True)
class Timing:
    """What a row is, and how it is smoothed."""

    by: Literal["frame", "window", "segment", "person"] = "window"
    window: float = 1.0  # s
    step: float = 0.5  # s from one window to the next
    smooth: Literal["auto", "none", "mean", "median"] = "auto"  # over the faces about each one;
    # auto is mean for segments, else none
    width: float = 0.5  # s, all of that
    margin: float = 0.1  # a segment goes on until another label is ahead of its own by so much
    min_length: float = 0.5  # s; shorter segments are joined to a neighbour
    gap: float = 1.0  # s without a face that end a spell

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise UnknownName("kind of row", str(self.by), BY)
        if self.smooth not in SMOOTH:
            raise UnknownName("smoothing", str(self.smooth), SMOOTH)
        for name in ("window", "step", "width"):
            POSITIVE.check(name, getattr(self, name))
        for name in ("min_length", "gap"):
            NOT_NEGATIVE.check(name, getattr(self, name))
        SHARE.check("margin", self.margin)
        if self.step > self.window:
            raise InputError(
                f"step {self.step:g} s is longer than window {self.window:g} s and leaves moments "
                "out; give a smaller step"
            )

    @property
    def smoothing(self) -> str:
        """none, mean or median."""
        if self.smooth == "auto":
            return "mean" if self.by == "segment" else "none"
        return self.smooth

    def __str__(self) -> str:
        """What makes two timelines' rows comparable, in a word or some."""
        smooth = "" if self.smoothing == "none" else f" {self.smoothing} {self.width:g}"
        kind = {
            "frame": "",
            "person": "",
            "window": f" {self.window:g}/{self.step:g}",
            "segment": f" {self.margin:g}/{self.min_length:g}",
        }
        return f"{self.by}{kind[self.by]}{smooth}"


@dataclass(frozen=True, eq=False)
class Row:
    """What one person showed in one span of time."""

    person: int | None  # None: faces that are nobody's
    start: float  # s
    end: float  # s, not in it
    frames: int  # looked at in that span
    shown: int  # ... that show it
    rows: I64  # its faces: places in the moments
    raw: F64  # (P,) mean of what the network says of each, after smoothing
    probabilities: F32  # (C,)
    label: str
    affect: F64  # (2,) mean; NaN where the network tells none
    box: F64  # (4,) mean: x0 y0 x1 y1, source px
    quality: F64  # (4,) medians, as `stages.quality.NAMES`; NaN where not known
    frame: int | None = None  # number of the source frame, of a row by frame

    @property
    def faces(self) -> int:
        """How many faces it is made of: of a person one a frame."""
        return len(self.rows)

    @property
    def coverage(self) -> float:
        """The share of the frames that show the person."""
        return self.shown / self.frames if self.frames else 0.0


def rows(moments: Moments, pipeline: Pipeline, timing: Timing | None = None) -> Iterator[Row]:
    """Yield the rows of a clip in order of time, then of person.

    pipeline: the one that made the moments
    """
    timing = timing or Timing()
    clock = _Clock(moments.times)
    raw = smoothed(moments, timing)
    make = _MAKERS[timing.by]
    maker = _Rows(moments, raw, pipeline, clock)
    yield from make(maker, timing)


def spells(moments: Moments, gap: float = 1.0) -> Iterator[I64]:
    """Yield the faces of each spell, in order of time; of nobody's faces each track is for itself.

    gap: s without a face that end one
    """
    times = moments.faces.time
    behind = np.searchsorted(moments.cuts, times, side="right")  # how many cuts came before
    whose = np.where(moments.person == NOBODY, -1 - moments.faces.track, moments.person)
    for one in np.unique(whose).tolist():
        here = np.flatnonzero(whose == one)
        ends = (np.diff(times[here]) > gap + ROUNDING) | (np.diff(behind[here]) > 0)
        yield from np.split(here, np.flatnonzero(ends) + 1)


def smoothed(moments: Moments, timing: Timing) -> F64:
    """Return what the network says of each face (M, P), smoothed within its spell."""
    raw = moments.raw.astype(np.float64)
    if timing.smoothing == "none":
        return raw
    smooth = _means if timing.smoothing == "mean" else _medians
    for here in spells(moments, timing.gap):
        times = moments.faces.time[here]
        low = np.searchsorted(times, times - timing.width / 2 - ROUNDING)
        high = np.searchsorted(times, times + timing.width / 2 + ROUNDING)
        raw[here] = smooth(raw[here], low, high)
    return raw


def _means(rows: F64, low: I64, high: I64) -> F64:
    sums = np.concatenate([np.zeros((1, rows.shape[1])), rows.cumsum(0)])
    return np.asarray((sums[high] - sums[low]) / (high - low)[:, None])


def _medians(rows: F64, low: I64, high: I64) -> F64:
    """Return the median of each label, summing to 1 again."""
    found = np.stack([np.median(rows[a:b], 0) for a, b in zip(low, high, strict=True)])
    return np.asarray(found / found.sum(1, keepdims=True).clip(1e-12))


class _Clock:
    """The frames that were looked at: how long each is shown, and how many a span holds."""

    def __init__(self, times: F64) -> None:
        self.times = times
        steps = np.diff(times)
        self.step = float(np.median(steps)) if len(steps) else ALONE
        self.end = float(times[-1]) + self.step if len(times) else 0.0

    def until(self, time: F64) -> F64:
        """Return when the frame behind each of these is shown."""
        place = np.searchsorted(self.times, time, side="right")
        return np.append(self.times, self.end)[place]

    def count(self, start: float, end: float) -> int:
        """Return how many frames a span holds."""
        low, high = np.searchsorted(self.times, [start - ROUNDING, end - ROUNDING])
        return int(high - low)


class _Rows:
    """Makes rows of faces."""

    def __init__(self, moments: Moments, raw: F64, pipeline: Pipeline, clock: _Clock) -> None:
        self.moments, self.raw, self.clock = moments, raw, clock
        self._tell = pipeline.tell

    def row(self, rows: I64, start: float, end: float, label: str | None = None) -> Row:
        """Return the row of some faces of one person."""
        mean = self.raw[rows].mean(0)
        return self.known_row(rows, start, end, mean, self._tell(mean[None])[0], label)

    def known_row(
        self, rows: I64, start: float, end: float, raw: F64, p: F32, label: str | None = None,
        frame: int | None = None,
    ) -> Row:  # fmt: skip
        """Return the row of some faces of which the answer is known."""
        moments = self.moments
        person = int(moments.person[rows[0]])
        shown = len(rows) if person != NOBODY else len(np.unique(moments.faces.index[rows]))
        return Row(
            None if person == NOBODY else person, start, end, self.clock.count(start, end), shown,
            rows, raw, p, label or moments.labels[int(p.argmax())],
            moments.affect[rows].mean(0, dtype=np.float64),
            moments.faces.box[rows].mean(0, dtype=np.float64),
            _medians_of(moments.quality[rows]), frame,
        )  # fmt: skip

    def answers(self) -> F32:
        """Return the probabilities (M, C) of each face."""
        return self._tell(self.raw)


def _medians_of(columns: Array) -> F64:
    """Return the median of each column over what is known of it, NaN where nothing is."""
    if len(columns) == 1:
        return np.asarray(columns[0], np.float64)
    known = [column[~np.isnan(column)] for column in columns.T]
    return np.array([float(np.median(one)) if len(one) else math.nan for one in known])


def _by_frame(make: _Rows, timing: Timing) -> Iterator[Row]:
    faces, answers = make.moments.faces, make.answers()
    until = make.clock.until(faces.time)
    for i in map(int, np.lexsort((make.moments.person, faces.index))):
        start, end, frame = float(faces.time[i]), float(until[i]), int(faces.index[i])
        yield make.known_row(np.array([i]), start, end, make.raw[i], answers[i], frame=frame)


def _by_window(make: _Rows, timing: Timing) -> Iterator[Row]:
    times, person = make.moments.faces.time, make.moments.person
    if not len(times):
        return
    first = math.floor((float(make.clock.times[0]) + ROUNDING) / timing.step)
    last = math.ceil((make.clock.end - ROUNDING) / timing.step)
    for number in range(first, max(last, first + 1)):  # a picture lasts for no time at all
        start, end = number * timing.step, number * timing.step + timing.window
        low, high = np.searchsorted(times, [start - ROUNDING, end - ROUNDING])
        for who in np.unique(person[low:high]).tolist():
            here = low + np.flatnonzero(person[low:high] == who)
            yield make.row(here, start, min(end, make.clock.end))


def _by_segment(make: _Rows, timing: Timing) -> Iterator[Row]:
    answers, found = make.answers(), []
    for here in spells(make.moments, timing.gap):
        if make.moments.person[here[0]] != NOBODY:
            found += _segments(make, here, answers[here], timing)
    yield from sorted(found, key=lambda row: (row.start, row.person))


def _by_person(make: _Rows, timing: Timing) -> Iterator[Row]:
    """Yield a row a person, whose frames are all of the clip."""
    times = make.moments.faces.time
    for who in make.moments.persons:
        here = np.flatnonzero(make.moments.person == who)
        start, end = float(times[here[0]]), float(make.clock.until(times[here[-1:]])[0])
        yield replace(make.row(here, start, end), frames=len(make.clock.times))


_MAKERS = {
    "frame": _by_frame, "window": _by_window, "segment": _by_segment, "person": _by_person,
}  # fmt: skip


def _segments(make: _Rows, here: I64, answers: F32, timing: Timing) -> list[Row]:
    """Return the segments of one spell."""
    times = make.moments.faces.time[here]
    edges = np.append(times, make.clock.until(times[-1:]))
    label = _held(answers, timing.margin)
    label = joined(label, answers, edges, timing.min_length)
    ends = [*np.flatnonzero(np.diff(label)) + 1, len(label)]
    starts = [0, *ends[:-1]]
    names = make.moments.labels
    return [
        make.row(here[a:b], float(edges[a]), float(edges[b]), names[int(label[a])])
        for a, b in zip(starts, ends, strict=True)
    ]


def _held(answers: F32, margin: float) -> I64:
    """Return the label of each face: that of the one before, until another is ahead by more."""
    best, label = answers.argmax(1), np.empty(len(answers), np.int64)
    now = int(best[0])
    for i, top in enumerate(best.tolist()):
        if answers[i, top] - answers[i, now] > margin:
            now = top
        label[i] = now
    return label


def joined(label: I64, answers: F32, edges: F64, least: float) -> I64:
    """Return labels (N,) in which no run is shorter than `least` s, as long as there are two.

    The shortest run takes the label of the neighbour that its faces speak more for.
    edges: (N + 1,) s, of the faces and of the end
    """
    label = label.copy()
    while True:
        ends = np.append(np.flatnonzero(np.diff(label)) + 1, len(label))
        starts = np.append(0, ends[:-1])
        lengths = edges[ends] - edges[starts]
        short = int(lengths.argmin())
        if len(ends) == 1 or lengths[short] >= least - ROUNDING:
            return label
        a, b = int(starts[short]), int(ends[short])
        near = [int(label[i]) for i in (a - 1, b) if 0 <= i < len(label)]
        label[a:b] = max(near, key=lambda one: float(answers[a:b, one].mean()))
