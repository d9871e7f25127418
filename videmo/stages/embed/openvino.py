"""A network on the CPU, compiled by OpenVINO; torch is imported the first time, if at all."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

from videmo.data import F32, U8
from videmo.errors import CorruptModel, InputError, out_of_memory
from videmo.files import cache_dir, sha256
from videmo.files.compiled import compiled, load_or_convert
from videmo.files.openvino import from_torch, import_openvino, runner
from videmo.stages.embed import BackboneSpec, in_batches

BATCH = 16  # rows a call, always
LARGEST = (
    1 << 28
)  # numbers of a tensor for one batch: a gibibyte; light networks have some millions
PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVINO:
    """Runs `graph.onnx`, or without one the torch network converted once and kept in the cache.

    The tensors of both lie in `weights.safetensors`. Several threads may call it.

    outputs: those that are computed, by name; None for all
    precision: auto is fp32
    """

    device = "cpu"
    batch = BATCH

    def __init__(
        self,
        spec: BackboneSpec,
        folder: Path,
        *,
        device: str = "cpu",
        threads: int = 0,
        outputs: Collection[str] | None = None,
        precision: str = "auto",
    ) -> None:
        if device not in ("auto", "cpu"):
            raise InputError(f"engine openvino runs on the CPU, not on {device!r}; use device=cpu")
        self.dim, self.input_size = spec.dim, spec.input_size
        self.precision = _precision(precision)
        wanted = {k: len(of) for k, of in spec.outputs.items() if outputs is None or k in outputs}
        self._widths = {"features": spec.dim, **wanted}
        network = _compile(spec, folder, self._widths, PRECISION_HINTS[self.precision], threads)
        self._answers = runner(network)

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]:
        """Return features (M, D) and outputs {name: (M, C)} of crops (M, S, S, 3)."""
        return in_batches(self._run, pixels, BATCH, self._widths)

    def _run(self, pixels: U8) -> dict[str, F32]:
        answers = self._answers({"pixels": pixels})
        return {name: answers[name] for name in self._widths}


def _precision(name: str) -> str:
    """Return what `name` stands for; InputError for one that this CPU would quietly replace."""
    if name == "auto":
        return "fp32"
    can = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if name != "fp32" and name.upper() not in can:
        there = [precision for precision in PRECISION_HINTS if precision.upper() in can]
        raise InputError(f"this CPU has no {name}; use precision={' or precision='.join(there)}")
    return name


def _compile(
    spec: BackboneSpec, folder: Path, wanted: Collection[str], hint: str, threads: int
) -> Any:
    graph, weights = folder / "graph.onnx", folder / "weights.safetensors"
    path = graph if graph.is_file() else weights

    def make() -> Any:
        model = _read(graph) if path is graph else _convert(spec, weights)
        for output in model.outputs:
            if output.names.isdisjoint(wanted):  # what leads to no result is not compiled
                model.remove_result(output.node)
        model.reshape({"pixels": [BATCH, spec.input_size, spec.input_size, 3]})
        _refuse_large(path, model)
        return model

    try:
        sums = [sha256(file) for file in (graph, weights) if file.is_file()]
        facts = json.dumps([*sums, BATCH, asdict(spec), sorted(wanted)], default=repr)
        return compiled(facts, make, threads=threads, precision=hint)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        failure = CorruptModel(str(path), "a graph that compiles", reason)
        raise out_of_memory(error) or failure from error


def _refuse_large(path: Path, model: Any) -> None:
    """Raise CorruptModel for a graph that makes a huge tensor, before OpenVINO calculates it."""
    for operation in model.get_ops():
        for output in operation.outputs():
            shape = output.get_partial_shape()
            if shape.is_static and prod(shape.to_shape()) > LARGEST:
                got = f"{operation.get_type_name()} makes one of {shape}"
                raise CorruptModel(str(path), f"tensors of at most {LARGEST} numbers", got)


def _read(graph: Path) -> Any:
    return import_openvino().Core().read_model(graph)


def _convert(spec: BackboneSpec, weights: Path) -> Any:
    """Return the network as OpenVINO has it; torch is only imported where none is kept."""
    try:
        digest = sha256(weights)
    except OSError as error:
        raise CorruptModel(str(weights), "a safetensors file", str(error)) from error

    def convert() -> Any:
        from videmo.stages.embed.timm import to_torchscript

        return from_torch(to_torchscript(spec, weights), [-1, spec.input_size, spec.input_size, 3])

    facts = f"{digest} {json.dumps(asdict(spec), sort_keys=True, default=repr)}"
    return load_or_convert(cache_dir() / "compiled", facts, convert)
