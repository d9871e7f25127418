"""Published files made models: every tensor finds its place, or nothing is installed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.numpy import save_file

from videmo import store
from videmo.cli.models_import import import_
from videmo.errors import CorruptModel, InputError, MissingDependency, ModelError, VidemoError
from videmo.labels import LABELS
from videmo.stages.embed import BackboneSpec, make_backbone
from videmo.stages.heads import make_head
from videmo.store.zoo import ZOO, Metric, PublishedModel, importer, keras
from videmo.store.zoo.importer import file_format, published_for

SMALL = "test_efficientnet"  # timm's own for tests: 256 features
MTL = {"emotion": LABELS["affectnet8"], "valence_arousal": ("valence", "arousal")}
HALF = (0.5, 0.5, 0.5)
SPEC = BackboneSpec(SMALL, 64, HALF, HALF, 0, MTL)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that models are installed in; without graphs, which take seconds each."""
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path / "cache"))

    def none() -> None:
        raise MissingDependency("onnx", "torch")

    monkeypatch.setattr(importer, "can_write_graphs", none)
    return tmp_path / "cache" / "models"


def pictures(side: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


def run(model: store.Model, pixels: np.ndarray, engine: str = "torch") -> Any:
    return make_backbone(model.backbone_spec(), model.folder, engine=engine)(pixels)


def row(specs: tuple[BackboneSpec, ...], form: str = "module", **more: Any) -> PublishedModel:
    figures = (Metric("AffectNet validation", "accuracy", 0.6, 4000, "as annotated", "README"),)
    about, terms = "A network for tests.", {"code": "Apache-2.0", "weights": "research"}
    facts = ("net", "net.pt", form, "backbone", ("https://example.org/net.pt",), "0123", specs)
    return PublishedModel(*facts, about, terms, figures, **more)


def small(name: str, side: int = 33) -> PublishedModel:
    """Return the row of a published network, for small pictures."""
    return replace(ZOO[name], specs=(replace(ZOO[name].specs[0], input_size=side),))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state dict of ten outputs, of no published network."""
    return published.save(published.network(SMALL, 10).state_dict(), tmp_path / "mine.pt")


# --- pickles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generation", "legacy"), [("0.4.5", True), ("0.6", False), ("0.9.7", False)]
)
def test_a_published_efficientnet_has_the_features_it_had(
    tmp_path: Path, generation: str, legacy: bool
) -> None:
    net = published.network("tf_efficientnet_b0", 8)
    net.classifier = torch.nn.Sequential(net.classifier)  # as these networks have it
    name = "enet_b0_8_best_vgaf"
    path = published.save_module(net, tmp_path / f"{name}.pt", generation, legacy=legacy)
    model = importer.import_model(path, name, small(name, 75))  # an odd side tells how it pads
    spec, pixels = model.backbone_spec(), pictures(75)
    features, outputs = run(model, pixels)
    expected = published.features_of(net, pixels, spec.mean, spec.std)
    logits = net.classifier(torch.tensor(expected)).detach().numpy()
    # one network of the same tensors, in float32, normalised in another order
    assert features == pytest.approx(expected, abs=1e-5)
    assert outputs["emotion"] == pytest.approx(logits, abs=1e-5)
    assert spec.outputs["emotion"] == LABELS["affectnet8"]


def test_our_network_pads_and_normalises_as_the_published_one() -> None:
    from videmo.stages.embed.timm import create_body

    net = create_body(ZOO["enet_b0_7"].specs[0].architecture, {}, ())
    strided = [m for m in net.modules() if getattr(m, "stride", (1, 1)) == (2, 2)]
    norms = [m for m in net.modules() if "BatchNorm" in type(m).__name__]
    assert {type(m).__name__ for m in strided} == {"Conv2dSame"} and len(strided) == 5
    assert {m.eps for m in norms} == {1e-3}


def test_ten_outputs_are_eight_emotions_and_valence_and_arousal(state: Path) -> None:
    model = importer.import_model(state, "mine", spec=SPEC)
    spec, pixels = model.backbone_spec(), pictures(64)
    _, outputs = run(model, pixels)
    net = published.network(SMALL, 10)
    features = published.features_of(net, pixels, HALF, HALF)
    logits = net.classifier(torch.tensor(features)).detach().numpy()
    assert {name: part.shape for name, part in outputs.items()} == {
        "emotion": (2, 8), "valence_arousal": (2, 2)
    }  # fmt: skip
    assert np.hstack([*outputs.values()]) == pytest.approx(logits, abs=1e-5)
    assert spec.outputs == MTL and spec.dim == 256


@pytest.mark.parametrize("head", ["classifier", "classifier.0", "fc", "head.fc"])
def test_a_last_layer_is_found_by_any_of_its_names(tmp_path: Path, head: str) -> None:
    weights = published.network(SMALL, 10).state_dict()
    named = {name.replace("classifier", head): tensor for name, tensor in weights.items()}
    path = published.save(named, tmp_path / "mine.pt")
    tensors = importer.import_model(path, "mine", spec=SPEC).weights()
    assert np.array_equal(tensors["outputs.emotion.weight"], weights["classifier.weight"][:8])
    assert np.array_equal(tensors["outputs.valence_arousal.bias"], weights["classifier.bias"][8:])


def test_safetensors_go_the_same_way(tmp_path: Path, state: Path) -> None:
    weights = {k: v.numpy() for k, v in published.network(SMALL, 10).state_dict().items()}
    save_file(weights, tmp_path / "mine.safetensors")
    one = importer.import_model(state, "one", spec=SPEC)
    other = importer.import_model(tmp_path / "mine.safetensors", "other", spec=SPEC)
    assert one.sha256 == other.sha256


def test_an_identity_network_has_features_alone(tmp_path: Path) -> None:
    weights = published.network(SMALL, 0).state_dict()
    path = published.save(weights, tmp_path / "net.pt")
    model = importer.import_model(path, "net", row((replace(SPEC, outputs={}, dim=256),), "state"))
    features, outputs = run(model, pictures(64))
    assert features.shape == (2, 256) and outputs == {}


def test_a_rexnet_of_the_oldest_generation_is_read(tmp_path: Path) -> None:
    net = published.network("rexnet_150", 7)
    name = "affectnet_7_vggface2_rexnet150"
    path = published.save_module(net, tmp_path / f"{name}.pt", "0.4.5", legacy=True)
    model = importer.import_model(path, name, small(name, 64))
    spec, pixels = model.backbone_spec(), pictures(64, 1)
    expected = published.features_of(net, pixels, spec.mean, spec.std)
    assert run(model, pixels)[0] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert model.card["imported"]["class"] == "timm.models.rexnet.ReXNetV1"


def test_of_several_variants_the_one_that_fits_is_taken(tmp_path: Path) -> None:
    path = published.save(published.network("mobilevit_xxs", 10), tmp_path / "net.pt")
    specs = tuple(
        BackboneSpec(name, 64, HALF, HALF, dim, MTL)
        for name, dim in {"mobilevit_xs": 384, "mobilevitv2_050": 256, "mobilevit_xxs": 320}.items()
    )
    assert (
        importer.import_model(path, "net", row(specs)).backbone_spec().architecture
        == "mobilevit_xxs"
    )


def test_the_card_tells_where_it_is_from(state: Path) -> None:
    card = importer.import_model(state, "net", row((replace(SPEC, dim=256),), "state")).card
    assert card["imported"]["file"] == "mine.pt" and len(card["imported"]["sha256"]) == 64
    assert card["imported"]["as_published"] is False
    assert card["license"]["weights"] == "research"
    assert card["published"]["figures"][0]["value"] == 0.6
    assert "measured" not in card


def test_both_engines_run_what_was_imported(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(importer, "can_write_graphs", lambda: None)
    model, pixels = importer.import_model(state, "mine", spec=SPEC), pictures(64)
    assert sorted(model.card["files"]) == ["graph.onnx", "weights.safetensors"]
    one, other = (run(model, pixels, engine) for engine in ("torch", "openvino"))
    assert other[0] == pytest.approx(one[0], abs=1e-4)
    assert other[1]["emotion"] == pytest.approx(one[1]["emotion"], abs=1e-4)


# --- what is refused, and leaves nothing behind ------------------------------------------------


def refused(models: Path) -> bool:
    return not models.exists() or list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("bn1.running_mean"), "bn1.running_mean is missing"),
        (lambda w: w.update(odd=torch.ones(2)), "odd is (2,), expected none"),
        (lambda w: w.update({"bn1.bias": torch.ones(3)}), "bn1.bias is (3,), expected"),
        (lambda w: w.update({"classifier.bias": torch.ones(9)}), "last layer is (10, 256)"),
        (lambda w: w["bn1.bias"].fill_(float("nan")), "bn1.bias is not finite"),
        (lambda w: w["conv_stem.weight"].fill_(3e38), "are not finite numbers"),
    ],
    ids=["missing", "left over", "shape", "outputs", "nan", "overflow"],
)
def test_tensors_that_do_not_fit_are_refused(
    tmp_path: Path, models: Path, change: Any, words: str
) -> None:
    weights = dict(published.network(SMALL, 10).state_dict())
    change(weights)
    path = published.save(weights, tmp_path / "net.pt")
    with pytest.raises(ModelError) as caught:
        importer.import_model(path, "net", spec=SPEC)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert refused(models)


def test_a_file_that_breaks_off_leaves_nothing_behind(
    tmp_path: Path, models: Path, state: Path
) -> None:
    blob = state.read_bytes()
    state.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(CorruptModel):
        importer.import_model(state, "mine", spec=SPEC)
    assert refused(models)


def test_engines_that_disagree_are_an_error(
    state: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"torch": np.ones((3, 2), np.float32), "openvino": np.zeros((3, 2), np.float32)}
    monkeypatch.setattr(importer, "_run_backbone", lambda _, engine: {"features": answers[engine]})
    monkeypatch.setattr(importer, "can_write_graphs", lambda: None)
    monkeypatch.setattr(importer, "write_graph", lambda *_: None)
    with pytest.raises(ModelError, match="OpenVINO's features are not PyTorch's"):
        importer.import_model(state, "mine", spec=SPEC)
    assert refused(models)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a b", "x" * 200, "afew7"])
def test_a_name_that_is_none_is_refused(state: Path, models: Path, name: str) -> None:
    with pytest.raises(InputError):
        importer.import_model(state, name, spec=SPEC)
    assert refused(models)


def test_an_installed_model_is_not_replaced(state: Path) -> None:
    importer.import_model(state, "mine", spec=SPEC)
    with pytest.raises(InputError, match="installed already; give --overwrite"):
        importer.import_model(state, "mine", spec=SPEC)


def test_an_installed_model_is_replaced_where_that_is_asked_for(
    state: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = importer.import_model(state, "mine", spec=SPEC)
    (made.folder / "old").touch()
    with monkeypatch.context() as patch:
        patch.setattr(importer, "_compare_engines", broken)
        with pytest.raises(ModelError):
            importer.import_model(state, "mine", spec=SPEC, overwrite=True)
    assert (made.folder / "old").exists()  # until the new one is known to be sound
    with pytest.raises(InputError, match="is read here"):
        importer.import_model(
            made.folder / "weights.safetensors", "mine", spec=SPEC, overwrite=True
        )
    importer.import_model(state, "mine", spec=SPEC, overwrite=True)
    assert not (made.folder / "old").exists()
    assert [folder.name for folder in models.iterdir()] == ["mine"]


def broken(model: store.Model) -> None:
    raise ModelError("broken")


@pytest.mark.parametrize(
    ("name", "blob", "words"),
    [
        ("net.pt", b"\n<!DOCTYPE html>", "a web page"),
        ("net.onnx", b"version https://git-lfs.github.com/spec/v1", "a git-lfs pointer"),
        ("net.txt", b"hello", "neither torch"),
        ("net.pt", b"", "expected"),
        ("net.onnx", b"\x08\x07hello", "expected an ONNX graph"),
        ("net.safetensors", b"\xff" * 20, "expected a safetensors file"),
        ("net.h5", keras.SIGNATURE + bytes(50), "that Keras saved"),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, models: Path, name: str, blob: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(blob)
    with pytest.raises(ModelError, match=words):
        importer.import_model(tmp_path / name, "net", spec=SPEC)
    assert refused(models)


def test_an_efficientnet_that_pads_otherwise_is_not_the_published_one(
    tmp_path: Path, models: Path
) -> None:
    name = "enet_b0_8_best_vgaf"  # whose tensors have the names and shapes of these
    path = published.save(published.network("efficientnet_b0", 8), tmp_path / f"{name}.pt")
    with pytest.raises(ModelError, match=r"conv_stem has padding \(1, 1\), expected \(0, 0\)"):
        importer.import_model(path, name, small(name, 75))
    assert refused(models)


@pytest.mark.parametrize(
    ("module", "setting", "value", "expected"),
    [("conv_stem", "stride", (1, 1), (2, 2)), ("bn1", "eps", 0.1, 1e-05)],
)
def test_the_layers_of_a_whole_network_are_set_as_ours(
    tmp_path: Path, models: Path, module: str, setting: str, value: Any, expected: Any
) -> None:
    net = published.network(SMALL, 10)
    setattr(net.get_submodule(module), setting, value)
    path = published.save(net, tmp_path / "net.pt")
    with pytest.raises(ModelError) as caught:
        importer.import_model(path, "net", spec=SPEC)
    assert f"{module} has {setting} {value}, expected {expected}" in str(caught.value)
    assert refused(models)


def test_a_network_of_several_gpus_is_one_network(tmp_path: Path) -> None:
    net = published.network(SMALL, 10)
    path = published.save(torch.nn.DataParallel(net), tmp_path / "net.pt")
    model, pixels = importer.import_model(path, "net", spec=SPEC), pictures(64)
    expected = published.features_of(net, pixels, HALF, HALF)
    assert run(model, pixels)[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("architecture", ["hf-hub:timm/x", "local-dir:x", "nothing_like_it"])
def test_an_architecture_that_is_a_place_is_refused(state: Path, architecture: str) -> None:
    with pytest.raises(VidemoError, match="timm has no network"):
        importer.import_model(state, "mine", spec=replace(SPEC, architecture=architecture))


# --- MobileFaceNet -----------------------------------------------------------------------------

MBF = "mbf_va_mtl"


def save_mobilefacenet(net: Any, path: Path, *, legacy: bool = False) -> Path:
    with published.pretended({"mobilefacenet": published.mobilefacenet_kinds()}):
        return published.save(net, path, legacy=legacy)


def mobilefacenet_answers(net: Any, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network itself calculates before its last layer and behind it."""
    x = torch.tensor((pixels / 255 - 0.5) / 0.5, dtype=torch.float32).permute(0, 3, 1, 2)
    with torch.inference_mode():
        logits, net.fc = net(x).numpy(), torch.nn.Identity()
        return net(x).numpy(), logits


@pytest.mark.parametrize("legacy", [True, False])
def test_a_mobilefacenet_answers_as_it_did(tmp_path: Path, legacy: bool) -> None:
    net, pixels = published.mobilefacenet(), pictures(112)
    path = save_mobilefacenet(net, tmp_path / f"{MBF}.pt", legacy=legacy)
    model = importer.import_model(path, MBF, published_for(path, MBF))
    features, outputs = run(model, pixels)
    expected, logits = mobilefacenet_answers(net, pixels)
    assert expected.std() > 0.1
    # one network of the same tensors, in float32, normalised in another order
    assert features == pytest.approx(expected, abs=1e-5)
    assert np.hstack([*outputs.values()]) == pytest.approx(logits, abs=1e-5)
    assert list(outputs) == ["emotion", "valence_arousal"]
    assert model.card["imported"]["class"] == "mobilefacenet.MobileFaceNet"


def test_a_mobilefacenet_goes_through_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(importer, "can_write_graphs", lambda: None)
    net, pixels = published.mobilefacenet(), pictures(112)
    path = save_mobilefacenet(net, tmp_path / f"{MBF}.pt")
    model = importer.import_model(path, MBF, published_for(path, MBF))
    expected, logits = mobilefacenet_answers(net, pixels)
    assert (model.folder / "graph.onnx").is_file()
    features, outputs = run(model, pixels, "openvino")
    assert features == pytest.approx(expected, abs=1e-4)  # float32 in another order of sums
    assert np.hstack([*outputs.values()]) == pytest.approx(logits, abs=1e-4)


def _set(name: str, **facts: Any) -> Any:
    return lambda net: vars(net.get_submodule(name)).update(facts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("layers.3.layers.2", residual=False), "layers.3.layers.2 has residual False"),
        (_set("layers.2", residual=True), "layers.2 has residual True, expected False"),
        (_set("layers.2.layers.1.layers.0", stride=(1, 1)), "has stride (1, 1), expected (2, 2)"),
        (_set("layers.0.layers.0", padding=(0, 0)), "layers.0.layers.0 has padding (0, 0)"),
        (_set("layers.0.layers.0", padding=torch.nn.ReLU()), "layers.0.layers.0 has padding odd"),
        (_set("layers.5.layers.0.layers.1.layers.0", dilation=(2, 2)), "has dilation (2, 2)"),
        (_set("features.layers.3", eps=2e-5), "features.layers.3 has eps 2e-05, expected 1e-05"),
        (_set("", norm_output=True), "the network has norm_output True, expected False"),
        (lambda net: net.features.layers.append(torch.nn.Softmax(1)), "a module features.layers.4"),
        (lambda net: net.fc.append(torch.nn.Tanh()), "a module fc.1"),
        (lambda net: net.features.layers.__setitem__(1, torch.nn.Softmax(1)),
         "features.layers.1 has class Softmax, expected Flatten"),
    ],
)  # fmt: skip
def test_a_mobilefacenet_that_calculates_otherwise_is_refused(
    tmp_path: Path, models: Path, change: Any, words: str
) -> None:
    net = published.mobilefacenet()
    net.fc = torch.nn.Sequential(net.fc)
    change(net)
    path = save_mobilefacenet(net, tmp_path / f"{MBF}.pt")
    with pytest.raises(ModelError, match="import its ONNX file") as caught:
        importer.import_model(path, MBF, published_for(path, MBF))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert refused(models)


