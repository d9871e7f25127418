r"""Records, features of clips and their faces as Parquet files, and the way back.

    emotions.parquet       a row a record, the columns of CSV with their types
    feats.parquet          a row a clip, its descriptor in one column
    feats.frames.parquet   a row a face, only on demand

`videmo.write.schema` lists the columns. What is not known is null. Files grow by row groups, so
memory holds no more than one. Text is UTF-8; a path that is not is escaped (`videmo.write.escape`).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from videmo.data import I64, Array, Descriptor, Features
from videmo.errors import InputError
from videmo.files.extras import missing_dependency
from videmo.write import frames_of
from videmo.write.columns import column_types
from videmo.write.escape import escaped, unescaped
from videmo.write.npz import (
    FACTS,
    TIMES,
    FeatureTable,
    known_once,
    meta_text,
    table_of,
    text_array,
)
from videmo.write.record import RecordWriter, plain, tidy
from videmo.write.schema import PROVENANCE, TYPES, VERSION, keys
from videmo.write.sink import AtomicOutput, Sink, open_file

META = "videmo.meta"  # of the file: JSON
NAMES = "videmo.feature_names"  # of feature files: JSON
FRAMES = "videmo.frames"  # of feature files with faces: the name of the file beside it
GROUP = 4096  # rows of a group, fewer where they are wide
_BYTES = 16 << 20  # of the vectors of a group
_PER_FACE = ("index", "time", "track", "box", "score")


def arrow() -> tuple[Any, Any]:
    """Return pyarrow and pyarrow.parquet; raises MissingDependency."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise missing_dependency("pyarrow") from error
    return pyarrow, pyarrow.parquet


class Parquet(RecordWriter):
    """The columns of CSV: text, float64, int64, and a list of texts for the warnings.

    All scores are written, whatever `top` says. The file's metadata tell the version of the
    schema, the labels, and what made the first record.
    """

    def begin(self) -> None:
        """Write nothing yet."""
        types = {column.name: column.type for column in self.columns}
        self._groups = RowGroups(self.sink, types)
        self._tell({})

    def write(self, record: Mapping[str, Any]) -> None:
        """Keep `record` as one row until its group is full."""
        flat = tidy(record, self.labels)
        if not self._made:
            self._tell({**(record.get("provenance") or {}), "decoder": None})  # it differs by clip
        self._groups.add([column.of(flat) for column in self.columns])

    def finish(self) -> None:
        """Write the last group and what readers look for at the end."""
        self._groups.close()

    def _tell(self, made: Mapping[str, Any]) -> None:
        meta = {"schema_version": VERSION, "labels": self.labels, "provenance": made}
        self._made, self._groups.meta = made, {META: meta_text(meta)}


