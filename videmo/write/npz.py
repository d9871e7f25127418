"""Features of clips as one .npz file of plain arrays, and the way back.

N clips, X statistics a clip, F faces in all, D features a face.

    path status error      (N,) text; error is a message, or "" where there was none
    features               (N, X) float32; NaN for a clip without an answer
    feature_names          (X,) text
    frames face_frames faces   (N,) int64: looked at, with a face, pooled
    duration               (N,) float64 s; NaN where unknown
    label split subject    (N,) text, only where a manifest gave them
    start end              (N,) float64 s, only where a part of a clip was asked for; NaN is none
    meta                   () text: one JSON object
    frame_features         (F, D) float32, only on demand, as all that follow: one row a face
    frame_offsets          (N + 1,) int64: clip n has the rows frame_offsets[n]:frame_offsets[n + 1]
    frame_index frame_time (F,) int64 number of the source frame, float64 s
    frame_box frame_score  (F, 4) float32 source px, (F,) float32 0..1
    frame_track            (F,) int64; -1 is no track

A clip without an answer is NaN, not zeros: zeros are a place among the features, and whoever
wants them (the AFEW recipe does) writes np.nan_to_num(features).
"""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from videmo.data import Array, Features
from videmo.errors import InputError
from videmo.write.feature_table import (
    ARRAYS,
    FACTS,
    PER_FACE,
    TIMES,
    FeatureTable,
    known_once,
    meta_text,
    table_of,
    text_array,
)
from videmo.write.features import FeatureRow, FeatureWriter

_LONGEST = 500  # characters of an error message; every row of a text array has the longest's width
_BLOCK = 1 << 20  # bytes copied at a time
_BOMB = 256 << 20  # bytes; above it, arrays are refused that were packed to less than
_PACKED = 0.01  # of their size, which no features are


