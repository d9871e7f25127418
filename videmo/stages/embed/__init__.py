"""Crops of faces go in; features come out, and what else the network tells, by either engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
    device: str  # what it runs on, for the record
    precision: str  # of its arithmetic: fp32, bf16 or fp16

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]: ...


BACKBONES = {
    "openvino": "videmo.stages.embed.openvino:OpenVINO",
    "torch": "videmo.stages.embed.timm:Timm",
}
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
FLUSH_FACES, FLUSH_BATCHES = 64, 16  # when either has come together, it goes through the network
ALIKE = {"auto": 0.999, "asked": 0.99}  # cosine with fp32 that features in fewer bits must have


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
    precision: auto is fp32 on a CPU, and fp16 on a GPU where it gives the features of fp32
    Raises UnknownName, MissingDependency, CorruptModel; InputError for a device or precision that
    is not there, or a precision that was asked for and gives features of another kind.
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
    full = made("fp32")
    alike = _alike(backbone, full)
    if precision == "auto":
        return backbone if alike >= ALIKE["auto"] else full
    if alike < ALIKE["asked"]:
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

    The faces of several batches go through the network together: a batch of large frames shows
    one or two, and the network looks at a fixed number at a time.
    """
    waiting: list[Crops] = []
    for crops in batches:
        if crops.pixels.shape[1:] != (backbone.input_size, backbone.input_size, 3):
            raise ValueError(
                f"crops are {crops.pixels.shape[1:]}, the network takes squares of "
                f"{backbone.input_size} px: Cropping.size and the backbone disagree"
            )
        waiting.append(crops)
        if len(waiting) == FLUSH_BATCHES or sum(len(one.pixels) for one in waiting) >= FLUSH_FACES:
            yield from _embed_together(waiting, backbone)
            waiting = []
    if waiting:
        yield from _embed_together(waiting, backbone)


def _embed_together(batches: Sequence[Crops], backbone: Backbone) -> Iterator[Features]:
    """Yield the features of each batch, after one call for all of them."""
    values, outputs = backbone(np.concatenate([crops.pixels for crops in batches]))
    for name, column in {"features": values, **outputs}.items():
        if not np.isfinite(column).all():
            raise ModelError(
                f"the network gives {name} that are no finite numbers; its weights are damaged, "
                "or not for this network: install it again"
            )
    at = 0
    for crops in batches:
        rows = slice(at, at := at + len(crops.pixels))
        columns = {name: column[rows] for name, column in outputs.items()}
        yield Features(values[rows], crops.faces, crops.seen, columns, crops.times, crops.cuts)


class Thumbnail:
    """The simplest backbone: the picture itself, averaged down to 8 x 8 grey values of 0..1.

    It needs no weights, tells pictures apart, and lets the whole river run in tests.
    """

    dim = 64
    device = "cpu"
    precision = "fp32"

    def __init__(self, input_size: int = 64) -> None:
        self.input_size = input_size

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]:
        """Return (M, 64) float32 and no outputs."""
        m, cell = len(pixels), self.input_size // 8
        grey = pixels.mean(-1).reshape(m, 8, cell, 8, cell).mean((2, 4))
        return (grey.reshape(m, 64) / 255).astype(np.float32), {}