@pytest.mark.parametrize("whole", [True, False])
def test_the_layout_of_another_mobilefacenet_is_refused(
    tmp_path: Path, models: Path, whole: bool
) -> None:
    net = published.mobilefacenet_kinds()["MobileFaceNet"]()
    for name in ("conv1", "conv2_dw", "conv_23"):
        net.add_module(name, torch.nn.Conv2d(3, 64, 3))
    path = save_mobilefacenet(net if whole else net.state_dict(), tmp_path / f"{MBF}.pt")
    with pytest.raises(ModelError, match=r"L2 norm that no tensor shows; import its ONNX file"):
        importer.import_model(path, MBF, published_for(path, MBF))
    assert refused(models)


def test_a_mobilefacenet_of_ones_own_has_pictures_of_112_px(tmp_path: Path) -> None:
    net = published.mobilefacenet()
    path = published.save(net.state_dict(), tmp_path / "mine.pt")
    spec = BackboneSpec("mobilefacenet", 112, HALF, HALF, 0, MTL)
    assert importer.import_model(path, "mine", spec=spec).backbone_spec().dim == 512
    with pytest.raises(InputError, match="squares of 112 px"):
        importer.import_model(path, "other", spec=replace(spec, input_size=224))


# --- Keras -------------------------------------------------------------------------------------


