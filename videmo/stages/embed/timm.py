"""A timm network in torch's inference mode, and its way into a graph that needs no torch."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videmo.data import F32, U8
from videmo.errors import CorruptModel, InputError, ModelError
from videmo.files.extras import missing_dependency, require
from videmo.files.quiet import quiet
from videmo.stages.embed import GRAPH, BackboneSpec, in_batches
from videmo.stages.embed.arguments import checked_arguments, is_model
from videmo.stages.embed.dlib_resnet import NAME as DLIB_RESNET
from videmo.stages.embed.dlib_resnet import dlib_resnet
from videmo.stages.embed.mobilefacenet import NAME as MOBILEFACENET
from videmo.stages.embed.mobilefacenet import mobilefacenet

if TYPE_CHECKING:
    import torch

CPU_BATCH, GPU_BATCH = 16, 64  # rows a call, always
# What decides besides tensors what a layer calculates, and what may be done around layers.
SETTINGS = ("stride", "padding", "dilation", "groups", "eps", "residual", "norm_output")


class Timm:
    """Runs the network of `spec` with the weights of `folder`, on a CPU or a GPU.

    outputs: those that are computed, by name; None for all
    precision: auto is fp32; what loses by fewer bits, such as a softmax, is left in fp32 in any
    (torch's autocast)
    """

    def __init__(
        self,
        spec: BackboneSpec,
        folder: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        outputs: Collection[str] | None = None,
        precision: str = "auto",
    ) -> None:
        require("torch", "timm")
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.dim, self.input_size, self.device = spec.dim, spec.input_size, pick_device(device)
        self.precision = "fp32" if precision == "auto" else precision
        self.batch = CPU_BATCH if self.device == "cpu" else GPU_BATCH
        self._widths = {"features": spec.dim}
        net: Any = create_network(spec, folder / "weights.safetensors")
        for name, labels in spec.outputs.items():
            if outputs is not None and name not in outputs:
                del net.outputs[name]
            else:
                self._widths[name] = len(labels)
        self._network = net.to(self.device, memory_format=torch.channels_last)

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]:
        """Return features (M, D) and outputs {name: (M, C)} of crops (M, S, S, 3)."""
        import torch

        with torch.inference_mode(), _set_precision(self.device, self.precision):
            return in_batches(self._run, pixels, self.batch, self._widths)

    def _run(self, pixels: U8) -> dict[str, F32]:
        import torch

        try:
            columns = self._network(torch.from_numpy(pixels).to(self.device))
            return {name: column.float().cpu().numpy() for name, column in columns.items()}
        except (RuntimeError, NotImplementedError) as error:
            if self.precision == "fp32" or isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"{self.device} cannot run this network in {self.precision} ({reason}); "
                "use precision=fp32"
            ) from error


@contextmanager
def _set_precision(device: str, precision: str) -> Iterator[None]:
    """Have torch calculate in `precision`."""
    import torch

    kind = device.partition(":")[0]
    if precision != "fp32":
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        with torch.autocast(kind, dtype):
            yield
    elif kind == "cuda":
        cudnn: Any = torch.backends.cudnn
        with cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):  # or fp32 has 19 bits
            yield
    else:
        yield


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


def create_network(spec: BackboneSpec, weights: Path | None = None) -> torch.nn.Module:
    """Return the network of `spec` in evaluation mode: (M, S, S, 3) uint8 -> dict of float32.

    The dict holds "features" (M, D) and each of `spec.outputs` (M, C).
    weights: a safetensors file with timm's own names and `outputs.<name>.weight|bias`, for an
        output of `spec.hidden` `outputs.<name>.hidden.weight|bias` and `outputs.<name>.last.…`

    Raises CorruptModel where a tensor is missing, left over or of another shape.
    """
    require("torch", "timm")
    import torch

    class Network(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self) -> None:
            super().__init__()
            self.body = create_body(spec.architecture, spec.arguments, spec.changes)
            self.outputs = torch.nn.ModuleDict(
                {name: output_layers(spec, name) for name in spec.outputs}
            )
            self.register_buffer("mean", torch.tensor(spec.mean), persistent=False)
            self.register_buffer("std", torch.tensor(spec.std), persistent=False)

        def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
            x = ((pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
            features = self.body(x)  # (M, D)
            return {"features": features, **{k: f(features) for k, f in self.outputs.items()}}

    net = Network().eval()
    if weights is not None:
        _load_weights(net, weights)
    return net


def output_layers(spec: BackboneSpec, name: str) -> torch.nn.Module:
    """Return the layers from features (M, D) to one output (M, C)."""
    from collections import OrderedDict

    import torch

    columns = len(spec.outputs[name])
    if name not in spec.hidden:
        return torch.nn.Linear(spec.dim, columns)
    units = spec.hidden[name]
    layers = (
        ("hidden", torch.nn.Linear(spec.dim, units)),
        ("relu", torch.nn.ReLU()),
        ("last", torch.nn.Linear(units, columns)),
    )
    return torch.nn.Sequential(OrderedDict(layers))


def tensor_shapes(spec: BackboneSpec) -> dict[str, tuple[int, ...]]:
    """Return the tensors that the weights of `spec` must have, by name; raises InputError."""
    state = create_network(spec).state_dict()
    return {
        name.removeprefix("body."): tuple(tensor.shape)
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }


def module_settings(spec: BackboneSpec) -> dict[str, dict[str, Any]]:
    """Return how the network is set, by module: {"bn1": {"eps": 1e-5, "stride": False, ...}}.

    What a module does not have is False. Of timm's networks these are the convolutions and batch
    norms, whose settings are the same in every generation of timm; of one written here every
    module, and for those without parts "class", its name in torch. Raises InputError.
    """
    require("torch", "timm")
    import torch

    net = create_body(spec.architecture, spec.arguments, spec.changes)
    kinds: Any = (torch.nn.Conv2d, torch.nn.modules.batchnorm._BatchNorm)
    ours = spec.architecture == MOBILEFACENET
    found: dict[str, dict[str, Any]] = {}
    for name, module in net.named_modules():
        if ours or isinstance(module, kinds):
            found[name] = {key: getattr(module, key, False) for key in SETTINGS}
        if ours and not any(module.children()):
            found[name]["class"] = type(module).__name__
    return found


def feature_dim(spec: BackboneSpec) -> int:
    """Return the columns of the features that the network of `spec` has; raises InputError."""
    require("torch", "timm")
    import torch

    net = create_body(spec.architecture, spec.arguments, spec.changes).eval()
    with torch.inference_mode():
        return int(net(torch.zeros(1, 3, spec.input_size, spec.input_size)).shape[1])


def create_body(
    architecture: str, arguments: Mapping[str, Any], changes: Sequence[str]
) -> torch.nn.Module:
    """Return the network without a classifier, and without the modules named in `changes`.

    Raises InputError for a network or module that there is not.
    """
    import torch

    with quiet():
        import timm

    if architecture == GRAPH:
        raise InputError("this model is an ONNX graph alone; use engine=openvino")
    net: torch.nn.Module
    if architecture == MOBILEFACENET:
        net = mobilefacenet(**checked_arguments(architecture, arguments))
    elif architecture == DLIB_RESNET:
        net = dlib_resnet(**checked_arguments(architecture, arguments))
    elif is_model(architecture) and timm.is_model(architecture):
        net = _created(architecture, checked_arguments(architecture, arguments))
    else:
        raise InputError(f"timm has no network {architecture!r}; timm.list_models() names them")
    for name in changes:
        parent, _, child = name.rpartition(".")
        try:
            net.get_submodule(name)
        except AttributeError as error:
            raise InputError(f"{architecture} has no layer {name!r} to leave out") from error
        setattr(net.get_submodule(parent), child, torch.nn.Identity())
    return net


def _created(architecture: str, arguments: Mapping[str, Any]) -> torch.nn.Module:
    """Return a network of timm without weights: nothing is fetched, and no file is read."""
    with quiet():
        import timm

    try:
        net: torch.nn.Module = timm.create_model(
            architecture, pretrained=False, checkpoint_path="", num_classes=0, **arguments
        )
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        said = ", ".join(arguments) or "nothing more"
        raise InputError(f"{architecture} cannot be made with {said} ({reason})") from error
    return net


def _load_weights(net: torch.nn.Module, weights: Path) -> None:
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
    require("onnx", "onnxscript")


def write_graph(spec: BackboneSpec, folder: Path) -> Path:
    """Write `graph.onnx` into `folder`, beside the `weights.safetensors` it reads.

    The graph holds the wiring alone. Its tensors are external data of ONNX, each an offset into
    weights.safetensors, so that weights are kept once and any engine reads the same bytes.
    Input: pixels (M, S, S, 3) uint8. Outputs: features (M, D) and each of `spec.outputs`.

    Raises MissingDependency without onnx and onnxscript.
    """
    weights = folder / "weights.safetensors"
    model = to_onnx(spec, weights)
    use_external_data(model, weights)
    path = folder / "graph.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def to_onnx(spec: BackboneSpec, weights: Path) -> Any:
    """Return the network as an `onnx.ModelProto` that holds its weights, for any number of faces.

    Raises MissingDependency without onnx and onnxscript.
    """
    import torch

    try:
        with quiet():
            program: Any = torch.onnx.export(
                create_network(spec, weights), (_example_input(spec),),
                dynamo=True, optimize=False, verbose=False,
                input_names=["pixels"], output_names=["features", *spec.outputs],
                dynamic_shapes=({0: torch.export.Dim("faces")},),
            )  # fmt: skip
    except ModuleNotFoundError as error:
        raise missing_dependency(str(error.name)) from error
    model = program.model_proto
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]  # they hold traces of source files
    del model.graph.value_info[:], model.graph.metadata_props[:]
    return model


def to_torchscript(spec: BackboneSpec, weights: Path) -> Any:
    """Return the network as a traced torch module, for any number of faces.

    Raises ModelError where torch cannot trace it.
    """
    import torch

    jit: Any = torch.jit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is called deprecated, and asserts on shapes are told
        try:
            return jit.trace(
                create_network(spec, weights),
                (_example_input(spec),),
                strict=False,
                check_trace=False,
            )
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{weights}: torch cannot trace it ({reason})") from error


def read_torchscript(path: Path) -> Callable[[U8], dict[str, F32]]:
    """Return what runs a file that holds a traced network."""
    import torch

    jit: Any = torch.jit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is called deprecated
        network = jit.load(str(path))

    def run(pixels: U8) -> dict[str, F32]:
        with torch.inference_mode():
            answers = network(torch.from_numpy(pixels))
            return {name: column.numpy() for name, column in answers.items()}

    return run


def _example_input(spec: BackboneSpec) -> torch.Tensor:
    import torch

    return torch.zeros(2, spec.input_size, spec.input_size, 3, dtype=torch.uint8)


def use_external_data(model: Any, weights: Path) -> None:
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
    nodes = list(graph.node)
    del graph.node[:], graph.initializer[:]
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
