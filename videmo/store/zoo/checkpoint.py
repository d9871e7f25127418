"""Tensors of a file that torch.save wrote, whole networks among them; nothing of it is run.

Two containers: a ZIP archive (torch 1.6 and later) with `data.pkl`, `data/<key>` and `byteorder`,
and the older chain of pickles with the storages behind them (torch/serialization.py).
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from videmo.data import Array
from videmo.errors import CorruptModel, ModelError
from videmo.stages.embed.timm import SETTINGS
from videmo.store.zoo.unpickle import MAX_NAME, Inert, PickleMachine, Storage, Tensor

ZIP = b"PK\x03\x04"
MAX_BYTES = 1 << 30  # bytes of a file that is read unless more is allowed, and of a tensor
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older container
MAX_DEPTH, MAX_PARTS, MAX_DIMENSIONS = 64, 100_000, 8
STATE_DICT_KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
)  # where others put it


@dataclass(frozen=True)
class Checkpoint:
    """What lies in a file: the tensors by name, and the network that had them, if it is there."""

    tensors: dict[str, Array]  # float32, or whole numbers
    of: str = ""  # "timm.models.efficientnet.EfficientNet"; "" for a state dict
    # of a whole network, by module: its "class" and those of SETTINGS that it has
    modules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Content:
    """The tree that the pickle says, and where its storages are."""

    source: str
    tree: Any
    storages: Mapping[str, bytes]
    order: str  # of bytes: < or >
    size: int  # of the file in bytes


def read(path: Path) -> Checkpoint:
    """Return the tensors of a checkpoint.

    Raises CorruptModel for a file that breaks off or is none, ModelError for one that names what
    no network needs.
    """
    blob = read_whole(path)
    content = _read_zip(path, blob) if blob.startswith(ZIP) else _read_legacy(path, blob)
    root = _root(content.tree)
    found = dict(_walk(content.source, root))
    _check_sound(content, found)
    cut = "module." if all(name.startswith("module.") for name in found) else ""  # several GPUs
    tensors = {name.removeprefix(cut): _array(content, tensor) for name, tensor in found.items()}
    if not isinstance(root, Inert):
        return Checkpoint(tensors)
    modules = {
        prefix.removeprefix(cut).rstrip("."): _describe_module(module, state)
        for prefix, module, state in _modules(content.source, root)
    }
    return Checkpoint(tensors, str(root.of), modules)


def _check_sound(content: _Content, found: Mapping[str, Tensor]) -> None:
    """Raise CorruptModel where the tensors cannot be a network's."""
    if not found:
        raise _corrupt(content.source, "no tensor at all")
    if not are_names(found):
        raise _corrupt(content.source, "tensors whose names are no text")
    needed = sum(prod(t.shape) * 4 for t in found.values())
    if needed > 8 * content.size:  # half a float may become a whole one, more is a trick
        raise _corrupt(content.source, f"tensors of {needed} bytes in {content.size}")


def refuse_large(path: Path, most: int) -> None:
    """Raise ModelError for a file of more than so many bytes, or one that is not there."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if not path.is_file():
        raise ModelError(f"{path}: is no file; name one that holds a network")
    if size > most:
        mb = -(-size // (1 << 20))
        raise ModelError(
            f"{path}: {mb} MB, and {most >> 20} are the most that is read; --max-mb {mb} reads it"
        )


def read_whole(path: Path) -> bytes:
    """Return the bytes of a file; raises ModelError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error


