"""Frames in, faces out: found in whole frames now and then, and followed in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from videmo.data import COUNT, F64, NOT_NEGATIVE, SHARE, U8, Array, Faces, FrameBatch
from videmo.errors import InputError
from videmo.stages.boxes import iou
from videmo.stages.image import Cuts, Still, averaged

AUTO = "auto"
SAME_OVERLAP = (
    0.3  # intersection over union from which a face that was found is one that was followed
)
MERGED_OVERLAP = 0.5  # ... and two faces that were followed have become one
ROUNDING = 1e-6  # s; times are sums of floats

FindFaces = Callable[[FrameBatch], Faces]
FollowFaces = Callable[[U8, Array], tuple[F64, F64, F64]]


@dataclass(frozen=True)
class Following:
    """How often whole frames are looked at; every field changes numbers."""

    every: int | str = (
        AUTO  # look at the whole of every so many frames of the source; auto: in time
    )
    longest: float = 0.5  # s from one whole look to the next, with auto
    score: float = 0.6  # a face goes on while what follows it is so sure, 0..1
    overlap: float = 0.5  # ... and finds it so near to where it was expected
    gap: float = 1.0  # s that a face goes on for if whole looks do not find it again
    glance: int | None = 64  # px: see `_Follower`; None: every whole look is at the frame as it is
    cut: float = 40.0  # mean change of the colours (0..255) between two frames that ends all faces
    give: float = 0.1  # share by which the place about which one looks gives way to what is seen

    def __post_init__(self) -> None:
        if self.every != AUTO and not (type(self.every) is int and self.every >= 1):
            raise InputError(f"detect-every is {self.every}; give auto, or 1 (each frame) or more")
        for name in ("longest", "gap", "cut"):
            NOT_NEGATIVE.check(name, getattr(self, name))
        COUNT.check_given("glance", self.glance)
        for name in ("score", "overlap", "give"):
            SHARE.check(name, getattr(self, name))

    @property
    def follows(self) -> bool:
        """Whether there are frames that are not looked at as a whole."""
        return self.every != 1


@dataclass
class Looks:
    """What was done with the frames of a clip, and what was seen that does not count."""

    whole: int = 0  # frames that were looked at as a whole; in the others faces were followed
    left_out: int = 0  # faces that are too small, blurred, dark or turned away to count
    several: int = 0  # frames that show more than one face, whichever of them count

    def leave_out(self, faces: int) -> None:
        """Count faces that do not count."""
        self.left_out += faces


def follow(
    batches: Iterable[FrameBatch],
    find: FindFaces,
    look: FollowFaces,
    following: Following,
    looks: Looks | None = None,
) -> Iterator[tuple[FrameBatch, Faces]]:
    """Yield each batch of frames with its faces, ordered by row, then by falling score.

    The whole frame is looked at where `following.every` says so, and wherever else it must: while
    no face is known, where one was lost or two became one, and after a cut. So a frame without a
    face was looked at as a whole, or looks as one did that was: nothing moves on a slide. On the
    others each face is looked for around a place that rests on it, moved on as its points moved
    before; it goes on at a lower certainty than it began with.

    When a whole look is due depends on the frame's own time and number, and what was found
    replaces what was followed: nothing depends on where batches end, nor, `gap` s after a
    beginning, on where that was.

    find: finds the faces of frames; look: the face about each box (M, 4) of one frame (H, W, 3),
    as box, score (M,) and points (M, 5, 2), all in px of its pixels
    looks: is told what was done
    """
    watch = _Follower(find, look, following, looks or Looks())
    for frames in batches:
        known = [watch(_one(frames, row)) for row in range(len(frames))]
        row = np.repeat(np.arange(len(frames)), [len(one) for one in known])
        every = _KnownFaces.all_of(known)
        faces = Faces.on(frames, row, every.box, every.score, every.points)
        yield frames, faces[np.lexsort((faces.box[:, 0], -faces.score, faces.row))]


@dataclass(frozen=True, eq=False)
class _KnownFaces:
    """Faces that are known in one frame, in px of its pixels."""

    box: F64  # (K, 4)
    score: F64  # (K,)
    points: F64  # (K, 5, 2)
    place: F64  # (K, 4) the box about which it is looked for
    motion: F64  # (K, 2) of its points, from the frame before
    found: F64  # (K,) s, when a whole look last showed it

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, keep: Array) -> _KnownFaces:
        return _KnownFaces(*(getattr(self, one.name)[keep] for one in fields(self)))

    @classmethod
    def none(cls) -> _KnownFaces:
        """Return zero faces."""
        shapes = (4,), (), (5, 2), (4,), (2,), ()
        return cls(*(np.zeros((0, *shape)) for shape in shapes))

    @classmethod
    def of(cls, faces: Faces, scale: float) -> _KnownFaces:
        """Return what a whole look has shown; it stands still until it was seen to move."""
        box, points = (x.astype(np.float64) * scale for x in (faces.box, faces.landmarks))
        still = np.zeros((len(faces), 2))
        return cls(box, faces.score.astype(np.float64), points, box, still, faces.time)

    @classmethod
    def all_of(cls, parts: Sequence[_KnownFaces]) -> _KnownFaces:
        """Return the faces of several frames in a row, or of one frame from several sources."""
        if len(parts) == 1:
            return parts[0]
        parts = [cls.none(), *parts]
        columns = ([getattr(part, one.name) for part in parts] for one in fields(cls))
        return cls(*(np.concatenate(column) for column in columns))


class _Follower:
    """Goes from frame to frame with the faces it knows.

    A look that is merely due is a glance: the frame is halved as long as the smallest known face
    keeps `following.glance` px. It finds all that are about as large or larger, in a quarter or
    less of the time.
    """

    def __init__(
        self, find: FindFaces, look: FollowFaces, following: Following, looks: Looks
    ) -> None:
        self._find, self._look, self._following, self._looks = find, look, following, looks
        self._cut, self._empty = Cuts(following.cut), Still()
        self._known, self._size, self._tick = _KnownFaces.none(), (0, 0), -1

    def __call__(self, frame: FrameBatch) -> _KnownFaces:
        """Return the faces of the next frame, a batch of one."""
        pixels, size = frame.pixels[0], frame.pixels.shape[1:3]
        cut, due = self._cut(pixels), self._due(frame)
        before = _KnownFaces.none() if cut or size != self._size else self._known
        now = self._again(pixels, before, float(frame.time[0])) if len(before) else before
        lost, nobody = len(now) < len(before), not len(before) and not self._empty.like(pixels)
        if due or lost or nobody:
            self._looks.whole += 1
            seen = self._glanced(frame, now) if len(now) and not lost else frame
            found = self._settled(pixels, _KnownFaces.of(self._find(seen), frame.scale))
            now = _KnownFaces.all_of([found, now[_is_none_of(now.box, found.box)]])
            self._empty.keep(None if len(now) else pixels)
        self._known, self._size = now, size
        return now

    def _due(self, frame: FrameBatch) -> bool:
        """Return whether this frame is the first one at or after a time to look at the whole."""
        index, time, every = int(frame.index[0]), float(frame.time[0]), self._following.every
        tick = int((time + ROUNDING) // self._following.longest)
        before, self._tick = self._tick, tick if every == AUTO else index // int(every)
        return self._tick != before

    def _glanced(self, frame: FrameBatch, known: _KnownFaces) -> FrameBatch:
        """Return a frame as small as its faces allow."""
        if self._following.glance is None:
            return frame
        pixels, scale = frame.pixels[0], frame.scale
        least = (known.box[:, 2:] - known.box[:, :2]).max(1).min()
        while least >= 2 * self._following.glance:
            pixels, least, scale = averaged(pixels), least / 2, scale / 2
        return FrameBatch(pixels[None], frame.index, frame.time, scale)

    def _settled(self, pixels: U8, found: _KnownFaces) -> _KnownFaces:
        """Return faces of a whole look with box and points as if they had been followed there."""
        box, score, points = self._look(pixels, found.box)
        sure = self._is_there(box, score, found.box)
        box = np.where(sure[:, None], box, found.box)
        return replace(found, box=box, points=np.where(sure[:, None, None], points, found.points))

    def _again(self, pixels: U8, before: _KnownFaces, time: float) -> _KnownFaces:
        """Return those of the faces that are seen again, where they are now.

        What `look` says depends a little, and by no rule, on the box about which it looks: by 4 %
        of the size. So that box stays where it is on a face, by its points, which do not.
        """
        expected = _moved(before.place, before.motion)
        box, score, points = self._look(pixels, expected)
        motion = np.nan_to_num((points - before.points).mean(1))  # NaN: the detector gave none
        place = _moved(before.place, motion)
        place += self._following.give * (box - place)  # for faces come nearer, and turn
        now = _KnownFaces(box, score, points, place, motion, before.found)
        lately = time - before.found <= self._following.gap + ROUNDING
        return _without_doubles(now[self._is_there(box, score, expected) & lately])

    def _is_there(self, box: F64, score: F64, expected: F64) -> Array:
        """Return of which faces (K,) is true that what was seen is them."""
        near = iou(box, expected).diagonal() >= self._following.overlap
        return np.asarray((score >= self._following.score) & near)


def _moved(box: F64, by: F64) -> F64:
    """Return boxes (K, 4) moved by (K, 2)."""
    return np.asarray(box + by[:, [0, 1, 0, 1]])


def _without_doubles(known: _KnownFaces) -> _KnownFaces:
    """Return the faces without those that have become one with a surer one."""
    if len(known) < 2:
        return known
    order = np.argsort(-known.score, kind="stable")
    known = known[order]
    same = np.triu(iou(known.box, known.box) > MERGED_OVERLAP, 1)
    return known[np.asarray(~same.any(0))]


def _is_none_of(box: Array, others: Array) -> Array:
    """Return which of the boxes (A, 4) are none of the others (B, 4): (A,) bool."""
    return np.asarray((iou(box, others) < SAME_OVERLAP).all(1))


def _one(frames: FrameBatch, row: int) -> FrameBatch:
    """Return one frame as a batch."""
    rows = slice(row, row + 1)
    return FrameBatch(frames.pixels[rows], frames.index[rows], frames.time[rows], frames.scale)
