"""The three networks of MTCNN (Zhang et al. 2016) as OpenVINO runs them on the CPU.

The weights are plain arrays in the package `mtcnn` on PyPI (MIT), whose code is not run.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from videmo.data import F32, U8
from videmo.errors import CorruptModel, ModelNotFound
from videmo.files.compiled import compiled
from videmo.files.extras import missing_dependency
from videmo.files.openvino import import_openvino

CELL, R_SIDE, O_SIDE = 12, 24, 48  # px of what P-Net, R-Net and O-Net look at
# fmt: off
WEIGHTS = {  # of mtcnn 1.0.0: SHA-256 of the file, shapes of its arrays (kernel HWIO, bias, slope)
    "pnet": (
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
        ((3, 3, 3, 10), (10,), (10,), (3, 3, 10, 16), (16,), (16,), (3, 3, 16, 32), (32,), (32,),
         (32, 4), (4,), (32, 2), (2,)),
    ),
    "rnet": (
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
        ((3, 3, 3, 28), (28,), (28,), (3, 3, 28, 48), (48,), (48,), (2, 2, 48, 64), (64,), (64,),
         (576, 128), (128,), (128,), (128, 4), (4,), (128, 2), (2,)),
    ),
    "onet": (
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
        ((3, 3, 3, 32), (32,), (32,), (3, 3, 32, 64), (64,), (64,), (3, 3, 64, 64), (64,), (64,),
         (2, 2, 64, 128), (128,), (128,), (1152, 256), (256,), (256,),
         (256, 4), (4,), (256, 10), (10,), (256, 2), (2,)),
    ),
}
LAYERS = {  # between the picture and the heads; pools are side, step 2 and how the end is treated
    "pnet": ("conv", (2, "same_upper"), "conv", "conv"),
    "rnet": ("conv", (3, "same_upper"), "conv", (3, "valid"), "conv", "flat", "dense"),
    "onet": ("conv", (3, "same_upper"), "conv", (3, "valid"), "conv", (2, "same_upper"), "conv",
             "flat", "dense"),
}
# fmt: on
SIDES = {"pnet": -1, "rnet": R_SIDE, "onet": O_SIDE}  # px of a picture, -1 is any


class Network:
    """One compiled network with memory of its own."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        width = list(compiled.output(0).partial_shape)[-1].get_length()
        self._none = np.zeros((0, width), np.float32)

    def __call__(self, pixels: U8) -> F32:
        """Return its answers; they are overwritten by the next call."""
        if not len(pixels):
            return self._none
        answers: F32 = self._request.infer({0: pixels}, share_inputs=True, share_outputs=True)[0]
        return answers


def folder_of_weights() -> Path:
    """Return where the package mtcnn keeps its weights, without importing it."""
    spec = find_spec("mtcnn")
    if spec is None or not spec.submodule_search_locations:
        raise missing_dependency("mtcnn")
    return Path(spec.submodule_search_locations[0]) / "assets" / "weights"


def compiled_of(name: str, folder: Path, threads: int, streams: int = 1) -> Any:
    """Return a network ready to be run, as `network_of` makes it; the rest is as in `compiled`.

    folder: where its file of weights lies

    Raises MissingDependency, ModelNotFound, CorruptModel.
    """
    packed = _packed(folder, name)
    facts = f"{name} of mtcnn 1.0.0, {WEIGHTS[name][0]}"
    return compiled(facts, lambda: network_of(name, packed), threads=threads, streams=streams)


def _packed(folder: Path, name: str) -> bytes:
    """Return the file of weights of a network, whose hash is that of mtcnn 1.0.0."""
    path, (expected, _) = folder / f"{name}.lz4", WEIGHTS[name]
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise ModelNotFound(str(path), ()) from error
    got = hashlib.sha256(packed).hexdigest()
    if got != expected:
        raise CorruptModel(str(path), f"{name} of mtcnn 1.0.0, SHA-256 {expected[:12]}", got[:12])
    return packed


def _arrays(name: str, packed: bytes) -> list[F32]:
    """Return the arrays of one network.

    The file is a pickle with raw arrays in between. It is not unpickled: its hash says that it is
    the one whose layout we know, in which each array follows an opcode and a few bytes of padding.
    """
    try:
        import lz4.frame
    except ModuleNotFoundError as error:
        raise missing_dependency("lz4") from error
    raw, at, arrays = lz4.frame.decompress(packed), 0, []
    for shape in WEIGHTS[name][1]:
        at = raw.index(b"K\x10ub", at) + 4  # alignment 16, end of the array's description
        at += 1 + raw[at]  # the padding, and its length before it
        arrays.append(np.frombuffer(raw, "<f4", prod(shape), at).reshape(shape))
        at += arrays[-1].nbytes
    return arrays


def network_of(name: str, packed: bytes) -> Any:
    """Return a network as an OpenVINO model: uint8 (N, H, W, 3) RGB in, numbers last out.

    The numbers are four for the box, ten for the points if there are any, and the logit.
    packed: its file of weights
    """
    openvino = import_openvino()
    ops = openvino.opset8
    first, bias, *rest = _arrays(name, packed)
    # do to them, once, what (x - 127.5) / 128 does to each picture
    arrays = [first / np.float32(128), bias - first.sum((0, 1, 2)) * np.float32(127.5 / 128), *rest]
    pixels = ops.parameter([-1, SIDES[name], SIDES[name], 3], np.uint8)
    x = ops.transpose(ops.convert(pixels, "f32"), [0, 3, 1, 2])
    for layer in LAYERS[name]:
        if layer == "flat":  # width first, as the weights were trained
            x = ops.reshape(ops.transpose(x, [0, 3, 2, 1]), [0, -1], True)
        elif isinstance(layer, tuple):
            side, end = layer
            x = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [side, side], "floor", end)
            x = x.outputs()[0]  # the second are the places of the maxima
        else:
            (kernel, bias, slope), arrays = arrays[:3], arrays[3:]
            x = ops.prelu(_weighted(x, kernel, bias, layer), slope.copy())
    x = _weighted(x, *_heads(*arrays), LAYERS[name][-1])
    return openvino.Model([ops.transpose(x, [0, 2, 3, 1]) if name == "pnet" else x], [pixels], name)


def _heads(box: F32, box_bias: F32, *rest: F32) -> tuple[F32, F32]:
    """Return all heads as one: box, points if there are any, and certain minus uncertain."""
    *points, kernel, bias = rest
    logit, logit_bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]  # its sigmoid is softmax
    kernels = np.concatenate([box, *points[:1], logit], 1)
    return kernels, np.concatenate([box_bias, *points[1:], logit_bias])


def _weighted(x: Any, kernel: F32, bias: F32, layer: object) -> Any:
    """Return rows (N, C) through a dense layer, or maps (N, C, H, W) through a convolution."""
    ops = import_openvino().opset8
    if layer == "dense":
        return ops.add(ops.matmul(x, kernel.copy(), False, False), bias[None])
    kernel = kernel.reshape(1, 1, *kernel.shape) if kernel.ndim == 2 else kernel
    kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))  # HWIO to OIHW
    x = ops.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.add(x, bias.reshape(1, -1, 1, 1))
