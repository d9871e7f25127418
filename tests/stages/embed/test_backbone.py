"""One suite for every backbone: the simplest one, and a small random network in each engine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import SIDE, SPEC, random_tensors

from videmo.data import Crops, Faces, FrameBatch
from videmo.errors import CorruptModel, InputError, UnknownName
from videmo.stages.detect import WholeFrame
from videmo.stages.embed import BACKBONES, LATE, Backbone, Thumbnail, embed, make_backbone

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: weights.safetensors, and graph.onnx that points into it."""
    from safetensors.torch import save_file

    from videmo.stages.embed.timm import write_graph

    made = tmp_path_factory.mktemp("backbone")
    save_file(random_tensors(), made / "weights.safetensors")
    write_graph(SPEC, made)
    return made


def make(name: str, folder: Path, threads: int = 1) -> Backbone:
    return make_backbone(SPEC, folder, engine=name, device="cpu", threads=threads)


@pytest.fixture(scope="session")
def engines(folder: Path) -> dict[str, Backbone]:
    """Every engine, on the CPU, with the same network."""
    return {name: make(name, folder) for name in BACKBONES}


@pytest.fixture(params=["thumbnail", *BACKBONES])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    if request.param == "thumbnail":
        return Thumbnail(SIDE)
    engines: dict[str, Backbone] = request.getfixturevalue("engines")
    return engines[request.param]


@pytest.fixture
def crops(rng) -> np.ndarray:
    """More rows than any engine takes at once, and no multiple of them."""
    return rng.integers(0, 256, (71, SIDE, SIDE, 3), np.uint8)


def assert_same(got, expected, atol: float) -> None:
    np.testing.assert_allclose(got[0], expected[0], rtol=0, atol=atol)
    assert list(got[1]) == list(expected[1])
    for name in expected[1]:
        np.testing.assert_allclose(got[1][name], expected[1][name], rtol=0, atol=atol)


def take(result, rows):
    return result[0][rows], {name: columns[rows] for name, columns in result[1].items()}


def test_features_and_outputs_have_a_row_a_crop(backbone: Backbone, crops: np.ndarray) -> None:
    values, outputs = backbone(crops)
    assert values.shape == (71, backbone.dim) and values.dtype == np.float32
    for columns in outputs.values():
        assert len(columns) == 71 and columns.dtype == np.float32
    assert backbone.device == "cpu" and backbone.input_size == SIDE


def test_different_crops_have_different_features(backbone: Backbone, crops: np.ndarray) -> None:
    values, _ = backbone(crops)
    assert values.std(0).max() > 0.01


def test_zero_crops_give_zero_rows_of_the_same_width(backbone: Backbone, crops) -> None:
    values, outputs = backbone(crops[:0])
    some, others = backbone(crops[:2])
    assert values.shape == (0, some.shape[1]) and values.dtype == np.float32
    assert {k: v.shape for k, v in outputs.items()} == {
        k: (0, v.shape[1]) for k, v in others.items()
    }


def test_the_same_crops_give_the_same_bits_again(backbone: Backbone, crops) -> None:
    assert_same(backbone(crops), backbone(crops), atol=0)


def test_crops_are_left_as_they_were(backbone: Backbone, crops) -> None:
    before = crops.copy()
    backbone(crops)
    assert (crops == before).all()


def test_what_came_out_is_not_overwritten_by_the_next_call(backbone: Backbone, crops) -> None:
    first = backbone(crops[:5])
    kept = first[0].copy()
    backbone(crops[5:10])
    assert (first[0] == kept).all()


def test_crops_need_not_lie_side_by_side_in_memory(backbone: Backbone, crops) -> None:
    mirrored = crops[:6, :, ::-1]
    assert_same(backbone(mirrored), backbone(np.ascontiguousarray(mirrored)), atol=0)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 64])
def test_a_face_has_the_same_bits_in_any_batch(backbone: Backbone, crops, size: int) -> None:
    whole = backbone(crops)
    assert_same(backbone(crops[:size]), take(whole, slice(size)), atol=0)
    assert_same(backbone(crops[-size:]), take(whole, slice(-size, None)), atol=0)