class FeatureParquet(AtomicOutput):
    """Writes the features of clips as they come; the arguments are those of `npz.FeatureFile`.

    With `frames` the faces are a second file, `frames_of(out)`, which appears just before `out`.
    Raises OutputError, MissingDependency.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        *,
        names: Sequence[str],
        meta: Mapping[str, Any],
        frames: bool = False,
    ) -> None:
        arrow()
        self._width, self._meta, self._clips = len(names), {META: meta_text(meta)}, 0
        self._sink = open_file(out)
        width = {"features": self._width}
        self._groups = RowGroups(self._sink, _types("features"), width, holes=width)
        self._groups.meta = {**self._meta, NAMES: json.dumps([*names])}
        self._faces: _Faces | None = None
        if frames:
            beside = frames_of(out)
            self._groups.meta[FRAMES] = os.path.basename(beside)
            with self._sink.guard():
                self._faces = _Faces(beside, self._meta)

    def add(
        self,
        path: str,
        status: str,
        error: str = "",
        descriptor: Descriptor | None = None,
        duration: float | None = None,
        features: Iterable[Features] | None = None,
        label: str | None = None,
        split: str | None = None,
        subject: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> None:
        """Add one clip, as to an `npz.FeatureFile`; of an error `features` are not read.

        Raises ValueError for a descriptor of another length, and what reading `features` raises.
        """
        values = descriptor.values if descriptor and len(descriptor.values) else None
        if values is not None and len(values) != self._width:
            raise ValueError(f"{len(values)} values for {self._width} feature names")
        if self._faces and features is not None and status != "error":
            for batch in features:
                self._faces.add(self._clips, path, batch)
        seen = (descriptor.seen, descriptor.frames, descriptor.faces) if descriptor else (0, 0, 0)
        known = None if duration is None or math.isnan(duration) else duration
        texts = (text or None for text in (error, label, split, subject))
        facts = plain([path, status, *texts, start, end, *seen, known])
        self._groups.add([*facts, values])
        self._clips += 1

    def close(self) -> None:
        """Write what is left, first of the faces; a second time does nothing."""
        if not self._sink.open:
            return
        with self._sink.guard():
            if self._faces:
                self._faces.close()
            self._groups.close()
        self._sink.close()

    def discard(self) -> None:
        """Remove the unfinished files."""
        if self._faces:
            self._faces.discard()
        self._sink.discard()


class RecordTable:
    """The records of a Parquet file, in any order; one group of them is in memory at a time.

    Raises InputError for a file that cannot be read or that videmo has not made.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        with self._file() as file:
            self.columns: list[str] = file.schema_arrow.names
            known_once(path, self.columns, self.columns)
            metadata = {k.decode(): v.decode() for k, v in (file.metadata.metadata or {}).items()}
            groups = range(file.num_row_groups)
            sizes = [file.metadata.row_group(n).num_rows for n in groups]
        self.features, self._ends = NAMES in metadata, np.cumsum(sizes, dtype=np.int64)
        self._group, self._rows = -1, list[dict[str, Any]]()
        try:
            self.meta: dict[str, Any] = dict(json.loads(metadata[META]))
        except (KeyError, TypeError, ValueError) as error:
            said = f"its metadata {META} is no JSON object"
            raise InputError(f"{path}: {said}; make it with videmo") from error

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the cells of a row by column."""
        if row >= len(self):
            raise IndexError(row)
        group = int(np.searchsorted(self._ends, row, side="right"))
        if group != self._group:
            with self._file() as file:
                self._group, self._rows = group, _plain(file.read_row_group(group))
        return self._rows[row - int(self._ends[group])]

    @contextmanager
    def _file(self) -> Iterator[Any]:
        _, pq = arrow()
        with _reading(self.name), open(self.name, "rb") as opened:
            yield pq.ParquetFile(opened)


def write_records(
    out: str, columns: Sequence[str], meta: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows of record files as one, as if one run had written them.

    columns: names, in their order; a row that lacks one has null there
    meta: of any of the files; what made the numbers is taken from the first row
    """
    sink = open_file(out)
    groups = RowGroups(sink, column_types(columns))
    groups.meta = {META: meta_text({**meta, "provenance": {}})}
    with sink.guard():
        for n, row in enumerate(rows):
            if not n:
                made = {name: row.get(name) for name in PROVENANCE} | {"decoder": None}
                groups.meta = {META: meta_text({**meta, "provenance": made})}
            groups.add(plain([row.get(name) for name in columns]))
        groups.close()
    sink.close()


