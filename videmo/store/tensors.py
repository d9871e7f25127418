"""The bytes of a safetensors file go in; its tensors as arrays come out, also those of bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np

from videmo.data import Array
from videmo.errors import CorruptModel

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read_tensors(source: str, content: bytes) -> dict[str, Array]:
    """Return the tensors by name; those of bfloat16 as float32, others as they are.

    source: the file's name, for the CorruptModel where it is none, or of a type that is not read
    """
    from safetensors import SafetensorError, deserialize

    try:
        found: Any = deserialize(content)  # type: ignore[no-untyped-call]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CorruptModel(source, "a safetensors file", _line(error)) from error
    return {name: _array(source, name, facts) for name, facts in found}


def _array(source: str, name: str, facts: dict[str, Any]) -> Array:
    kind, shape, data = facts["dtype"], facts["shape"], facts["data"]
    if kind == "BF16":  # the upper half of a float32
        half = np.frombuffer(data, "<u2").reshape(shape)
        return np.asarray(half.astype(np.uint32) << 16).view(np.float32)
    if kind not in _TYPES:
        got = f"{_line(name)[:80]!r} of the type {_line(kind)[:20]}"
        raise CorruptModel(source, "tensors of F32, F16 or BF16", f"{got}; save it as F32")
    return np.frombuffer(data, _TYPES[kind]).reshape(shape).copy()


def _line(text: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(text))[:200]
