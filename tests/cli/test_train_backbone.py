"""train backbone: from data sets to a model folder that the other commands follow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("pyarrow")

import stills

from videmo import store
from videmo.errors import InputError, OutputError
from videmo.stages.embed import make_backbone
from videmo.train import network
from videmo.train.augment import Augmentation
from videmo.train.backbone import BackboneTraining
from videmo.train.backbone_model import (
    TrainingJob,
    adjust_bias,
    options_of,
    prior_of,
    train_backbone,
)
from videmo.train.face_dataset import labels_of, make_dataset
from videmo.train.presets import PRESETS

SMALL: dict[str, Any] = {
    "architecture": "resnet10t", "arguments": {"channels": [8, 8, 16, 16]}, "input_size": 32,
    "epochs": 1, "batch": 16,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stills.folder(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> store.Model:
    out = tmp_path_factory.mktemp("models") / "mine"
    card = {"license": {"weights": "mine"}}
    course = TrainingJob((("folder", str(data)),), out, command="videmo train backbone", card=card)
    return train_backbone(course, options_of("video", **SMALL))


def learned(data: Path, out: Path, **more: Any) -> store.Model:
    return train_backbone(
        TrainingJob((("folder", str(data)),), out, **more), options_of("", **SMALL)
    )


def manifest(folder: Path, text: str) -> Path:
    """Write a manifest beside four pictures a.png ... d.png."""
    for number, name in enumerate("abcd"):
        (folder / f"{name}.png").write_bytes(stills.encoded(stills.face(number % 2, number)))
    (folder / "faces.csv").write_text(text)
    return folder / "faces.csv"


def test_the_card_tells_what_it_learned_from_and_what_it_is_worth(model: store.Model) -> None:
    trained = model.card["trained"]
    assert trained["train"] == {"faces0": 24} and trained["val"] == {"faces0": 12}
    assert trained["command"] == "videmo train backbone" and trained["best_epoch"] == 1
    assert 0 <= model.card["measured"]["val"]["emotion"] <= 1
    assert model.card["license"] == {"weights": "mine"}
    assert BackboneTraining(**{**trained["options"], "augmentation": Augmentation()}).epochs == 1


def test_the_card_states_the_epoch_whose_weights_it_has(data: Path, tmp_path: Path) -> None:
    options = options_of("", **SMALL | {"epochs": 3})
    card = train_backbone(TrainingJob((("folder", str(data)),), tmp_path / "out"), options).card
    log = card["trained"]["log"]
    best = max(log, key=lambda line: line["emotion"])
    assert card["trained"]["best_epoch"] == best["epoch"]
    assert card["measured"]["val"] == {key: best[key] for key in ("emotion", "uar")}


def test_the_written_model_answers_alike_on_both_engines(model: store.Model) -> None:
    spec = model.backbone_spec()
    assert spec.outputs == {"emotion": ("happiness", "sadness")}
    pixels = np.stack([stills.face(i % 2, i) for i in range(5)])
    answers = [
        make_backbone(spec, model.folder, engine=engine, device="cpu", outputs=("emotion",))(pixels)
        for engine in ("torch", "openvino")
    ]
    for mine, theirs in zip(*[(f, o["emotion"]) for f, o in answers], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)


def test_a_killed_training_ends_with_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_of("", **SMALL | {"epochs": 2})
    sources = (("folder", str(data)),)
    whole = train_backbone(TrainingJob(sources, tmp_path / "whole"), options)
    stills.stop_in_the_second_epoch(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train_backbone(TrainingJob(sources, tmp_path / "cut"), options)
    monkeypatch.undo()
    assert not (tmp_path / "cut").exists()
    assert train_backbone(TrainingJob(sources, tmp_path / "cut"), options).sha256 == whole.sha256


def test_half_a_model_is_not_seen(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("no room for the graph")

    monkeypatch.setattr("videmo.train.backbone_model.write_graph", broken)
    with pytest.raises(RuntimeError, match="no room"):
        learned(data, tmp_path / "half")
    assert not (tmp_path / "half").exists()
    monkeypatch.undo()
    assert learned(data, tmp_path / "half").name == "half"


def test_a_teacher_teaches_faces_that_have_no_label(model: store.Model, tmp_path: Path) -> None:
    known = manifest(tmp_path, "path,gender,split\na.png,male,train\nb.png,female,train\n"
                               "c.png,male,val\nd.png,female,val\n")  # fmt: skip
    options = replace(options_of("", **SMALL), teacher=(str(model.folder),))
    faces = stills.folder(tmp_path / "faces")
    course = TrainingJob((("folder", str(faces)), ("manifest", str(known))), tmp_path / "pupil")
    assert set(train_backbone(course, options).backbone_spec().outputs) == {"emotion", "gender"}


def test_the_presets_of_the_paper_are_its_numbers() -> None:
    options = options_of("affectnet8")
    assert (options.rho, options.batch, options.head_epochs, options.epochs) == (0.05, 32, 3, 9)
    assert (options.head_rate, options.rate, options.schedule) == (1e-3, 1e-4, "constant")
    assert options.balance and options.smoothing == 0.1 and options.input_size == 224
    assert options.augmentation.flip == 0
    assert options_of("identity").augmentation.area == (0.08, 1.0)
    assert not options_of("attributes").rho


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_learns_from_end_to_end(preset: str, data: Path, tmp_path: Path) -> None:
    layout = "folder:identity" if preset == "identity" else "folder"
    small = {key: SMALL[key] for key in ("architecture", "arguments", "input_size", "epochs")}
    options = options_of(preset, **small, head_epochs=0)
    model = train_backbone(TrainingJob(((layout, str(data)),), tmp_path / "out", limit=16), options)
    assert model.card["trained"]["train"] == {"faces0": 16}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,split\na.png,fear,train\nb.png,fear,train\nc.png,fear,val\n",
         "emotion is 'fear' in every row"),
        ("path,label,split,subject\na.png,fear,train,x\nb.png,anger,train,y\nc.png,fear,val,x\n",
         "line 4: subject 'x' is in train too"),
        ("path,label,split\na.png,fear,train\nb.png,anger,train\nc.png,glee,val\n",
         "line 4: no emotion 'glee'"),
        ("path,label,split\na.png,fear,train\nb.png,anger,train\n", "no row of split val"),
        ("path,split\na.png,train\n", "none of the columns emotion"),
    ],
    ids=["one class", "subject on both sides", "unknown class", "no val", "no label"],
)  # fmt: skip
def test_wrong_data_are_named_before_the_first_step(
    text: str, message: str, tmp_path: Path
) -> None:
    course = TrainingJob((("manifest", str(manifest(tmp_path, text))),), tmp_path / "out")
    with pytest.raises(InputError, match=message):
        train_backbone(course, options_of("", **SMALL))
    assert not (tmp_path / "out.run").exists()


def test_a_folder_that_is_there_is_not_written_over(data: Path, model: store.Model) -> None:
    with pytest.raises(OutputError, match="is there already; give --overwrite"):
        learned(data, model.folder)


def test_a_model_is_replaced_where_that_is_asked_for_and_nothing_else_is(
    data: Path, tmp_path: Path
) -> None:
    def again(out: Path, **changes: Any) -> store.Model:
        job = TrainingJob((("folder", str(data)),), out, run=tmp_path / "run", overwrite=True)
        return train_backbone(job, options_of("", **SMALL | {"epochs": 1} | changes))

    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="is no model, and is not replaced"):
        again(tmp_path / "mine")
    (again(tmp_path / "net").folder / "old").touch()
    for changes in (
        {"teacher": (str(tmp_path / "net"),)},
        {"start": str(tmp_path / "net" / "a.pt")},
    ):
        with pytest.raises(OutputError, match="is read here"):
            again(tmp_path / "net", **changes)
    assert not (again(tmp_path / "net").folder / "old").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("speed", 1, "no option 'speed'"), ("epochs", "many", "'many' is no int"),
     ("augmentation.fog", 1, "no option 'fog'"), ("rate.up", 1, "'rate' has no part 'up'")],
)  # fmt: skip
def test_an_option_that_is_not_there_is_an_error(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        options_of("video", **{name: value})


def test_the_command_trains_2000_faces_and_says_what_came_of_it(
    videmo_command: Callable[..., Any], tmp_path: Path
) -> None:
    faces = stills.folder(tmp_path / "faces")
    done = videmo_command(
        "train", "backbone", "--preset", "video", "--data", f"folder={faces}", "--out",
        tmp_path / "mine", "--limit", "2000", "--epochs", "1", "--set", "input_size=32",
        "--set", "augmentation.blur=0", "--set", "batch=16",
    )  # fmt: skip
    assert (done.code, "epoch 1: loss" in done.err) == (0, True), done.err
    assert done.records[0]["measured"]["val"]["emotion"] >= 0
    card = json.loads((tmp_path / "mine" / "card.json").read_text())
    assert card["trained"]["options"]["augmentation"]["blur"] == 0
    assert str(tmp_path) not in card["trained"]["command"]


def test_rare_emotions_are_found_more_often_at_the_price_that_was_named() -> None:
    """A network that says the same of every face leaves the choice to the move of its bias."""
    import torch

    table = stills.table(20, emotion=["happiness"] * 15 + ["sadness"] * 5)
    labels = labels_of([table])
    faces = [make_dataset(table, labels, side=32, colour=False)]
    options = options_of("", **SMALL)
    for most in (0.0, 1.0):
        weights = dict(network.build_network(options, labels).state_dict())
        weights["outputs.emotion.weight"] = torch.zeros_like(weights["outputs.emotion.weight"])
        weights["outputs.emotion.bias"] = torch.tensor([1.0, 0.6])
        found = adjust_bias(weights, faces, faces, labels, options, most)
        assert found["val uar"] == 0.5  # all faces get one label, whatever it is
        assert (found["val accuracy"] == 0.75) or most
        shift = found["move"] * np.log([0.75, 0.25])
        assert weights["outputs.emotion.bias"].numpy() == pytest.approx([1.0, 0.6] - shift)


def test_the_card_keeps_how_common_the_labels_were(model: store.Model) -> None:
    shares = model.shares("emotion")
    assert sum(shares.shares.values()) == pytest.approx(1, abs=1e-3)
    assert len(shares.factors("balanced")) == len(model.backbone_spec().outputs["emotion"])


def test_shares_are_divided_out_no_further_than_helps_on_val() -> None:
    shares = np.array([0.9, 0.1])
    truth = np.array([0] * 90 + [1] * 10)
    seen = np.where(truth[:, None] == [0, 1], 1.0, 0.0)  # what the face shows, as a likelihood
    prior = prior_of(shares, (seen + 1.5 * np.log(shares)).astype(np.float32), truth, ("a", "b"))
    # rows of b are answered a until (1.5 - p) log 9 < 1, that is p > 1.045
    assert prior["power"] == 1.05
    assert prior["shares"] == {"a": 0.9, "b": 0.1}
    easy = prior_of(shares, (9 * seen).astype(np.float32), truth, ("a", "b"))
    assert easy["power"] == 0


def test_a_row_of_which_nothing_is_known_is_only_for_a_teacher(data: Path, tmp_path: Path) -> None:
    written = manifest(tmp_path, "path,gender\na.png,male\nb.png,female\nc.png,\nd.png,male\n")
    lines = written.read_text().splitlines()
    split = ["split", "train", "train", "train", "val"]
    written.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, split, strict=True)))
    small = options_of("", **SMALL)
    course = TrainingJob((("manifest", str(written)),), tmp_path / "out")
    assert train_backbone(course, small).card["trained"]["train"] == {"faces.csv": 2}
