"""Crops of faces go in; features come out, and what else the network tells, by either engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from videmo.data import F32, U8, Crops, Features
from videmo.errors import InputError, ModelError, UnknownName
from videmo.stages.registry import resolve

GRAPH = "onnx"  # the architecture of a model of which there is graph.onnx alone


@dataclass(frozen=True)
class BackboneSpec:
    """What a backbone is, as its card says; enough to build it again."""

    architecture: str  # a name in timm, mobilefacenet, dlib_resnet or GRAPH
    input_size: int  # px, side of the square crop
    mean: tuple[float, float, float]  # of RGB in 0..1
    std: tuple[float, float, float]
    dim: int  # D, columns of the features
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> labels in order
    arguments: Mapping[str, Any] = field(default_factory=dict)  # further ones of its maker
    changes: tuple[str, ...] = ()  # modules of the network replaced by nothing, such as "maxpool"
    hidden: Mapping[str, int] = field(default_factory=dict)  # output -> units of a ReLU before it


class Backbone(Protocol):
    """Maps crops to features.

    Called with (M, S, S, 3) uint8 RGB, M may be 0, returns features (M, D) float32 and the
    outputs that were asked for by name, (M, C) float32 each, before any softmax. A row does not
    depend on the rows beside it.
    """

    dim: int
    input_size: int
    batch: int  # faces that it looks at at once; where there are fewer, it looks at black as well
    device: str  # what it runs on, for the record
    precision: str  # of its arithmetic: fp32, bf16 or fp16

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]: ...


BACKBONES = {
    "openvino": "videmo.stages.embed.openvino:OpenVINO",
    "torch": "videmo.stages.embed.timm:Timm",
}
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
LATE = 16  # batches that wait: then the network looks at what there is
ALIKE = 0.99  # cosine with fp32 that features in fewer bits must have


def make_backbone(
    spec: BackboneSpec,
    folder: Path,
    *,
    engine: str,
    device: str = "auto",
    threads: int = 0,
    outputs: Collection[str] | None = None,
    precision: str = "auto",
) -> Backbone:
    """Return the network in `folder` (weights.safetensors, graph.onnx), run by `engine`.

    threads: 0 is as many as this process may use
    outputs: those of the spec that are computed, () for the features alone; None for all
    precision: auto is fp32, so that a GPU answers as a CPU does
    Raises UnknownName, MissingDependency, CorruptModel; InputError for a device or precision that
    is not there, or a precision that gives features of another kind.
    """
    make = resolve("engine", BACKBONES, engine)
    for name in outputs or ():
        if name not in spec.outputs:
            raise UnknownName("output of this backbone", name, spec.outputs)
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)

    def made(precision: str) -> Backbone:
        backbone: Backbone = make(
            spec, folder, device=device, threads=threads, outputs=outputs, precision=precision
        )
        return backbone

    backbone = made(precision)
    if backbone.precision == "fp32":
        return backbone
    if (alike := _alike(backbone, made("fp32"))) < ALIKE:
        raise InputError(
            f"in {precision} on {backbone.device}, this network has other features (cosine "
            f"{alike:.4f} with those of fp32); use precision=fp32"
        )
    return backbone


def _alike(backbone: Backbone, full: Backbone) -> float:
    """Return the least cosine between the features of two for the same pictures."""
    crops = probe_pictures(backbone.input_size)
    return float(cosine(backbone(crops)[0], full(crops)[0]).min())


def probe_pictures(side: int) -> U8:
    """Return pictures (8, S, S, 3) to compare engines with: four of noise, four of patches."""
    rng, cell = np.random.default_rng(0), -(-side // 4)
    noise = rng.integers(0, 256, (4, side, side, 3), np.uint8)
    patches = rng.integers(0, 256, (4, 4, 4, 3), np.uint8).repeat(cell, 1).repeat(cell, 2)
    return np.concatenate([noise, patches[:, :side, :side]])


def cosine(a: F32, b: F32) -> F32:
    """Return the cosine of the angle between each row of (M, D) and the same of another, (M,).

    A row that is not finite, or zero in one alone, has -1.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        angle = np.where(length > 0, (x * y).sum(1) / length, np.where((x == y).all(1), 1, -1))
    return np.nan_to_num(angle, nan=-1).astype(np.float32)