@pytest.fixture
def dense() -> dict[str, tuple[int, int]]:
    return {"feats": (1024, 256), "age_pred": (256, 100), "gender_pred": (256, 1)}


def test_keras_emotion_network_answers_as_its_formula(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    layers = published.keras_layers({"feats": (1024, 256), "emotion_preds": (256, 7)})
    path = published.save_keras(layers, tmp_path / "mobilenet_7.h5")
    model = importer.import_model(path, "mobilenet_7", small("mobilenet_7"))
    pixels = pictures(33, 1)
    features, outputs = run(model, pixels)
    x = pixels[0] - np.array([103.939, 116.779, 123.68])  # taken from R, G, B as published
    expected, answers = published.keras_answer(layers, x)
    assert expected.std() > 0.01
    assert features[0] == pytest.approx(expected, abs=1e-4)  # float32 against float64
    assert outputs["emotion"][0] == pytest.approx(answers["emotion_preds"], abs=1e-4)
    assert model.backbone_spec().hidden == {"emotion": 256}


def test_keras_age_and_gender_take_blue_first(
    tmp_path: Path, dense: dict[str, tuple[int, int]]
) -> None:
    pytest.importorskip("h5py")
    layers = published.keras_layers(dense)
    name = "age_gender_tf2_224_deep-03-0.13-0.97"
    path = published.save_keras(layers, tmp_path / f"{name}.h5")
    model = importer.import_model(path, name, small(name))
    pixels = pictures(33, 1)
    features, outputs = run(model, pixels)
    x = pixels[0, :, :, ::-1] - np.array([103.939, 116.779, 123.68])  # B, G, R
    expected, answers = published.keras_answer(layers, x)
    assert features[0] == pytest.approx(expected, abs=1e-4)
    assert outputs["age"][0] == pytest.approx(answers["age_pred"], abs=1e-4)
    assert outputs["gender"][0] == pytest.approx([0, answers["gender_pred"][0]], abs=1e-4)


def test_a_hidden_layer_goes_through_a_graph_too(
    tmp_path: Path, dense: dict[str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(importer, "can_write_graphs", lambda: None)
    name = "age_gender_tf2_224_deep-03-0.13-0.97"
    path = published.save_keras(published.keras_layers(dense), tmp_path / f"{name}.h5")
    model = importer.import_model(path, name, small(name))  # compares the engines
    assert (model.folder / "graph.onnx").is_file()


@pytest.mark.parametrize(
    "change",
    [
        lambda layers: layers.pop("conv_pw_13"),
        lambda layers: layers.pop("conv_dw_3_bn"),
        lambda layers: layers.update(odd={"kernel": np.ones((256, 9)), "bias": np.ones(9)}),
        lambda layers: layers["conv1"].update(bias=np.ones(32)),
        lambda layers: layers["feats"].pop("bias"),
        lambda layers: layers["conv1"].update(kernel=np.ones((3, 3, 3))),
    ],
)
def test_other_layers_of_keras_are_refused(tmp_path: Path, models: Path, change: Any) -> None:
    pytest.importorskip("h5py")
    layers = published.keras_layers({"feats": (1024, 256), "out": (256, 7)})
    change(layers)
    path = published.save_keras(layers, tmp_path / "mobilenet_7.h5")
    with pytest.raises(ModelError):
        importer.import_model(path, "mobilenet_7", small("mobilenet_7"))
    assert refused(models)


def test_links_and_compressed_arrays_of_hdf5_are_not_followed(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["model_weights/conv1/kernel:0"] = np.ones(3, np.float32)
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink("other.h5", "/model_weights")
    with pytest.raises(CorruptModel, match="no array"):
        keras.read(tmp_path / "net.h5")
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("a/kernel:0", (1000, 1000), "f4", compression="gzip")
    with pytest.raises(CorruptModel, match="plain numbers"):
        keras.read(tmp_path / "bomb.h5")
    with h5py.File(tmp_path / "hollow.h5", "w") as file:
        file.create_dataset("a/kernel:0", (1000, 1000), "f4", chunks=(10, 10))
    with pytest.raises(CorruptModel, match="plain numbers"):
        keras.read(tmp_path / "hollow.h5")


# --- engagement --------------------------------------------------------------------------------


def engagement(path: Path, width: int, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    sizes = {"e": (width, 1), "hidden_FC": (width, 512), "dense": (512, 2)}
    layers = {
        name: {"kernel": rng.normal(0, 0.1, shape), "bias": rng.normal(0, 0.1, shape[1])}
        for name, shape in sizes.items()
    }
    published.save_keras(layers, path)
    return layers


def test_engagement_becomes_a_head_with_the_recipe_of_its_backbone(
    tmp_path: Path, state: Path
) -> None:
    pytest.importorskip("h5py")
    backbone = importer.import_model(state, "mine", spec=SPEC)
    name = "engagement_single_attention"
    layers = engagement(tmp_path / f"{name}.h5", 512)
    model = importer.import_model(tmp_path / f"{name}.h5", name, ZOO[name], backbone="mine")
    assert model.recipe.backbone == "mine" and model.recipe.backbone_sha256 == backbone.sha256
    assert model.recipe.cropping.size == 64
    weights = model.weights()
    assert weights["attention.weight"].shape == (512,)
    assert np.array_equal(weights["dense.weight"], layers["hidden_FC"]["kernel"].astype("f4"))
    assert np.array_equal(weights["out.weight"], layers["dense"]["kernel"].astype("f4"))
    spec = model.head_spec()
    assert (spec.type, spec.level, spec.labels) == (
        "attention", "window", ("Distracted", "Engaged")
    )  # fmt: skip
    make_head(spec, weights)


def test_engagement_wants_a_backbone_of_its_width(tmp_path: Path, state: Path) -> None:
    pytest.importorskip("h5py")
    name = "engagement_single_attention"
    engagement(tmp_path / f"{name}.h5", 512)
    with pytest.raises(InputError, match="reads the 256 features of a backbone; import one first"):
        importer.import_model(tmp_path / f"{name}.h5", name, ZOO[name])
    importer.import_model(state, "mine", spec=SPEC)
    with pytest.raises(InputError, match="--backbone mine"):
        importer.import_model(tmp_path / f"{name}.h5", name, ZOO[name])
    with pytest.raises(InputError, match="lite0_faces has 1280"):
        importer.import_model(tmp_path / f"{name}.h5", name, ZOO[name], backbone="lite0_faces")


# --- ONNX --------------------------------------------------------------------------------------

GRAPH = BackboneSpec("mobilefacenet", 32, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), 5, MTL)


@pytest.mark.parametrize("turned", [True, False])
def test_an_onnx_graph_answers_as_it_did(tmp_path: Path, turned: bool) -> None:
    onnx = pytest.importorskip("onnx")
    graph, path, pixels = published.onnx_graph(turned=turned), tmp_path / "net.onnx", pictures(32)
    onnx.save(graph, path)
    model = importer.import_model(path, "net.onnx", row((GRAPH,), "onnx"))
    features, outputs = run(model, pixels, "openvino")
    x = ((pixels / 255 - np.array(GRAPH.mean)) / np.array(GRAPH.std)).transpose(0, 3, 1, 2)
    expected = published.onnx_answer(graph, x)
    assert features == pytest.approx(expected["features"].reshape(2, 5), abs=1e-4)
    assert np.hstack([*outputs.values()]) == pytest.approx(expected["logits"], abs=1e-4)
    assert list(outputs) == ["emotion", "valence_arousal"]


def test_a_tensor_that_a_graph_names_twice_is_found(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    graph = published.onnx_graph()
    graph.graph.initializer[5].name = "kept.bias"
    graph.graph.node.insert(
        0, onnx.helper.make_node("Identity", ["kept.bias"], ["classifier.bias"])
    )
    onnx.save(graph, tmp_path / "net.onnx")
    weights = importer.import_model(tmp_path / "net.onnx", "net", row((GRAPH,), "onnx")).weights()
    expected = onnx.numpy_helper.to_array(graph.graph.initializer[5])
    assert np.array_equal(weights["outputs.valence_arousal.bias"], expected[8:])


def test_the_tensors_of_a_graph_are_kept_once(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnx.save(published.onnx_graph(width=400), tmp_path / "net.onnx")
    spec = replace(GRAPH, dim=400)
    model = importer.import_model(tmp_path / "net.onnx", "net", row((spec,), "onnx"))
    assert {"conv", "outputs.emotion.weight"} <= set(model.weights())
    assert (model.folder / "graph.onnx").stat().st_size < 6000
    assert (model.folder / "weights.safetensors").stat().st_size > 50_000


def test_a_graph_is_not_run_by_pytorch(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnx.save(published.onnx_graph(), tmp_path / "net.onnx")
    model = importer.import_model(tmp_path / "net.onnx", "net", row((GRAPH,), "onnx"))
    with pytest.raises(InputError, match="use engine=openvino"):
        run(model, pictures(32))


def _own_operator(model: Any) -> None:
    model.opset_import.add(domain="evil", version=1)
    model.graph.node[1].domain = "evil"


def _elsewhere(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="/etc/passwd")


def _inside(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="body", type=5)
    attribute.g.name = "inside"


def _function(model: Any) -> None:
    model.functions.add(name="f", domain="")


def _no_gemm(model: Any) -> None:
    model.graph.output[0].name = "4"


def test_names_in_a_graph_that_are_no_text_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    path, blob = tmp_path / "net.onnx", published.onnx_graph().SerializeToString()
    path.write_bytes(blob.replace(b"Conv_1.bias", b"Conv\xff1.bias"))
    with pytest.raises(CorruptModel, match="names that are no text"):
        importer.import_model(path, "net", row((GRAPH,), "onnx"))


def _taken(model: Any) -> None:
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "pixels"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_own_operator, "operators of 'evil'"),
        (_elsewhere, "in another file"),
        (_inside, "a graph inside Conv"),
        (_function, "functions"),
        (_no_gemm, "of Flatten"),
        (_taken, "the name 'pixels' inside"),
        (lambda m: m.graph.node[4].attribute[0].__setattr__("f", 2.0), "a last layer with"),
        (lambda m: m.graph.node.pop(0), "expected an ONNX graph"),
        (lambda m: m.graph.initializer[4].dims.__setitem__(0, 11), "expected an ONNX graph"),
        (lambda m: m.graph.input[0].type.tensor_type.shape.dim[2].__setattr__("dim_value", 48),
         "pictures of 48 x 32 px"),
        (lambda m: m.opset_import[0].__setattr__("version", 6), "an opset older than 7"),
    ],
    ids=["domain", "external", "subgraph", "function", "no gemm", "name", "alpha", "hole",
         "dims", "side", "opset"],
)  # fmt: skip
def test_a_graph_that_is_more_or_less_is_refused(
    tmp_path: Path, models: Path, change: Any, words: str
) -> None:
    pytest.importorskip("onnx")
    graph = published.onnx_graph()
    change(graph)
    (tmp_path / "net.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(CorruptModel) as caught:
        importer.import_model(tmp_path / "net.onnx", "net", row((GRAPH,), "onnx"))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert refused(models)


@pytest.mark.parametrize("change", [{"dim": 6}, {"outputs": {"emotion": ("a", "b")}},
                                    {"input_size": 48}])  # fmt: skip
def test_a_graph_of_other_sizes_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    onnx = pytest.importorskip("onnx")
    onnx.save(published.onnx_graph(), tmp_path / "net.onnx")
    with pytest.raises(CorruptModel, match="32 px, 5 features and 10 outputs"):
        importer.import_model(
            tmp_path / "net.onnx", "net", row((replace(GRAPH, **change),), "onnx")
        )


def test_a_graph_that_breaks_off_is_refused(tmp_path: Path, models: Path) -> None:
    pytest.importorskip("onnx")
    blob, path = published.onnx_graph().SerializeToString(), tmp_path / "net.onnx"
    for length in range(1, len(blob), 61):
        path.write_bytes(blob[:length])
        with pytest.raises(CorruptModel):
            importer.import_model(path, "net", row((GRAPH,), "onnx"))
    assert refused(models)


# --- the command -------------------------------------------------------------------------------


def command(*arguments: str | Path) -> Any:
    return CliRunner().invoke(import_, [str(a) for a in arguments])


def test_a_file_of_ones_own_is_imported_by_what_it_is(tmp_path: Path, state: Path) -> None:
    more = ("--architecture", SMALL, "--classes", "affectnet8+va", "--size", "64")
    done = command(state, "--as", "mine", *more, "--mean", "0.5", "0.5", "0.5")
    assert done.exit_code == 0, done.output
    model = store.load("mine")
    assert str(model.folder) in done.output
    assert model.backbone_spec().outputs == MTL and model.backbone_spec().mean == HALF


def test_a_file_of_which_nothing_is_known_says_what_to_give(state: Path) -> None:
    done = command(state, "--as", "mine")
    assert isinstance(done.exception, InputError)
    assert "--architecture, --classes and --size" in str(done.exception)


@pytest.mark.parametrize("classes", ["a,,b", "a,a", "affectnet8+x"])
def test_labels_that_are_none_are_wrong_use(state: Path, classes: str) -> None:
    done = command(state, "--as", "mine", "--architecture", SMALL, "--classes", classes)
    assert done.exit_code == 2


def test_a_published_file_is_known_by_either_name_and_its_format(tmp_path: Path) -> None:
    pickle, graph = tmp_path / "enet_b2_8.pt", tmp_path / "enet_b2_8.onnx"
    pickle.write_bytes(b"\x80\x02")
    graph.write_bytes(b"\x08\x07")
    assert [file_format(path) for path in (pickle, graph)] == ["torch", "onnx"]
    assert published_for(pickle, "mine") is ZOO["enet_b2_8"]
    assert (
        published_for(graph, "mine") is published_for(graph, "enet_b2_8") is ZOO["enet_b2_8.onnx"]
    )
    assert published_for(pickle, "enet_b0_7") is ZOO["enet_b0_7"]
    pickle.rename(tmp_path / "x.pt")
    assert published_for(tmp_path / "x.pt", "mine") is None


def test_the_command_is_one_of_models() -> None:
    from videmo.cli import videmo

    done = CliRunner().invoke(videmo, ["models", "import", "--help"])
    assert done.exit_code == 0 and "--architecture" in done.output


def test_an_imported_card_is_plain_json(state: Path, models: Path) -> None:
    importer.import_model(state, "mine", spec=SPEC)
    card = json.loads((models / "mine" / "card.json").read_text())
    assert card["spec"]["architecture"] == SMALL and card["spec"]["dim"] == 256
    assert timm.is_model(card["spec"]["architecture"])
