"""Cards and archives that somebody has changed are refused in a line, or answer as sound ones."""

from __future__ import annotations

import os
from pathlib import Path

import hostile
import numpy as np
import pytest
import toys
from lists import listening

from videmo.data import Crops, Faces
from videmo.errors import CorruptModel, ModelError
from videmo.stages.embed import embed, make_backbone


def test_hostile_cards_are_refused_or_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with listening() as heard:
        tried = hostile.cards(tmp_path, 40, heard.port)
    assert tried.crashes == tried.lies == heard.asked == []
    assert tried.refused and tried.answered  # or this test proves nothing


def test_hostile_archives_are_refused_or_sound(tmp_path: Path) -> None:
    tried = hostile.archives(tmp_path, 60)
    assert tried.crashes == tried.lies == []
    assert tried.refused and tried.answered


def test_a_network_whose_answers_are_no_numbers_gives_none(tmp_path: Path) -> None:
    class Broken:
        dim, input_size, batch, device, precision = 2, 4, 1, "cpu", "fp32"

        def __call__(self, pixels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            return np.full((len(pixels), 2), np.nan, np.float32), {}

    crops = Crops(np.zeros((0, 4, 4, 3), np.uint8), Faces.none(), 1)
    assert len(list(embed([crops], Broken()))) == 1
    one = Faces(
        row=np.zeros(1, np.int64), index=np.zeros(1, np.int64), time=np.zeros(1),
        box=np.zeros((1, 4), np.float32), score=np.ones(1, np.float32),
        landmarks=np.zeros((1, 5, 2), np.float32), track=np.zeros(1, np.int64),
    )  # fmt: skip
    with pytest.raises(ModelError, match="features that are no finite numbers"):
        list(embed([Crops(np.zeros((1, 4, 4, 3), np.uint8), one, 1)], Broken()))


@pytest.mark.parametrize("where", ["../secret.bin", "{absolute}", "link.bin"])
def test_a_graph_reads_no_file_outside_its_folder(tmp_path: Path, where: str) -> None:
    import onnx

    model = toys.network(tmp_path / "net", "emotion")
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.float32([255]).tobytes())
    if where == "link.bin":
        os.symlink(secret, model.folder / where)
    graph = onnx.load(model.folder / "graph.onnx")
    tensor = next(one for one in graph.graph.initializer if one.name == "all")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    facts = {"location": where.format(absolute=secret), "offset": "0", "length": "4"}
    for key, value in facts.items():
        tensor.external_data.add(key=key, value=value)
    (model.folder / "graph.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(CorruptModel, match="outside"):
        make_backbone(model.backbone_spec(), model.folder, engine="openvino", threads=1)


def test_a_graph_in_a_model_folder_makes_no_huge_tensor(tmp_path: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    model = toys.network(tmp_path / "net", "emotion")
    graph = onnx.load(model.folder / "graph.onnx")
    shape = numpy_helper.from_array(np.array([1 << 16, 1 << 15]), "shape")
    first = graph.graph.node[0]
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Cast", ["pixels"], ["plain"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Add", ["plain", "most"], list(first.output)),
    ]
    graph.graph.node.remove(first)
    rest = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *rest])
    graph.graph.initializer.append(shape)
    (model.folder / "graph.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(CorruptModel, match="tensors of at most"):
        make_backbone(model.backbone_spec(), model.folder, engine="openvino", threads=1)
