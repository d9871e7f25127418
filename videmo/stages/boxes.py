"""How boxes lie to each other. Boxes are x0 y0 x1 y1."""

from __future__ import annotations

import numpy as np

from videmo.data import F32, Array


def iou(a: Array, b: Array) -> F32:
    """Return the intersection over union (A, B) of boxes (A, 4) with boxes (B, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = (high - low).clip(0).prod(-1)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b))
    return np.asarray(inner / (area_a[:, None] + area_b[None] - inner).clip(1e-9), np.float32)
