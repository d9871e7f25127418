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

import json
import os
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from videmo.data import F32, F64, I64, Array, Descriptor, Features
from videmo.errors import InputError
from videmo.write.record import plain
from videmo.write.sink import AtomicOutput, open_file

Text = npt.NDArray[np.str_]

_LONGEST = 500  # characters of an error message; every row of a text array has the longest's width
_BLOCK = 1 << 20  # bytes copied at a time
_BOMB = 256 << 20  # bytes; above it, arrays are refused that were packed to less than
_PACKED = 0.01  # of their size, which no features are
_PER_FACE = ("features", "index", "time", "box", "score", "track")


class FeatureFile(AtomicOutput):
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
        self._names, self._meta = tuple(names), meta_text(meta)
        self._sink = open_file(out)
        folder = self._sink.folder
        folder = folder if os.access(folder, os.W_OK) else tempfile.gettempdir()  # /dev/null
        self._texts: dict[str, list[str]] = {k: [] for k in ("path", "status", "error", *FACTS)}
        self._counts: dict[str, list[int]] = {k: [] for k in ("frames", "face_frames", "faces")}
        self._numbers: dict[str, list[float]] = {name: [] for name in ("duration", *TIMES)}
        self._ends = [0]
        with self._sink.guard():
            self._features = _Spool(folder, "<f4", (len(self._names),))
            self._faces = (
                {name: _Spool(folder, *_PER_FACE_TYPES[name]) for name in _PER_FACE}
                if frames
                else None
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
        """Add one clip.

        error: cut at 500 characters
        descriptor: values (X,), or none where there was no face, which is a row of NaN
        features: the faces, unless they went through `spool` before
        start, end: s, the part of the clip that was asked for

        Raises ValueError for a descriptor of another length, and what reading `features`
        raises, in which case nothing is added.
        """
        values = self._row(descriptor)
        for _ in self.spool(features) if features is not None else ():
            pass
        if status == "error":
            self._drop()
        with self._sink.guard():
            self._features.add(values)
        given = dict(zip(FACTS, (label, split, subject), strict=True))
        texts = {"path": path, "status": status, "error": error[:_LONGEST], **given}
        for name, text in texts.items():
            self._texts[name].append(text or "")
        seen = (descriptor.seen, descriptor.frames, descriptor.faces) if descriptor else (0, 0, 0)
        for column, count in zip(self._counts.values(), seen, strict=True):
            column.append(count)
        for numbers, value in zip(self._numbers.values(), (duration, start, end), strict=True):
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
        self._sink.discard()
        self._release()

    def _row(self, descriptor: Descriptor | None) -> F32:
        """Return the values as (1, X), NaN where there are none."""
        want = len(self._names)
        if descriptor is None or not len(descriptor.values):
            return np.full((1, want), np.nan, np.float32)
        if len(descriptor.values) != want:
            raise ValueError(f"{len(descriptor.values)} values for {want} feature names")
        return descriptor.values[None]

    def _keep(self, batch: Features) -> None:
        if self._faces is None:
            return
        with self._sink.guard():
            self._faces["features"].add(batch.values)
            for name in _PER_FACE[1:]:
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
        yield "meta", np.array(self._meta, "<U")
        if self._faces is not None:
            yield "frame_offsets", np.array(self._ends, "<i8")
            for name, spool in self._faces.items():
                yield f"frame_{name}", spool

    def _release(self) -> None:
        for spool in (self._features, *(self._faces or {}).values()):
            with suppress(OSError):  # what a full disk could not take is not wanted any more
                spool.file.close()


@dataclass(frozen=True, eq=False, repr=False)
class FeatureTable:
    """The arrays of a feature file, as the head of this module lists them."""

    path: Text
    status: Text
    error: Text
    features: F32
    feature_names: Text
    frames: I64
    face_frames: I64
    faces: I64
    duration: F64
    meta: Mapping[str, Any]
    label: Text | None = None
    split: Text | None = None
    subject: Text | None = None
    start: F64 | None = None
    end: F64 | None = None
    frame_features: F32 | None = None
    frame_offsets: I64 | None = None
    frame_index: I64 | None = None
    frame_time: F64 | None = None
    frame_box: F32 | None = None
    frame_score: F32 | None = None
    frame_track: I64 | None = None

    def __len__(self) -> int:
        return len(self.path)

    def __repr__(self) -> str:
        shapes = (
            f"{f.name}={value.dtype}{list(value.shape)}"
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), np.ndarray)
        )
        return f"FeatureTable({', '.join(shapes)})"


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
        if not zipfile.is_zipfile(name):
            open(name, "rb").close()  # missing, a folder or unreadable: says so
            raise InputError(f"{name}: is no .npz file; make one with videmo extract-features")
        with zipfile.ZipFile(name) as archive:
            names = [entry.removesuffix(".npy") for entry in archive.namelist()]
            known_once(name, names, _KINDS if alone else names)
            wanted = _wanted(name, names, frames)
            _bounded(name, archive, wanted)
            found = {k: _array(archive, k) for k in wanted}
    except _UNREADABLE as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{name}: cannot be read ({said}); make it again") from error
    return table_of(name, found)


