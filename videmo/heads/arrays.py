"""Heads trained by scikit-learn and kept as plain arrays; no pickle, no version to match."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from videmo.data import F32, F64, Array
from videmo.heads import softmax


class Linear:
    """softmax(x @ weight.T + bias): multinomial logistic regression, or a calibrated linear SVM.

    weight: (C, X) float32; bias: (C,) float32
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        self.weight, self.bias = _dense(weights, "weight", "bias")
        _same("labels", len(self.bias), labels)

    def __call__(self, rows: F32) -> F32:
        """Return probabilities (K, C) of rows (K, X)."""
        _same("columns", rows.shape[1], self.weight.shape[1])
        return softmax(rows @ self.weight.T + self.bias)


class MLP:
    """Dense layers with ReLU between them and a softmax behind (scikit-learn's MLPClassifier).

    weight.0, bias.0, weight.1, bias.1, ...: (outputs, inputs) and (outputs,) float32
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        depth = sum(name.startswith("weight.") for name in weights)
        self.layers = [_dense(weights, f"weight.{i}", f"bias.{i}") for i in range(max(1, depth))]
        for (_, bias), (weight, _) in pairwise(self.layers):
            _same("columns", len(bias), weight.shape[1])
        _same("labels", len(self.layers[-1][1]), labels)

    def __call__(self, rows: F32) -> F32:
        """Return probabilities (K, C) of rows (K, X)."""
        _same("columns", rows.shape[1], self.layers[0][0].shape[1])
        values: F64 = rows.astype(np.float64)
        for weight, bias in self.layers[:-1]:
            values = np.maximum(values @ weight.T + bias, 0)
        weight, bias = self.layers[-1]
        return softmax(values @ weight.T + bias)


def _dense(weights: Mapping[str, Array], weight: str, bias: str) -> tuple[F64, F64]:
    missing = [name for name in (weight, bias) if name not in weights]
    if missing:
        raise ValueError(f"the head's weights lack {', '.join(missing)}")
    w, b = weights[weight].astype(np.float64), weights[bias].astype(np.float64)
    if w.ndim != 2 or b.shape != w.shape[:1]:
        raise ValueError(f"{weight} is {w.shape} and {bias} is {b.shape}, expected (C, X) and (C,)")
    return w, b


def _same(what: str, got: int, expected: int) -> None:
    if got != expected:
        raise ValueError(f"{got} {what}, expected {expected}")
