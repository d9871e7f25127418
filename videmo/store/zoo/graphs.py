"""A published ONNX graph as the `graph.onnx` of a model folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from videmo.data import Array
from videmo.errors import CorruptModel
from videmo.files.extras import missing_dependency
from videmo.stages.embed import GRAPH, BackboneSpec
from videmo.stages.embed.timm import use_external_data
from videmo.store.zoo.checkpoint import are_names, one_line, read_whole
from videmo.store.zoo.layouts import Tensors, split_outputs

_MAX_NODES = 20_000  # nodes, or tensors; light networks have some hundreds
_GROWING = frozenset({
    "ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Upsample", "Pad", "OneHot", "EyeLike",
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "ConvTranspose", "MatMul", "Gather", "GatherND", "Concat", "Col2Im", "CenterCropPad", "Einsum",
    "MaxUnpool", "MaxRoiPool", "RoiAlign", "GridSample", "AffineGrid", "DepthToSpace",
    "SequenceConstruct", "SplitToSequence", "StringNormalizer", "TfIdfVectorizer",
})  # fmt: skip
_MIN_OPSET = 7  # from which on Mul and Add stretch their operands as NumPy does
_IR = 8  # version of the file's structure: from 4 on, tensors need not be inputs too


def read(path: Path) -> Any:
    """Return the graph in a file, after it has been checked.

    It may hold operators of ONNX alone, without functions and without graphs inside graphs, and
    every tensor must lie in the file itself.

    Raises MissingDependency without onnx, CorruptModel.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_dependency("onnx") from error
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(read_whole(path))
        _check_plain(path, model)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no graph"
        raise _corrupt(path, reason) from error
    return model


def spec_of(path: Path, model: Any, specs: Iterable[BackboneSpec]) -> BackboneSpec:
    """Return the spec of the model folder that the graph becomes.

    specs: what the network may be; the first of as many px, features and outputs is it, where a
        dim of 0 is any number of features
    Raises CorruptModel where none fits, or where the graph is no classifier of pictures.
    """
    columns, dim = _weight(path, model).shape
    side = _input_side(path, model)
    for spec in specs:
        sizes = (spec.dim or dim, sum(map(len, spec.outputs.values())))
        if sizes == (dim, columns) and side in (0, spec.input_size):
            return replace(spec, architecture=GRAPH, arguments={}, changes=(), dim=dim)
    raise _corrupt(path, f"pictures of {side or 'any'} px, {dim} features and {columns} outputs")


