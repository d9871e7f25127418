"""The face recognition network of dlib, read as data from the file in which dlib serialised it.

A tensor lies there as a version, four sizes and little-endian floats; an integer as a byte that
counts its bytes, with the highest bit for its sign, and these (dlib, `serialize.h` and
`tensor.h`). A layer begins with its name. Layers come in the order of the data; each convolution
(all kernels, then all biases) is followed by its affine layer (all factors, then all addends).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from videmo.data import F32, Array
from videmo.errors import CorruptModel
from videmo.stages.embed.dlib_resnet import BLOCKS, DIM
from videmo.store.zoo.checkpoint import read_whole

SUFFIX = ".dat"
IDENTITY = 128  # numbers of the last layer, which has no bias
_TENSOR = 2  # the version of tensors that is known


def read(path: Path) -> dict[str, Array]:
    """Return the tensors under the names of `dlib_resnet`, affine layers in their convolutions.

    Raises CorruptModel where the file is not that network.
    """
    reader = _Reader(path)
    tensors: dict[str, Array] = {}
    for name, d, c, side in _convolutions():
        kernels, biases = np.split(reader.floats(b"con_4", d * c * side * side + d), [-d])
        factor, addend = np.split(reader.floats(b"affine_", 2 * d), 2)
        kernels = kernels.reshape(d, c, side, side)
        tensors[f"{name}.weight"] = kernels * factor[:, None, None, None]
        tensors[f"{name}.bias"] = biases * factor + addend
    last = reader.floats(b"fc_2", DIM * IDENTITY, integers=2).reshape(DIM, IDENTITY)
    tensors["outputs.identity.weight"] = last.T
    tensors["outputs.identity.bias"] = np.zeros(IDENTITY, np.float32)
    return tensors


def _convolutions() -> Iterator[tuple[str, int, int, int]]:
    """Yield name, channels out and in, and side of every convolution."""
    yield "stem", 32, 3, 7
    for number, (c, d, _) in enumerate(BLOCKS):
        yield f"blocks.{number}.conv1", d, c, 3
        yield f"blocks.{number}.conv2", d, d, 3


class _Reader:
    """Reads one tensor after the other."""

    def __init__(self, path: Path) -> None:
        self.path, self.content, self.at = path, read_whole(path), 0

    def floats(self, layer: bytes, count: int, *, integers: int = 0) -> F32:
        """Return the (count,) floats of the next layer of that name, behind some integers."""
        start = self.content.find(layer, self.at)
        self._expect(start >= 0, layer, "no more of these")
        self.at = start + len(layer)
        for _ in range(integers):
            self._integer(layer)
        version = self._integer(layer)
        size = prod(self._integer(layer) for _ in range(4))
        self._expect((version, size) == (_TENSOR, count), layer, f"{size} numbers")
        self._expect(self.at + 4 * count <= len(self.content), layer, "the end of the file")
        values = np.frombuffer(self.content, "<f4", count, self.at)
        self.at += 4 * count
        return values.astype(np.float32)

    def _integer(self, layer: bytes) -> int:
        size = self.content[self.at] if self.at < len(self.content) else 0
        self._expect(0 < size <= 8, layer, "no size")
        whole = self.content[self.at + 1 : self.at + 1 + size]
        self.at += 1 + size
        return int.from_bytes(whole, "little")

    def _expect(self, right: bool, layer: bytes, got: str) -> None:
        if not right:
            wanted = "dlib's face recognition network (dlib_face_recognition_resnet_model_v1.dat)"
            raise CorruptModel(str(self.path), wanted, f"{got} in a layer {layer.decode()}")
