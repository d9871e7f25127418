"""The features of many clips as arrays in memory: what every reader of a feature file returns.

Which arrays there are, `videmo.write.npz` lists. Here they are checked: types, lengths, numbers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from videmo.data import F32, F64, I64, Array
from videmo.errors import InputError
from videmo.write.record import plain

Text = npt.NDArray[np.str_]


FACTS = ("label", "split", "subject")


TIMES = ("start", "end")


PER_FACE: dict[str, tuple[str, tuple[int, ...] | None]] = {
    "features": ("<f4", None),
    "index": ("<i8", ()),
    "time": ("<f8", ()),
    "box": ("<f4", (4,)),
    "score": ("<f4", ()),
    "track": ("<i8", ()),
}


ARRAYS = {  # name -> kind of dtype, dimensions, what its length counts
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


TYPES = {
    "features": "<f4",
    **dict.fromkeys(("frames", "face_frames", "faces", "frame_offsets"), "<i8"),
    **dict.fromkeys(("duration", *TIMES), "<f8"),
    **{f"frame_{name}": dtype for name, (dtype, _) in PER_FACE.items()},
}


def meta_text(meta: Mapping[str, Any]) -> str:
    """Return what made the features as JSON."""
    return json.dumps(plain(meta), allow_nan=False)  # ASCII, so that any text survives


def text_array(values: Sequence[str]) -> Array:
    """Return texts as an array that is as wide as the longest."""
    return np.array(values, f"<U{max([1, *map(len, values)])}")


@dataclass(frozen=True, eq=False, repr=False)
class FeatureTable:
    """The arrays of a feature file, as `videmo.write.npz` lists them."""

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


def table_of(path: str, arrays: Mapping[str, Array]) -> FeatureTable:
    """Return arrays of the names, types and lengths that `videmo.write.npz` lists.

    path: whose they are, for the InputError where they are others
    """
    _check(path, arrays)
    _sound(path, arrays)
    with np.errstate(over="ignore"):  # a float64 that is too large is infinite, and told as such
        found = {
            name: array if array.dtype.kind == "U" else array.astype(TYPES[name], copy=False)
            for name, array in arrays.items()
            if name != "meta"
        }
    return FeatureTable(**found, meta=_meta(path, arrays["meta"]))


def _check(path: str, found: Mapping[str, Array]) -> None:
    """Refuse arrays that are not what they should be or do not belong together."""
    for name, array in found.items():
        kind, dims, _ = ARRAYS[name]
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
        counts = ARRAYS[name][2]
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
