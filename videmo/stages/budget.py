"""How many of a clip's frames are looked at: few at first, and more while the answer is unsure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from videmo.data import COUNT, F64, Array, Range
from videmo.errors import InputError, UnknownName

EXACT, FAST = "exact", "fast"
BUDGETS = (EXACT, FAST)
STRIDES = (18, 6)  # those that heads learn leads for
NEVER = 2.0  # a lead that no answer has, however many frames it rests on


@dataclass(frozen=True)
class Level:
    """One of the readings of a clip, each of which looks at more of its frames."""

    stride: int  # each so many-th of the frames that the recipe samples is looked at
    before: int | None  # the stride of the level before, whose frames are not looked at again
    lead: float  # see `Budget.leads`


@dataclass(frozen=True)
class Budget:
    """When to stop looking; every field changes numbers. Without strides every frame is seen.

    Levels of falling stride, as in the adaptive frame rate of Savchenko (ICML 2023): an answer from
    few frames stands if it is sure enough, and the last level looks at all of them.
    """

    strides: tuple[int, ...] = ()  # of the sampled frames, coarsest first, each a multiple of the
    # next, so that a level goes on from what the one before has seen
    leads: tuple[float, ...] = ()  # for each of them: by how much the first label of an answer
    # that ends the search leads the next, if it rests on `fewest` frames; see `certainty`
    fewest: int = 3  # frames with a face that an answer of a level must rest on

    def __post_init__(self) -> None:
        if len(self.strides) != len(self.leads):
            raise InputError(f"budget has {len(self.strides)} strides and {len(self.leads)} leads")
        for stride in self.strides:
            Range(2, whole=True).check("a stride of budget", stride)
        for lead in self.leads:
            Range(0, NEVER).check("a lead of budget", lead)
        for coarse, fine in pairwise(self.strides):
            if coarse % fine or coarse == fine:
                raise InputError(f"{coarse} is no multiple of {fine}, the next stride of budget")
        COUNT.check("fewest", self.fewest)

    @property
    def searches(self) -> bool:
        """Whether there is more than the one reading that looks at every frame."""
        return bool(self.strides)

    def levels(self, frames: float) -> list[Level]:
        """Return those that come before every frame is looked at, in a clip of so many.

        A level that would see fewer frames than an answer needs is left out.
        """
        worth = [
            (stride, lead)
            for stride, lead in zip(self.strides, self.leads, strict=True)
            if frames > stride * (self.fewest - 1)
        ]
        before = [None, *(stride for stride, _ in worth)]
        return [Level(stride, b, lead) for (stride, lead), b in zip(worth, before, strict=False)]

    def ends(self, level: Level, scores: Array, frames: int) -> bool:
        """Return whether the probabilities (C,) of so many frames with a face are sure enough."""
        return bool(self.sure(level, lead(scores), np.array(frames)))

    def sure(self, level: Level, leads: Array, frames: Array) -> Array:
        """Return whether leads (...) of answers from so many frames with a face (...) suffice."""
        return np.asarray((frames >= self.fewest) & (leads * self.certainty(frames) >= level.lead))

    def certainty(self, frames: Array) -> F64:
        """Return how much more a lead counts that rests on so many frames than one on `fewest`.

        The error of a mean falls with the root of its frames. It counts no more than that of three
        times the fewest, for frames are not independent.
        """
        some = np.clip(frames, self.fewest, 3 * self.fewest)
        return np.asarray(np.sqrt(some / self.fewest))


def lead(scores: Array) -> Array:
    """Return by how much the most probable label leads, 0..1: scores (..., C) to (...)."""
    if scores.shape[-1] < 2:
        return np.ones(scores.shape[:-1])
    ordered = np.sort(scores.astype(np.float64), -1)
    return np.asarray(ordered[..., -1] - ordered[..., -2])


def check_budget(name: str) -> None:
    """Raise UnknownName for what is no budget."""
    if name not in BUDGETS:
        raise UnknownName("budget", name, BUDGETS)
