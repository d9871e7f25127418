"""The folders of a run's inputs: whether one went, or another came in its place, while it ran."""

from __future__ import annotations

import os
from collections.abc import Iterable

from videmo.files import remote
from videmo.runs.inputs import Clip

Identity = tuple[int, int]  # device and number of a folder


class Roots:
    """The folders of clips as they are now, to be looked at again when a clip fails.

    A folder that was renamed, or a disk that is mounted no more, fails every clip in it for a
    passing reason, which must not become their records.
    """

    def __init__(self, clips: Iterable[Clip]) -> None:
        folders = {_folder(clip) for clip in clips if not remote.is_url(clip.path)}
        self._were = {folder: found for folder in folders if (found := _identity(folder))}

    def gone(self, clip: Clip) -> str | None:
        """Return the folder of a clip if it was there, and is not, or is another now."""
        folder = _folder(clip)
        were = self._were.get(folder)
        return folder if were and were != _identity(folder) else None


def _folder(clip: Clip) -> str:
    return os.path.dirname(clip.path) or os.curdir


def _identity(folder: str) -> Identity | None:
    try:
        found = os.stat(folder)
        return found.st_dev, found.st_ino
    except (OSError, ValueError):
        return None