def in_batches(
    run: Callable[[U8], Mapping[str, Any]], pixels: U8, size: int, widths: Mapping[str, int]
) -> tuple[F32, dict[str, F32]]:
    """Return the features and outputs that `run` gives for all crops, `size` at a time.

    The last batch is filled up with black: a fixed shape gives a face the same bits in any
    company.

    widths: of the columns that are kept, by name; "features" is one of them
    """
    columns = {name: np.zeros((len(pixels), width), np.float32) for name, width in widths.items()}
    for at in range(0, len(pixels), size):
        chunk = pixels[at : at + size]
        padded = np.zeros((size, *chunk.shape[1:]), np.uint8)
        padded[: len(chunk)] = chunk
        found = run(padded)
        for name, column in columns.items():
            column[at : at + len(chunk)] = found[name][: len(chunk)]
    return columns.pop("features"), columns


def embed(batches: Iterable[Crops], backbone: Backbone) -> Iterator[Features]:
    """Yield the features of each batch of crops; a batch without faces yields zero rows.

    The network looks at a fixed number of faces at a time. So the faces of several batches go
    through it together, and what is left over waits for those of the next.
    """
    waiting = _Waiting(backbone)
    for crops in batches:
        if crops.pixels.shape[1:] != (backbone.input_size, backbone.input_size, 3):
            raise ValueError(
                f"crops are {crops.pixels.shape[1:]}, the network takes squares of "
                f"{backbone.input_size} px: Cropping.size and the backbone disagree"
            )
        yield from waiting.add(crops)
    yield from waiting.end()


class _Waiting:
    """Crops that were not yet looked at, or whose batch is not yet told of."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._batches = deque[Crops]()
        self._unseen = np.zeros((0, backbone.input_size, backbone.input_size, 3), np.uint8)
        self._told = self._look(0)  # of the first faces of the batches, by name

    def add(self, crops: Crops) -> Iterator[Features]:
        """Take a batch, and yield those that are told of by now."""
        self._batches.append(crops)
        self._unseen = np.concatenate([self._unseen, crops.pixels])
        late = len(self._batches) >= LATE
        return self._tell(0 if late else len(self._unseen) % self._backbone.batch)

    def end(self) -> Iterator[Features]:
        """Yield the batches that are left."""
        return self._tell(0)

    def _tell(self, left_over: int) -> Iterator[Features]:
        if faces := len(self._unseen) - left_over:
            more = self._look(faces)
            self._told = {k: np.concatenate([of, more[k]]) for k, of in self._told.items()}
        while self._batches and len(self._batches[0].pixels) <= len(self._told["features"]):
            crops = self._batches.popleft()
            rows = {name: of[: len(crops.pixels)] for name, of in self._told.items()}
            self._told = {name: of[len(crops.pixels) :] for name, of in self._told.items()}
            values = rows.pop("features")
            yield Features(values, crops.faces, crops.seen, rows, crops.times, crops.cuts)

    def _look(self, faces: int) -> dict[str, F32]:
        """Return what the network says of the first faces that were not looked at."""
        values, outputs = self._backbone(self._unseen[:faces])
        self._unseen = self._unseen[faces:]
        told = {"features": values, **outputs}
        for name, column in told.items():
            if not np.isfinite(column).all():
                raise ModelError(
                    f"the network gives {name} that are no finite numbers; its weights are "
                    "damaged, or not for this network: install it again"
                )
        return told


class Thumbnail:
    """The simplest backbone: the picture itself, averaged down to 8 x 8 grey values of 0..1.

    It needs no weights, tells pictures apart, and lets the whole river run in tests.
    """

    dim = 64
    batch = 1
    device = "cpu"
    precision = "fp32"

    def __init__(self, input_size: int = 64) -> None:
        self.input_size = input_size

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]:
        """Return (M, 64) float32 and no outputs."""
        m, cell = len(pixels), self.input_size // 8
        grey = pixels.mean(-1).reshape(m, 8, cell, 8, cell).mean((2, 4))
        return (grey.reshape(m, 64) / 255).astype(np.float32), {}
