"""Moments of a clip go in; where each person is, and what they show, at any time comes out.

Between two frames that were looked at a face is where a line between its two boxes leads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from videmo.data import F32, F64, I64
from videmo.people.moments import Moments
from videmo.people.timeline import Timing, smoothed, spells
from videmo.pipeline import Pipeline
from videmo.pipeline.clips import TOLD

WIDTH = 1.0  # s over which what is shown of a face is averaged
_NEAR = 1e-3  # s; a frame may be told its time a little otherwise


@dataclass(frozen=True, eq=False)
class Trail:
    """One person from frame to frame, without a gap and without a cut."""

    person: int  # 0: nobody who is told apart
    times: F64  # (K,) s, rising
    boxes: F64  # (K, 4) source px
    probabilities: F32  # (K, C), smoothed

    def covers(self, time: float, beyond: float = 0.0) -> bool:
        """Return whether the person is seen at a time, or up to `beyond` s before or after."""
        reach = beyond + _NEAR
        return bool(self.times[0] - reach <= time <= self.times[-1] + reach)

    def box(self, time: float) -> F64:
        """Return the box (4,) at a time."""
        return np.array([np.interp(time, self.times, edge) for edge in self.boxes.T])

    def scores(self, time: float) -> F32:
        """Return the probabilities (C,) at a time: those of the face before it."""
        place = int(np.searchsorted(self.times, time + _NEAR, side="right")) - 1
        return np.asarray(self.probabilities[max(0, place)])


class Trails:
    """The trails of a clip, asked for times that rise."""

    def __init__(self, trails: Iterator[Trail], beyond: float = 0.0) -> None:
        self._ahead = sorted(trails, key=lambda trail: -trail.times[0])  # the next comes last
        self._here: list[Trail] = []
        self._beyond = beyond

    def at(self, time: float) -> list[Trail]:
        """Return who is seen at a time, or up to `beyond` s before or after, by person."""
        while self._ahead and self._ahead[-1].times[0] <= time + self._beyond + _NEAR:
            self._here.append(self._ahead.pop())
        self._here = [trail for trail in self._here if trail.covers(time, self._beyond)]
        return sorted(self._here, key=lambda trail: trail.person)


def trails_of(moments: Moments, pipeline: Pipeline, gap: float = 1.0) -> Iterator[Trail]:
    """Yield the trails of a clip.

    gap: s without a face that end one
    """
    told = pipeline.tell(smoothed(moments, Timing(smooth="mean", width=WIDTH, gap=gap)))
    faces = moments.faces
    for here in spells(moments, gap):
        boxes = faces.box[here].astype(np.float64)
        yield Trail(int(moments.person[here[0]]), faces.time[here], boxes, told[here])


class RunningAnswer:
    """What the faces of a clip say together, up to a time."""

    def __init__(self, moments: Moments, pipeline: Pipeline) -> None:
        order = np.argsort(moments.faces.time, kind="stable")
        self._times = moments.faces.time[order]
        self._told = np.zeros((len(order), len(moments.labels)), np.float32)
        before = np.zeros((1, moments.raw.shape[1]))  # the sum of those that came before
        for first in range(0, len(order), TOLD):
            block = slice(first, first + TOLD)
            sums = np.concatenate([before, moments.raw[order[block]]]).cumsum(0)[1:]
            count = np.arange(first + 1, first + 1 + len(sums))[:, None]
            self._told[block], before = pipeline.tell(sums / count), sums[-1:]

    def at(self, time: float) -> F32 | None:
        """Return the probabilities (C,) of all faces until then, None before the first."""
        place = int(np.searchsorted(self._times, time + _NEAR, side="right"))
        return np.asarray(self._told[place - 1]) if place else None


def best(labels: tuple[str, ...], scores: F32, count: int) -> list[tuple[str, float]]:
    """Return the highest of some probabilities (C,), with their labels."""
    order: I64 = np.argsort(-scores, kind="stable")[:count]
    return [(labels[i], float(scores[i])) for i in order.tolist()]


def clock(time: float) -> str:
    """Return a time in s as people write it: 1:02.50, or 1:00:02.50."""
    minutes, seconds = divmod(round(time, 2), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:05.2f}" if hours else f"{minutes}:{seconds:05.2f}"
