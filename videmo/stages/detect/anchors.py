"""What the numbers mean that RetinaFace says of a picture: squares that lie over it, and faces."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from videmo.data import F32, Array

STEPS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # px between anchors: sides of their squares
CENTRE, SIZE = 0.1, 0.2  # what one unit of the network's answer moves or stretches an anchor by
OVERLAP = 0.4  # share of the union above which the less certain of two boxes is dropped


@lru_cache(8)  # of a clip there are one or two sizes
def anchors(height: int, width: int) -> F32:
    """Return cx, cy and side in px of every anchor of a picture of whole strides: (A, 3)."""
    parts = []
    for step, sides in STEPS.items():
        y, x = np.mgrid[: height // step, : width // step]
        grid = np.stack([x, y], -1).reshape(-1, 1, 2) * step + step / 2
        grid = np.broadcast_to(grid, (len(grid), len(sides), 2)).reshape(-1, 2)
        parts.append(np.column_stack([grid, np.tile(sides, len(grid) // len(sides))]))
    whole = np.concatenate(parts).astype(np.float32)
    whole.flags.writeable = False  # it is handed out again
    return whole


def decode(anchor: F32, box: F32, points: F32) -> tuple[Array, Array]:
    """Return boxes (A, 4) and points (A, 5, 2) in px from what the network says of anchors."""
    centre, side = anchor[:, :2], anchor[:, 2:]
    middle = centre + box[:, :2] * CENTRE * side
    half = side * np.exp(box[:, 2:].clip(None, 50) * SIZE) / 2  # e ** 10 is beyond any picture
    places = centre[:, None] + points.reshape(-1, 5, 2) * CENTRE * side[:, None]
    return np.concatenate([middle - half, middle + half], 1), places
