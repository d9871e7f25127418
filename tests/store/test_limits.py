"""Sizes from outside have a limit that is said, and can be raised."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest

from videmo.errors import CorruptModel, ModelError
from videmo.stages.embed import BackboneSpec
from videmo.store.zoo import graphs
from videmo.store.zoo.importer import import_model

SPEC = BackboneSpec("", 32, (0.0, 0, 0), (1.0, 1, 1), 0, {"emotion": tuple("abcdefghij")})
HUGE = 1 << 31  # numbers: 8 GiB


def bomb(kind: str) -> Any:
    """Return a graph in which a tensor of 8 GiB, averaged, is added to the features."""
    from onnx import helper, numpy_helper

    make, model = helper.make_node, published.onnx_graph()
    shape = numpy_helper.from_array(np.array([HUGE >> 15, 1 << 15]), "shape")
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    sparse = helper.make_sparse_tensor(one, numpy_helper.from_array(np.zeros(1, np.int64)), [HUGE])
    outer = [make("Reshape", ["4", "tall"], ["5"]), make("MatMul", ["5", "wide"], ["huge"])]
    nodes = {
        "ConstantOfShape": [make("ConstantOfShape", ["shape"], ["huge"])],
        "Expand": [make("Expand", ["one", "shape"], ["huge"])],
        "Tile": [make("Tile", ["4", "shape"], ["huge"])],
        "sparse": [make("Constant", [], ["huge"], sparse_value=sparse)],
        "Range": [make("Range", ["none", "many", "step"], ["huge"])],
        "MatMul": outer,
        "Concat": [make("Concat", [f"c{n}"] * 64, [f"c{n + 1}"], axis=0) for n in range(6)],
        "unknown": [make("ReduceMax", ["4"], ["m"], keepdims=0),
                    make("Cast", ["m"], ["i"], to=7),
                    make("Range", ["none", "i", "step"], ["huge"])],
    }[kind]  # fmt: skip
    if kind == "Concat":
        nodes = [make("Identity", ["one"], ["c0"]), *nodes, make("Identity", ["c6"], ["huge"])]
    constants = {
        "tall": np.array([-1, 1]), "wide": np.ones((1, HUGE >> 2), np.float32)[:, :1],
        "none": np.array(0), "many": np.array(HUGE), "step": np.array(1),
    }  # fmt: skip
    if kind == "MatMul":
        constants["wide"] = np.ones((1, 1 << 20), np.float32)
        nodes[0] = make("Expand", ["one", "rows"], ["5"])
        constants["rows"] = np.array([1 << 13, 1])
    if kind in ("Range", "unknown"):
        nodes.append(make("Cast", ["huge"], ["floats"], to=1))
    last = "floats" if kind in ("Range", "unknown") else "huge"
    axes = [make("ReduceMean", [last], ["mean"], keepdims=0), make("Add", ["4", "mean"], ["sum"])]
    gemm = model.graph.node[-1]
    gemm.input[0] = "sum"
    model.graph.node.remove(gemm)
    model.graph.node.extend([*nodes, *axes, gemm])
    used = {name for node in model.graph.node for name in node.input}
    tensors = [shape, one, *(numpy_helper.from_array(v, k) for k, v in constants.items())]
    model.graph.initializer.extend(t for t in tensors if t.name in used)
    return model


@pytest.mark.parametrize(
    "kind",
    ["ConstantOfShape", "Expand", "Tile", "sparse", "Range", "MatMul", "Concat", "unknown"],
)
def test_a_graph_that_makes_a_tensor_of_8_gib_is_refused_before_it_runs(
    cache: Path, tmp_path: Path, kind: str
) -> None:
    import onnx

    path = tmp_path / "net.onnx"
    onnx.save(bomb(kind), path)
    assert path.stat().st_size < 5 << 20
    with pytest.raises(CorruptModel, match=r"tensor of \d+ bytes|sparse tensor|nobody knows"):
        import_model(path, "mine", spec=SPEC)
    assert not (cache / "models" / "mine").exists()


def test_a_graph_of_usual_size_is_taken(tmp_path: Path) -> None:
    import onnx

    onnx.save(published.onnx_graph(), tmp_path / "net.onnx")
    model = graphs.read(tmp_path / "net.onnx")
    graphs.bounded(tmp_path / "net.onnx", model, 32, 1 << 20)
    with pytest.raises(CorruptModel, match="--max-mb"):
        graphs.bounded(tmp_path / "net.onnx", model, 32, 1 << 10)


def test_a_tensor_has_as_many_numbers_as_bytes(tmp_path: Path) -> None:
    import onnx

    model = published.onnx_graph()
    model.graph.initializer[0].dims[0] = HUGE
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(CorruptModel, match="more numbers than it has bytes"):
        graphs.read(tmp_path / "net.onnx")


def test_a_file_to_import_has_a_limit_that_says_how_to_raise_it(
    cache: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    with path.open("wb") as file:
        file.truncate((3 << 20) + 1)
    with pytest.raises(
        ModelError, match=re.escape("4 MB, and 2 are the most that is read; --max-mb 4")
    ):
        import_model(path, "mine", spec=replace(SPEC, architecture="resnet18"), most=2 << 20)


def test_a_file_of_bfloat16_is_read(cache: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from videmo.store.tensors import read_tensors

    numbers = torch.tensor([[1.0, -2.5], [3e38, 0.0]])
    save_file({"x": numbers.to(torch.bfloat16), "y": numbers.half()}, tmp_path / "a.safetensors")
    found = read_tensors("a", (tmp_path / "a.safetensors").read_bytes())
    assert (found["x"] == numbers.to(torch.bfloat16).float().numpy()).all()
    assert found["y"].dtype == np.float16


def test_a_type_that_is_not_read_is_named(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from videmo.store.tensors import read_tensors

    save_file({"x": torch.zeros(2).to(torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(CorruptModel, match="'x' of the type F8_E4M3; save it as F32"):
        read_tensors("a", (tmp_path / "a.safetensors").read_bytes())
