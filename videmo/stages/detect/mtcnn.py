"""Faces and five points by MTCNN (Zhang et al. 2016), compiled for the CPU by OpenVINO.

P-Net proposes on a pyramid, R-Net refines, O-Net decides. The weights are plain arrays in the
package `mtcnn` on PyPI (MIT), whose code is not run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from math import ceil, log, prod
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from videmo.data import F32, F64, I64, U8, Array, Faces, FrameBatch
from videmo.errors import CorruptModel, MissingDependency, ModelNotFound
from videmo.files.openvino import ONE_FIRST, compile_network, import_openvino
from videmo.stages.detect import Detection, ordered, select, suppress
from videmo.stages.image import resize

FACTOR = 0.709  # each level of the pyramid is this much of the one before
CELL, STRIDE = 12, 2  # px of a level: what one answer of P-Net sees, and the step to the next
R_SIDE, O_SIDE = 24, 48  # px of what R-Net and O-Net look at
P_SCORE, R_SCORE = 0.6, 0.7  # a proposal must be more certain than this to go on
LEVEL, LEVELS, REFINED, FINAL = 0.5, 0.7, 0.7, 0.7  # overlaps that suppress, in order of use
CHUNK = 1 << 18  # px of the finest level that P-Net sees at once: 10 MB of its first layer
STREAMS = 4  # at most so many chunks at once; where there are more threads, they share these

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


class MTCNN:
    """The paper's detector: thresholds 0.6, 0.7 and `options.score`, pyramid factor 0.709.

    In another batch a frame's boxes and points move by rounding only: 6e-5 px in 30 frames. Runs
    on the CPU whatever `device` says. Several threads may call it.

    threads: how many to use; None is one for each core
    weights: a folder with pnet.lz4, rnet.lz4 and onet.lz4 of mtcnn 1.0.0; None asks the package

    Raises MissingDependency without openvino or mtcnn, ModelNotFound or CorruptModel where the
    files of weights are not there or are not those of mtcnn 1.0.0.
    """

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        self._options = options or Detection()
        sums = "".join(expected for expected, _ in WEIGHTS.values())
        self.sha256: str | None = hashlib.sha256(sums.encode()).hexdigest()
        folder = Path(weights) if weights else _folder()
        threads = threads or os.cpu_count() or 1
        self._workers = min(threads, STREAMS)
        compiled = [
            compile_network(
                _network(name, _arrays(folder, name)), threads=threads, streams=self._workers
            )
            for name in WEIGHTS
        ]
        with ONE_FIRST:
            _Network(compiled[0])(np.zeros((1, CELL, CELL, 3), np.uint8))
        self._idle: SimpleQueue[_Cascade] = SimpleQueue()
        for _ in range(self._workers):
            self._idle.put(_Cascade([_Network(one) for one in compiled], self._options.score))

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score."""
        sizes = self._pyramid(*frames.pixels.shape[1:3])
        if not len(frames) or not sizes:
            return Faces.none()
        step = min(ceil(len(frames) / self._workers), max(1, CHUNK // prod(sizes[0])))

        def run(start: int) -> tuple[Array, ...]:
            cascade = self._idle.get()
            try:
                row, *rest = cascade(frames.pixels[start : start + step], sizes)
            finally:
                self._idle.put(cascade)
            return row + start, *rest

        with ThreadPoolExecutor(self._workers) as pool:
            found = list(pool.map(run, range(0, len(frames), step)))
        row, box, score, points = (np.concatenate(column) for column in zip(*found, strict=True))
        return select(ordered(Faces.on(frames, row, box, score, points)), self._options.faces)

    def _pyramid(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the height and width of each level; one face of the finest is one cell."""
        shrink = max(1.0, max(height, width) / (self._options.max_side or np.inf))
        scale, sizes = CELL / (self._options.min_face * shrink), []
        while min(height, width) * scale >= CELL:
            sizes.append((ceil(height * scale), ceil(width * scale)))
            scale *= FACTOR
        return sizes


class _Network:
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


class _Cascade:
    """The three networks in order; their last number is how certain they are, as a logit."""

    def __init__(self, networks: Sequence[_Network], score: float) -> None:
        self._pnet, self._rnet, self._onet = networks
        self._score = score

    def __call__(self, pixels: U8, sizes: Sequence[tuple[int, int]]) -> tuple[Array, ...]:
        """Return row, box, score and points of the faces in (N, H, W, 3) pixels."""
        halves = _halves(pixels)
        proposals = [self._propose(halves, size) for size in sizes]
        row, box, logit = (np.concatenate(column) for column in zip(*proposals, strict=True))
        keep = suppress(row, box, logit, LEVELS)
        row, box = self._refine(halves, row[keep], box[keep])
        return self._decide(halves, row, box)

    def _propose(self, halves: list[U8], size: tuple[int, int]) -> tuple[Array, ...]:
        """Return row, box and logit of the cells of one level that may hold a face."""
        k = max(k for k, half in enumerate(halves) if k == 0 or _fits(size, half.shape[1:3]))
        answers = self._pnet(np.stack([resize(frame, *size, average=False) for frame in halves[k]]))
        row, y, x = np.nonzero(answers[..., -1] > _logit(P_SCORE))
        chosen = answers[row, y, x].astype(np.float64)
        box = np.stack([x, y, x, y], 1) * STRIDE + np.array([0, 0, CELL, CELL])
        unit = np.array(halves[k].shape[2:0:-1]) * 2**k / np.array(size[::-1])
        box = (box + chosen[:, :4] * CELL) * np.tile(unit, 2)
        keep = suppress(row, box, chosen[:, -1], LEVEL)
        return row[keep], box[keep], chosen[keep, -1]

    def _refine(self, halves: list[U8], row: I64, box: F64) -> tuple[I64, F64]:
        """Return row and box of the proposals in which R-Net sees a face."""
        crops, box = _cut(halves, row, box, R_SIDE)
        answers = self._rnet(crops)
        sure = answers[:, -1] > _logit(R_SCORE)
        row, box, answers = row[sure], _move(box[sure], answers[sure, :4]), answers[sure]
        keep = suppress(row, box, answers[:, -1], REFINED)
        return row[keep], box[keep]

    def _decide(self, halves: list[U8], row: I64, box: F64) -> tuple[Array, ...]:
        """Return row, box, score and points of the boxes in which O-Net sees a face."""
        crops, box = _cut(halves, row, box, O_SIDE)
        answers = self._onet(crops).astype(np.float64)
        score = 1 / (1 + np.exp(-answers[:, -1]))
        sure = score >= self._score
        row, box, score, answers = row[sure], box[sure], score[sure], answers[sure]
        points = np.stack([answers[:, 4:9], answers[:, 9:14]], -1)  # (M, 5, 2), 0..1 of the box
        points = box[:, None, :2] + points * (box[:, None, 2:] - box[:, None, :2])
        box = _move(box, answers[:, :4])
        keep = suppress(row, box, score, FINAL, smaller=True)
        return row[keep], box[keep], score[keep], points[keep]


def _halves(pixels: U8) -> list[U8]:
    """Return the frames, and halved again and again while twice the cell fits in.

    Levels and crops are taken bilinearly from the last half that is not smaller: it costs a
    fifteenth of averaging areas of the full frame, and points on labelled faces are as exact.
    """
    halves = [pixels]
    while min(halves[-1].shape[1:3]) >= 4 * CELL:
        height, width = (side // 2 for side in halves[-1].shape[1:3])
        even = halves[-1][:, : 2 * height, : 2 * width]  # whole px to average: exact and fast
        halves.append(np.stack([resize(frame, height, width) for frame in even]))
    return halves


def _cut(halves: list[U8], row: I64, box: F64, side: int) -> tuple[U8, F64]:
    """Return square crops (M, side, side, 3) around the boxes, black outside, and what they show.

    The square has the box's centre and longer side, moved to whole px of the half it is cut from.
    """
    crops = np.empty((len(row), side, side, 3), np.uint8)
    length = (box[:, 2:] - box[:, :2]).max(1, initial=1)
    corner = (box[:, :2] + box[:, 2:] - length[:, None]) / 2
    k = np.log2(length / side).astype(np.int64).clip(0, len(halves) - 1)
    unit = np.exp2(k)[:, None]
    corner, length = np.rint(corner / unit).astype(np.int64), np.rint(length[:, None] / unit)
    square = np.concatenate([corner, corner + length.astype(np.int64)], 1)
    for crop, half, frame, edges in zip(
        crops, k.tolist(), row.tolist(), square.tolist(), strict=True
    ):
        crop[:] = resize(_window(halves[half][frame], *edges), side, side, average=False)
    return crops, square * unit


def _window(pixels: U8, x0: int, y0: int, x1: int, y1: int) -> U8:
    """Return pixels[y0:y1, x0:x1], black where that lies outside."""
    height, width = pixels.shape[:2]
    inside = pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return inside
    window = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    top, left = max(-y0, 0), max(-x0, 0)
    window[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return window


def _move(box: Array, by: Array) -> F64:
    """Return the boxes with their edges moved by shares of their width and height."""
    size = box[:, 2:] - box[:, :2]
    return np.asarray(box + by * np.concatenate([size, size], 1), np.float64)


def _fits(size: Sequence[int], within: Sequence[int]) -> bool:
    return size[0] <= within[0] and size[1] <= within[1]


def _logit(score: float) -> float:
    return log(score / (1 - score))


def _folder() -> Path:
    """Return where the package mtcnn keeps its weights, without importing it."""
    spec = find_spec("mtcnn")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency("mtcnn")
    return Path(spec.submodule_search_locations[0]) / "assets" / "weights"


def _arrays(folder: Path, name: str) -> list[F32]:
    """Return the arrays of one network.

    The file is a pickle with raw arrays in between. It is not unpickled: its hash says that it is
    the one whose layout we know, in which each array follows an opcode and a few bytes of padding.
    """
    try:
        import lz4.frame
    except ModuleNotFoundError as error:
        raise MissingDependency("lz4") from error
    path, (expected, shapes) = folder / f"{name}.lz4", WEIGHTS[name]
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise ModelNotFound(str(path), ()) from error
    got = hashlib.sha256(packed).hexdigest()
    if got != expected:
        raise CorruptModel(str(path), f"{name} of mtcnn 1.0.0, SHA-256 {expected[:12]}", got[:12])
    raw, at, arrays = lz4.frame.decompress(packed), 0, []
    for shape in shapes:
        at = raw.index(b"K\x10ub", at) + 4  # alignment 16, end of the array's description
        at += 1 + raw[at]  # the padding, and its length before it
        arrays.append(np.frombuffer(raw, "<f4", prod(shape), at).reshape(shape))
        at += arrays[-1].nbytes
    return arrays


def _network(name: str, arrays: Sequence[F32]) -> Any:
    """Return the network as an OpenVINO model: uint8 (N, H, W, 3) RGB in, numbers last out.

    The numbers are four for the box, ten for the points if there are any, and the logit.
    """
    openvino = import_openvino()
    ops = openvino.opset8
    first, bias, *rest = arrays  # do to them, once, what (x - 127.5) / 128 does to each picture
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
