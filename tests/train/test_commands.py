"""From a table of faces to a backbone and two heads, by the commands, on synthetic faces."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")
pytest.importorskip("onnx")

import stills as synthetic

from videmo import store
from videmo.errors import InputError
from videmo.labels import label_set
from videmo.pipeline import Pipeline
from videmo.train import budget, still_budgets, stills
from videmo.train.backbone_model import TrainingJob, options_of, train_backbone
from videmo.train.ferplus import read_ferplus


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.ferplus(tmp_path_factory.mktemp("table") / "faces.parquet")


@pytest.fixture(scope="module")
def heads(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    small = {"channels": [8, 8, 16, 16]}
    options = options_of("", architecture="resnet10t", arguments=small, input_size=32, epochs=1)
    backbone = train_backbone(TrainingJob((("ferplus", str(table)),), folder / "backbone"), options)
    given = ["--data", str(table), "--backbone", str(backbone.folder), "--out", str(folder)]
    stills.main([*given, "--each", "4", "--test"])
    return folder


def test_a_face_that_is_in_train_too_is_left_out_of_val(table: Path) -> None:
    assert len(read_ferplus(table, "train")) == 32
    assert len(read_ferplus(table, "val")) == 31


def test_a_split_that_is_not_there_is_an_error(table: Path) -> None:
    with pytest.raises(InputError, match=r"no usable face in split 'all'"):
        read_ferplus(table, "all")


@pytest.mark.parametrize("name", ["afew7", "vgaf3"])
def test_a_head_learns_from_filmed_stills(heads: Path, name: str) -> None:
    head = store.load(heads / name)
    assert head.head_spec().labels == label_set(name)
    assert 0 <= head.card["measured"]["test"]["ece"] <= 1
    assert head.recipe.cropping.size == 32 and head.recipe.cropping.colour == "grey"


def test_such_a_head_follows_its_recipe(
    heads: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "EMBEDDED", heads)  # where its backbone lies
    head = store.load("afew7")
    prediction = Pipeline(head.recipe, head).predict(demo, end=0.4)
    assert prediction.labels == label_set("afew7")
    assert np.isclose(prediction.scores.sum(), 1)


def test_heads_learn_how_sure_they_must_be_on_filmed_stills(
    heads: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "EMBEDDED", heads)  # where its backbone lies
    monkeypatch.setattr(still_budgets, "FRAMES", (40, 50))
    monkeypatch.setattr(still_budgets, "GROUPS", dict.fromkeys(still_budgets.SPLITS, 12))
    everything = dict.fromkeys(still_budgets.SPLITS, ("val", slice(None)))
    monkeypatch.setattr(still_budgets, "SPLITS", everything)
    monkeypatch.setattr(budget, "ENOUGH", 5)
    copies = [Path(shutil.copytree(heads / name, tmp_path / name)) for name in ("afew7", "vgaf3")]
    given = ["--data", str(table), "--out", str(tmp_path / "tracks"), "--each", "1"]
    still_budgets.main([*given, *map(str, copies)])
    for folder in copies:
        head, before = store.load(folder), store.load(heads / folder.name)
        told = head.card["budget"]
        assert told["learnt"]["changed_at_most"] == budget.CHANGED
        assert 0 < told["measured"]["val"]["frames_share"] <= 1 and len(told["tried"]) > 3
        assert head.sha256 == before.sha256, "its answers from every frame are what they were"
