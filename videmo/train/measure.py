"""What a trained model is worth: scores with their intervals, from the files that ship."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from videmo.embed import BackboneSpec
from videmo.image import resize

Grey = NDArray[np.uint8]  # (K, H, W)


def network(folder: Path) -> Callable[[Grey], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return the network in `folder` as a function: grey faces to features and emotion logits."""
    from videmo.embed.timm import Timm

    spec = json.loads((folder / "spec.json").read_text())
    outputs = {name: tuple(facts["labels"]) for name, facts in spec.pop("outputs").items()}
    changes = tuple(spec.pop("changes"))
    known = BackboneSpec(**spec, changes=changes, outputs=outputs)
    run = Timm(known, folder, device="cpu")

    def features(pixels: Grey) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        side = spec["input_size"]
        colour = [resize(np.repeat(face[..., None], 3, -1), side, side) for face in pixels]
        values, found = run(np.stack(colour))
        return values, found["emotion"]

    return features


def classifier(folder: Path) -> Callable[[Grey], NDArray[np.int64]]:
    """Return the network in `folder` as a function: grey faces to the number of their label."""
    run = network(folder)
    return lambda pixels: run(pixels)[1].argmax(1).astype(np.int64)


def write_json(facts: dict[str, Any], path: Path) -> None:
    """Write `facts` as JSON that a person can read."""
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _smaller(side: int) -> Callable[[Grey], Grey]:
    def change(pixels: Grey) -> Grey:
        height, width = pixels.shape[1:]
        small = [resize(np.repeat(face[..., None], 3, -1), side, side) for face in pixels]
        return np.stack([resize(face, height, width)[..., 0] for face in small])

    return change


def _blurred(pixels: Grey) -> Grey:
    """Blur with a Gaussian of 1 px."""
    import torch

    from videmo.train.augment import blur

    faces = torch.from_numpy(pixels[:, None]).float() / 255
    parts = [blur(part, torch.ones(len(part))) for part in faces.split(256)]
    return np.asarray((torch.cat(parts)[:, 0] * 255).round().byte().numpy())


def _jpeg(pixels: Grey) -> Grey:
    from PIL import Image

    def change(face: Grey) -> Grey:
        file = io.BytesIO()
        Image.fromarray(face).save(file, "JPEG", quality=30)
        with Image.open(file) as image:
            return np.asarray(image, np.uint8)

    return np.stack([change(face) for face in pixels])


WORSENED: dict[str, Callable[[Grey], Grey]] = {
    "16 px and up": _smaller(16),
    "24 px and up": _smaller(24),
    "32 px and up": _smaller(32),
    "JPEG quality 30": _jpeg,
    "blur 1 px of 48": _blurred,
}
