"""Features of faces, by a network that one engine or another runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from videmo.data import F32, U8, Crops, Features
from videmo.errors import UnknownName
from videmo.registry import find


@dataclass(frozen=True)
class BackboneSpec:
    """What a backbone is, as its card says; enough to build it again with timm."""

    architecture: str  # a name in timm
    input_size: int  # px, side of the square crop
    mean: tuple[float, float, float]  # of RGB in 0..1
    std: tuple[float, float, float]
    dim: int  # D, columns of the features
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> labels in order
    arguments: Mapping[str, Any] = field(default_factory=dict)  # further ones of timm.create_model
    changes: tuple[str, ...] = ()  # modules of the network replaced by nothing, such as "maxpool"


class Backbone(Protocol):
    """Maps crops to features.

    Called with (M, S, S, 3) uint8 RGB, M may be 0, returns features (M, D) float32 and the
    outputs that were asked for by name, (M, C) float32 each, before any softmax. A row does not
    depend on the rows beside it.
    """

    dim: int
    input_size: int
    device: str  # what it runs on, for the record

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]: ...


BACKBONES = {
    "openvino": "videmo.embed.openvino:OpenVINO",
    "torch": "videmo.embed.timm:Timm",
}


def make_backbone(
    spec: BackboneSpec,
    folder: Path,
    *,
    engine: str,
    device: str = "auto",
    threads: int = 0,
    outputs: Collection[str] | None = None,
) -> Backbone:
    """Return the network in `folder` (weights.safetensors, graph.onnx), run by `engine`.

    threads: 0 is as many as this process may use
    outputs: those of the spec that are computed, () for the features alone; None for all
    Raises UnknownName, MissingDependency, CorruptModel.
    """
    make = find("engine", BACKBONES, engine)
    for name in outputs or ():
        if name not in spec.outputs:
            raise UnknownName("output of this backbone", name, spec.outputs)
    backbone: Backbone = make(spec, folder, device=device, threads=threads, outputs=outputs)
    return backbone


def embed(batches: Iterable[Crops], backbone: Backbone) -> Iterator[Features]:
    """Yield the features of each batch of crops; a batch without faces yields zero rows."""
    for crops in batches:
        if crops.pixels.shape[1:] != (backbone.input_size, backbone.input_size, 3):
            raise ValueError(
                f"crops are {crops.pixels.shape[1:]}, the network takes squares of "
                f"{backbone.input_size} px: Cropping.size and the backbone disagree"
            )
        values, outputs = backbone(crops.pixels)
        yield Features(values, crops.faces, crops.seen, outputs)


class Thumbnail:
    """The simplest backbone: the picture itself, averaged down to 8 x 8 grey values of 0..1.

    It needs no weights, tells pictures apart, and lets the whole river run in tests.
    """

    dim = 64
    device = "cpu"

    def __init__(self, input_size: int = 64) -> None:
        self.input_size = input_size

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]:
        """Return (M, 64) float32 and no outputs."""
        m, cell = len(pixels), self.input_size // 8
        grey = pixels.mean(-1).reshape(m, 8, cell, 8, cell).mean((2, 4))
        return (grey.reshape(m, 64) / 255).astype(np.float32), {}
