"""dlib's network is read from its own serialisation, and tells people apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

import torch

from videmo import store
from videmo.errors import CorruptModel
from videmo.people.persons import threshold_of
from videmo.stages.embed.dlib_resnet import BLOCKS, dlib_resnet
from videmo.stages.embed.timm import create_network
from videmo.store.zoo import ZOO, dlib, importer

NAME = "dlib_face_recognition_resnet_model_v1"


def integer(number: int) -> bytes:
    content = number.to_bytes((number.bit_length() + 7) // 8 or 1, "little")
    return bytes([len(content)]) + content


def tensor(values: np.ndarray) -> bytes:
    sizes = b"".join(map(integer, (2, values.size, 1, 1, 1)))
    return sizes + values.astype("<f4").tobytes()


def layers(rng: np.random.Generator) -> Iterable[tuple[bytes, np.ndarray]]:
    """Yield name and numbers of every layer, in the order of dlib's file."""
    for c, d, side in [(3, 32, 7), *((i, o, 3) for a, b, _ in BLOCKS for i, o in ((a, b), (b, b)))]:
        yield b"con_4", rng.normal(0, (c * side * side) ** -0.5, d * c * side * side + d)
        yield b"affine_", rng.normal(1, 0.1, 2 * d)
    yield b"fc_2" + integer(128) + integer(256), rng.normal(0, 0.1, 256 * 128)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dlib") / f"{NAME}.dat"
    parts = (name + tensor(values) for name, values in layers(np.random.default_rng(0)))
    path.write_bytes(integer(1) + b"".join(parts))
    return path


def test_factors_and_addends_are_in_the_convolutions(file: Path) -> None:
    tensors = dlib.read(file)
    written = dict(enumerate(values for _, values in layers(np.random.default_rng(0))))
    kernels, biases = written[0][:-32].reshape(32, 3, 7, 7), written[0][-32:]
    factor, addend = written[1][:32], written[1][32:]
    picture = np.random.default_rng(1).normal(0, 1, (3, 7, 7))
    answer = (kernels * picture).sum((1, 2, 3)) + biases
    ours = (tensors["stem.weight"] * picture).sum((1, 2, 3)) + tensors["stem.bias"]
    assert ours == pytest.approx(answer * factor + addend, abs=1e-5)
    last = [*written.values()][-1].reshape(256, 128)
    assert tensors["outputs.identity.weight"] == pytest.approx(last.T, abs=1e-6)


def test_the_tensors_are_those_of_the_network(file: Path) -> None:
    (spec,) = ZOO[NAME].specs
    ours = {k.removeprefix("body."): v.shape for k, v in create_network(spec).state_dict().items()}
    assert ours == {name: of.shape for name, of in dlib.read(file).items()}


def test_a_file_that_was_cut_off_or_is_another_is_refused(file: Path, tmp_path: Path) -> None:
    cut, other = tmp_path / "cut.dat", tmp_path / "other.dat"
    cut.write_bytes(file.read_bytes()[:-5])
    other.write_bytes(b"con_4" + integer(1) + bytes(40))
    for path in (cut, other):
        with pytest.raises(CorruptModel, match="dlib's face recognition network"):
            dlib.read(path)


def test_the_smaller_way_of_a_block_is_filled_up_with_zeros() -> None:
    net = dlib_resnet().eval()
    down = net.blocks[10]  # 3 px behind its convolutions, 4 px of the mean beside
    x = torch.rand(1, 128, 8, 8)
    with torch.inference_mode():
        y = down.conv2(torch.relu(down.conv1(x)))
        found = down(x)
    assert y.shape == (1, 256, 3, 3) and found.shape == (1, 256, 4, 4)
    beside = torch.nn.functional.avg_pool2d(x, 2)
    assert torch.allclose(found[:, :128, 3], beside[:, :, 3])  # the last row has no convolution
    assert not found[:, 128:, 3].any()


def test_what_is_imported_has_its_crop_and_its_threshold(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        importer, "_compare_engines", lambda model: None
    )  # seconds; tried elsewhere
    model = importer.import_model(file, "mine", importer.published_for(file, "mine"))
    assert model.card["imported"]["as_published"] is False
    crop = store.load("mine").recipe.cropping
    assert (crop.shape, crop.size, crop.scale) == ("five", 150, 0.9)
    assert threshold_of(model) == 0.9325
