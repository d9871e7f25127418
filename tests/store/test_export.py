"""A backbone as ONNX, OpenVINO and TorchScript, read back by engines that know nothing of us."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from networks import SIDE, SPEC

from videmo import store
from videmo.errors import InputError, ModelError, ModelNotFound, OutputError, UnknownName
from videmo.files.openvino import import_openvino
from videmo.stages.embed import cosine, make_backbone
from videmo.store.export import EXPORT_FORMATS, export

SUFFIX = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".pt"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> store.Model:
    return networks.save(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def written(model: store.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The model in every form, each in a folder of its own that holds nothing else."""
    files = {}
    for form, suffix in SUFFIX.items():
        out = tmp_path_factory.mktemp(form) / f"small{suffix}"
        files[form] = export(model.folder, form, out).path
    return files


def run_graph(path: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    network = (
        import_openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    )
    answers = network(pixels)
    return {name: answers[name] for name in ("features", *SPEC.outputs)}


def run_torchscript(path: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    import torch

    with torch.inference_mode():
        answers = torch.jit.load(path)(torch.from_numpy(pixels))
    return {name: column.numpy() for name, column in answers.items()}


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("count", [1, 5, 33])
@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_a_file_gives_what_the_original_gives_for_any_number_of_faces(
    model: store.Model, written: dict[str, Path], form: str, count: int, rng: np.random.Generator
) -> None:
    pixels = rng.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
    run = run_torchscript if form == "torchscript" else run_graph
    got = run(written[form], pixels)
    features, outputs = make_backbone(SPEC, model.folder, engine="torch", device="cpu")(pixels)
    assert set(got) == {"features", *outputs}
    assert cosine(got["features"], features).min() > 0.9999
    for name, numbers in outputs.items():
        np.testing.assert_allclose(got[name], numbers, rtol=0, atol=1e-4)


def facts_in(form: str, path: Path) -> dict[str, str]:
    if form == "onnx":
        import onnx

        return {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    if form == "openvino":
        network = import_openvino().Core().read_model(path)
        keys = ("name", "input", "labels", "card")
        return {key: network.get_rt_info(["videmo", key]).astype(str) for key in keys}
    import torch

    files = dict.fromkeys(("name", "input", "labels", "card"), "")
    torch.jit.load(path, _extra_files=files)
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in files.items()}


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_a_file_tells_its_name_its_input_its_labels_and_its_card(
    model: store.Model, written: dict[str, Path], form: str
) -> None:
    facts = facts_in(form, written[form])
    assert facts["name"] == "small" and "(M, 32, 32, 3), RGB" in facts["input"]
    assert json.loads(facts["labels"]) == {k: list(v) for k, v in SPEC.outputs.items()}
    assert json.loads(facts["card"]) == json.loads((model.folder / "card.json").read_text())


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_nothing_else_is_left_behind(written: dict[str, Path], form: str) -> None:
    files = sorted(path.suffix for path in written[form].parent.iterdir())
    assert files == sorted(EXPORT_FORMATS[form].suffixes)


def test_an_onnx_file_does_not_say_where_it_was_made(written: dict[str, Path]) -> None:
    content = written["onnx"].read_bytes()
    assert str(Path(__file__).resolve().parents[2]).encode() not in content
    assert b"site-packages" not in content


def other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every form written by mistake from a network of other means."""
    from videmo.stages.embed import timm

    right = timm.to_torchscript
    wrong = lambda spec, weights: right(replace(spec, mean=(0.9, 0.0, 0.0)), weights)  # noqa: E731
    monkeypatch.setattr(timm, "to_torchscript", wrong)


def test_a_file_that_gives_other_numbers_is_not_kept(
    model: store.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_numbers(monkeypatch)
    with pytest.raises(ModelError, match=r"small: what was written gives other numbers \(cosine"):
        export(model.folder, "torchscript", tmp_path / "small.pt")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_when_asked_and_only_by_what_is_sound(
    model: store.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, numbers = tmp_path / "small.xml", tmp_path / "small.bin"
    numbers.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"small.bin: is there already; give --overwrite"):
        export(model.folder, "openvino", graph)
    with monkeypatch.context() as patched, pytest.raises(ModelError):
        other_numbers(patched)
        export(model.folder, "openvino", graph, overwrite=True)
    assert numbers.read_bytes() == b"mine" and not graph.exists()
    export(model.folder, "openvino", graph, overwrite=True)
    pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    assert run_graph(graph, pixels)["features"].shape == (2, SPEC.dim)


def test_a_folder_that_is_not_there_is_an_output_error(model: store.Model, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="its folder is not there"):
        export(model.folder, "onnx", tmp_path / "absent" / "small.onnx")


def test_openvino_is_named_by_its_suffix(model: store.Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"called '\.bin'; there is \.xml"):
        export(model.folder, "openvino", tmp_path / "small.bin")


def test_a_head_names_the_backbone_to_export() -> None:
    with pytest.raises(
        InputError, match=r"afew7 is a head.*; export the backbone it reads, lite0_faces"
    ):
        export("afew7", "onnx")


def test_a_model_or_form_nobody_knows_says_what_there_is(model: store.Model) -> None:
    with pytest.raises(ModelNotFound):
        export("resnet19n_faces", "onnx")
    with pytest.raises(UnknownName, match="there is onnx, openvino, torchscript"):
        export(model.folder, "tflite")


def test_the_command_writes_a_file_and_a_record(
    model: store.Model, tmp_path: Path, videmo_command: Any
) -> None:
    ran = videmo_command("export", model.folder, "--to", "openvino", cwd=tmp_path)
    assert ran.code == 0, ran.err
    (record,) = ran.records
    assert record["path"] == "small.xml" and record["cosine"] > 0.9999
    assert ran.err.startswith("videmo: small.xml: as the original, cosine 1.000")
    assert {path.name for path in tmp_path.iterdir()} == {"small.xml", "small.bin"}
    again = videmo_command("export", model.folder, "--to", "openvino", cwd=tmp_path)
    assert again.code == 1 and "is there already; give --overwrite" in again.err