def table_of(path: str, arrays: Mapping[str, Array]) -> FeatureTable:
    """Return arrays of the names, types and lengths that the head of this module lists.

    path: whose they are, for the InputError where they are others
    """
    _check(path, arrays)
    _sound(path, arrays)
    with np.errstate(over="ignore"):  # a float64 that is too large is infinite, and told as such
        found = {
            name: array if array.dtype.kind == "U" else array.astype(_TYPES[name], copy=False)
            for name, array in arrays.items()
            if name != "meta"
        }
    return FeatureTable(**found, meta=_meta(path, arrays["meta"]))


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


FACTS = ("label", "split", "subject")
TIMES = ("start", "end")
_PER_FACE_TYPES: dict[str, tuple[str, tuple[int, ...] | None]] = {
    "features": ("<f4", None),
    "index": ("<i8", ()),
    "time": ("<f8", ()),
    "box": ("<f4", (4,)),
    "score": ("<f4", ()),
    "track": ("<i8", ()),
}
_KINDS = {  # name -> kind of dtype, dimensions, what its length counts
    **dict.fromkeys(("path", "status", "error", *FACTS), ("U", 1, "clips")),
    "features": ("f", 2, "clips"),
    "feature_names": ("U", 1, "names"),
    **dict.fromkeys(("frames", "face_frames", "faces"), ("i", 1, "clips")),
    **dict.fromkeys(("duration", *TIMES), ("f", 1, "clips")),
    "meta": ("U", 0, ""),
    "frame_features": ("f", 2, "rows"),
    "frame_offsets": ("i", 1, "offsets"),
    "frame_index": ("i", 1, "rows"),
    "frame_time": ("f", 1, "rows"),
    "frame_box": ("f", 2, "rows"),
    "frame_score": ("f", 1, "rows"),
    "frame_track": ("i", 1, "rows"),
}
_TYPES = {
    "features": "<f4",
    **dict.fromkeys(("frames", "face_frames", "faces", "frame_offsets"), "<i8"),
    **dict.fromkeys(("duration", *TIMES), "<f8"),
    **{f"frame_{name}": dtype for name, (dtype, _) in _PER_FACE_TYPES.items()},
}
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


def meta_text(meta: Mapping[str, Any]) -> str:
    """Return what made the features as JSON."""
    return json.dumps(plain(meta), allow_nan=False)  # ASCII, so that any text survives


def text_array(values: Sequence[str]) -> Array:
    """Return texts as an array that is as wide as the longest."""
    return np.array(values, f"<U{max([1, *map(len, values)])}")


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
    per_face = [name for name in _KINDS if name.startswith("frame_")]
    optional = {*FACTS, *TIMES, *(per_face if set(per_face).isdisjoint(names) else ())}
    for name in _KINDS:
        if name not in names and name not in optional:
            raise InputError(f"{path}: holds no array {name!r}; make it again")
    return [n for n in _KINDS if n in names and (frames or n not in per_face)]


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