class FeatureFile(FeatureWriter):
    """Collects the features of clips and writes them as one .npz file when it is closed.

    out: the file, which appears or is replaced only on close
    names: of the X statistics
    meta: what made them (tool, version, model, sha256, recipe, ...), stored as JSON
    frames: also keep one row for each face

    Features wait in unnamed files in the folder of `out`, so memory holds only the texts and
    counts of the clips. The same clips give the same bytes. Raises OutputError.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        *,
        names: Sequence[str],
        meta: Mapping[str, Any],
        frames: bool = False,
    ) -> None:
        super().__init__(out, names=names, meta=meta)
        self._text = meta_text(meta)
        folder = self._sink.folder
        folder = folder if os.access(folder, os.W_OK) else tempfile.gettempdir()  # /dev/null
        self._texts: dict[str, list[str]] = {k: [] for k in ("path", "status", "error", *FACTS)}
        self._counts: dict[str, list[int]] = {k: [] for k in ("frames", "face_frames", "faces")}
        self._numbers: dict[str, list[float]] = {name: [] for name in ("duration", *TIMES)}
        self._ends = [0]
        with self._sink.guard():
            self._features = _Spool(folder, "<f4", (len(self._names),))
            self._faces = (
                {name: _Spool(folder, *of) for name, of in PER_FACE.items()} if frames else None
            )

    def spool(self, features: Iterable[Features]) -> Iterator[Features]:
        """Pass `features` on unchanged and keep their rows for the clip that is added next.

        So a clip is read once: `pool(file.spool(features))`, then `add`. A clip that is
        not read to its end, or is added with the status "error", leaves no rows.
        """
        self._drop()
        whole = False
        try:
            for batch in features:
                self._keep(batch)
                yield batch
            whole = True
        finally:
            if not whole:
                self._drop()

    def _add(self, row: FeatureRow, features: Iterable[Features] | None) -> None:
        for _ in self.spool(features) if features is not None else ():
            pass
        if row.status == "error":
            self._drop()
        values = row.values
        if values is None:
            values = np.full(len(self._names), np.nan, np.float32)
        with self._sink.guard():
            self._features.add(values[None])
        texts = {"path": row.path, "status": row.status, "error": row.error[:_LONGEST]}
        for name, text in (texts | {name: getattr(row, name) for name in FACTS}).items():
            self._texts[name].append(text or "")
        for column, count in zip(self._counts.values(), row.counts, strict=True):
            column.append(count)
        for name, numbers in self._numbers.items():
            value = getattr(row, name)
            numbers.append(np.nan if value is None else value)
        self._ends.append(self._faces["index"].rows if self._faces else 0)

    def close(self) -> None:
        """Write the file; a second time does nothing."""
        if not self._sink.open:
            return
        try:
            self._drop()
            with self._sink.guard(), zipfile.ZipFile(self._sink.file, "w") as archive:
                for name, column in self._columns():
                    _store(archive, name, column)
            self._sink.close()
        finally:
            self._release()

    def discard(self) -> None:
        """Remove the unfinished file and let go of what was spooled."""
        super().discard()
        self._release()

    def _keep(self, batch: Features) -> None:
        if self._faces is None:
            return
        with self._sink.guard():
            self._faces["features"].add(batch.values)
            for name in PER_FACE:
                if name != "features":
                    self._faces[name].add(getattr(batch.faces, name))

    def _drop(self) -> None:
        """Forget the rows of faces that no clip has claimed."""
        if not self._sink.open:
            return
        with self._sink.guard():
            for spool in (self._faces or {}).values():
                spool.cut(self._ends[-1])

    def _columns(self) -> Iterator[tuple[str, Array | _Spool]]:
        """Yield every array under its name, in the order of the file."""
        for name in ("path", "status", "error"):
            yield name, text_array(self._texts[name])
        yield "features", self._features
        yield "feature_names", text_array(self._names)
        for name, counts in self._counts.items():
            yield name, np.array(counts, "<i8")
        yield "duration", np.array(self._numbers["duration"], "<f8")
        for name in FACTS:
            if any(self._texts[name]):
                yield name, text_array(self._texts[name])
        for name in TIMES:
            if not np.isnan(times := np.array(self._numbers[name], "<f8")).all():
                yield name, times
        yield "meta", np.array(self._text, "<U")
        if self._faces is not None:
            yield "frame_offsets", np.array(self._ends, "<i8")
            for name, spool in self._faces.items():
                yield f"frame_{name}", spool

    def _release(self) -> None:
        for spool in (self._features, *(self._faces or {}).values()):
            with suppress(OSError):  # what a full disk could not take is not wanted any more
                spool.file.close()


def load_features(
    path: str | os.PathLike[str], *, frames: bool = True, alone: bool = False
) -> FeatureTable:
    """Return what FeatureFile has written; arrays of other names are passed over.

    frames: also load the rows of the faces, where there are any
    alone: refuse arrays of other names, where they would be lost

    Raises InputError that names the file and what is wrong with it.
    """
    name = os.fspath(path)
    try:
        if os.path.exists(name) and not os.path.isfile(name) and not os.path.isdir(name):
            raise InputError(f"{name}: no file, but a pipe or a device; write it to a file first")
        if not zipfile.is_zipfile(name):
            open(name, "rb").close()  # missing, a folder or unreadable: says so
            raise InputError(f"{name}: is no .npz file; make one with videmo extract-features")
        with zipfile.ZipFile(name) as archive:
            names = [entry.removesuffix(".npy") for entry in archive.namelist()]
            known_once(name, names, ARRAYS if alone else names)
            wanted = _wanted(name, names, frames)
            _bounded(name, archive, wanted)
            found = {k: _array(archive, k) for k in wanted}
    except _UNREADABLE as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{name}: cannot be read ({said}); make it again") from error
    return table_of(name, found)


class _Spool:
    """Rows of one array in an unnamed file."""

    def __init__(self, folder: str, dtype: str, tail: tuple[int, ...] | None) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.dtype, self.rows, self._tail = np.dtype(dtype), 0, tail

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, ...); a width that no row has settled is 0."""
        return (self.rows, *((0,) if self._tail is None else self._tail))

    def add(self, rows: Array) -> None:
        """Append `rows`; where the width was open, the first rows settle it."""
        if self._tail is None:
            self._tail = rows.shape[1:]
        if rows.shape[1:] != self._tail:
            raise ValueError(f"rows of shape {rows.shape[1:]} after rows of {self._tail}")
        self.file.write(np.ascontiguousarray(rows, self.dtype).tobytes())
        self.rows += len(rows)

    def cut(self, rows: int) -> None:
        """Forget all after the first `rows`."""
        if rows == self.rows:
            return
        width = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        self.file.seek(rows * width)
        self.file.truncate()
        self.rows = rows

    def blocks(self) -> Iterator[bytes]:
        """Yield all bytes, some at a time."""
        self.file.seek(0)
        while block := self.file.read(_BLOCK):
            yield block


_UNREADABLE = (  # what NumPy and zipfile say of a damaged file, or one made to break them
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def _store(archive: zipfile.ZipFile, name: str, column: Array | _Spool) -> None:
    """Write one array uncompressed, with no date and no system in it, block by block."""
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, 0o600 << 16
    head = {
        "descr": np.lib.format.dtype_to_descr(column.dtype),
        "fortran_order": False,
        "shape": column.shape,
    }
    with archive.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, head)
        for block in column.blocks() if isinstance(column, _Spool) else [column.tobytes()]:
            file.write(block)


def _wanted(path: str, names: Sequence[str], frames: bool) -> list[str]:
    """Return the arrays to load, all of them in the file."""
    per_face = [name for name in ARRAYS if name.startswith("frame_")]
    optional = {*FACTS, *TIMES, *(per_face if set(per_face).isdisjoint(names) else ())}
    for name in ARRAYS:
        if name not in names and name not in optional:
            raise InputError(f"{path}: holds no array {name!r}; make it again")
    return [n for n in ARRAYS if n in names and (frames or n not in per_face)]


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    """Return one array; not by `numpy.load`, which leaves a damaged archive open."""
    with archive.open(f"{name}.npy") as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _bounded(path: str, archive: zipfile.ZipFile, names: Sequence[str]) -> None:
    """Refuse arrays that were packed to next to nothing and would fill the memory."""
    entries = [archive.getinfo(e) for e in archive.namelist() if e.removesuffix(".npy") in names]
    size = sum(entry.file_size for entry in entries)
    if size > _BOMB and os.path.getsize(path) < _PACKED * size:
        raise InputError(
            f"{path}: would unpack to {size >> 20} MB, which features do not; make it again"
        )
