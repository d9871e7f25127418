"""Records of clips go in, one at a time; a table, JSON, CSV, TSV or Parquet comes out.

a key of a record       one entry in `schema`: schema, columns and types follow from it
a doubt in words        `doubts`: warnings where one answer for a clip is too little
a quality of faces      `videmo.stages.quality` measures it, `schema` tells it
a format of records     a class and a line in `formats`
a format of features    a class of `features.FeatureWriter`, and `open_features` here
what is whole or not    `sink`: every output is written beside its place, then renamed
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

from videmo.errors import InputError
from videmo.files.extras import require
from videmo.stages.registry import resolve
from videmo.write.columns import Column
from videmo.write.formats import EVERY, FORMATS, Format, suffixes
from videmo.write.names import DEVICES, kind_of
from videmo.write.sink import Out, open_sink

if TYPE_CHECKING:
    from videmo.write.feature_table import FeatureTable
    from videmo.write.features import FeatureWriter


class Writer(Protocol):
    """Writes records; leaving it by an exception removes the unfinished file."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record.

        Raises OutputError; ReaderGone when the reader of a pipe has gone.
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
    columns: Sequence[Column] | None = None,
    stream: TextIO | None = None,
    mark: bool = False,
) -> Writer:
    """Return a writer of `format` to the file `out`, which appears when the writer is closed.

    out: None or "-" is `stream`, by default the standard output
    labels: the head's, in its order; may be empty
    top: at most so many scores, highest first, in JSON and the table; CSV and TSV have all
    extra: optional keys ("start", "track") that CSV and TSV add at the end of their columns
    columns: of CSV, TSV and Parquet, where records are not those of clips
    mark: begin with the mark of UTF-8 (BOM), by which spreadsheets know CSV and TSV for it

    Raises UnknownName for a format, OutputError for a place that cannot be written, and what
    `ready` raises.
    """
    kind = resolve("format", {name: form.writer for name, form in EVERY.items()}, format)
    ready(format, out)
    sink = open_sink(out, stream)
    try:
        if mark:
            sink.write("\ufeff")
        return cast(Writer, kind(sink, labels, top, extra, columns))
    except BaseException:
        sink.discard()
        raise


def ready(format: str, out: Out) -> None:
    """Raise now what a format lacks, not after hours of work: InputError, MissingDependency."""
    if format not in EVERY or EVERY[format].text:
        return
    if out is None or os.fspath(out) == "-":
        raise InputError(f"{format} is no text for the standard output; name a file with --out")
    require(EVERY[format].needs)


def format_of(
    out: str | os.PathLike[str] | None,
    tty: bool,
    *,
    files: bool = False,
    asked: str | None = None,
    formats: Mapping[str, Format] = FORMATS,
) -> str:
    """Return the format that the suffix of `out` asks for.

    Without a file it is a table for a person at a terminal, NDJSON for a program; so it is
    NDJSON for a device (/dev/stdout) too.

    files: also formats that are no text
    formats: those that there are
    asked: the format of --format, for the standard output and files whose suffix says nothing

    Raises UnknownName for a suffix that says nothing, InputError where there is none, or where it
    says another format than is asked for.
    """
    name = "-" if out is None else os.fspath(out)
    if name == "-":
        return asked or ("table" if tty else "ndjson")
    if name.startswith(DEVICES) and not os.path.splitext(name)[1]:
        return asked or "ndjson"
    known = suffixes(name for name, format in formats.items() if format.text or files)
    return kind_of(name, known, asked=asked, option="--format")


FEATURES = {".npz": "npz", ".parquet": "parquet", ".csv": "csv", ".tsv": "tsv"}


def feature_format(path: str | os.PathLike[str]) -> str:
    """Return the format of a feature file by its suffix; raises what `kind_of` does."""
    return "npz" if os.fspath(path).startswith(DEVICES) else kind_of(path, FEATURES)


def open_features(
    out: str | os.PathLike[str],
    *,
    names: Sequence[str],
    meta: Mapping[str, Any],
    frames: bool = False,
) -> FeatureWriter:
    """Return what writes the features of clips to `out`; see `videmo.write.features`.

    Raises InputError for faces in a file of rows, UnknownName for a suffix that says nothing.
    """
    format = feature_format(out)
    if format == "parquet":
        from videmo.write.parquet import FeatureParquet

        return FeatureParquet(out, names=names, meta=meta, frames=frames)
    if format in ("csv", "tsv"):
        from videmo.write.features import FeatureRows

        refuse_faces(out, frames)
        return FeatureRows(out, names=names, meta=meta)
    from videmo.write.npz import FeatureFile

    return FeatureFile(out, names=names, meta=meta, frames=frames)


def load_features(
    path: str | os.PathLike[str], *, frames: bool = True, alone: bool = False
) -> FeatureTable:
    """Return what `open_features` has written; see `videmo.write.npz.load_features`.

    Rows of CSV and TSV are read as tables of numbers (`videmo.train.clip_rows`), not here.
    """
    if os.fspath(path).lower().endswith(".parquet"):
        from videmo.write import parquet_reader

        return parquet_reader.load_features(path, frames=frames, alone=alone)
    from videmo.write import npz

    return npz.load_features(path, frames=frames, alone=alone)


def refuse_faces(out: str | os.PathLike[str], frames: bool) -> None:
    """Raise InputError where features of faces are to be kept in a file of rows of clips."""
    if frames and feature_format(out) in ("csv", "tsv"):
        raise InputError(f"{os.fspath(out)}: holds clips alone; --frames wants .npz or .parquet")


def frames_of(out: str | os.PathLike[str]) -> str:
    """Return the name of the Parquet file for the faces of the clips in `out`."""
    return f"{os.path.splitext(os.fspath(out))[0]}.frames.parquet"
