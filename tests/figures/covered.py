"""What a covered mouth, sunglasses or half a face do to the answer, and what notices it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from videmo.data import U8
from videmo.evaluate.metrics import wilson_interval
from videmo.stages.image import resize, sharpness
from videmo.train import measure
from videmo.train.face_tables import read_table

REGIONS = {  # x0 y0 x1 y1, shares of a picture of FER+, whose faces stand alike
    "mouth": (0.22, 0.62, 0.78, 0.92),
    "eyes": (0.10, 0.22, 0.90, 0.46),
    "below the eyes": (0.05, 0.52, 0.95, 1.0),
    "left half": (0.0, 0.0, 0.5, 1.0),
}
Paint = Callable[[U8, np.random.Generator], U8]  # what lies over a part, of its size
PAINTS: dict[str, Paint] = {
    "black": lambda part, rng: np.zeros_like(part),
    "white": lambda part, rng: np.full_like(part, 235),
    "its mean": lambda part, rng: np.broadcast_to(part.mean((0, 1)), part.shape).astype(np.uint8),
    "cloth": lambda part, rng: _cloth(part.shape, rng),
}


def _cloth(shape: tuple[int, ...], rng: np.random.Generator) -> U8:
    """Return soft noise about a random grey, with folds."""
    coarse = rng.integers(0, 256, (4, 4, 1)).repeat(3, -1).astype(np.uint8)
    folds = resize(coarse, shape[0], shape[1]).astype(np.float64)
    fine = rng.normal(0, 8, (*shape[:2], 1))
    return np.asarray((rng.integers(30, 200) + 0.3 * (folds - 128) + fine).clip(0, 255), np.uint8)


def painted(
    pictures: Iterator[U8], region: str, paint: str, rng: np.random.Generator
) -> Iterator[U8]:
    """Yield pictures of which a region lies under a paint."""
    for picture in pictures:
        height, width = picture.shape[:2]
        x0, y0, x1, y1 = (round(e * n) for e, n in zip(REGIONS[region], (width, height) * 2))  # noqa: B905
        covered = picture.copy()
        covered[y0:y1, x0:x1] = PAINTS[paint](covered[y0:y1, x0:x1], rng)
        yield covered


def report(model: Any, ferplus: Path, split: str, n: int) -> None:
    """Print accuracy and mean confidence for each region and paint, and what tells them."""
    table = read_table("ferplus", ferplus).of_split(split, n)
    truth = measure._majority(model, table)
    rng = np.random.default_rng(0)
    bare = list(measure.decode_pictures(table))
    seen = {("nothing", ""): model(iter(bare))}
    flat = {("nothing", ""): _flatness(bare)}
    for region in REGIONS:
        for paint in PAINTS:
            covered = list(painted(iter(bare), region, paint, rng))
            seen[region, paint], flat[region, paint] = model(iter(covered)), _flatness(covered)
    probe = _probe(model, ferplus, rng)
    limit = np.quantile(probe(seen["nothing", ""]["features"]), 0.95)
    print(f"n {len(table)} of {split}, balanced; a signal at 5 % of uncovered faces")
    for (region, paint), found in seen.items():
        p = model.balanced_probabilities("emotion", found["emotion"])
        right = p.argmax(1) == truth
        low, high = wilson_interval(int(right.sum()), len(right))
        told = (probe(found["features"]) > limit).mean()
        bland = (flat[region, paint] < np.quantile(flat["nothing", ""], 0.05)).mean()
        print(f"{region:15} {paint:9} accuracy {right.mean():.3f} ({low:.3f}-{high:.3f}), "
              f"confidence {p.max(1).mean():.3f}, noticed by features {told:.3f}, "
              f"by flatness {bland:.3f}")  # fmt: skip


def _flatness(pictures: list[U8]) -> np.ndarray:
    """Return the least detail of the eyes and the mouth over that of the whole face."""
    found = []
    for picture in pictures:
        side = picture.shape[0]
        parts = [picture] + [
            picture[int(y0 * side) : int(y1 * side), int(x0 * side) : int(x1 * side)]
            for x0, y0, x1, y1 in (REGIONS["eyes"], REGIONS["mouth"])
        ]
        whole, *least = (float(sharpness(np.ascontiguousarray(p)[None])[0]) for p in parts)
        found.append(min(least) / max(whole, 1e-6))
    return np.array(found)


def _probe(
    model: Any, ferplus: Path, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a logistic regression of features, learnt on training faces with other paints."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = read_table("ferplus", ferplus).of_split("train", 2400)
    bare = list(measure.decode_pictures(table))
    regions, learnt_on = list(REGIONS), ("its mean", "cloth")
    covered = [
        next(painted(iter([picture]), regions[i % len(regions)], learnt_on[i % 2], rng))
        for i, picture in enumerate(bare)
    ]
    rows = np.concatenate([model(iter(bare))["features"], model(iter(covered))["features"]])
    truth = np.repeat([0, 1], len(bare))
    learnt = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    learnt.fit(rows, truth)
    return lambda features: np.asarray(learnt.decision_function(features))