def one_line(text: object) -> str:
    """Return what a file says so that it fits into an error: one short line, no control codes."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:200].strip()


def are_names(names: Iterable[object]) -> bool:
    """Return whether all are text that a person can read."""
    return all(isinstance(n, str) and n.isprintable() and len(n) <= MAX_NAME for n in names)


def _corrupt(source: str, got: str) -> CorruptModel:
    return CorruptModel(source, "a network that torch saved", one_line(got))


def _read_zip(path: Path, blob: bytes) -> _Content:
    """Return the content of the newer container, an archive that compresses nothing."""
    odd = (
        zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError,
        ValueError, EOFError, OSError, KeyError, IndexError,
    )  # fmt: skip
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            return _open_archive(str(path), archive, len(blob))
    except odd as error:
        raise _corrupt(str(path), f"a damaged ZIP archive ({error})") from error


def _open_archive(source: str, archive: zipfile.ZipFile, size: int) -> _Content:
    members = _members(source, archive, size)
    if any(name == "constants.pkl" or name.startswith("code/") for name in members):
        raise _corrupt(source, "a TorchScript program; import the module or its tensors")
    if "data.pkl" not in members:
        raise _corrupt(source, "a ZIP archive without data.pkl")
    machine = PickleMachine(source, archive.read(members["data.pkl"]))
    tree = machine.read()
    there = [key for key in machine.storages if f"data/{key}" in members]
    storages = {key: archive.read(members[f"data/{key}"]) for key in there}
    order = archive.read(members["byteorder"]) if "byteorder" in members else b"little"
    sign = {b"little": "<", b"big": ">"}.get(order.strip())
    if sign is None:
        raise _corrupt(source, "an unknown order of bytes")
    return _checked(source, machine, tree, storages, sign, size)


def _members(source: str, archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members without the archive's own folder; nothing in it is compressed."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        _, _, name = info.filename.partition("/")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise _corrupt(
                source, f"the compressed member {name[:80]!r}; torch stores them plainly"
            )
        if name in members or info.flag_bits & 1:
            raise _corrupt(source, f"the member {name[:80]!r} twice or locked")
        members[name] = info
    if sum(info.file_size for info in members.values()) > size:
        raise _corrupt(source, f"members larger than the file's {size} bytes")
    return members


def _read_legacy(path: Path, blob: bytes) -> _Content:
    """Return the content of the older container: magic, protocol, system, tree, keys, storages."""
    source = str(path)
    machine = PickleMachine(source, blob)
    if machine.read() != MAGIC or machine.read() != 1001:
        raise _corrupt(source, "a pickle that torch did not write")
    system = machine.read()
    tree, keys = machine.read(), machine.read()
    if not isinstance(keys, list) or not isinstance(system, dict):
        raise _corrupt(source, "no list of storages")
    order = "<" if system.get("little_endian", True) is True else ">"
    storages: dict[str, bytes] = {}
    for key in keys:
        if not isinstance(key, str) or key not in machine.storages or key in storages:
            raise _corrupt(source, f"a storage that no tensor has, at byte {machine.at}")
        storage = machine.storages[key]
        if machine.number("<q" if order == "<" else ">q") != storage.count:
            raise _corrupt(source, f"another length of storage {key[:80]!r}")
        storages[key] = machine.take(storage.count * _width(storage))
    return _checked(source, machine, tree, storages, order, len(blob))


def _checked(
    source: str,
    machine: PickleMachine,
    tree: Any,
    storages: Mapping[str, bytes],
    order: str,
    size: int,
) -> _Content:
    """Return the content; raises CorruptModel unless each storage is there in its full length."""
    for key, storage in machine.storages.items():
        expected = storage.count * _width(storage)
        if len(storages.get(key, b"")) != expected:
            got = f"{len(storages[key])} bytes" if key in storages else "nothing"
            raise _corrupt(source, f"{got} of storage {key[:80]!r}, which has {expected}")
    return _Content(source, tree, storages, order, size)


def _width(storage: Storage) -> int:
    """Return the bytes of one element."""
    return 2 if storage.dtype == "bf16" else np.dtype(storage.dtype).itemsize


def _root(tree: Any) -> Any:
    """Return the network, or the state dict, inside what else a training may have kept."""
    if isinstance(tree, dict):
        for key in STATE_DICT_KEYS:
            if isinstance(tree.get(key), (dict, Inert)):
                return tree[key]
    return tree


def _walk(source: str, root: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a network, or of a state dict, by name."""
    if isinstance(root, dict):
        for name, value in root.items():
            if not isinstance(name, str) or not isinstance(value, Tensor):
                raise _corrupt(source, f"{str(name)[:80]!r} in a state dict, which is no tensor")
            yield name, value
        return
    for prefix, _, tables in _modules(source, root):
        hidden = tables.get("_non_persistent_buffers_set") or ()
        for name, value in {**tables["_parameters"], **tables["_buffers"]}.items():
            if isinstance(value, Tensor) and name not in hidden:
                yield f"{prefix}{name}", value


