"""From descriptors with labels to a head of plain arrays: scikit-learn learns, arrays remain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from videmo.errors import InputError, MissingDependency
from videmo.heads import softmax
from videmo.metrics import calibration_error, scores
from videmo.train.measure import write_json

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class HeadTraining:
    """What is fitted to the descriptors, and what is tried."""

    kind: Literal["logistic", "svm"] = "logistic"  # multinomial regression, or one against rest
    strengths: tuple[float, ...] = (0.1, 0.3, 1, 3, 10, 30, 100)  # scikit-learn's C
    balanced: tuple[bool, ...] = (False, True)  # weigh classes by 1 / their share
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Probabilities are softmax(x @ weight.T + bias)."""

    weight: F32  # (C, X)
    bias: F32  # (C,)

    def __call__(self, rows: F32) -> F32:
        """Return probabilities (K, C) of descriptors (K, X)."""
        return softmax(self.logits(rows))

    def logits(self, rows: F32) -> F64:
        """Return (K, C), before the softmax."""
        product: F64 = rows.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        return product

    def cooled(self, temperature: float) -> LinearHead:
        """Return the head with its logits divided by `temperature`."""
        return LinearHead(
            self.weight / np.float32(temperature), self.bias / np.float32(temperature)
        )


def fit(
    rows: F32, truth: I64, *, strength: float, balanced: bool, options: HeadTraining | None = None
) -> LinearHead:
    """Return the head that scikit-learn fits, as arrays; equal to its predict_proba (logistic).

    rows:   (K, X) float32; truth: (K,) 0..C-1, each of which occurs
    raises: InputError if there are fewer than two labels or one of 0..C-1 does not occur
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise MissingDependency("scikit-learn", "train") from error
    options = options or HeadTraining()
    seen = np.unique(truth)
    if len(seen) < 2 or not np.array_equal(seen, np.arange(len(seen))):
        raise InputError(f"clips of the labels {seen.tolist()} only; give clips of every label")
    weights = "balanced" if balanced else None
    if options.kind == "svm":
        model = LinearSVC(
            C=strength, class_weight=weights, random_state=options.seed, max_iter=5000
        )
    else:
        model = LogisticRegression(C=strength, class_weight=weights, max_iter=3000)
    model.fit(rows, truth)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # two labels: scikit-learn keeps one row, a logistic of its difference
        weight, bias = np.concatenate([0 * weight, weight]), np.append(0.0, bias)
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32))


def choose(
    rows: F32,
    truth: I64,
    val_rows: F32,
    val_truth: I64,
    options: HeadTraining | None = None,
) -> tuple[LinearHead, list[dict[str, Any]]]:
    """Return the head that does best on the val clips, calibrated on them, and what was tried.

    Best is the highest mean of accuracy and UAR; the temperature has the lowest cross entropy.
    """
    options = options or HeadTraining()
    tried, heads = [], []
    for balanced in options.balanced:
        for strength in options.strengths:
            head = fit(rows, truth, strength=strength, balanced=balanced, options=options)
            found = scores(head.logits(val_rows).argmax(1), val_truth, range(len(head.bias)))
            facts = {key: found[key] for key in ("accuracy", "uar")}
            tried.append({"C": strength, "balanced": balanced, **facts})
            heads.append(head)
    best = int(np.argmax([facts["accuracy"] + facts["uar"] for facts in tried]))
    heat = temperature(heads[best].logits(val_rows), val_truth)
    tried[best] |= {"chosen": True, "temperature": heat}
    return heads[best].cooled(heat), tried


def temperature(logits: F64, truth: I64) -> float:
    """Return the number that the logits, divided by it, have the lowest cross entropy with.

    After Guo et al. 2017; a search over a grid of 1 % steps from 0.05 to 20.
    """
    grid = np.exp(np.arange(np.log(0.05), np.log(20), 0.01))
    return float(grid[np.argmin([cross_entropy(logits / t, truth) for t in grid])])


def cross_entropy(logits: F64, truth: I64) -> float:
    """Return the mean of -log p(truth) over the rows, natural logarithm."""
    shifted = logits - logits.max(1, keepdims=True)
    normal = np.log(np.exp(shifted).sum(1))
    return float((normal - shifted[np.arange(len(truth)), truth]).mean())


def measure_head(head: LinearHead, rows: F32, truth: I64, labels: Sequence[str]) -> dict[str, Any]:
    """Return the scores on clips, with the calibration error of the probabilities."""
    chances = head(rows)
    found = scores(chances.argmax(1).astype(np.int64), truth, labels)
    return found | {"ece": round(calibration_error(chances, truth), 4)}


def save_head(
    head: LinearHead, labels: Sequence[str], stats: dict[str, Any], folder: str | Path
) -> None:
    """Write weights.safetensors (weight, bias) and spec.json."""
    from safetensors.numpy import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # scikit-learn keeps columns together in memory, and safetensors writes memory as it lies
    tensors = {"weight": head.weight.copy("C"), "bias": head.bias.copy("C")}
    save_file(tensors, folder / "weights.safetensors")
    spec = {"type": "linear", "level": "clip", "labels": list(labels), "normalise": "l2", **stats}
    write_json(spec, folder / "spec.json")
