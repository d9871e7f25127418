"""The training loop: it learns, it goes on after a stop, and it names what does not fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import stills
import torch

from videmo.errors import InputError
from videmo.train.backbone import BackboneTraining, learning_rate, train
from videmo.train.batches import input_side
from videmo.train.face_dataset import FaceDataset, labels_of, make_dataset
from videmo.train.network import build_network, load_pretrained

TINY = BackboneTraining(
    architecture="resnet10t",
    arguments={"channels": [8, 8, 16, 16]},
    input_size=32,
    epochs=2,
    batch=16,
    rate=1e-2,
    ema=0.9,
)


def faces(count: int = 64, **known: list[str | None]) -> tuple[list[FaceDataset], dict[str, Any]]:
    """Return two kinds of faces, and the labels of their emotions, or of what is `known`."""
    table = stills.table(count, **known)
    labels = labels_of([table])
    return [make_dataset(table, labels, side=32, colour=False)], labels


def run(out: Path, options: BackboneTraining = TINY, count: int = 48) -> dict[str, Any]:
    data, labels = faces(count)
    return train(data, faces(16)[0], labels, options, out)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(bool((one[name] == other[name]).all()) for name in one)


def test_a_few_epochs_learn_what_is_plain_to_see(tmp_path: Path) -> None:
    run(tmp_path, replace(TINY, epochs=6))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert log[-1]["loss"] < log[0]["loss"]
    assert max(line["emotion"] for line in log) >= 0.9


@pytest.mark.parametrize(
    "options",
    [replace(TINY, mixup=0.2), replace(TINY, rho=0.05, ema=0.0, head_epochs=1)],
    ids=["mixup", "SAM"],
)
def test_a_run_that_was_stopped_ends_with_the_same_weights(
    options: BackboneTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", options)
    stills.stop_in_the_second_epoch(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", options)
    monkeypatch.undo()
    assert same(whole, run(tmp_path / "cut", options))


def test_a_run_does_not_go_on_with_other_options_or_other_faces(tmp_path: Path) -> None:
    run(tmp_path, replace(TINY, epochs=1), 16)
    with pytest.raises(InputError, match="other options"):
        run(tmp_path, TINY, 16)
    with pytest.raises(InputError, match="other faces"):
        run(tmp_path, replace(TINY, epochs=1), 32)


def test_one_network_learns_several_tasks_each_from_its_own_faces(tmp_path: Path) -> None:
    known: Sequence[dict[str, list[str | None]]] = (
        {"emotion": ["happiness", "sadness"] * 16},
        {"gender": ["female", "male"] * 16, "age": ["20-29", "60-69"] * 16,
         "ethnicity": ["black", "white"] * 16},
        {"identity": ["ann", "bob"] * 16},
    )  # fmt: skip
    tables = [stills.table(32, **of) for of in known]
    labels = labels_of(tables)
    data = [make_dataset(table, labels, side=32, colour=False) for table in tables]
    options = replace(TINY, epochs=8, batch=24, scale=16.0, margin=0.1, shares=(1.0, 1.0, 1.0))
    train(data, data, labels, options, tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    best = {task: max(line[task] for line in log) for task in labels}
    assert min(best[task] for task in ("emotion", "gender", "ethnicity", "identity")) >= 0.9
    assert 0 <= best["age"] <= 1  # a hundred years take more steps than these


def test_the_body_stands_still_while_only_the_outputs_learn(tmp_path: Path) -> None:
    options = replace(TINY, epochs=1, head_epochs=1, ema=0.0, head_rate=0.01)
    data, labels = faces(32)
    before = build_network(options, labels).state_dict()
    after = train(data, data, labels, options, tmp_path)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"outputs.emotion.weight", "outputs.emotion.bias"}


def test_a_layer_to_leave_out_must_be_there() -> None:
    with pytest.raises(InputError, match="no layer 'pooling'"):
        build_network(replace(TINY, changes=("pooling",)), {"emotion": "ab"})


def test_a_share_is_wanted_for_every_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 shares for 1 data sets"):
        run(tmp_path, replace(TINY, shares=(0.5, 0.5)))


def test_a_cosine_rises_then_falls_to_almost_nothing() -> None:
    options = replace(TINY, epochs=20)
    rates = [learning_rate(epoch, options) for epoch in (1, 2, 10, 20)]
    assert rates == pytest.approx([0.005, 0.01, 0.01 * (1 + np.cos(np.pi * 4 / 9)) / 2, 1e-5])


def test_a_constant_rate_is_the_outputs_own_at_first() -> None:
    options = replace(TINY, schedule="constant", head_epochs=3, head_rate=1e-3, rate=1e-4)
    assert [learning_rate(epoch, options) for epoch in (0, 2.9, 3, 9)] == [1e-3, 1e-3, 1e-4, 1e-4]


def test_faces_may_be_small_at_first() -> None:
    options = replace(TINY, epochs=10, sides=((0.0, 16), (0.6, 24)))
    assert [input_side(epoch, options) for epoch in (0, 5, 6, 9)] == [16, 16, 24, 24]


def test_a_training_begins_with_weights_of_the_same_body(tmp_path: Path) -> None:
    run(tmp_path, replace(TINY, epochs=1), 16)
    model = build_network(TINY, {"emotion": "ab", "gender": "fm"})
    fresh = model.outputs["gender"].weight.clone()
    load_pretrained(model, tmp_path / "best.pt")
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert torch.equal(model.body.conv1[0].weight, best["body.conv1.0.weight"])
    assert torch.equal(model.outputs["gender"].weight, fresh)


def test_weights_of_another_body_are_refused(tmp_path: Path) -> None:
    run(tmp_path, replace(TINY, epochs=1), 16)
    other = replace(TINY, arguments={"channels": [8, 8, 16, 32]})
    with pytest.raises(InputError, match=r"best\.pt: weights of another network"):
        load_pretrained(build_network(other, {"emotion": "ab"}), tmp_path / "best.pt")


@pytest.mark.parametrize(
    "architecture",
    ["tf_efficientnet_b0", "tf_efficientnet_b2", "mobilenetv1_100", "mobilenetv2_100",
     "mobilenetv3_large_100", "mobilenetv4_conv_small", "rexnet_150"],
)  # fmt: skip
def test_the_light_networks_take_a_step(architecture: str, tmp_path: Path) -> None:
    options = replace(TINY, architecture=architecture, arguments={}, epochs=1, batch=4)
    data, labels = faces(4)
    assert np.isfinite(float(train(data, data, labels, options, tmp_path)["people"].sum()))
    log = json.loads((tmp_path / "log.jsonl").read_text())
    assert np.isfinite(log["loss"])


def test_a_gpu_learns_too(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is here")
    options = replace(TINY, device="cuda", precision="bfloat16", epochs=4)
    run(tmp_path, options)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert max(line["emotion"] for line in log) >= 0.9


def test_bfloat16_learns_on_the_processor(tmp_path: Path) -> None:
    run(tmp_path, replace(TINY, precision="bfloat16", parts=2, epochs=6))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert max(line["emotion"] for line in log) >= 0.9
