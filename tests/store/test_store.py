"""Models on disk: checked before they are used, never half written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from videmo import store
from videmo.errors import CorruptModel, ModelNotFound, OutputError

HEAD = {
    "kind": "head",
    "name": "own",
    "spec": {"type": "linear", "level": "clip", "labels": ["a", "b"]},
}
WEIGHTS = {"weight": np.eye(2, dtype=np.float32), "bias": np.zeros(2, np.float32)}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path))
    return tmp_path / "models"


def test_a_saved_model_is_found_by_name_and_by_path(cache):
    saved = store.save(cache / "own", HEAD, WEIGHTS)
    for name in ("own", str(cache / "own")):
        model = store.load(name)
        assert model.sha256 == saved.sha256
        assert model.head_spec().labels == ("a", "b")
        assert model.weights()["weight"].tolist() == [[1, 0], [0, 1]]


def test_the_embedded_models_are_sound():
    for name in ("afew7", "vgaf3"):
        head = store.load(name)
        backbone = store.load(head.recipe.backbone)
        assert backbone.sha256 == head.recipe.backbone_sha256
        pooling, spec, tensors = head.recipe.pooling, backbone.backbone_spec(), head.weights()
        rows = len(pooling.stats) * max(1, len(pooling.within))
        read = spec.dim if pooling.of == "features" else len(spec.outputs[pooling.of])
        matrix = tensors["onto"] if name == "afew7" else tensors["weight"]
        assert matrix.shape == (len(head.head_spec().labels), rows * read)
        assert head.recipe.cropping.size == backbone.backbone_spec().input_size


def test_the_embedded_models_are_small():
    total = sum(p.stat().st_size for p in store.EMBEDDED.rglob("*") if p.is_file())
    assert total <= 13 << 20  # 12 MiB of backbone, and the heads


def test_an_unknown_name_lists_what_is_near(cache):
    with pytest.raises(ModelNotFound, match="did you mean afew7"):
        store.load("afew")


def test_a_changed_byte_is_found(cache):
    model = store.save(cache / "own", HEAD, WEIGHTS)
    path = model.folder / store.WEIGHTS
    blob = bytearray(path.read_bytes())
    blob[-1] ^= 1
    path.write_bytes(blob)
    with pytest.raises(CorruptModel, match="expected SHA-256"):
        store.load("own")


def test_a_missing_file_is_found(cache):
    model = store.save(cache / "own", HEAD, WEIGHTS)
    (model.folder / store.WEIGHTS).unlink()
    with pytest.raises(CorruptModel, match="no file"):
        store.load("own")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": "head"}', '{"kind":"head","name":"x","spec":{},"files":3}']
)
def test_a_card_that_is_not_one_is_refused(cache, text):
    (cache / "own").mkdir(parents=True)
    (cache / "own" / "card.json").write_text(text)
    with pytest.raises(CorruptModel, match=r"card\.json"):
        store.load("own")


def test_a_card_cannot_point_outside_its_folder(cache):
    model = store.save(cache / "own", HEAD, WEIGHTS)
    card = {**model.card, "files": {**model.card["files"], "../own/card.json": "0" * 64}}
    (model.folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(CorruptModel, match="plain file name"):
        store.load("own")


def test_half_a_model_is_never_seen(cache, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(store, "write_card", fail)
    with pytest.raises(OutputError, match="No space left"):
        store.save(cache / "own", HEAD, WEIGHTS)
    assert list(cache.iterdir()) == []


def test_a_model_is_not_written_over_another(cache):
    store.save(cache / "own", HEAD, WEIGHTS)
    with pytest.raises(OutputError, match="there already"):
        store.save(cache / "own", HEAD, WEIGHTS)


def test_a_head_is_not_taken_for_a_backbone(cache):
    with pytest.raises(CorruptModel, match="expected a backbone, got a head"):
        store.save(cache / "own", HEAD, WEIGHTS).backbone_spec()
