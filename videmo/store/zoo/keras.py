"""The arrays of a network that Keras saved as HDF5, without TensorFlow and without its code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from videmo.data import Array
from videmo.errors import CorruptModel
from videmo.files.extras import missing_dependency
from videmo.store.zoo.checkpoint import are_names, one_line

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read(path: Path) -> dict[str, dict[str, Array]]:
    """Return the arrays by layer and short name: {"conv1": {"kernel": (3, 3, 3, 32)}, ...}.

    Only plain arrays that lie in this file are read. What else Keras keeps, the optimizer's
    state and the description of the layers (which may hold code), is not looked at.

    Raises MissingDependency without h5py, CorruptModel.
    """
    try:
        import h5py
    except ImportError as error:
        raise missing_dependency("h5py") from error

    layers: dict[str, dict[str, Array]] = {}
    left = path.stat().st_size  # bytes: the arrays of a file have no more than it

    def visit(name: str, item: object) -> None:
        nonlocal left
        if not isinstance(item, h5py.Dataset):
            return
        if item.dtype.kind in "iu":  # seeds and counters
            return
        left -= item.nbytes
        outside = item.external or item.is_virtual or item.compression
        if left < 0 or outside or item.dtype.kind != "f":
            raise ValueError(f"the array {name[:80]!r} is none of plain numbers in this file")
        if not are_names([name]):
            raise ValueError("an array whose name is no text")
        *above, last = name.split("/")
        layer = layers.setdefault(above[-1] if above else "", {})
        short = last.partition(":")[0]
        if short in layer:
            raise ValueError(f"the array {name[:80]!r} is there twice")
        layer[short] = np.asarray(item[()], np.float32)

    try:
        with h5py.File(path, "r") as file:
            here = isinstance(file.get("model_weights", getlink=True), h5py.HardLink)
            root = file["model_weights"] if here else file  # else weights without a network
            root.visititems(visit)  # follows no link out of the file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise CorruptModel(str(path), "a network that Keras saved", one_line(error)) from error
    if not layers:
        raise CorruptModel(str(path), "a network that Keras saved", "no array")
    return layers
