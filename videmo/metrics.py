"""How well labels were recognised: shares with their intervals, recalls, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def scores(
    found: NDArray[np.int64], truth: NDArray[np.int64], labels: Sequence[Any]
) -> dict[str, Any]:
    """Return accuracy with its 95 % interval, UAR, recall by label and the confusion matrix.

    UAR is the mean recall of the labels that occur. Confusion: a row a true label.
    """
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, found), 1)
    counts, right = confusion.sum(1), confusion.diagonal()
    recall = {
        label: {"n": int(n), "recall": round(float(k / n), 4), "interval": wilson(int(k), int(n))}
        for label, k, n in zip(labels, right, counts, strict=True)
        if n
    }
    return {
        "n": len(truth),
        "accuracy": round(float(right.sum() / len(truth)), 4),
        "interval": wilson(int(right.sum()), len(truth)),
        "uar": round(float(np.mean([entry["recall"] for entry in recall.values()])), 4),
        "recall": recall,
        "confusion": confusion.tolist(),
    }


def wilson(right: int, n: int) -> list[float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z, share = 1.959964, right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return [round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)]


def calibration_error(
    probabilities: NDArray[np.floating[Any]], truth: NDArray[np.int64], bins: int = 15
) -> float:
    """Return the expected calibration error (Guo et al. 2017), with bins of equal width."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [
        abs(sure[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in np.unique(place)
    ]
    return float(np.sum(gaps))
