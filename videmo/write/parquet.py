r"""Records, features of clips and their faces as Parquet files; `parquet_reader` reads them.

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
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from videmo.data import Features
from videmo.files.extras import missing_dependency
from videmo.write import frames_of
from videmo.write.columns import column_types
from videmo.write.escape import escaped
from videmo.write.feature_table import meta_text
from videmo.write.features import FeatureRow, FeatureWriter
from videmo.write.record import RecordWriter, plain, tidy
from videmo.write.schema import PROVENANCE, TYPES, VERSION, keys
from videmo.write.sink import Sink, open_file

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


class FeatureParquet(FeatureWriter):
    """Writes a row a clip, its descriptor in one column.

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
        super().__init__(out, names=names, meta=meta)
        self._clips, width, told = 0, {"features": len(names)}, {META: meta_text(meta)}
        self._groups = RowGroups(self._sink, types_of("features"), width, holes=width)
        self._groups.meta = {**told, NAMES: json.dumps([*names])}
        self._faces: _Faces | None = None
        if frames:
            beside = frames_of(out)
            self._groups.meta[FRAMES] = os.path.basename(beside)
            with self._sink.guard():
                self._faces = _Faces(beside, told)

    def _add(self, row: FeatureRow, features: Iterable[Features] | None) -> None:
        if self._faces and features is not None and row.status != "error":
            for batch in features:
                self._faces.add(self._clips, row.path, batch)
        known = None if row.duration is None or math.isnan(row.duration) else row.duration
        texts = (text or None for text in (row.error, row.label, row.split, row.subject))
        facts = plain([row.path, row.status, *texts, row.start, row.end, *row.counts, known])
        self._groups.add([*facts, row.values])
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
        super().discard()


def write_records(
    out: str, columns: Sequence[str], meta: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows of record files as one, as if one run had written them.

    columns: names, in their order; a row that lacks one has null there
    meta: of any of the files; what made the numbers is taken from the first row
    """
    sink = open_file(out)
    groups = RowGroups(sink, column_types(columns))
    once: Mapping[str, Any] = meta.get("provenance") or {}
    groups.meta = {META: meta_text({**meta, "provenance": {}})}
    with sink.guard():
        for n, row in enumerate(rows):
            if not n:
                made = {name: row.get(name) for name in PROVENANCE} | {"decoder": None}
                made |= {name: value for name, value in once.items() if name not in made}
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
                _SinkFile(self._sink), self._schema(pa), use_dictionary=texts
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
            self._groups = RowGroups(self._sink, types_of("faces"), widths)
            self._groups.meta = self._meta
        return self._groups

    def _flush(self, groups: RowGroups) -> None:
        """Write what waits as one group."""
        some, self._waiting, self._rows = self._waiting, [], 0
        clips = np.repeat([clip for clip, _, _ in some], [len(one.values) for _, _, one in some])
        paths = [escaped(path) for _, path, one in some for _ in one.values]
        columns = [np.concatenate([getattr(one.faces, n) for _, _, one in some]) for n in _PER_FACE]
        groups.add_group([clips, paths, *columns, np.concatenate([x.values for _, _, x in some])])


class _SinkFile:
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


def types_of(table: str) -> dict[str, str]:
    """Return the type of each column of a table of the schema."""
    return {key.name: TYPES[key.type]["type"] for key in keys(table)}


def _array(pa: Any, values: Any, of: Any) -> Any:
    """Return a column of the Arrow type `of`."""
    if isinstance(values, np.ndarray):
        if values.ndim == 1:
            return pa.array(values, of)
        flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values, of)
