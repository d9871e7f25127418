"""What runs a network: devices, precisions, and networks that OpenVINO converts by itself."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from networks import SIDE, SPEC

from videmo import store
from videmo.errors import CorruptModel, InputError, ModelError, UnknownName
from videmo.files.compiled import load_or_convert
from videmo.files.openvino import from_torch, import_openvino, to_bytes
from videmo.pipeline import Engine, Pipeline, load
from videmo.stages.embed import (
    ALIKE,
    BACKBONES,
    PRECISIONS,
    Backbone,
    cosine,
    make_backbone,
    probe_pictures,
)

ROOT = Path(__file__).resolve().parents[3]
FULL, REDUCED = 0.9999, 0.999  # cosine of features that two engines must have


@pytest.fixture(params=[pytest.param("cuda", marks=pytest.mark.needs_cuda), "mps"])
def gpu(request: pytest.FixtureRequest) -> str:
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no NVIDIA device is here")
    if request.param == "mps" and not torch.backends.mps.is_available():
        pytest.skip("no Apple GPU is here")
    return str(request.param)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; converted networks will lie in the folder that is returned."""
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without a graph."""
    return networks.save(tmp_path_factory.mktemp("models") / "small").folder


@pytest.fixture
def crops(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (21, SIDE, SIDE, 3), np.uint8)


def make(folder: Path, engine: str = "openvino", **more: Any) -> Backbone:
    return make_backbone(SPEC, folder, engine=engine, threads=1, **{"device": "cpu", **more})


def no_torch(folder: Path, spec: Any = SPEC) -> str:
    """Return what a new process prints: the sum of features, and which libraries it imported."""
    program = (
        "import sys, hashlib\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from videmo.stages.embed import BackboneSpec, make_backbone\n"
        f"backbone = make_backbone({spec!r}, Path({str(folder)!r}), engine='openvino', threads=1)\n"
        f"pixels = np.arange({SIDE * SIDE * 3}).astype(np.uint8).reshape(1, {SIDE}, {SIDE}, 3)\n"
        "print(hashlib.sha256(backbone(pixels)[0].tobytes()).hexdigest(),\n"
        "      [name for name in ('torch', 'timm', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_network_without_a_graph_is_converted_once_and_then_needs_no_torch(folder: Path) -> None:
    first, second = no_torch(folder), no_torch(folder)
    assert first.endswith("['torch', 'timm']") and second.endswith("[]")
    assert first.split()[0] == second.split()[0]  # the same bits


def test_what_is_kept_are_files_that_sha256sum_can_check(folder: Path, cache: Path) -> None:
    make(folder)
    files = sorted(path.suffix for path in cache.iterdir())
    assert files == [".bin", ".blob", ".sha256", ".sha256", ".xml"]  # converted, and compiled
    for sums in cache.glob("*.sha256"):
        for line in sums.read_text().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256((cache / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("suffix", [".xml", ".bin", ".sha256"])
@pytest.mark.parametrize(
    "breaking",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x7f"),
    ],
    ids=["absent", "empty", "one_byte"],
)
def test_a_kept_network_that_was_damaged_is_made_again(
    tmp_path: Path, suffix: str, breaking: Any
) -> None:
    openvino, made = import_openvino(), []

    def twice() -> Any:
        made.append(1)
        ops = openvino.opset8
        x = ops.parameter([-1, 2], np.float32)
        return openvino.Model([ops.multiply(x, np.float32([2, 3]))], [x], "twice")

    def answer() -> Any:
        run = openvino.Core().compile_model(load_or_convert(tmp_path, "twice", twice), "CPU")
        return run(np.ones((1, 2), np.float32))[0].tolist()

    assert answer() == answer() == [[2, 3]] and len(made) == 1
    breaking(next(tmp_path.glob(f"*{suffix}")))
    assert answer() == [[2, 3]] and len(made) == 2
    assert answer() == [[2, 3]] and len(made) == 2
    assert len(list(tmp_path.iterdir())) == 3


def test_other_weights_and_another_spec_are_other_networks(folder: Path, tmp_path: Path) -> None:
    make(folder)
    other = networks.save(tmp_path / "other", seed=1).folder
    values = make(other)(probe_pictures(SIDE))[0]
    assert cosine(values, make(other, "torch")(probe_pictures(SIDE))[0]).min() > FULL
    brighter = replace(SPEC, mean=(0.1, 0.1, 0.1))
    runs = [
        make_backbone(brighter, folder, engine=engine, device="cpu", threads=1)
        for engine in BACKBONES
    ]
    one, two = (run(probe_pictures(SIDE))[0] for run in runs)
    assert cosine(one, two).min() > FULL


def test_a_cache_that_cannot_be_written_costs_time_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crops: np.ndarray
) -> None:
    expected = make(folder)(crops)[0]
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path / "file"))  # no folder can be made in a file
    assert (make(folder)(crops)[0] == expected).all()


def test_two_processes_may_convert_the_same_network_at_once(folder: Path, cache: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from videmo.stages.embed import BackboneSpec, make_backbone\n"
        f"make_backbone({SPEC!r}, Path({str(folder)!r}), engine='openvino', threads=1)\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    there = sorted(path.suffix for path in cache.iterdir())
    assert there == [".bin", ".blob", ".sha256", ".sha256", ".xml"]
    assert no_torch(folder).endswith("[]")


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_what_openvino_cannot_convert_says_so_and_names_the_other_engine(tmp_path: Path) -> None:
    import torch

    class Odd(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(pixels.float()).real

    traced = torch.jit.trace(Odd(), (torch.zeros(1, 4, 4),), check_trace=False)
    with pytest.raises(ModelError, match=r"OpenVINO cannot convert .*; use engine=torch$"):
        to_bytes(from_torch(traced, [-1, 4, 4]))


@pytest.mark.parametrize("name", ["absent", "noise"])
def test_weights_that_cannot_be_read_are_a_corrupt_model(tmp_path: Path, name: str) -> None:
    if name == "noise":
        (tmp_path / "weights.safetensors").write_bytes(b"\x00\x01" * 900)
    with pytest.raises(CorruptModel) as caught:
        make(tmp_path)
    assert caught.value.path == str(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("engine", BACKBONES)
def test_auto_is_full_precision_on_the_cpu(folder: Path, engine: str) -> None:
    backbone = make(folder, engine)
    assert (backbone.device, backbone.precision) == ("cpu", "fp32")


def test_engines_agree_in_full_precision(folder: Path, crops: np.ndarray) -> None:
    one, two = (make(folder, engine)(crops) for engine in BACKBONES)
    assert cosine(one[0], two[0]).min() >= FULL
    for name in SPEC.outputs:
        np.testing.assert_allclose(one[1][name], two[1][name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("engine", BACKBONES)
def test_fewer_bits_give_nearly_the_same_features(
    folder: Path, crops: np.ndarray, engine: str, precision: str
) -> None:
    try:
        backbone = make(folder, engine, precision=precision)
    except InputError as error:
        pytest.skip(str(error))
    values, full = backbone(crops)[0], make(folder, engine)(crops)[0]
    assert backbone.precision == precision and values.dtype == np.float32
    assert cosine(values, full).min() >= REDUCED and (values != full).any()
    assert (backbone(crops[:3])[0] == values[:3]).all()


def test_a_precision_that_the_cpu_would_replace_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_openvino().Core, "get_property", lambda *_: ["FP32", "BF16", "INT8"])
    with pytest.raises(
        InputError, match="this CPU has no fp16; use precision=fp32 or precision=bf16"
    ):
        make(folder, precision="fp16")


def test_a_precision_nobody_knows_lists_those_there_are(folder: Path) -> None:
    with pytest.raises(UnknownName, match="no precision is called 'int4'; there is auto, fp32"):
        make(folder, precision="int4")


def overflowing(folder: Path) -> Path:
    """Return a model whose features are beyond what 16 bits with five of exponent hold."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "weights.safetensors")
    tensors["layer4.0.downsample.1.weight"] = tensors["layer4.0.downsample.1.weight"].float() * 1e6
    save_file(tensors, folder / "weights.safetensors")
    return folder


