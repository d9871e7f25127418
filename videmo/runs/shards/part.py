"""What every part of a run is: a file that one shard wrote, a summary of each of its records."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

from videmo.errors import InputError
from videmo.write.schema import PROVENANCE
from videmo.write.sink import Out

_FREE = ("decoder", "device")  # these change no number, so they may differ


SETTINGS = ("schema_version", *(name for name in PROVENANCE if name not in _FREE))


TIMES = ("start", "end")


_OPEN = 64  # files that are open at once


class RowSummary(NamedTuple):
    """What is to be known of one record."""

    line: int  # from 1
    path: str
    start: float | None  # s
    end: float | None  # s
    status: int  # in STATUSES
    person: bool  # whether it tells of one person, whose start and end these are
    many: bool  # whether a clip may have several of them, side by side
    settings: Mapping[str, str]  # what all records of a run share


class OpenFiles:
    """Open files, some at a time: a run may have more parts than a process may open."""

    def __init__(self) -> None:
        self._open: dict[str, IO[bytes]] = {}

    def read(self, name: str, begin: int, length: int) -> bytes:
        """Return `length` bytes of a file."""
        file = self._open.pop(name, None) or open_part(name)
        self._open[name] = file  # the last used stands last
        if len(self._open) > _OPEN:
            self._open.pop(next(iter(self._open))).close()
        file.seek(begin)
        return file.read(length)

    def close(self) -> None:
        """Close them all."""
        while self._open:
            self._open.popitem()[1].close()


class Part(ABC):
    """A file that one shard wrote.

    columns: names that all parts of a run share, but for the last two, of TIMES
    wanted: those of the output
    notes: what is to be told of it, a line each
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.columns: list[str] = []
        self.wanted: list[str] = []
        self.notes: list[str] = []

    @property
    def common(self) -> list[str]:
        """The columns without start and end at their end."""
        return self.columns[: len(self.columns) - len(self.times)]

    @property
    def times(self) -> list[str]:
        """Those of start and end that stand at the end: where clips of the part have them."""
        return [name for name in self.columns[-2:] if name in TIMES]

    @abstractmethod
    def summaries(self, partial: bool) -> Iterator[RowSummary]:
        """Yield a summary of each record; a last one that is cut off is left out if `partial`.

        Raises MergeError that names file and line, InputError for a file that cannot be read.
        """

    @abstractmethod
    def content(self, row: int) -> Any:
        """Return a record, to be compared and written."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Return where a record stands."""

    @abstractmethod
    def write(self, out: Out, parts: Sequence[Part], order: Iterable[tuple[Part, int]]) -> None:
        """Write records of parts of this format to one output; raises OutputError."""


def open_part(name: str) -> IO[bytes]:
    """Return a part, open for reading; raises InputError, also for what can be read once only."""
    if os.path.exists(name) and not os.path.isfile(name):
        raise InputError(f"{name}: no file, and parts are read more than once; write it to one")
    try:
        return open(name, "rb")
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"{name}: cannot be read ({said}); name what a shard wrote") from error
