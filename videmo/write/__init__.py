"""Records of clips go in, one at a time; a table, JSON, CSV or TSV comes out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, TextIO, cast

from videmo.errors import InputError, UnknownName
from videmo.registry import find
from videmo.write.sink import Out, open_sink

WRITERS = {
    "table": "videmo.write.table:Table",
    "ndjson": "videmo.write.ndjson:Ndjson",
    "json": "videmo.write.ndjson:Json",
    "csv": "videmo.write.columns:Csv",
    "tsv": "videmo.write.columns:Tsv",
}
SUFFIXES = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "table",
}


class Writer(Protocol):
    """Writes records; leaving it by an exception removes the unfinished file."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record.

        Raises OutputError; BrokenPipeError when the reader of a pipe has gone.
        """

    def close(self) -> None:
        """Complete the output; a second time does nothing."""

    def __enter__(self) -> Writer: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_writer(
    format: str,
    out: Out,
    *,
    labels: Sequence[str],
    top: int | None = None,
    extra: Iterable[str] = (),
    stream: TextIO | None = None,
) -> Writer:
    """Return a writer of `format` to the file `out`, which appears when the writer is closed.

    out: None or "-" is `stream`, by default the standard output
    labels: the head's, in its order; may be empty
    top: at most so many scores, highest first, in JSON and the table; CSV and TSV have all
    extra: optional keys ("start", "track") that CSV and TSV add at the end of their columns

    Raises UnknownName for a format, OutputError for a place that cannot be written.
    """
    kind = find("format", WRITERS, format)
    sink = open_sink(out, stream)
    try:
        return cast(Writer, kind(sink, labels, top, extra))
    except BaseException:
        sink.discard()
        raise


def format_of(out: str | os.PathLike[str] | None, tty: bool) -> str:
    """Return the format that the suffix of `out` asks for.

    Without a file it is a table for a person at a terminal, NDJSON for a program; so it is
    NDJSON for a device (/dev/stdout) too.

    Raises UnknownName for a suffix that says nothing, InputError where there is none.
    """
    name = "-" if out is None else os.fspath(out)
    if name == "-":
        return "table" if tty else "ndjson"
    suffix = os.path.splitext(name)[1].lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix:
        raise UnknownName("output format", suffix, SUFFIXES)
    if name.startswith(("/dev/", "/proc/")):
        return "ndjson"
    known = ", ".join(SUFFIXES)
    raise InputError(f"{name}: no suffix says the format; end it in {known}, or give --format")
