"""A timm network in torch's inference mode, and its way into a graph that needs no torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.data import F32, U8
from videmo.embed import BackboneSpec
from videmo.errors import CorruptModel, InputError, MissingDependency

if TYPE_CHECKING:
    import torch

BATCH = 64  # rows a call at most


class Timm:
    """Runs the network of `spec` with the weights of `folder`, on a CPU or a GPU.

    outputs: those that are computed, by name; None for all
    """

    def __init__(
        self,
        spec: BackboneSpec,
        folder: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        outputs: Collection[str] | None = None,
    ) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.dim, self.input_size, self.device = spec.dim, spec.input_size, pick_device(device)
        net: Any = network(spec, folder / "weights.safetensors")
        for name in spec.outputs:
            if outputs is not None and name not in outputs:
                del net.outputs[name]
        self._network = net.to(self.device)

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]:
        """Return features (M, D) and outputs {name: (M, C)} of crops (M, S, S, 3)."""
        import torch

        rows = torch.from_numpy(np.ascontiguousarray(pixels))
        with torch.inference_mode():
            parts = [self._network(part.to(self.device)) for part in rows.split(BATCH)]
            columns = {
                name: torch.cat([part[name] for part in parts]).float().cpu().numpy()
                for name in parts[0]
            }
        return columns.pop("features"), columns


def pick_device(name: str) -> str:
    """Return a device of torch; auto is cuda, mps or cpu, the first there is.

    Raises InputError for a device that was named and is not there.
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there[:0] = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name == "auto":
        return there[0]
    if name not in there:
        raise InputError(f"device {name!r} is not there; this machine has {', '.join(there)}")
    return name


def network(spec: BackboneSpec, weights: Path | None = None) -> torch.nn.Module:
    """Return the network of `spec` in evaluation mode: (M, S, S, 3) uint8 -> dict of float32.

    The dict holds "features" (M, D) and each of `spec.outputs` (M, C).
    weights: a safetensors file with timm's own names and `outputs.<name>.weight|bias`

    Raises CorruptModel where a tensor is missing, left over or of another shape.
    """
    import torch

    class Network(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self) -> None:
            super().__init__()
            self.body = body(spec.architecture, spec.arguments, spec.changes)
            self.outputs = torch.nn.ModuleDict(
                {name: torch.nn.Linear(spec.dim, len(of)) for name, of in spec.outputs.items()}
            )
            self.register_buffer("mean", torch.tensor(spec.mean), persistent=False)
            self.register_buffer("std", torch.tensor(spec.std), persistent=False)

        def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
            x = ((pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
            features = self.body(x)  # (M, D)
            return {"features": features, **{k: f(features) for k, f in self.outputs.items()}}

    net = Network().eval()
    if weights is not None:
        _fill(net, weights)
    return net


def body(
    architecture: str, arguments: Mapping[str, Any], changes: Sequence[str]
) -> torch.nn.Module:
    """Return timm's network without a classifier, and without the modules named in `changes`.

    Raises InputError for a module that it does not have.
    """
    import timm
    import torch

    net: torch.nn.Module = timm.create_model(architecture, num_classes=0, **dict(arguments))
    for name in changes:
        parent, _, child = name.rpartition(".")
        try:
            net.get_submodule(name)
        except AttributeError as error:
            raise InputError(f"{architecture} has no layer {name!r} to leave out") from error
        setattr(net.get_submodule(parent), child, torch.nn.Identity())
    return net


def _fill(net: torch.nn.Module, weights: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise CorruptModel(str(weights), "a safetensors file", str(error)) from error
    state = {
        name if name.startswith("outputs.") else f"body.{name}": tensor.float()
        for name, tensor in tensors.items()
    }
    expected = {k for k in net.state_dict() if not k.endswith("num_batches_tracked")}
    if wrong := sorted(expected ^ set(state)):
        raise CorruptModel(str(weights), "the network's tensors", f"a difference in {wrong[0]}")
    try:
        net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CorruptModel(str(weights), "tensors that fit", reason) from error


def can_write_graphs() -> None:
    """Raise MissingDependency where `write_graph` would, before hours of work."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependency(str(error.name), "train") from error


def write_graph(spec: BackboneSpec, folder: Path) -> Path:
    """Write `graph.onnx` into `folder`, beside the `weights.safetensors` it reads.

    The graph holds the wiring alone. Its tensors are external data of ONNX, each an offset into
    weights.safetensors, so that weights are kept once and any engine reads the same bytes.
    Input: pixels (M, S, S, 3) uint8. Outputs: features (M, D) and each of `spec.outputs`.

    Raises MissingDependency without onnx and onnxscript.
    """
    import torch

    weights = folder / "weights.safetensors"
    net = network(spec, weights)
    pixels = torch.zeros(2, spec.input_size, spec.input_size, 3, dtype=torch.uint8)
    try:
        program: Any = torch.onnx.export(
            net, (pixels,), dynamo=True, optimize=False, verbose=False,
            input_names=["pixels"], output_names=["features", *spec.outputs],
            dynamic_shapes=({0: torch.export.Dim("faces")},),
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), "train") from error
    model = program.model_proto
    _point_into(model, weights)
    path = folder / "graph.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _point_into(model: Any, weights: Path) -> None:
    """Turn the initializers of `model` into external data that lie in `weights`."""
    import onnx

    where = _tensors(weights)
    graph, kept, casts = model.graph, [], []
    renamed: dict[str, str] = {}
    for tensor in graph.initializer:
        name = tensor.name.removeprefix("body.")
        if name not in where:
            kept.append(tensor)
            continue
        dtype, shape, offset, length = where[name]
        outside = onnx.TensorProto(
            name=tensor.name, data_type=dtype, dims=shape, data_location=onnx.TensorProto.EXTERNAL
        )
        facts = {"location": weights.name, "offset": str(offset), "length": str(length)}
        for key, value in facts.items():
            outside.external_data.add(key=key, value=value)
        kept.append(outside)
        renamed[tensor.name] = f"{tensor.name}.f32"
        casts.append(
            onnx.helper.make_node(
                "Cast", [tensor.name], [renamed[tensor.name]], to=onnx.TensorProto.FLOAT
            )
        )
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.doc_string = ""
        del node.metadata_props[:]  # they hold traces of source files
    nodes = list(graph.node)
    del graph.node[:], graph.initializer[:], graph.value_info[:], graph.metadata_props[:]
    graph.node.extend([*casts, *nodes])
    graph.initializer.extend(kept)


def _tensors(weights: Path) -> dict[str, tuple[int, list[int], int, int]]:
    """Return where each tensor lies in a safetensors file: ONNX type, shape, offset, length.

    The file is eight bytes with the length of a JSON header, the header, the bytes
    (safetensors format description, huggingface/safetensors).
    """
    import onnx

    types = {"F16": onnx.TensorProto.FLOAT16, "F32": onnx.TensorProto.FLOAT}
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: (
            types[entry["dtype"]],
            entry["shape"],
            8 + length + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
    }