def _check(path: str, found: Mapping[str, Array]) -> None:
    """Refuse arrays that are not what they should be or do not belong together."""
    for name, array in found.items():
        kind, dims, _ = _KINDS[name]
        if array.dtype.kind != kind or array.ndim != dims:
            raise _wrong(path, name, array, f"{dims} dimensions of kind {kind!r}")
        if kind == "U" and not _is_text(array):
            raise InputError(f"{path}: {name} holds what is no character; make it again")
    lengths = {"clips": len(found["path"]), "names": len(found["feature_names"])}
    if "frame_offsets" in found:
        offsets = found["frame_offsets"]
        lengths |= {
            "offsets": lengths["clips"] + 1,
            "rows": int(offsets[-1]) if len(offsets) else 0,
        }
        if len(offsets) and (offsets[0] != 0 or (np.diff(offsets) < 0).any()):
            raise InputError(f"{path}: frame_offsets do not rise from 0; make it again")
    for name, array in found.items():
        counts = _KINDS[name][2]
        if counts and len(array) != lengths[counts]:
            raise _wrong(path, name, array, f"{lengths[counts]} {counts}")
    for name, width in (("features", lengths["names"]), ("frame_box", 4)):
        if name in found and found[name].shape[1] != width:
            raise _wrong(path, name, found[name], f"{width} columns")


def known_once(path: str, names: Sequence[str], known: Collection[str]) -> None:
    """Refuse a name that is there twice, of which one would be read and the other kept, or that
    stands for nothing."""
    seen, known = set[str](), frozenset(known)  # a hostile archive may have a million names
    for name in names:
        if name in seen or name not in known:
            what = "twice" if name in seen else "which is nothing of videmo's"
            raise InputError(f"{path}: holds {name[:80]!r} {what}; make it again")
        seen.add(name)


def _sound(path: str, found: Mapping[str, Array]) -> None:
    """Refuse numbers that no run writes: infinite ones, and NaN where there is an answer."""
    answered = found["status"] == "ok"
    values = found["features"]
    finite = np.isfinite(values).all(1)
    for row in np.flatnonzero(~finite & (answered | np.isinf(values).any(1)))[:1]:
        column = found["feature_names"][~np.isfinite(values[row])][0]
        place = f"{path}: row {row + 1} ({found['path'][row]})"
        raise InputError(f"{place}: {column} is no finite number; extract this clip again")
    known_once(path, names := found["feature_names"].tolist(), names)
    for name, array in found.items():
        if array.dtype.kind == "i" and name != "frame_track" and (array < 0).any():
            raise InputError(f"{path}: {name} holds numbers below 0; make it again")
        unknown = name in ("features", "duration", *TIMES)
        if array.dtype.kind == "f" and not unknown and not np.isfinite(array).all():
            raise InputError(f"{path}: {name} holds what is no finite number; make it again")
    for name in ("duration", *TIMES):
        times = found.get(name, np.zeros(0))
        if np.isinf(times).any() or (times < 0).any():
            raise InputError(f"{path}: {name} holds what is no time in seconds; make it again")


def _is_text(array: Array) -> bool:
    """Return whether all code points are Unicode's; NumPy does not look, and Python breaks."""
    if not array.size or not array.dtype.itemsize:
        return True
    codes = np.ascontiguousarray(array).view(f"{array.dtype.byteorder}u4")
    return bool(codes.max() <= sys.maxunicode)


def _wrong(path: str, name: str, array: Array, expected: str) -> InputError:
    shape = "x".join(map(str, array.shape)) or "a single value"
    return InputError(f"{path}: {name} is {array.dtype} {shape}, not {expected}; make it again")


def _meta(path: str, array: Array) -> Mapping[str, Any]:
    try:
        meta = json.loads(array.item())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: meta is no JSON; make it again") from error
    if not isinstance(meta, dict):
        raise InputError(f"{path}: meta is no JSON object; make it again")
    return meta
