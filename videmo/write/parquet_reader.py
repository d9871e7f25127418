"""Parquet files of records, features and faces are read: ours as arrays, others' as rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from videmo.data import I64, Array
from videmo.errors import InputError
from videmo.write.escape import unescaped
from videmo.write.feature_table import FACTS, TIMES, FeatureTable, known_once, table_of, text_array
from videmo.write.parquet import FRAMES, META, NAMES, arrow, types_of


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


def _read(name: str, kind: str, alone: bool) -> tuple[Any, dict[str, str]]:
    """Return the table of a file of ours and what its metadata tell."""
    _, pq = arrow()
    with _reading(name), open(name, "rb") as file:
        table = pq.ParquetFile(file).read()
        meta = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    missing = [key for key in types_of(kind) if key not in table.column_names]
    if META not in meta or missing:
        lack = f"column {missing[0]!r}" if missing else f"metadata {META}"
        raise InputError(f"{name}: holds no {lack}; make it with videmo extract-features")
    known_once(name, table.column_names, types_of(kind) if alone else table.column_names)
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
