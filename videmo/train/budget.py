"""How sure an answer from some of a clip's frames must be: leads, learnt with a head.

The levels and the share that each may get wrong are those of the adaptive frame rate of Savchenko
(ICML 2023, EmotiEffLib). Wrong is here what differs from the answer of all frames: that needs no
labels, and it is what somebody who saves time gives up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from videmo.data import F32, F64, I64, Faces, Features
from videmo.errors import ModelError
from videmo.recipe import Recipe
from videmo.stages.budget import NEVER, STRIDES, Budget, Level, lead
from videmo.stages.pool import FEATURES, Pooling, pool
from videmo.write.feature_table import FeatureTable

CHANGED = 0.005  # of the clips that may get another label than from all frames, at most
ENOUGH = 100  # clips that a lead is learnt on, or nothing is: fewer tell little of such a share
DIGITS = 4  # of a lead
WORTH = 0.8  # of the frames at most, or the search costs more than it saves
NORMAL = 1.959964  # of a 95 % interval

Facts = dict[str, Any]


@dataclass(frozen=True, eq=False)
class SeenFaces:
    """The faces of one clip, and in which of the sampled frames they are."""

    values: F32  # (M, D) what is pooled of each
    number: I64  # (M,) of its frame among those sampled, from 0
    frames: int  # sampled


@dataclass(frozen=True, eq=False)
class Pooled:
    """Clips as the head reads them, from all of their frames and from some."""

    rows: Mapping[int, F32]  # stride -> (K, X); zeros where a level saw no face
    faces: Mapping[int, I64]  # stride -> (K,) frames with a face that it saw
    frames: I64  # (K,) sampled

    def __getitem__(self, clips: Any) -> Pooled:
        return Pooled(
            {stride: rows[clips] for stride, rows in self.rows.items()},
            {stride: faces[clips] for stride, faces in self.faces.items()},
            self.frames[clips],
        )


def joined(parts: Sequence[Pooled | None]) -> Pooled | None:
    """Return the clips of several files; None where one of them does not tell its faces."""
    there = [part for part in parts if part is not None]
    if len(there) < len(parts) or not there:
        return None
    return Pooled(
        {s: np.concatenate([part.rows[s] for part in there]) for s in there[0].rows},
        {s: np.concatenate([part.faces[s] for part in there]) for s in there[0].faces},
        np.concatenate([part.frames for part in there]),
    )


def thinned(table: FeatureTable) -> Pooled | None:
    """Return the clips of a feature file from some of their frames.

    None where the file does not keep the faces, or not which of the sampled frames they are in:
    that is so with `fps`, and behind a `start`.
    """
    try:
        recipe = Recipe.from_dict(table.meta.get("options") or {})
    except ModelError:
        return None
    times = np.zeros(0) if table.start is None else table.start
    plain = recipe.sampling.fps is None and np.isnan(times).all() and recipe.pooling.of == FEATURES
    if table.frame_offsets is None or not plain or not len(table):
        return None
    return pooled(_seen(table, recipe.sampling.every), recipe.pooling)


def _seen(table: FeatureTable, every: int) -> Iterator[SeenFaces]:
    assert table.frame_offsets is not None and table.frame_index is not None
    assert table.frame_features is not None
    for clip, (at, end) in enumerate(pairwise(table.frame_offsets.tolist())):
        number = table.frame_index[at:end] // every
        yield SeenFaces(table.frame_features[at:end], number, int(table.frames[clip]))


def pooled(
    clips: Iterable[SeenFaces], pooling: Pooling, strides: Sequence[int] = STRIDES
) -> Pooled:
    """Return the descriptors of clips from each so many-th of their frames, and from all.

    clips: K of them, one after the other; none is kept
    """
    every = (*strides, 1)
    found = [[*(_pool(clip, pooling, stride) for stride in every), clip.frames] for clip in clips]
    *levels, frames = zip(*found, strict=True)
    width = max(len(row) for row, _ in levels[-1])
    return Pooled(
        {s: np.stack([_wide(row, width) for row, _ in of]) for s, of in _by(every, levels)},
        {s: np.array([count for _, count in of], np.int64) for s, of in _by(every, levels)},
        np.array(frames, np.int64),
    )


def _by(strides: Sequence[int], levels: Sequence[Any]) -> Iterable[tuple[int, Any]]:
    return zip(strides, levels, strict=True)


def _wide(row: F32, width: int) -> F32:
    return row if len(row) else np.zeros(width, np.float32)


def _pool(clip: SeenFaces, pooling: Pooling, stride: int) -> tuple[F32, int]:
    here = clip.number % stride == 0
    number, count = clip.number[here], int(here.sum())
    zeros = np.zeros(count, np.float32)
    faces = Faces(
        number, number, number / 25, np.zeros((count, 4), np.float32), zeros,
        np.zeros((count, 5, 2), np.float32),
    )  # fmt: skip
    values = clip.values[here]
    outputs = {} if pooling.of == FEATURES else {pooling.of: values}
    found = pool([Features(values, faces, clip.frames, outputs)], pooling)
    return found.values, found.frames


@dataclass(frozen=True, eq=False)
class Readings:
    """What a head says of clips from all of their frames, and from some."""

    scores: Mapping[int, F32]  # stride -> (K, C) probabilities
    faces: Mapping[int, I64]  # stride -> (K,) frames with a face that it saw
    frames: I64  # (K,) sampled

    @property
    def exact(self) -> I64:
        """The label (K,) of each clip from all frames."""
        return np.asarray(self.scores[1].argmax(1), np.int64)

    def leads(self, stride: int) -> F64:
        """By how much the first label (K,) leads the next."""
        return np.asarray(lead(self.scores[stride]))

    def answers(self, level: Level, fewest: int) -> Any:
        """Return which clips (K,) a level has enough frames of to answer."""
        return (self.frames > level.stride * (fewest - 1)) & (self.faces[level.stride] >= fewest)


def readings(clips: Pooled, tell: Callable[[F32], F32]) -> Readings:
    """Return what a head, which maps rows (K, X) to probabilities (K, C), says of clips."""
    scores = {stride: tell(rows) for stride, rows in clips.rows.items()}
    return Readings(scores, clips.faces, clips.frames)


def learn_leads(
    found: Readings, strides: Sequence[int] = STRIDES, changed: float = CHANGED
) -> Budget:
    """Return the least leads with which few clips get another label than from all frames.

    At level l of L, the one that looks at all frames included, that is a share of at most
    changed * l / L of the clips that it can answer, the shape of Benjamini and Hochberg 1995.

    found: of clips that the head did not learn from, or it is surer of them than of others
    """
    levels = Budget(tuple(strides), (NEVER,) * len(strides))
    leads = []
    for place, level in enumerate(levels.levels(math.inf), 1):
        can = found.answers(level, levels.fewest)
        other = found.scores[level.stride].argmax(1) != found.exact
        asked = found.leads(level.stride) * levels.certainty(found.faces[level.stride])
        allowed = int(changed * place / (len(strides) + 1) * can.sum())
        leads.append(_least(asked[can & other], allowed) if can.sum() >= ENOUGH else NEVER)
    return Budget(tuple(strides), tuple(leads))


def _least(leads: Any, allowed: int) -> float:
    """Return the least lead that so many of those with another label reach, rounded up."""
    surest = np.sort(leads)[::-1]
    if len(surest) <= allowed:
        return 0.0
    above: int = math.floor(surest[allowed] * 10**DIGITS) + 1
    return min(NEVER, float(above / 10**DIGITS))


def search(found: Readings, budget: Budget) -> I64:
    """Return the stride (K,) at which the search for each clip ends."""
    ends = np.ones(len(found.frames), np.int64)
    for stride, least in zip(budget.strides[::-1], budget.leads[::-1], strict=True):
        level = Level(stride, None, least)
        sure = budget.sure(level, found.leads(stride), found.faces[stride])
        ends[found.answers(level, budget.fewest) & sure] = stride  # the coarser one comes first
    return ends


def judge(found: Readings, budget: Budget, truth: I64 | None = None) -> Facts:
    """Return what the search gives up and saves: for a card.

    truth: (K,) labels; without them there is no accuracy
    """
    ends = search(found, budget)
    labels = np.stack([found.scores[s].argmax(1) for s in (*budget.strides, 1)])
    place = {stride: n for n, stride in enumerate((*budget.strides, 1))}
    fast = labels[[place[int(end)] for end in ends], np.arange(len(ends))]
    share = np.ceil(found.frames / ends) / found.frames
    facts: Facts = {
        "n": len(ends),
        "changed": round(float((fast != found.exact).mean()), 4),
        "frames_share": round(float(share.mean()), 4),
        "ends": {str(s): round(float((ends == s).mean()), 4) for s in place},
    }
    if truth is None:
        return facts
    exact, now = found.exact == truth, fast == truth
    low, high = paired_interval(exact, now)
    return facts | {
        "accuracy_exact": round(float(exact.mean()), 4),
        "accuracy": round(float(now.mean()), 4),
        "difference": round(float(now.mean() - exact.mean()), 4),
        "difference_interval": [round(low, 4), round(high, 4)],
    }


def paired_interval(before: Any, after: Any) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two accuracies on the same clips.

    Agresti and Min 2005: Wald's, after half a clip was added to each of the four cells.

    before, after: (K,) whether each clip is right
    """
    lost, won = ((before & ~after).sum() + 0.5), ((after & ~before).sum() + 0.5)
    n = len(before) + 2
    middle = (won - lost) / n
    half = NORMAL * math.sqrt(max(won + lost - (won - lost) ** 2 / n, 0)) / n
    return float(middle - half), float(middle + half)


def card_part(budget: Budget, learnt: Facts, measured: Mapping[str, Facts]) -> Facts:
    """Return what a card says under `budget`; where it would not save time, why not."""
    shares = [facts["frames_share"] for facts in measured.values()]
    facts: Facts = {"learnt": learnt | {"changed_at_most": CHANGED}, "measured": dict(measured)}
    if min(shares) > WORTH:
        note = f"most answers want most of the frames ({min(shares):.0%} on its clips)"
        return {"note": note, **facts}
    told = {"strides": [*budget.strides], "leads": [*budget.leads], "fewest": budget.fewest}
    return told | facts
