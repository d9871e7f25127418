"""Clips go in; the name of a file for each comes out, no two alike."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlsplit


class Part(Protocol):
    """What is to be known of an input."""

    @property
    def path(self) -> str: ...
    @property
    def start(self) -> float | None: ...
    @property
    def end(self) -> float | None: ...


Clip = TypeVar("Clip", bound=Part)


def file_names(clips: Sequence[Clip], suffix: str, taken: Iterable[str] = ()) -> dict[Clip, str]:
    """Return clip.srt for clip.mp4; of several so called clip.mp4.srt, then clip.mp4.2.srt.

    A part of a clip has its times in the name: clip.60-75.srt.
    taken: names that are given to none; upper and lower case are alike, as on some disks
    """
    used = {name.lower() for name in taken}
    names: dict[Clip, str] = {}
    for clip in clips:
        for name in _candidates(clip, suffix):
            if name.lower() not in used:
                used.add(name.lower())
                names[clip] = name
                break
    return names


def _candidates(clip: Part, suffix: str) -> Iterable[str]:
    path = urlsplit(clip.path).path if "://" in clip.path else clip.path
    whole = os.path.basename(path.rstrip("/")) or "clip"
    part = "" if clip.start is None and clip.end is None else _span(clip)
    yield f"{os.path.splitext(whole)[0]}{part}{suffix}"
    yield f"{whole}{part}{suffix}"
    number = 2
    while True:
        yield f"{whole}.{number}{part}{suffix}"
        number += 1


def _span(clip: Part) -> str:
    start, end = ("" if time is None else f"{time:g}" for time in (clip.start, clip.end))
    return f".{start}-{end}"
