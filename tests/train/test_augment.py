"""What is done to faces before a network sees them."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from videmo.train.augment import Augmentation, augment, blur, coarsen, jpeg, warp_faces  # noqa: E402
from videmo.train.presets import NO_AUGMENTATION  # noqa: E402


@pytest.fixture
def faces(rng: np.random.Generator):
    """Smooth pictures (6, 1, 48, 48), as faces are."""
    coarse = torch.from_numpy(rng.random((6, 1, 6, 6), np.float32))
    return torch.nn.functional.interpolate(coarse, (48, 48), mode="bicubic").clamp(0, 1)


def still(count: int) -> dict:
    """Return a movement that moves nothing."""
    return {
        "shift": torch.zeros(count, 2),
        "scale": torch.ones(count),
        "stretch": torch.ones(count),
        "angle": torch.zeros(count),
        "mirror": torch.zeros(count, dtype=torch.bool),
    }


def test_the_same_seed_changes_faces_the_same_way(faces) -> None:
    one, other = (
        augment(faces, 64, Augmentation(), torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert one.shape == (6, 1, 64, 64)
    assert torch.equal(one, other)
    assert bool(((one >= 0) & (one <= 1)).all())


def test_augmenting_leaves_the_given_faces_alone(faces) -> None:
    before = faces.clone()
    augment(faces, 48, Augmentation(), torch.Generator().manual_seed(0))
    assert torch.equal(faces, before)


def test_a_box_that_fits_moves_nothing(faces) -> None:
    assert torch.allclose(warp_faces(faces, 48, **still(6)), faces, atol=1e-5)


def test_a_mirrored_face_looks_the_other_way(faces) -> None:
    moved = warp_faces(faces, 48, **(still(6) | {"mirror": torch.ones(6, dtype=torch.bool)}))
    assert torch.allclose(moved, faces.flip(-1), atol=1e-5)


def test_a_box_too_far_right_shows_the_face_further_left(faces) -> None:
    shift = torch.tensor([[0.25, 0.0]]).expand(6, 2)
    moved = warp_faces(faces, 48, **(still(6) | {"shift": shift}))
    assert torch.allclose(moved[..., :36], faces[..., 12:], atol=1e-5)


def test_jpeg_comes_close_to_the_real_one(faces) -> None:
    image = pytest.importorskip("PIL.Image")
    for face in faces:
        pixels = (face[0] * 255).round().byte()
        file = io.BytesIO()
        image.fromarray(pixels.numpy()).save(file, "JPEG", quality=30)
        real = np.asarray(image.open(file), np.float32)
        ours = jpeg(pixels[None, None].float() / 255, torch.tensor([30.0]))[0, 0].numpy() * 255
        # libjpeg rounds integers on the way: a few grey levels at the blocks' rounding limits
        assert np.abs(real - ours).mean() < 1.0


def test_a_coarse_face_keeps_its_mean_and_loses_detail(rng: np.random.Generator) -> None:
    noisy = torch.from_numpy(rng.random((2, 1, 48, 48), np.float32))
    coarse = coarsen(noisy, 12)
    assert coarse.shape == noisy.shape
    assert float(coarse.std()) < 0.5 * float(noisy.std())
    assert float(coarse.mean()) == pytest.approx(float(noisy.mean()), abs=0.01)


def test_each_face_is_blurred_by_its_own_sigma() -> None:
    point = torch.zeros(2, 1, 48, 48)
    point[:, :, 24, 24] = 1
    sharp, soft = blur(point, torch.tensor([0.3, 1.5]))[:, 0, 24, 24]
    assert float(sharp) > 0.9 and float(soft) < 0.1


def test_a_side_that_is_no_multiple_of_eight_is_compressed_too() -> None:
    faces = torch.rand(2, 3, 20, 20)
    after = jpeg(faces, torch.full((2,), 90.0))
    assert after.shape == faces.shape
    assert float((after - faces).abs().mean()) < 0.05


def test_a_tint_is_of_some_faces_and_of_each_channel_by_itself() -> None:
    faces = torch.full((64, 3, 8, 8), 0.5)
    quiet = replace(NO_AUGMENTATION, tint=0.2)
    found = augment(faces, 8, quiet, torch.Generator().manual_seed(0))[:, :, 0, 0]
    apart = found.amax(1) - found.amin(1)
    assert 0 < (apart == 0).sum() < 64
    assert found.min() >= 0.4 and found.max() <= 0.6


def test_saturation_leaves_grey_faces_grey() -> None:
    faces = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)).expand(-1, 3, -1, -1)
    found = augment(
        faces, 8, replace(NO_AUGMENTATION, saturation=0.5), torch.Generator().manual_seed(0)
    )
    assert torch.allclose(found[:, 0], found[:, 2], atol=1e-6)