def _modules(source: str, root: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Yield the modules of a network: what stands before their tensors' names, and their state."""
    waiting, parts = [("", root, 0)], 0
    while waiting:
        prefix, module, depth = waiting.pop()
        parts += 1
        if depth > MAX_DEPTH or parts > MAX_PARTS:
            raise _corrupt(source, "a network of too many parts")
        tables = _tables(source, prefix, module)
        yield prefix, module, tables
        for name, child in tables["_modules"].items():
            if child is not None:
                waiting.append((f"{prefix}{name}.", child, depth + 1))


def _tables(source: str, prefix: str, module: Any) -> Mapping[str, Any]:
    """Return what a module of torch keeps: `_parameters`, `_buffers`, `_modules` and more."""
    state: Any = module.state if isinstance(module, Inert) else None
    if isinstance(state, tuple) and state:  # the attributes, then those in slots
        state = state[0]
    here = prefix[:80].rstrip(".") or "an object"
    for table in ("_parameters", "_buffers", "_modules"):
        if not isinstance(state, dict) or not isinstance(state.get(table), dict):
            raise _corrupt(source, f"{here}, which is no module of torch")
    hidden = state.get("_non_persistent_buffers_set") or ()
    names = [*state["_parameters"], *state["_buffers"], *state["_modules"]]
    if not isinstance(hidden, (list, tuple)) or not all(isinstance(n, str) for n in names):
        raise _corrupt(source, f"{here} with parts that have no names")
    tables: Mapping[str, Any] = state
    return tables


def _describe_module(module: Inert, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the class of a module and how it is set; what is no plain value is "odd"."""
    found = {key: _plain(state[key]) for key in SETTINGS if key in state}
    return {**found, "class": module.of.name}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)) and len(value) <= MAX_DIMENSIONS:
        return tuple(value) if all(map(_is_plain, value)) else "odd"
    return value if _is_plain(value) else "odd"


def _is_plain(value: Any) -> bool:
    small = type(value) is int and abs(value) < MAX_BYTES
    return small or isinstance(value, (bool, float)) or value in ("same", "valid")


def _array(content: _Content, tensor: Tensor) -> Array:
    """Return the numbers of a tensor: floats as float32, others as they are."""
    storage, shape = tensor.storage, tensor.shape
    last = tensor.offset + sum((n - 1) * step for n, step in zip(shape, tensor.stride, strict=True))
    extent = prod(max(n, 1) for n in shape)
    outside = last >= storage.count if prod(shape) else extent > MAX_BYTES
    if outside or len(shape) > MAX_DIMENSIONS or prod(shape) > storage.count:
        raise _corrupt(content.source, f"a tensor of {shape} outside its storage")
    if not prod(shape):
        return np.zeros(shape, np.float32)
    half = storage.dtype == "bf16"  # the upper half of a float32
    kind = np.dtype("u2" if half else storage.dtype).newbyteorder(content.order)  # type: ignore[arg-type]
    flat = np.frombuffer(content.storages[storage.key], kind)[storage.begin :][tensor.offset :]
    strides = [step * kind.itemsize for step in tensor.stride]
    view = np.lib.stride_tricks.as_strided(flat, shape, strides, writeable=False)
    if half:
        return np.asarray(view.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(all="ignore"):  # a float64 may be too large, which is found later
        return np.array(view, np.float32 if kind.kind == "f" else kind.newbyteorder("="))