def bounded(path: Path, model: Any, side: int, most: int) -> None:
    """Raise CorruptModel where the graph makes a tensor of more than `most` bytes of one picture.

    A few bytes can ask for any size (ConstantOfShape, Expand, Tile), which would be found out by
    the machine. Sizes are inferred without calculating anything; an operator that may make more
    than it is given has to have one.
    """
    import onnx

    one = onnx.ModelProto.FromString(model.SerializeToString())
    shape = _input_of(path, one).type.tensor_type.shape
    for dim, size in zip(shape.dim, (1, 3, side, side), strict=True):
        dim.dim_value = size
    try:
        graph = onnx.shape_inference.infer_shapes(one, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise _corrupt(path, f"shapes that do not fit ({error})") from error
    sizes = {v.name: _numbers(v) for v in (*graph.value_info, *graph.output, *graph.input)}
    for node in graph.node:
        for name in node.output:
            known = sizes.get(name)
            if known is None and node.op_type in _GROWING:
                raise _corrupt(path, f"{node.op_type}, which makes a tensor of a size nobody knows")
            if (size := 4 * (known or 0)) > most:
                said = f"a tensor of {size} bytes; {most} are the most (--max-mb)"
                raise _corrupt(path, f"{node.op_type}, which makes {said}")


def _numbers(value: Any) -> int | None:
    """Return how many numbers a tensor has, None where that is not known."""
    kind = value.type.tensor_type
    sizes = [dim.dim_value for dim in kind.shape.dim]
    return prod(sizes) if kind.HasField("shape") and all(sizes) else None


def tensors_of(path: Path, model: Any, spec: BackboneSpec) -> Tensors:
    """Return the tensors of a graph, with the last layer's rows given to the outputs."""
    last, weight = _last_dense(path, model), _weight(path, model)
    bias = _tensor(path, model, last.input[2]) if len(last.input) > 2 else 0 * weight[:, 0]
    used = {name for node in model.graph.node if node is not last for name in node.input}
    found: Tensors = {}
    for tensor in model.graph.initializer:
        name = tensor.name.removeprefix("body.")
        if tensor.name in used and _is_float(tensor) and prod(tensor.dims) and tensor.dims:
            if name in found or name.startswith("outputs."):
                raise _corrupt(path, f"two tensors called {name[:80]!r}")
            found[name] = _tensor(path, model, tensor.name)
    return {**found, **split_outputs(str(path), weight, bias.reshape(-1), spec)}


def write(path: Path, model: Any, spec: BackboneSpec, folder: Path) -> None:
    """Write `graph.onnx` into `folder`, beside the `weights.safetensors` it points into.

    In front of the published graph come what `pixels` (M, S, S, 3) uint8 need to become its
    input; its last layer is parted into one for each output, whose input are `features`.

    path: of the published file, for errors
    """
    import onnx

    graph, last = model.graph, _last_dense(path, model)
    ahead, constants = _preprocessing_nodes(spec, _input_of(path, model).name)
    behind, parts = _output_nodes(spec, last.input[0])
    nodes = [*ahead, *(node for node in graph.node if node is not last), *behind]
    used = {name for node in nodes for name in node.input}
    tensors = [*constants, *(t for t in graph.initializer if t.name in used), *parts]
    del graph.node[:], graph.initializer[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    side, value = spec.input_size, onnx.helper.make_tensor_value_info
    graph.input.append(value("pixels", onnx.TensorProto.UINT8, ["faces", side, side, 3]))
    widths = {"features": spec.dim, **{k: len(of) for k, of in spec.outputs.items()}}
    for name, width in widths.items():
        graph.output.append(value(name, onnx.TensorProto.FLOAT, ["faces", width]))
    model.ir_version = max(model.ir_version, _IR)
    use_external_data(model, folder / "weights.safetensors")
    (folder / "graph.onnx").write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(str(folder / "graph.onnx"))
    except onnx.checker.ValidationError as error:
        raise _corrupt(path, str(error).strip().splitlines()[0]) from error


def _preprocessing_nodes(spec: BackboneSpec, entry: str) -> tuple[list[Any], list[Any]]:
    """Return nodes and tensors from `pixels` uint8 to the published input (M, 3, S, S).

    (x / 255 - mean) / std is x * scale + shift.
    """
    import onnx

    make, std = onnx.helper.make_node, np.array(spec.std)
    numbers = {"pixels.scale": 1 / (255 * std), "pixels.shift": -np.array(spec.mean) / std}
    nodes = [
        make("Cast", ["pixels"], ["pixels.float"], to=onnx.TensorProto.FLOAT),
        make("Mul", ["pixels.float", "pixels.scale"], ["pixels.scaled"]),
        make("Add", ["pixels.scaled", "pixels.shift"], ["pixels.normal"]),
        make("Transpose", ["pixels.normal"], [entry], perm=[0, 3, 1, 2]),
    ]
    to_tensor = onnx.numpy_helper.from_array
    return nodes, [to_tensor(of.astype(np.float32), name) for name, of in numbers.items()]


def _output_nodes(spec: BackboneSpec, features: str) -> tuple[list[Any], list[Any]]:
    """Return nodes and tensors from the published features to ours and to each output.

    The tensors are empty: `use_external_data` says where their numbers lie.
    """
    import onnx

    make = onnx.helper.make_node
    nodes, tensors = [make("Identity", [features], ["features"])], []
    for name, labels in spec.outputs.items():
        weight, bias = f"outputs.{name}.weight", f"outputs.{name}.bias"
        nodes.append(make("Gemm", ["features", weight, bias], [name], transB=1))
        for part, shape in ((weight, (len(labels), spec.dim)), (bias, (len(labels),))):
            floats = onnx.TensorProto.FLOAT
            tensors.append(onnx.TensorProto(name=part, data_type=floats, dims=shape))
    return nodes, tensors


def _corrupt(path: Path, got: str) -> CorruptModel:
    return CorruptModel(str(path), "an ONNX graph that ends in one dense layer", one_line(got))


def _check_plain(path: Path, model: Any) -> None:
    """Raise CorruptModel for anything beyond nodes of ONNX and tensors of this file."""
    import onnx

    graph, proto = model.graph, onnx.AttributeProto
    if max(len(graph.node), len(graph.initializer)) > _MAX_NODES:
        raise _corrupt(path, f"more than {_MAX_NODES} nodes or tensors")
    domains = {o.domain for o in model.opset_import} | {n.domain for n in graph.node}
    if odd := sorted(domains - {"", "ai.onnx"}):
        raise _corrupt(path, f"operators of {odd[0]!r}")
    if any(o.version < _MIN_OPSET for o in model.opset_import):
        raise _corrupt(path, f"an opset older than {_MIN_OPSET}")
    if model.functions or graph.sparse_initializer:
        raise _corrupt(path, "functions or sparse tensors")
    tensors = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type in (proto.GRAPH, proto.GRAPHS):
                raise _corrupt(path, f"a graph inside {node.op_type}")
            if attribute.type in (proto.SPARSE_TENSOR, proto.SPARSE_TENSORS):
                raise _corrupt(path, f"a sparse tensor inside {node.op_type}")
            tensors += [attribute.t, *attribute.tensors]
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise _corrupt(path, f"tensor {tensor.name[:80]!r} in another file")
        if (
            tensor.dims and prod(tensor.dims) > 2 * tensor.ByteSize()
        ):  # the smallest numbers are half a byte
            raise _corrupt(path, f"tensor {tensor.name[:80]!r} of more numbers than it has bytes")
    _check_names_free(path, graph)


def _check_names_free(path: Path, graph: Any) -> None:
    """Raise CorruptModel where a name is there already that the new graph wants to give."""
    names = {name for node in graph.node for name in (*node.output, *node.input)}
    names |= {value.name for value in (*graph.initializer, *graph.input, *graph.output)}
    if not are_names(names):  # protobuf gives bytes for what is no UTF-8
        raise _corrupt(path, "names that are no text")
    for name in sorted(names):
        if name in ("pixels", "features") or name.startswith(("pixels.", "outputs.")):
            raise _corrupt(path, f"the name {name!r} inside")


def _input_of(path: Path, model: Any) -> Any:
    """Return the input of pictures (M, 3, S, S) float."""
    import onnx

    tensors = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in tensors]
    if len(inputs) != 1:
        raise _corrupt(path, f"{len(inputs)} inputs")
    kind = inputs[0].type.tensor_type
    sizes = [d.dim_value for d in kind.shape.dim]
    if kind.elem_type != onnx.TensorProto.FLOAT or len(sizes) != 4 or sizes[1] not in (0, 3):
        raise _corrupt(path, f"an input of {sizes}, no float (M, 3, S, S)")
    return inputs[0]


def _input_side(path: Path, model: Any) -> int:
    """Return the side of the pictures in px, or 0 where the graph does not say."""
    high, wide = [d.dim_value for d in _input_of(path, model).type.tensor_type.shape.dim][2:]
    if high != wide:
        raise _corrupt(path, f"pictures of {high} x {wide} px")
    return int(high)


def _last_dense(path: Path, model: Any) -> Any:
    """Return the dense layer that gives the graph's one output."""
    outputs = [value.name for value in model.graph.output]
    found = [node for node in model.graph.node if list(node.output) == outputs]
    if len(outputs) != 1 or not found or found[0].op_type != "Gemm":
        raise _corrupt(
            path, f"{len(outputs)} outputs, of {found[0].op_type if found else 'nothing'}"
        )
    numbers = {a.name: a.f if a.name in ("alpha", "beta") else a.i for a in found[0].attribute}
    odd = {k: v for k, v in numbers.items() if k != "transB" and v != (0 if k == "transA" else 1)}
    if odd:
        raise _corrupt(path, f"a last layer with {odd}")
    return found[0]


def _weight(path: Path, model: Any) -> Array:
    """Return the weight (C, D) of the last layer."""
    last = _last_dense(path, model)
    weight = _tensor(path, model, last.input[1])
    if weight.ndim != 2:
        raise _corrupt(path, f"a last layer of {weight.shape}")
    turned = any(a.name == "transB" and a.i for a in last.attribute)
    return weight if turned else weight.T


def _is_float(tensor: Any) -> bool:
    import onnx

    return bool(tensor.data_type == onnx.TensorProto.FLOAT)


def _tensor(path: Path, model: Any, name: str) -> Array:
    import onnx

    same = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Identity"}
    wanted = name
    for _ in range(len(same)):  # torch keeps equal tensors once, and names them again
        wanted = same.get(wanted, wanted)
    for tensor in model.graph.initializer:
        if tensor.name == wanted and _is_float(tensor):
            try:
                return np.asarray(onnx.numpy_helper.to_array(tensor), np.float32)
            except (ValueError, TypeError) as error:
                raise _corrupt(path, f"tensor {name[:80]!r}: {error}") from error
    raise _corrupt(path, f"no tensor {name[:80]!r} of floats")
