"""How far clips are that other processes look at: numbers in memory that all of them share.

There are no locks, for a process that is killed would hold its own for ever. Each number has one
writer, and one that is read a moment too early is of the moment before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from videmo.data import Features, VideoInfo
from videmo.stages.decode import Sampling, expected_frames

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext

_BEGUN, _SEEN, _EXPECTED = range(3)  # where the numbers of a clip lie
_SIZE = 3


class Underway(NamedTuple):
    """A clip that a process looks at, or has looked at while another clip's turn has not ended."""

    place: int  # on the board
    path: str
    seen: int  # frames that were looked at
    expected: int | None  # that will have been, where it is known
    done: bool = False


class Board:
    """Places on which processes note how far they are, one a clip."""

    def __init__(self, places: int, context: SpawnContext) -> None:
        self._numbers = context.RawArray("d", places * _SIZE)
        self._free = [*range(places)]

    def take(self) -> int | None:
        """Return a place that is empty from now on, or None where all are taken."""
        if not self._free:
            return None
        place: int = self._free.pop()
        self._numbers[place * _SIZE : (place + 1) * _SIZE] = [0.0] * _SIZE
        return place

    def give_back(self, place: int | None) -> None:
        """Let another clip have a place."""
        if place is not None:
            self._free.append(place)

    def read(self, place: int | None, path: str, *, done: bool) -> Underway | None:
        """Return how far the clip of a place is, or None where nobody has begun it."""
        if place is None:
            return None
        begun, seen, expected = self._numbers[place * _SIZE : (place + 1) * _SIZE]
        return Underway(place, path, int(seen), int(expected) or None, done) if begun else None

    def writer(self, place: int) -> Writer:
        """Return what notes on a place; for the process that looks at its clip."""
        return Writer(self, place * _SIZE)

    def _set(self, at: int, number: float) -> None:
        self._numbers[at] = number


class Writer:
    """Notes how far one clip is, as the hooks of `Pipeline.answer`."""

    def __init__(self, board: Board, at: int) -> None:
        self._board, self._at = board, at
        board._set(at + _SEEN, 0.0)  # a second try begins again
        board._set(at + _BEGUN, 1.0)

    def opened(self, info: VideoInfo, sampling: Sampling) -> None:
        """Note how many frames will have been looked at."""
        self._board._set(self._at + _EXPECTED, frames_expected(info, sampling) or 0)

    def watch(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on, and note how many frames were looked at."""
        seen = 0
        for features in river:
            seen += features.seen
            self._board._set(self._at + _SEEN, seen)
            yield features


def frames_expected(info: VideoInfo, sampling: Sampling) -> int | None:
    """Return about how many frames of a clip are looked at, or None where it does not say."""
    frames = expected_frames(info, sampling)
    return max(1, round(frames)) if math.isfinite(frames) else None
