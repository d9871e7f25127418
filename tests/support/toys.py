"""Stand-ins for a pipeline and what it finds, where a worker's process can import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videmo import store
from videmo.data import Descriptor, Faces, Features, VideoInfo
from videmo.errors import InputError, ModelNotFound
from videmo.pipeline import Answer
from videmo.runs.worker import PipelineSpec
from videmo.stages.decode import Sampling


class Toy:
    """Stands for a pipeline; what it does with a clip is the clip's name."""

    @property
    def provenance(self) -> dict[str, str | None]:
        return {"videmo": "toy"}

    def answer(self, path: str, **more: Any) -> Answer:
        word, _, number = path.partition(" ")
        if word == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if word.startswith("once:") and not os.path.exists(word[5:]):
            open(word[5:], "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "vanish":
            os._exit(7)
        if word == "hang":
            time.sleep(60)
        if word == "slow":
            time.sleep(0.3)
        if word == "long":  # 100 frames, of which 25 were looked at when it is asked
            more["on_open"](VideoInfo(path, 2, 2, 100, 4.0, 25.0, "toy"), Sampling())
            [*more["through"](iter([features(25)]))]
            time.sleep(1.5)
        if word == "broken":
            raise InputError(f"{path}: cannot be read")
        if word == "hungry":
            raise MemoryError
        descriptor = Descriptor(np.full(2, float(number), np.float32), 1, 1, 1)
        return Answer(VideoInfo(path, 2, 2, 1, 0.1, 10.0, "toy"), descriptor, None, ())


@dataclass(frozen=True)
class ToySpec(PipelineSpec):
    """Makes toys; `missing` stands for a model that is not there."""

    missing: bool = False
    deadly: bool = False

    def build(self) -> Any:
        if self.missing:
            raise ModelNotFound("toy", ["afew7"])
        if self.deadly:
            os._exit(9)
        return Toy()


def features(count: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    faces = Faces(
        row=np.zeros(count, np.int64),
        index=np.arange(count),
        time=np.arange(count) / 25,
        box=rng.random((count, 4), np.float32),
        score=rng.random(count, np.float32),
        landmarks=np.zeros((count, 5, 2), np.float32),
        track=np.arange(count) % 2,
    )
    return Features(rng.random((count, 3), np.float32), faces, count)


def descriptor(*values: float) -> Descriptor:
    return Descriptor(np.array(values, np.float32), faces=9, frames=7, seen=8)


SIDE = 8  # px of a face for the toy network
EMOTIONS = ("Anger", "Happiness", "Sadness")
AFFECT = ("valence", "arousal")
SHARPNESS = 4.0  # of the toy network's emotions: logits are this times red, green and blue


def network(folder: Path, *outputs: str, recipe: Mapping[str, Any] | None = None) -> store.Model:
    """Save a network whose three features are the mean red, green and blue of a face, 0 to 1.

    It knows the outputs "emotion" (red is Anger, green Happiness, blue Sadness) and
    "valence_arousal" (4 red - 2 and 4 blue - 2, which no bound holds).
    """
    known = {
        "emotion": (EMOTIONS, SHARPNESS * np.eye(3), np.zeros(3)),
        "valence_arousal": (AFFECT, np.array([[4.0, 0, 0], [0, 0, 4.0]]), np.full(2, -2.0)),
    }
    spec = {
        "architecture": "toy", "input_size": SIDE, "mean": [0, 0, 0], "std": [1, 1, 1], "dim": 3,
        "outputs": {name: [*known[name][0]] for name in outputs}, "changes": [],
    }  # fmt: skip
    stages = {"detection": {"detector": "whole", "faces": "largest"}, "cropping": {"size": SIDE}}
    card = {"kind": "backbone", "name": folder.name, "spec": spec, "recipe": recipe or stages}
    weights = {name: known[name][1] for name in outputs} or {"none": np.zeros(1)}
    saved = store.save(folder, card, weights)
    graph = _graph({name: known[name][1:] for name in outputs})
    (folder / "graph.onnx").write_bytes(graph)
    store.write_card(folder, saved.card)
    return store.load(folder)


def _graph(outputs: Mapping[str, tuple[Any, Any]]) -> bytes:
    """Return ONNX: pixels (M, S, S, 3) uint8 to features (M, 3) and the outputs."""
    from onnx import TensorProto, helper, numpy_helper

    one = np.float32
    constants = {"all": np.float32(255.0), "sides": np.array([1, 2])}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "all"], ["shares"]),
        helper.make_node("ReduceMean", ["shares", "sides"], ["features"], keepdims=0),
    ]
    for name, (weight, bias) in outputs.items():
        constants |= {f"{name}.w": weight.T.astype(one), f"{name}.b": bias.astype(one)}
        nodes.append(helper.make_node("Gemm", ["features", f"{name}.w", f"{name}.b"], [name]))
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    into = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["M", SIDE, SIDE, 3])]
    wide = {"features": 3, **{name: len(bias) for name, (_, bias) in outputs.items()}}
    out = [helper.make_tensor_value_info(k, TensorProto.FLOAT, ["M", n]) for k, n in wide.items()]
    graph = helper.make_graph(nodes, "toy", into, out, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


def attention(columns: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays of a head that reads windows, with 5 hidden units and 2 labels."""
    rng = np.random.default_rng(seed)
    shapes = {
        "attention.weight": (2 * columns,), "attention.bias": (1,),
        "dense.weight": (2 * columns, 5), "dense.bias": (5,),
        "out.weight": (5, 2), "out.bias": (2,),
    }  # fmt: skip
    return {name: rng.normal(0, 0.5, of).astype(np.float32) for name, of in shapes.items()}


def engagement(folder: Path, backbone: store.Model) -> store.Model:
    """Save a head that reads windows of the features of a toy network."""
    spec = {"type": "attention", "level": "window", "labels": ["Distracted", "Engaged"]}
    card = {"kind": "head", "name": folder.name, "spec": spec, "recipe": backbone.recipe.to_dict()}
    return store.save(folder, card, attention())


def clip(path: Path, colours: Sequence[Any]) -> Path:
    """Write a clip of one plain picture (red, green, blue of 0..255) after the other.

    path: of a folder of pictures, or of a file that ends in .gif
    """
    from PIL import Image

    pictures = [Image.new("RGB", (32, 24), tuple(int(part) for part in each)) for each in colours]
    if path.suffix == ".gif":
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
        return path
    path.mkdir()
    for i, picture in enumerate(pictures):
        picture.save(path / f"{i:04}.png")
    return path


def by_the_book(weights: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return the answer for each window (N - 127, 2), its 128 rows of 2 D columns laid out."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    answers = []
    for first in range(len(rows) - 128 + 1):
        window = rows[first : first + 128].astype(np.float64)
        x = np.hstack([np.repeat(window.std(0)[None], 128, 0), window])  # (128, 2 D)
        e = x @ w["attention.weight"] + w["attention.bias"]
        alpha = np.exp(e - e.max()) / np.exp(e - e.max()).sum()
        context = (alpha[:, None] * x).sum(0)
        hidden = np.maximum(context @ w["dense.weight"] + w["dense.bias"], 0)
        logits = hidden @ w["out.weight"] + w["out.bias"]
        answers.append(np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum())
    return np.array(answers)
