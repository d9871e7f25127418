"""Cards from anybody: a name is a name, nothing is called with its own arguments, sums tell all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys

from videmo import store
from videmo.errors import CorruptModel, InputError, ModelNotFound, RecipeMismatch
from videmo.pipeline import Pipeline
from videmo.stages.embed import arguments

Card = dict[str, Any]
HEAD: Card = {
    "kind": "head",
    "name": "own",
    "spec": {"type": "linear", "level": "clip", "labels": ["a", "b"]},
}
WEIGHTS = {"weight": np.eye(2, dtype=np.float32), "bias": np.zeros(2, np.float32)}


def rewritten(model: store.Model, change: Callable[[Card], object]) -> Path:
    """Change the card of a model, as somebody would who gives it away, and return its folder."""
    card = json.loads((model.folder / "card.json").read_text())
    change(card)
    (model.folder / "card.json").write_text(json.dumps(card))
    return model.folder


@pytest.fixture
def head(cache: Path) -> store.Model:
    return store.save(cache / "models" / "own", HEAD, WEIGHTS)


@pytest.fixture
def backbone(tmp_path: Path) -> store.Model:
    return toys.network(tmp_path / "toy", "emotion")


def test_a_folder_that_lies_here_is_not_taken_for_a_name(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    toys.network(Path("afew7"), "emotion")
    assert store.load("afew7").folder == store.EMBEDDED / "afew7"
    for path in ("./afew7", "../here/afew7", Path("afew7"), str(Path.cwd() / "afew7")):
        assert store.load(path).card["kind"] == "backbone"


def test_a_folder_that_was_meant_is_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = toys.network(Path("my_head"), "emotion")
    with pytest.raises(ModelNotFound, match=r"write \./my_head for the folder of that name"):
        store.load("my_head")
    assert model.handle == "./my_head"
    assert store.load(model.handle).sha256 == model.sha256
    with pytest.raises(ModelNotFound, match=r"\./none: no folder with a card\.json is there"):
        store.load("./none")


@pytest.mark.parametrize("name", ["", "a:b", "\x1b[2J", "x" * 200])
def test_what_cannot_be_a_name_is_none(cache: Path, name: str) -> None:
    with pytest.raises(ModelNotFound):
        store.load(name)


def test_another_mean_or_graph_is_another_model(backbone: store.Model) -> None:
    before, weights = backbone.sha256, backbone.weights_sha256
    folder = rewritten(backbone, lambda card: card["spec"].update(mean=[0.1, 0, 0]))
    assert store.load(folder).sha256 != before
    assert store.load(folder).weights_sha256 == weights
    rewritten(backbone, lambda card: card["spec"].update(mean=[0, 0, 0]))
    assert store.load(folder).sha256 == before
    graph = folder / "graph.onnx"
    graph.write_bytes(graph.read_bytes() + b"\x72\x00")  # an empty field, which changes nothing
    store.write_card(folder, store.read_card(folder / "card.json"))
    assert store.load(folder).sha256 != before


def test_what_a_card_tells_beside_its_answers_changes_no_sum(backbone: store.Model) -> None:
    folder = rewritten(backbone, lambda card: card.update(measured={"accuracy": 1}))
    assert store.load(folder).sha256 == backbone.sha256


def test_a_recipe_refuses_a_backbone_with_another_mean(backbone: store.Model) -> None:
    recipe = backbone.recipe
    rewritten(backbone, lambda card: card["spec"].update(mean=[0.1, 0, 0]))
    with pytest.raises(RecipeMismatch, match="backbone"):
        Pipeline(recipe)


def test_a_recipe_of_0_1_0_knows_its_backbone_by_the_weights(backbone: store.Model) -> None:
    pipeline = Pipeline(replace(backbone.recipe, backbone_sha256=backbone.weights_sha256))
    assert pipeline.recipe.backbone_sha256 == backbone.weights_sha256 != backbone.sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["spec"].update(labels=["a", "a"]), "'a' twice in labels"),
        (lambda c: c["spec"].update(labels=["a", ""]), "none may be empty"),
        (lambda c: c["spec"].update(labels=["a", "b\x1b[31m"]), "without control codes"),
        (lambda c: c["spec"].update(labels="ab"), "expected a list"),
        (lambda c: c["spec"].update(level="universe"), "level 'universe'"),
        (lambda c: c["spec"].pop("type"), "for type"),
        (lambda c: c.update(name="own\x1b]0;gone\x07"), "no plain one"),
        (lambda c: c.update(name="two\nlines"), "no plain one"),
        (lambda c: c.update(name="../own"), "no plain one"),
        (lambda c: c.update(kind="detector"), "the kind 'detector'"),
        (lambda c: c["files"].update({"../x": "0" * 64}), "no plain file name"),
        (lambda c: c["files"].update({"x": 7}), "no SHA-256"),
        (lambda c: c.update(more=float("nan")), "NaN where a number is expected"),
    ],
)
def test_a_head_whose_card_is_not_sound_is_refused_when_it_is_opened(
    head: store.Model, change: Callable[[Card], object], said: str
) -> None:
    with pytest.raises(CorruptModel) as caught:
        store.load(rewritten(head, change))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"std": [1, 0, 1]}, "a std of 0"),
        ({"std": [1, 1]}, "three numbers"),
        ({"mean": ["a", 0, 0]}, "three numbers"),
        ({"mean": [1e400, 0, 0]}, "Infinity where a number"),
        ({"input_size": 10**6}, "expected 1 to 1024"),
        ({"input_size": True}, "expected 1 to 1024"),
        ({"dim": 0}, "for dim"),
        ({"outputs": {"emotion": ["a", "a"]}}, "'a' twice in emotion"),
        ({"outputs": []}, "expected an object"),
        ({"hidden": {"age": 3}}, "'age', which is no output"),
        ({"changes": [7]}, "for changes"),
        ({"url": "http://127.0.0.1/"}, "unknown key 'url'"),
        ({"arguments": {"pretrained": True}}, "'pretrained'"),
    ],
)
def test_a_backbone_whose_card_is_not_sound_is_refused_when_it_is_opened(
    backbone: store.Model, change: Card, said: str
) -> None:
    with pytest.raises(CorruptModel) as caught:
        store.load(rewritten(backbone, lambda card: card["spec"].update(change)))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"weight": np.array([[np.nan, 0], [0, 1]])}, "weight holds what is no finite number"),
        ({"bias": np.array([np.inf, 0])}, "bias holds what is no finite number"),
        ({"temperature": np.zeros(1)}, "temperature is 0"),
        ({"bias": np.zeros(3)}, "expected (C, X) and (C,)"),
    ],
)
def test_a_head_whose_arrays_are_not_sound_is_refused(
    cache: Path, arrays: dict[str, Any], said: str
) -> None:
    model = store.save(cache / "models" / "own", HEAD, WEIGHTS | arrays)
    with pytest.raises(CorruptModel) as caught:
        model.head()
    assert said in str(caught.value)
    assert store.verify(model.folder)[0] == "corrupt"


def test_a_bad_card_in_the_cache_does_not_hide_the_others(head: store.Model) -> None:
    rewritten(head, lambda card: card.update(kind="nothing"))
    assert "afew7" in store.names("head")
    assert "own" not in store.names("head")


TAKEN = {
    "pretrained": True, "checkpoint_path": "x.pt", "cache_dir": "/tmp", "features_only": True,
    "pretrained_cfg": {"url": "http://127.0.0.1:9/x"}, "norm_layer": "BatchNorm2d",
    "pretrained_cfg_overlay": {"file": "x.pt"}, "num_classes": 7, "block_fn": "os.system",
    "scriptable": True, "device": "cuda",
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_an_argument_that_is_not_listed_is_one_clear_error(name: str) -> None:
    with pytest.raises(InputError, match=f"may not be given the argument '{name}'"):
        arguments.checked_arguments("resnet18", {name: TAKEN[name]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels", "48"), ("channels", [1.5]), ("channels", []), ("channels", [1] * 65),
        ("stem_width", True), ("stem_width", -1), ("stem_width", 1 << 40), ("avg_down", 1),
        ("bn_eps", float("inf")), ("bn_eps", "1e-3"), ("stem_type", "__import__"),
    ],
)  # fmt: skip
def test_an_argument_of_another_type_is_one_clear_error(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"resnet18: {name} is"):
        arguments.checked_arguments("resnet18", {name: value})


def test_the_arguments_in_use_are_listed() -> None:
    from videmo.store.zoo import ZOO
    from videmo.train.presets import PRESETS

    for preset in PRESETS.values():
        own = preset.get("arguments", {})
        assert arguments.checked_arguments("resnet18", own) == own
    for spec in (spec for row in ZOO.values() for spec in row.specs):
        assert arguments.checked_arguments(spec.architecture, spec.arguments) == spec.arguments


@pytest.mark.parametrize("name", ["hf-hub:some/where", "local-dir:/tmp", "http://x", "a/b", "a b"])
def test_a_network_is_no_place_on_a_hub(name: str) -> None:
    from videmo.stages.embed.timm import create_body

    with pytest.raises(InputError, match="timm has no network"):
        create_body(name, {}, ())


def test_an_argument_that_a_network_does_not_take_is_one_clear_error() -> None:
    from videmo.stages.embed.timm import create_body

    with pytest.raises(InputError, match="mobilenetv3_small_050 cannot be made with stem_type"):
        create_body("mobilenetv3_small_050", {"stem_type": "deep"}, ())


def test_a_folder_is_shown_where_it_is_written_as_one(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videmo.store.zoo.catalogue import entry, entry_or_model

    monkeypatch.chdir(tmp_path)
    toys.network(Path("mine"), "emotion")
    with pytest.raises(ModelNotFound, match=r"write \./mine for the folder of that name"):
        entry("mine")
    assert (entry_or_model("./mine").state, entry_or_model("./mine").kind) == (
        "elsewhere",
        "backbone",
    )


def test_a_card_cannot_move_the_cursor_of_a_terminal(backbone: store.Model) -> None:
    from videmo.cli.models_text import model_text, models_table
    from videmo.store.zoo.catalogue import describe, entry_or_model

    folder = rewritten(
        backbone, lambda c: c.update(about="\x1b[2J", license={"weights": "\x1b]0;x"})
    )
    one = entry_or_model(str(folder))
    assert "\x1b" not in model_text(describe(one), one.card) + models_table([describe(one)])


def test_a_label_cannot_move_the_cursor_in_a_table(tmp_path: Path) -> None:
    from videmo.evaluate import evaluate_labels
    from videmo.evaluate.pairs import ColumnNames, match, read_predictions, read_truth
    from videmo.show.evaluation import FORMATS

    file = tmp_path / "p.csv"
    file.write_text("path,label,truth\na,x\x1b[2J,x\x1b[2J\nb,y,y\n")
    columns = ColumnNames(truth="truth")
    result = evaluate_labels(
        match(read_predictions(str(file), columns), read_truth(str(file), columns))
    )
    named = {"predictions": "p\x1b[2J", "truth": "t"}
    for form in ("table", "markdown", "latex"):
        assert "\x1b" not in FORMATS[form]({**named, **result})