def test_a_face_has_the_same_bits_beside_any_neighbours(backbone: Backbone, crops) -> None:
    others = crops.copy()
    others[1:] = 255 - others[1:]
    assert_same(take(backbone(others), [0]), take(backbone(crops), [0]), atol=0)


def test_features_follow_their_crops_into_another_order(backbone: Backbone, crops, rng) -> None:
    order = rng.permutation(len(crops))
    assert_same(backbone(crops[order]), take(backbone(crops), order), atol=0)


def test_the_stream_keeps_faces_and_frames_seen_beside_the_features(backbone: Backbone) -> None:
    batches = [
        Crops(np.zeros((0, SIDE, SIDE, 3), np.uint8), Faces.none(), 7),
        Crops(np.zeros((0, SIDE, SIDE, 3), np.uint8), Faces.none(), 5),
    ]
    got = list(embed(batches, backbone))
    assert [features.seen for features in got] == [7, 5]
    assert got[0].faces is batches[0].faces and got[0].values.shape == (0, backbone.dim)


def test_faces_of_many_batches_go_through_the_network_together(crops: np.ndarray) -> None:
    thumbnail, calls = Thumbnail(SIDE), []

    class Counted(Thumbnail):
        batch = 8

        def __call__(self, pixels: np.ndarray):
            calls.append(len(pixels))
            values, _ = super().__call__(pixels)
            return values, {"twice": 2 * values}

    sizes = [1, 0, 3, *[1] * 70, 0]
    edges = np.cumsum([0, *sizes])
    rows = [crops[np.arange(a, b) % len(crops)] for a, b in pairwise(edges)]
    batches = [Crops(one, faces_of(len(one)), n) for n, one in enumerate(rows)]
    got = list(embed(batches, Counted(SIDE)))
    assert sum(calls) == sum(sizes)
    assert [n for n in calls if n % 8] == [sum(sizes) % 8]  # what is left over comes last
    for batch, features in zip(batches, got, strict=True):
        assert features.faces is batch.faces and features.seen == batch.seen
        assert (features.values == thumbnail(batch.pixels)[0]).all()
        assert (features.outputs["twice"] == 2 * features.values).all()


def test_no_batch_waits_for_ever_for_enough_faces(crops: np.ndarray) -> None:
    class Many(Thumbnail):
        batch = 1000

    asked: list[int] = []

    def scarce() -> Iterator[Crops]:
        for n in range(40):
            asked.append(n)
            yield Crops(crops[:1], faces_of(1), 1)

    next(embed(scarce(), Many(SIDE)))
    assert len(asked) == LATE


def faces_of(count: int) -> Faces:
    batch = FrameBatch(
        np.zeros((count, 4, 4, 3), np.uint8), np.arange(count), np.arange(count, dtype=float)
    )
    return WholeFrame()(batch)


def test_engines_agree(engines: dict[str, Backbone], crops: np.ndarray) -> None:
    assert_same(engines["openvino"](crops), engines["torch"](crops), atol=1e-4)


@pytest.mark.parametrize("value", [0, 255])
def test_engines_agree_on_black_and_white(engines: dict[str, Backbone], value: int) -> None:
    flat = np.full((3, SIDE, SIDE, 3), value, np.uint8)
    assert_same(engines["openvino"](flat), engines["torch"](flat), atol=1e-4)


def test_outputs_are_those_of_the_spec_in_their_order(engines: dict[str, Backbone], crops) -> None:
    for engine in engines.values():
        widths = {name: columns.shape[1] for name, columns in engine(crops[:2])[1].items()}
        assert widths == {"emotion": 3, "age": 1}
        assert list(widths) == ["emotion", "age"]


def test_colours_are_told_apart(engines: dict[str, Backbone]) -> None:
    red = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    red[..., 0] = 200
    for engine in engines.values():
        assert np.abs(engine(red)[0] - engine(red[..., ::-1])[0]).max() > 1e-3


def test_openvino_gives_the_same_bits_on_any_number_of_threads(engines, folder, crops) -> None:
    assert_same(make("openvino", folder, threads=2)(crops), engines["openvino"](crops), atol=0)


