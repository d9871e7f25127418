"""Tracks of a clip go in, as features flow past; the person that each is comes out.

A track ends at a gap, at a cut, or where a box jumps; a piece of one also where the face becomes
another from one frame to the next, as at a cut between like pictures. Which pieces show one person
is told by the mean of their identity embeddings; these are compared in memory and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from videmo.data import COUNT, F64, I64, NOT_NEGATIVE, SHARE, Array, Features, Range
from videmo.errors import UnknownName
from videmo.people.persons import Grouping, group
from videmo.stages.heads.attributes import IDENTITY, per_face, similarity
from videmo.stages.pool import Moments as Statistics
from videmo.stages.quality import side

NOBODY = 0  # the person of a face that is none: too small, or seen for too short
MANY = 1000  # pieces that are compared each with each; of more, the shorter with persons alone


@dataclass(frozen=True)
class Linking:
    """When tracks are one person, and when a track is any."""

    by: Literal["identity", "overlap"] = "identity"  # overlap: each track is a person of its own
    threshold: float = 0.5  # least cosine of two pieces of one person
    split: float = 0.25  # a lower cosine of a face with the one before parts a track
    min_side: float = 24.0  # px; smaller faces, of which networks tell little, are nobody's
    min_score: float = 0.0  # ... and less certain ones
    min_frames: int = 3  # a person is seen in so many frames; in a clip of fewer, in each

    def __post_init__(self) -> None:
        if self.by not in ("identity", "overlap"):
            raise UnknownName("way to link", str(self.by), ("identity", "overlap"))
        for name in ("threshold", "split"):
            Range(-1, 1).check(f"{name}, a cosine,", getattr(self, name))
        NOT_NEGATIVE.check("min_side", self.min_side)
        SHARE.check("min_score", self.min_score)
        COUNT.check("min_frames", self.min_frames)


class PersonLinker:
    """Keeps what tells the persons of one clip apart; memory grows with tracks, not with frames."""

    def __init__(self, linking: Linking | None = None) -> None:
        self.linking = linking or Linking()
        self._all: dict[int, _Piece] = {}
        self._together: set[tuple[int, int]] = set()
        self._last: dict[int, tuple[int, F64]] = {}  # of a track: its piece, its last face
        self._begun = self._seen = 0

    def add(self, features: Features) -> I64:
        """Take in one batch, and return the piece (M,) that each face belongs to.

        With "identity" the outputs hold that one.
        """
        faces, options = features.faces, self.linking
        self._seen += features.seen
        counts = (side(faces) >= options.min_side) & (faces.score >= options.min_score)
        rows = np.zeros((len(faces), 0))
        if options.by == "identity":
            rows = per_face(IDENTITY, features.outputs[IDENTITY])
        piece = self._pieces(faces.track, rows)
        for number in np.unique(piece[counts]).tolist():
            here = counts & (piece == number)
            first = int(np.flatnonzero(here)[0])
            at = (int(faces.index[first]), float(faces.box[first, 0]))
            self._all.setdefault(number, _Piece(at)).rows.add(rows[here])
            self._all[number].frames += int(here.sum())
        for index in np.unique(faces.index):  # a batch never ends within a frame
            self._together.update(combinations(sorted(piece[faces.index == index].tolist()), 2))
        return piece

    def _pieces(self, track: I64, rows: F64) -> I64:
        """Return the piece of each face, in order of frames; `rows` (M, C) are of length 1."""
        piece = np.empty(len(track), np.int64)
        for i, number in enumerate(track.tolist()):
            mine, before = self._last.get(number, (-1, rows[i]))
            if mine < 0 or (rows.shape[1] and float(before @ rows[i]) < self.linking.split):
                mine, self._begun = self._begun, self._begun + 1
            self._last[number] = mine, rows[i]
            piece[i] = mine
        return piece

    def persons(self) -> dict[int, int]:
        """Return the person (1, 2, ... as they first appear) of each piece that shows one."""
        least = min(self.linking.min_frames, max(1, self._seen))
        groups = [tracks for tracks in self._groups() if self._frames(tracks) >= least]
        groups.sort(key=lambda tracks: min(self._all[number].begins for number in tracks))
        return {number: who for who, tracks in enumerate(groups, 1) for number in tracks}

    def _frames(self, tracks: list[int]) -> int:
        return sum(self._all[number].frames for number in tracks)

    def _groups(self) -> list[list[int]]:
        """Return the pieces of each who might be a person."""
        numbers = sorted(self._all, key=lambda n: (-self._all[n].frames, n))
        if self.linking.by == "overlap" or len(numbers) < 2:
            return [[number] for number in numbers]
        most, rest = numbers[:MANY], numbers[MANY:]
        means = np.stack([self._all[number].rows.mean for number in most])
        owner = self._grouped(most, means)
        groups = [[most[i] for i in np.flatnonzero(owner == n)] for n in range(owner.max() + 1)]
        for number in rest:
            self._join(number, groups)
        return groups

    def _grouped(self, numbers: list[int], means: F64) -> I64:
        place = {number: i for i, number in enumerate(numbers)}
        apart = [(place[a], place[b]) for a, b in self._together if a in place and b in place]
        return group(similarity(means, means), apart, Grouping(self.linking.threshold))

    def _join(self, number: int, groups: list[list[int]]) -> None:
        """Add a short piece of very many to the most similar group, or begin one with it."""
        mine = self._all[number].rows.mean[None]
        heads = np.stack([self._all[tracks[0]].rows.mean for tracks in groups])
        like: Array = similarity(mine, heads)[0]
        for who in np.argsort(-like, kind="stable").tolist():
            if like[who] < self.linking.threshold:
                break
            if not any(tuple(sorted((number, other))) in self._together for other in groups[who]):
                groups[who].append(number)
                return
        groups.append([number])


class _Piece:
    """What is kept of one piece of a track."""

    def __init__(self, begins: tuple[int, float]) -> None:
        self.begins = begins  # its first frame, and where it stands there: from the left
        self.frames = 0
        self.rows = Statistics()


def persons_of(piece: I64, persons: Mapping[int, int]) -> I64:
    """Return the person (M,) of faces by their pieces (M,); NOBODY where there is none."""
    return np.array([persons.get(number, NOBODY) for number in piece.tolist()], np.int64)
