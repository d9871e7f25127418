"""Recordings that were joined byte by byte, of which FFmpeg reads the first: found, and told."""

from __future__ import annotations

import os

from videmo.stages.decode.probe import boxes

_FLV = b"FLV\x01"  # how each begins (Adobe Flash Video File Format 10.1, E.2)
_NEAR = 1 << 16  # bytes behind the last frame: the rest of the sound


def unread_recording(path: str, container: str, end: int) -> str | None:
    """Return what is to be told of a second recording in a file that was read to its end.

    container: FFmpeg's name of the format; end: where the last frame of the first one ends
    """
    if not os.path.isfile(path):
        return None
    at = None
    if container.startswith("flv"):
        at = _second_flv(path, end)
    elif container.startswith("mov"):
        at = _second_mp4(path)
    if at is None:
        return None
    return (
        f"another recording begins at byte {at} of {os.path.getsize(path)} and is not read: joined "
        "byte by byte; join them with a program that knows the format"
    )


def _second_flv(path: str, end: int) -> int | None:
    with open(path, "rb") as file:
        file.seek(end)
        found = file.read(_NEAR).find(_FLV)
    return end + found if found >= 0 else None


def _second_mp4(path: str) -> int | None:
    """Return where a second index lies, or the file type in front of it."""
    indices, begins = 0, None
    for name, at, _ in boxes(path):
        begins = at if name == b"ftyp" and indices else begins
        indices += name == b"moov"
        if indices == 2:
            return at if begins is None else begins
    return None