def test_openvino_says_no_to_another_device(folder: Path) -> None:
    with pytest.raises(InputError, match="runs on the CPU, not on 'cuda'"):
        make_backbone(SPEC, folder, engine="openvino", device="cuda")


def test_torch_says_which_devices_there_are(folder: Path) -> None:
    with pytest.raises(InputError, match=r"device 'tpu' is not there; this machine has .*cpu"):
        make_backbone(SPEC, folder, engine="torch", device="tpu")


def test_an_engine_nobody_knows_lists_the_engines(folder: Path) -> None:
    with pytest.raises(UnknownName, match="no engine is called 'tflite'; there is openvino, torch"):
        make_backbone(SPEC, folder, engine="tflite")


def test_openvino_needs_no_torch(folder: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from videmo.stages.embed import BackboneSpec, make_backbone\n"
        f"spec = {SPEC!r}\n"
        f"backbone = make_backbone(spec, Path({str(folder)!r}), engine='openvino', threads=1)\n"
        f"assert backbone(np.zeros((1, {SIDE}, {SIDE}, 3), np.uint8))[0].shape == (1, 64)\n"
        "print([name for name in ('torch', 'timm', 'onnx', 'safetensors') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_graph_holds_no_weights_of_its_own(folder: Path) -> None:
    weights = (folder / "weights.safetensors").stat().st_size
    assert weights > 100_000 > (folder / "graph.onnx").stat().st_size


def test_the_graph_does_not_say_where_it_was_made(folder: Path) -> None:
    graph = (folder / "graph.onnx").read_bytes()
    assert str(ROOT).encode() not in graph and b"site-packages" not in graph
    assert str(folder).encode() not in graph


@pytest.fixture
def damaged(folder: Path, tmp_path: Path) -> Path:
    """A copy of the model folder, to be broken."""
    return Path(shutil.copytree(folder, tmp_path / "model"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "weights.safetensors")
    change(tensors)
    save_file(tensors, folder / "weights.safetensors")


def add_one(tensors: dict[str, Any]) -> None:
    tensors["odd.weight"] = tensors["conv1.weight"].clone()


def widen_one(tensors: dict[str, Any]) -> None:
    tensors["conv1.weight"] = tensors["conv1.weight"].repeat(1, 2, 1, 1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda tensors: tensors.pop("conv1.weight"), "conv1.weight"),
        (lambda tensors: tensors.pop("outputs.age.bias"), "outputs.age.bias"),
        (add_one, "odd.weight"),
        (widen_one, "conv1.weight"),
    ],
    ids=["missing", "missing_output", "left_over", "of_another_shape"],
)
def test_a_tensor_that_does_not_fit_is_a_corrupt_model(damaged: Path, change, named: str) -> None:
    rewrite(damaged, change)
    with pytest.raises(CorruptModel, match=named) as caught:
        make("torch", damaged)
    assert caught.value.path == str(damaged / "weights.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(
    "breaking",
    [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-5000])],
    ids=["absent", "cut_short"],
)
def test_weights_that_cannot_be_read_are_a_corrupt_model(damaged: Path, name, breaking) -> None:
    breaking(damaged / "weights.safetensors")
    with pytest.raises(CorruptModel) as caught:
        make(name, damaged)
    assert str(damaged) in caught.value.path and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "breaking",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x00\x01\x02" * 500),
        lambda path: path.write_bytes(path.read_bytes()[:-3000]),
    ],
    ids=["empty", "noise", "cut_short"],
)
def test_a_damaged_graph_is_a_corrupt_model(damaged: Path, breaking) -> None:
    breaking(damaged / "graph.onnx")
    with pytest.raises(CorruptModel) as caught:
        make("openvino", damaged)
    assert caught.value.path == str(damaged / "graph.onnx")
    assert "\n" not in str(caught.value)


def test_a_thumbnail_is_the_mean_grey_of_its_cells() -> None:
    pixels = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    pixels[0, :4, 4:8] = (30, 60, 90)  # the second of eight cells of 4 px in the first row
    values, outputs = Thumbnail(SIDE)(pixels)
    expected = np.zeros(64, np.float32)
    expected[1] = 60 / 255
    np.testing.assert_allclose(values[0], expected, atol=1e-7)
    assert outputs == {}
