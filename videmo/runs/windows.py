"""Clips go in; their parts of one length come out, each a clip of its own.

For heads that read a clip as a whole: what they say of each part of it is a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from videmo.data import POSITIVE
from videmo.errors import InputError
from videmo.files.remote import is_url
from videmo.runs.inputs import Clip
from videmo.stages.decode import open_video


def windows(clips: Iterable[Clip], length: float, frame_rate: float = 25.0) -> list[Clip]:
    """Return the parts of `length` s of each clip, or of the part of it that is asked for.

    The last one goes to the end, and is at least half and at most one and a half as long, so that
    none is without a frame. A clip that does not say how long it is, or cannot be read, is one
    part: its record says why.
    frame_rate: pictures/s of folders

    Raises InputError for a clip at a URL, which would be fetched to know how long it is.
    """
    POSITIVE.check("window", length)
    return [part for clip in clips for part in _parts(clip, length, frame_rate)]


def _parts(clip: Clip, length: float, frame_rate: float) -> Iterator[Clip]:
    if is_url(clip.path):
        raise InputError(f"{clip.path}: to be taken in windows it must be a file; fetch it first")
    first, end = clip.start or 0.0, clip.end
    last = end if end is not None else _duration(clip.path, frame_rate)
    count = max(1, round((last - first) / length)) if last is not None else 1
    edges = [first + n * length for n in range(count)]
    for start, until in zip(edges, [*edges[1:], end], strict=True):
        yield replace(clip, start=start, end=until)


def _duration(path: str, frame_rate: float) -> float | None:
    """Return the s until a clip ends, as it says itself, or None where it says nothing."""
    with suppress(Exception), open_video(path, frame_rate=frame_rate, threads=1) as video:
        return video.info.duration
    return None
