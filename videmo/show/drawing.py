"""Strips go in; the shapes of a timeline come out, as paths for SVG.

The picture is WIDE units wide and HIGH units high for every person, whatever it is shown on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videmo.data import F64
from videmo.show.strips import Strip

WIDE, HIGH = 1000, 100
_BAND = 14  # units: the band of the most probable labels, at the top
_SPACE = 4  # between the band and what lies below
_FAINT = 0.004  # a label that is never more probable than this is not drawn


@dataclass(frozen=True)
class Shape:
    """One shape of one colour."""

    label: int  # whose colour
    path: str


@dataclass(frozen=True)
class Run:
    """One label for some time, in the band."""

    label: int
    x: float
    width: float
    start: float  # s
    end: float  # s


@dataclass(frozen=True)
class Drawing:
    """One person's timeline."""

    areas: tuple[Shape, ...]
    runs: tuple[Run, ...]
    gaps: tuple[tuple[float, float], ...]  # x and width
    cuts: tuple[float, ...]  # x


def draw(strip: Strip, begin: float, end: float, cuts: Sequence[float] = ()) -> Drawing:
    """Return the shapes of one person.

    begin, end: s, of the clip; cuts: s
    """
    scale = WIDE / max(end - begin, 1e-9)

    def x(time: float) -> float:
        return round((min(max(time, begin), end) - begin) * scale, 1)

    runs = [Run(n, x(a), round(x(b) - x(a), 1), a, b) for a, b, n in strip.runs()]
    gaps = [(x(a), round(x(b) - x(a), 1)) for a, b in strip.gaps(begin, end)]
    areas = [
        Shape(n, "".join(_area(strip, n, piece, begin, scale) for piece in strip.pieces()))
        for n in range(strip.scores.shape[1])
        if strip.scores[:, n].max(initial=0) > _FAINT
    ]
    return Drawing(tuple(areas), tuple(runs), tuple(gaps), tuple(x(cut) for cut in cuts))


def _area(strip: Strip, label: int, piece: slice, begin: float, scale: float) -> str:
    """Return the path of one label's share, between those of the labels before and behind."""
    below = strip.scores[piece, :label].sum(1)
    edges = (np.append(strip.start[piece], strip.end[piece][-1]) - begin) * scale
    low, high = _height(below), _height(below + strip.scores[piece, label])
    there = _steps(edges, high)
    back = _steps(edges[::-1], low[::-1])
    return f"M{edges[0]:.1f} {low[0]:.1f}V{there}V{low[-1]:.1f}{_after(back)}Z"


def _height(share: F64) -> F64:
    return np.asarray(HIGH - share.clip(0, 1) * (HIGH - _BAND - _SPACE))


def _steps(edges: F64, height: F64) -> str:
    """Return a line of steps: for each height where it lies and how far it goes."""
    return "V".join(f"{y:.1f}H{x:.1f}" for x, y in zip(edges[1:], height, strict=True))


def _after(steps: str) -> str:
    """Return steps without their first height, on which the pen stands already."""
    return steps[steps.index("H") :]


def ticks(begin: float, end: float, most: int = 8) -> list[float]:
    """Return the times in s that an axis names: at most so many, and round ones."""
    span = max(end - begin, 1e-9)
    for step in (
        0.1,
        0.2,
        0.5,
        1,
        2,
        5,
        10,
        15,
        30,
        60,
        120,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        14400,
    ):
        if span / step <= most:
            break
    first = int(np.ceil(begin / step - 1e-9))
    return [round(n * step, 3) for n in range(first, int(end / step + 1e-9) + 1)]