def test_a_network_that_does_not_bear_fewer_bits_is_refused(tmp_path: Path) -> None:
    folder = overflowing(networks.save(tmp_path / "large").folder)
    with pytest.raises(InputError, match=r"in fp16 on cpu, .* use precision=fp32"):
        make(folder, "torch", precision="fp16")


def test_cosines_of_rows_that_are_no_numbers_are_the_worst_there_is() -> None:
    a = np.array([[1, 0], [np.nan, 1], [np.inf, 1], [0, 0], [0, 0], [2, 2]], np.float32)
    b = np.array([[1, 0], [1, 1], [np.inf, 1], [0, 0], [1, 0], [-1, 1]], np.float32)
    assert cosine(a, b).tolist() == [1, -1, -1, 1, -1, 0]


@pytest.mark.parametrize("engine", BACKBONES)
@pytest.mark.parametrize("device", ["cuda:99", "tpu"])
def test_a_device_that_is_not_there_is_an_error_that_says_what_is(
    folder: Path, engine: str, device: str
) -> None:
    with pytest.raises(InputError, match=r"cpu"):
        make(folder, engine, device=device)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_gpu_gives_the_features_of_the_cpu(
    folder: Path, crops: np.ndarray, gpu: str, precision: str
) -> None:
    backbone = make(folder, "torch", device=gpu, precision=precision)
    full = make(folder, "torch")(crops)[0]
    values = backbone(crops)[0]
    assert cosine(values, full).min() >= (FULL if backbone.precision == "fp32" else REDUCED)
    assert (backbone(crops[-3:])[0] == values[-3:]).all()


