"""RetinaFace: its weights, the anchors and boxes, and the package's own answer."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from videmo.data import FrameBatch
from videmo.errors import CorruptModel, ModelNotFound
from videmo.stages.detect import Detection, anchors, retina_network, retinaface


def test_anchors_are_those_of_the_package() -> None:
    prior_box = pytest.importorskip("retinaface.prior_box")
    steps, sides = zip(*anchors.STEPS.items(), strict=True)
    theirs = prior_box.priorbox(sides, steps, clip=False, image_size=(64, 96)).numpy()
    ours = anchors.anchors(64, 96)
    assert ours[:, :2] == pytest.approx(theirs[:, :2] * [96, 64], abs=1e-4)
    assert ours[:, 2] == pytest.approx(theirs[:, 2] * 96, abs=1e-4)


def test_boxes_and_points_are_decoded_as_in_the_package(rng: np.random.Generator) -> None:
    box_utils = pytest.importorskip("retinaface.box_utils")
    import torch

    anchor = anchors.anchors(64, 64)
    box, points = (rng.normal(0, 2, (len(anchor), n)).astype(np.float32) for n in (4, 10))
    priors = torch.from_numpy(anchor[:, [0, 1, 2, 2]])
    got_box, got_points = anchors.decode(anchor, box, points)
    theirs = box_utils.decode(torch.from_numpy(box), priors, (0.1, 0.2)).numpy()
    assert got_box == pytest.approx(theirs, rel=1e-4, abs=1e-2)  # float32 of up to 1000 px
    marks = box_utils.decode_landm(torch.from_numpy(points), priors, (0.1, 0.2)).numpy()
    assert got_points.reshape(-1, 10) == pytest.approx(marks, rel=1e-4, abs=1e-2)


def test_the_network_is_that_of_the_package() -> None:
    theirs = pytest.importorskip("retinaface.network")
    import torch

    torch.manual_seed(3)
    ours = retina_network.network().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names an argument of torchvision by its old name
        other = theirs.RetinaFace("Resnet50", False, 256, dict(layer2=1, layer3=2, layer4=3), 256)
    other.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        pictures = torch.randn(2, 3, 70, 100)  # of no whole strides
        for got, expected in zip(ours(pictures), other.eval()(pictures), strict=True):
            assert torch.equal(got, expected)


def test_a_file_that_torch_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(b"weights " * 1000)
    with pytest.raises(CorruptModel, match=r"bad\.pth: expected weights saved by torch"):
        retinaface._state(tmp_path / "bad.pth")


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"none\.pth"):
        retinaface._state(tmp_path / "none.pth")


def test_weights_packed_in_an_archive_are_read(tmp_path: Path) -> None:
    import torch

    saved = io.BytesIO()
    torch.save({"a": torch.ones(3)}, saved)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("weights.pth", saved.getvalue())
    assert retinaface._state(tmp_path / "packed.zip")["a"].tolist() == [1, 1, 1]


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(CorruptModel, match=r"other\.pth: expected the weights of RetinaFace"):
        retinaface.RetinaFace(weights=tmp_path / "other.pth")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the package's other imports warn
def test_untrained_weights_give_the_answer_of_the_package(tmp_path: Path) -> None:
    import torch
    from retinaface.predict_single import Model
    from skimage.data import astronaut

    torch.manual_seed(1)
    network = retina_network.network()
    torch.save(network.state_dict(), tmp_path / "random.pth")
    theirs = Model(max_size=192)
    theirs.load_state_dict(network.state_dict())
    theirs.eval()
    pixels = np.stack([astronaut()[:192, 128:320], astronaut()[100:292, 100:292]])
    options = Detection("retinaface-resnet50", score=0.6, min_face=1, max_side=192)
    ours = retinaface.RetinaFace(options, weights=tmp_path / "random.pth")
    got = ours(FrameBatch(pixels, np.arange(2), np.arange(2.0)))
    for row in range(2):
        said = theirs.predict_jsons(pixels[row], confidence_threshold=0.6)
        box = np.array([one["bbox"] for one in said], float).clip(0, 192)
        here = got[got.row == row]
        assert len(here) == len(box) > 3
        assert here.score == pytest.approx([one["score"] for one in said], abs=1e-5)
        assert here.box == pytest.approx(box, abs=1.001)  # theirs is cut to whole px
        marks = np.array([one["landmarks"] for one in said], float)
        assert here.landmarks == pytest.approx(marks, abs=1.001)
