"""The training loop: it learns, it goes on after a stop, and what it writes can be built again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from videmo.errors import InputError
from videmo.train import backbone
from videmo.train.backbone import BackboneTraining, build, logits_of, rate_at, save, train
from videmo.train.faces import EMOTIONS, StillFaces, read_ferplus
from videmo.train.measure import network

TINY = BackboneTraining(
    architecture="resnet10t",
    arguments={"channels": [8, 8, 16, 16]},
    input_size=32,
    epochs=2,
    batch=16,
    rate=1e-2,
    ema=0.9,
)


def synthetic(count: int = 64) -> StillFaces:
    """Return faces of two kinds: light above is happiness, light below is sadness."""
    rng = np.random.default_rng(0)
    kind = np.arange(count) % 2
    pixels = rng.integers(0, 80, (count, 48, 48))
    pixels[kind == 0, :24] += 150
    pixels[kind == 1, 24:] += 150
    votes = np.zeros((count, 8), np.float32)
    votes[np.arange(count), np.where(kind == 0, 1, 3)] = 1
    return StillFaces(pixels.astype(np.uint8), votes, EMOTIONS)


def same(one: dict, other: dict) -> bool:
    return all(bool((one[name] == other[name]).all()) for name in one)


def test_a_few_epochs_learn_what_is_plain_to_see(tmp_path: Path) -> None:
    options = replace(TINY, epochs=6)
    train(synthetic(), synthetic(32), options, tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert log[-1]["loss"] < log[0]["loss"]
    assert max(line["accuracy"] for line in log) >= 0.9


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(TINY, mixup=0.2)  # it draws random numbers too
    whole = train(synthetic(), synthetic(16), options, tmp_path / "whole")
    real, calls = backbone.evaluate, []

    def stop_in_the_second_epoch(*arguments: object) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(backbone, "evaluate", stop_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(synthetic(), synthetic(16), options, tmp_path / "cut")
    monkeypatch.undo()
    assert same(whole, train(synthetic(), synthetic(16), options, tmp_path / "cut"))


def test_a_run_does_not_go_on_with_other_options(tmp_path: Path) -> None:
    train(synthetic(16), synthetic(16), replace(TINY, epochs=1), tmp_path)
    with pytest.raises(InputError, match="other options"):
        train(synthetic(16), synthetic(16), TINY, tmp_path)


def test_the_saved_network_answers_as_the_trained_one(tmp_path: Path) -> None:
    faces = synthetic(32)
    faces = StillFaces(faces.pixels[:, 8:40, 8:40], faces.votes, faces.labels)  # no resizing
    weights = train(faces, faces, TINY, tmp_path)
    save(weights, faces.labels, TINY, tmp_path)
    model = build(TINY, 8)
    model.load_state_dict(weights)
    _, logits = network(tmp_path)(faces.pixels)
    # float16 weights: 11 bits, so about 5e-4 of each weight through ten layers
    assert logits == pytest.approx(logits_of(model, faces.pixels, TINY), rel=0.02, abs=0.02)


def test_saved_weights_are_halves_with_the_names_of_timm(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    save(build(TINY, 8).state_dict(), EMOTIONS, TINY, tmp_path)
    tensors = load_file(tmp_path / "weights.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16)}
    assert tensors["outputs.emotion.weight"].shape == (8, 16)
    assert "layer1.0.conv1.weight" in tensors
    assert not any("num_batches_tracked" in name for name in tensors)


def test_a_layer_to_leave_out_must_be_there() -> None:
    with pytest.raises(InputError, match="no layer 'pooling'"):
        build(replace(TINY, changes=("pooling",)), 8)


def test_the_rate_rises_then_falls_to_almost_nothing() -> None:
    rates = [rate_at(progress, TINY) for progress in (0.05, 0.1, 0.5, 1.0)]
    assert rates == pytest.approx([0.005, 0.01, 0.01 * (1 + np.cos(np.pi * 4 / 9)) / 2, 1e-5])


def test_the_usable_test_faces_of_ferplus_are_as_many_as_published(shared: Path) -> None:
    path = shared / "data" / "ferplus48.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    faces = read_ferplus(path, "test")
    counts = dict(zip(EMOTIONS, np.bincount(faces.majority).tolist(), strict=True))
    assert counts == {
        "neutral": 1210, "happiness": 890, "sadness": 407, "surprise": 325,
        "anger": 284, "fear": 78, "contempt": 25, "disgust": 17,
    }  # fmt: skip
    assert faces.votes.sum(1) == pytest.approx(1, abs=1e-6)


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "faces.parquet").write_text("no")
    with pytest.raises(InputError, match=r"faces\.parquet: not read as Parquet"):
        read_ferplus(tmp_path / "faces.parquet", "val")