def test_auto_takes_the_gpu_with_torch(folder: Path, gpu: str) -> None:
    backbone = make(folder, "torch", device="auto")
    assert backbone.device == gpu and backbone.precision == "fp32"


def pipeline_of(model: store.Model, engine: Engine) -> Pipeline:
    recipe = load().recipe.with_changes(cropping={"size": SIDE})
    recipe = replace(recipe, backbone=str(model.folder), backbone_sha256=model.sha256)
    return Pipeline(recipe, None, engine)


def test_auto_is_openvino_also_without_a_graph(folder: Path, cache: Path) -> None:
    pipeline = pipeline_of(store.load(folder), Engine(threads=1))
    assert pipeline.provenance["device"] == "cpu"
    assert type(pipeline.backbone).__name__ == "OpenVINO" and any(cache.iterdir())


def test_the_record_tells_the_precision_where_it_is_not_full(folder: Path) -> None:
    engine = Engine(threads=1, engine="torch", device="cpu", precision="bf16")
    assert pipeline_of(store.load(folder), engine).provenance["device"] == "cpu bf16"


def test_the_command_line_says_once_what_auto_took(videmo_command: Any, demo: Path) -> None:
    one = ("classify", demo, "--end", "0.5")
    ran = videmo_command(*one, "--device", "auto")
    assert ran.code == 0 and ran.err.count("--device auto") == 1
    assert "videmo: --device auto took cpu\n" in ran.err
    assert "--device" not in videmo_command(*one, "--device", "cpu").err
    assert videmo_command(*one).err == "", "the CPU by default goes without saying"


def test_the_command_line_refuses_what_is_not_there(videmo_command: Any, demo: Path) -> None:
    ran = videmo_command("classify", demo, "--device", "cuda:99")
    assert ran.code == 2 and ran.out == ""
    assert ran.err.startswith("videmo: error: device 'cuda:99' is not there; this machine has ")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the package's other imports warn
def test_retinaface_finds_the_same_faces_on_both_engines_in_frames_of_any_size(
    tmp_path: Path, cache: Path, rng: np.random.Generator
) -> None:
    import torch

    from videmo.data import FrameBatch
    from videmo.stages.detect import Detection, detector
    from videmo.stages.detect.retina_network import network

    torch.manual_seed(1)
    weights = tmp_path / "random.pth"
    torch.save(network().state_dict(), weights)
    options = Detection("retinaface-resnet50", score=0.6, min_face=1, max_side=192)
    runs = [
        detector(options, threads=2, weights=weights, engine=engine) for engine in ("torch", "auto")
    ]
    for n, height, width in ((2, 96, 128), (1, 70, 101), (3, 400, 260)):
        pixels = rng.integers(0, 256, (n, height, width, 3), np.uint8)
        frames = FrameBatch(pixels, np.arange(n), np.arange(float(n)))
        one, two = (run(frames) for run in runs)
        assert len(one) == len(two) > n and (one.row == two.row).all()
        assert two.box == pytest.approx(one.box, abs=0.02)  # px
        assert two.landmarks == pytest.approx(one.landmarks, abs=0.02)
        assert two.score == pytest.approx(one.score, abs=1e-4)
    there = sorted(path.suffix for path in cache.iterdir())
    assert there == [".bin", ".blob", ".sha256", ".sha256", ".xml"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_shipped_network_gives_the_same_features_on_every_engine(precision: str) -> None:
    model = store.load("lite0_faces")
    crops = probe_pictures(model.backbone_spec().input_size)
    values = []
    for engine in BACKBONES:
        try:
            run = make_backbone(
                model.backbone_spec(), model.folder, engine=engine, device="cpu", threads=1,
                outputs=(), precision=precision,
            )  # fmt: skip
        except InputError as error:
            pytest.skip(str(error))
        values.append(run(crops)[0])
    assert cosine(*values).min() >= (FULL if precision == "fp32" else ALIKE)


@pytest.mark.parametrize(("precision", "near"), [("fp32", 1e-4), ("bf16", 1e-2)])
def test_every_engine_and_precision_gives_a_clip_the_same_label(
    demo: Path, precision: str, near: float
) -> None:
    first = load(engine=Engine(threads=1)).predict(demo, end=0.4)
    other = Engine(threads=1, engine="torch", device="cpu", precision=precision)
    try:
        answer = load(engine=other).predict(demo, end=0.4)
    except InputError as error:  # a precision that changes the features is refused, by number
        assert precision != "fp32" and "cosine" in str(error)
        pytest.skip(str(error))
    assert answer.label == first.label
    np.testing.assert_allclose(answer.scores, first.scores, rtol=0, atol=near)
