"""Moments of a clip that was never seen: faces at 10 frames/s that are Happy to a degree."""

from __future__ import annotations

import numpy as np

from videmo.data import Faces
from videmo.people.moments import Moments


class Plain:
    """Stands for a pipeline whose head takes probabilities as they are."""

    @staticmethod
    def tell(raw: np.ndarray) -> np.ndarray:
        return np.asarray(raw, np.float32)


def moments(time, happy, person=None, track=None, cuts=(), times=None) -> Moments:
    """Return faces at 10 frames/s that are Happy to a degree, else Sad."""
    time = np.array(time, np.float64)
    m = len(time)
    index = np.round(time * 10).astype(np.int64)
    person = np.ones(m, np.int64) if person is None else np.array(person)
    box = np.tile(np.array([10, 10, 50, 50], np.float32), (m, 1))
    faces = Faces(
        index, index, time, box, np.ones(m, np.float32), np.full((m, 5, 2), np.nan, np.float32),
        person if track is None else np.array(track),
    )  # fmt: skip
    raw = np.column_stack([happy, 1 - np.array(happy)]).astype(np.float32)
    every = np.unique(time) if times is None else np.array(times, np.float64)
    none = np.full((m, 2), np.nan, np.float32)
    quality = np.full((m, 4), np.nan, np.float32)
    return Moments(
        ("Happy", "Sad"), faces, person, raw, raw, none, quality, every, np.array(cuts, float)
    )