class RowGroups:
    """A Parquet file that grows by groups of rows; one group at most waits in memory.

    types: of the columns, as `schema.column_types` has them
    widths: of columns of vectors, float32
    holes: vectors that may be null. They are lists of any length: Arrow before 25 cannot read
        lists of one fixed length if one of them is null
    meta: of the file; may be changed until the first group is full
    """

    def __init__(
        self,
        sink: Sink,
        types: Mapping[str, str],
        widths: Mapping[str, int] | None = None,
        holes: Collection[str] = (),
    ) -> None:
        self._sink, self._types, self._widths, self._holes = sink, types, widths or {}, holes
        self.meta: dict[str, str] = {}
        self.most = max(1, min(GROUP, _BYTES // (4 * max([1, *self._widths.values()]))))
        self._rows: list[Sequence[Any]] = []
        self._writer: Any = None

    def add(self, row: Sequence[Any]) -> None:
        """Add one row, its cells in the order of the columns."""
        with self._sink.guard():
            self._rows.append(row)
            if len(self._rows) >= self.most:
                self._flush()

    def add_group(self, columns: Sequence[Any]) -> None:
        """Write a group, given as columns: sequences, or arrays (rows,) or (rows, width)."""
        pa, _ = arrow()
        with self._sink.guard():
            schema = self._opened().schema
            arrays = [_array(pa, some, of.type) for some, of in zip(columns, schema, strict=True)]
            self._writer.write_table(pa.table(arrays, schema=schema))

    def close(self) -> None:
        """Write the last rows and the end of the file."""
        with self._sink.guard():
            if self._rows:
                self._flush()
            self._opened().close()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self.add_group([*zip(*rows, strict=True)])

    def _opened(self) -> Any:
        if self._writer is None:
            pa, pq = arrow()
            texts = [name for name, of in self._types.items() if of == "string"]
            self._writer = pq.ParquetWriter(
                _Door(self._sink), self._schema(pa), use_dictionary=texts
            )
        return self._writer

    def _schema(self, pa: Any) -> Any:
        plain = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(),
                 "boolean": pa.bool_(), "array": pa.list_(pa.string())}  # fmt: skip
        vectors = {
            name: pa.list_(pa.float32(), -1 if name in self._holes else width)
            for name, width in self._widths.items()
        }
        columns = [(name, vectors.get(name, plain[of])) for name, of in self._types.items()]
        return pa.schema(columns, metadata=self.meta)


def load_features(
    path: str | os.PathLike[str], *, frames: bool = True, alone: bool = False
) -> FeatureTable:
    """Return what FeatureParquet has written, as `npz.load_features` does for its files.

    frames: also load the rows of the faces, where there are any
    alone: refuse columns of other names, where they would be lost

    Raises InputError that names the file and what is wrong with it, MissingDependency.
    """
    name = os.fspath(path)
    table, meta = _read(name, "features", alone)
    names = _names(name, meta)
    found: dict[str, Array] = {n: texts(table[n]) for n in ("path", "status")}
    found["error"] = texts(table["message"])
    told = [n for n in (*FACTS, *TIMES) if table[n].null_count < len(table)]
    found |= {n: texts(table[n]) if n in FACTS else _floats(table[n]) for n in told}
    found |= {n: table[n].to_numpy() for n in ("frames", "face_frames", "faces")}
    found["duration"] = _floats(table["duration"])
    found["features"] = _matrix(name, table["features"], len(names))
    found["feature_names"] = text_array(names)
    found["meta"] = text_array([meta[META]]).reshape(())
    if frames and FRAMES in meta:
        beside = os.path.join(os.path.dirname(name), os.path.basename(meta[FRAMES]))
        found |= _frames(beside, found["path"], name, alone)
    return table_of(name, found)


def rows(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, whoever wrote it, without vectors; a group at a time.

    Raises InputError for a file that cannot be read, MissingDependency.
    """
    name, (pa, pq) = os.fspath(path), arrow()
    with _reading(name), open(name, "rb") as opened:
        file = pq.ParquetFile(opened)
        wanted = [of.name for of in file.schema_arrow if not _is_vector(pa, of.type)]
        for n in range(file.num_row_groups):
            yield from _plain(file.read_row_group(n, wanted))


def _plain(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table of Arrow, file names as on the disk."""
    return [{name: _unescaped(value) for name, value in row.items()} for row in table.to_pylist()]


def _unescaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_unescaped(one) for one in value]
    return unescaped(value) if isinstance(value, str) else value


def texts(column: Any) -> Array:
    """Return a column of text, "" where there is none, in which file names are as on the disk."""
    return text_array([unescaped(text) if text else "" for text in column.to_pylist()])


class _Faces:
    """The file of faces: batches wait until they fill a group."""

    def __init__(self, out: str, meta: Mapping[str, str]) -> None:
        self._sink, self._meta = open_file(out), dict(meta)
        self._groups: RowGroups | None = None
        self._waiting: list[tuple[int, str, Features]] = []
        self._rows = 0

    def add(self, clip: int, path: str, batch: Features) -> None:
        """Add the faces of a batch of a clip."""
        if not len(batch.values):
            return
        groups = self._opened(batch.values.shape[1])
        self._waiting.append((clip, path, batch))
        self._rows += len(batch.values)
        if self._rows >= groups.most:
            self._flush(groups)

    def close(self) -> None:
        groups = self._opened(0)  # no face has settled the width
        if self._waiting:
            self._flush(groups)
        groups.close()
        self._sink.close()

    def discard(self) -> None:
        self._sink.discard()

    def _opened(self, width: int) -> RowGroups:
        if self._groups is None:
            widths = {"box": 4, "features": width}
            self._groups = RowGroups(self._sink, _types("faces"), widths)
            self._groups.meta = self._meta
        return self._groups

    def _flush(self, groups: RowGroups) -> None:
        """Write what waits as one group."""
        some, self._waiting, self._rows = self._waiting, [], 0
        clips = np.repeat([clip for clip, _, _ in some], [len(one.values) for _, _, one in some])
        paths = [escaped(path) for _, path, one in some for _ in one.values]
        columns = [np.concatenate([getattr(one.faces, n) for _, _, one in some]) for n in _PER_FACE]
        groups.add_group([clips, paths, *columns, np.concatenate([x.values for _, _, x in some])])


class _Door:
    """What Arrow writes through; it also writes the end of a file that was given up: nowhere."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, content: Any) -> int:
        if self._sink.open:
            self._sink.file.write(content)
        return len(content)

    def flush(self) -> None:
        if self._sink.open:
            self._sink.file.flush()


def _types(table: str) -> dict[str, str]:
    return {key.name: TYPES[key.type]["type"] for key in keys(table)}


def _array(pa: Any, values: Any, of: Any) -> Any:
    """Return a column of the Arrow type `of`."""
    if isinstance(values, np.ndarray):
        if values.ndim == 1:
            return pa.array(values, of)
        flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values, of)


def _read(name: str, kind: str, alone: bool) -> tuple[Any, dict[str, str]]:
    """Return the table of a file of ours and what its metadata tell."""
    _, pq = arrow()
    with _reading(name), open(name, "rb") as file:
        table = pq.ParquetFile(file).read()
        meta = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    missing = [key for key in _types(kind) if key not in table.column_names]
    if META not in meta or missing:
        lack = f"column {missing[0]!r}" if missing else f"metadata {META}"
        raise InputError(f"{name}: holds no {lack}; make it with videmo extract-features")
    known_once(name, table.column_names, _types(kind) if alone else table.column_names)
    return table, meta


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what the system and Arrow say into an InputError that names the file."""
    pa, _ = arrow()
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        said = str(getattr(error, "strerror", None) or error).lower()
        raise InputError(f"{name}: cannot be read as Parquet ({said}); make it again") from error


def _is_vector(pa: Any, of: Any) -> bool:
    lists = pa.types.is_list(of) or pa.types.is_fixed_size_list(of)
    return bool(lists and pa.types.is_floating(of.value_type))


def _floats(column: Any) -> Array:
    """Return numbers, NaN where there is none."""
    return np.asarray(column.to_numpy(), np.float64)


def _names(path: str, meta: Mapping[str, str]) -> list[str]:
    try:
        return [str(name) for name in json.loads(meta[NAMES])]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its metadata {NAMES} is no JSON list; make it again") from error


def _matrix(path: str, column: Any, width: int) -> Array:
    """Return vectors as (rows, width) float32, NaN where there is none."""
    from pyarrow.compute import list_value_length

    there, whole = np.asarray(column.is_valid()), column.drop_null()
    if (np.asarray(list_value_length(whole)) != width).any():
        raise InputError(f"{path}: a vector is not of {width} values; make it again")
    matrix = np.full((len(there), width), np.nan, np.float32)
    place, rows = 0, np.flatnonzero(there)
    for chunk in whole.chunks:  # a copy of one at a time
        values = np.asarray(chunk.flatten()).reshape(len(chunk), width)
        matrix[rows[place : place + len(chunk)]] = values
        place += len(chunk)
    return matrix


def _frames(path: str, clips: Array, owner: str, alone: bool) -> dict[str, Array]:
    """Return the arrays of the faces, which belong to `clips`."""
    table, _ = _read(path, "faces", alone)
    clip: I64 = table["clip"].to_numpy()
    number, first = np.unique(clip, return_index=True)
    ends = np.concatenate([[0], clip, [len(clips) - 1]])
    sorted_ = not len(clip) or (np.diff(ends) >= 0).all()
    if not sorted_ or (clips[number] != texts(table["path"].take(first))).any():
        raise InputError(f"{path}: its faces are not of the clips in {owner}; make both again")
    width = getattr(table.schema.field("features").type, "list_size", 0)
    return {
        "frame_offsets": np.searchsorted(clip, np.arange(len(clips) + 1)),
        **{f"frame_{n}": table[n].to_numpy() for n in ("index", "time", "track")},
        "frame_score": table["score"].to_numpy().astype(np.float32),
        "frame_box": _matrix(path, table["box"], 4),
        "frame_features": _matrix(path, table["features"], width),
    }
