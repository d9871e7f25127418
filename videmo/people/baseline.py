"""A person's own usual face goes in; how far each label rises above it comes out.

The rise of a label is the difference of its log-odds from those in the baseline. It tells a mild
smile of somebody whose face at rest looks sad, where the plain answer tells the face at rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from videmo.data import F32, F64, Array
from videmo.errors import InputError
from videmo.people.linking import NOBODY
from videmo.people.moments import Moments
from videmo.pipeline import Pipeline

RISEN = 1.0  # log-odds above the baseline from which a label has risen
LEAST = 1e-6  # probabilities nearer to 0 and 1 are not told apart


@dataclass(frozen=True, eq=False)
class Baseline:
    """What each person's usual face is taken from."""

    name: str  # auto, 0-5, or the clip that shows it
    span: tuple[float, float] | None = None  # s of the clip itself; None: not a part of it
    given: F32 | None = field(default=None, repr=False)  # (C,) of another clip, for everyone

    def of(self, moments: Moments, pipeline: Pipeline) -> Mapping[int, F32]:
        """Return the probabilities (C,) of each person's usual face, where there is one."""
        if self.given is not None:
            return dict.fromkeys(moments.persons, self.given)
        found = {}
        for person in moments.persons:
            here = moments.person == person
            rows = (
                _usual(moments, here) if self.span is None else here & _within(moments, self.span)
            )
            if rows.any():
                found[person] = mean_probabilities(moments, rows, pipeline)
        return found


def mean_probabilities(moments: Moments, rows: Array, pipeline: Pipeline) -> F32:
    """Return the probabilities (C,) of some faces together."""
    mean = moments.raw[rows].mean(0, dtype=np.float64)
    return np.asarray(pipeline.tell(mean[None])[0], np.float32)


def of_clip(name: str, moments: Moments, pipeline: Pipeline) -> Baseline:
    """Return the baseline of a clip that shows one person; raises InputError for another."""
    if len(moments.persons) != 1:
        raise InputError(
            f"baseline {name} shows {len(moments.persons)} persons; give a clip, or a part "
            "START-END, that shows one"
        )
    return Baseline(
        name, given=mean_probabilities(moments, moments.person == moments.persons[0], pipeline)
    )


def rises(p: F32, baseline: F32) -> F64:
    """Return by how much the log-odds of each label are above the baseline's (C,)."""
    odds = [np.log(q / (1 - q)) for q in (_inner(p), _inner(baseline))]
    return np.asarray(odds[0] - odds[1])


def risen(change: F64) -> int | None:
    """Return the label that has risen most, None where none has by more than RISEN."""
    most = int(change.argmax())
    return most if change[most] > RISEN else None


def _inner(p: F32) -> F64:
    return p.astype(np.float64).clip(LEAST, 1 - LEAST)


def _usual(moments: Moments, here: Array) -> Array:
    """Return the faces of a person that have the label which most of them have."""
    label = moments.probabilities.argmax(1)
    most = int(np.bincount(label[here]).argmax())
    return np.asarray(here & (label == most))


def _within(moments: Moments, span: tuple[float, float]) -> Array:
    time = moments.faces.time
    return np.asarray((time >= span[0]) & (time < span[1]) & (moments.person != NOBODY))
