"""Heads trained by scikit-learn and kept as plain arrays; no pickle, no version to match."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from videmo.data import F32, F64, I64, Array
from videmo.stages.heads import finite, softmax

_BLOCK = 1 << 22  # numbers of one block of kernel values: 32 MiB


class ArrayHead(ABC):
    """Probabilities are softmax(decisions / temperature), of rows that are standardised first.

    mean, width: (X,), optional: rows become (rows - mean) * width
    temperature: (1,), optional
    """

    def __init__(self, weights: Mapping[str, Array], columns: int, labels: int) -> None:
        self.columns, self.labels = columns, labels
        self.mean = _vector(weights, "mean", columns, 0)
        self.width = _vector(weights, "width", columns, 1)
        self.temperature = _vector(weights, "temperature", 1, 1)
        if self.temperature[0] <= 0:
            raise ValueError(f"the temperature is {self.temperature[0]:g}, expected above 0")

    def __call__(self, rows: F32) -> F32:
        """Return probabilities (K, C) of rows (K, X)."""
        return softmax(self.logits(rows))

    def logits(self, rows: F32) -> F64:
        """Return (K, C), before the softmax."""
        _check_equal("columns", rows.shape[1], self.columns)
        return np.asarray(self._decide(self._standard(rows)) / self.temperature)

    def _standard(self, rows: Array) -> F64:
        return np.asarray((rows.astype(np.float64) - self.mean) * self.width)

    @abstractmethod
    def _decide(self, rows: F64) -> F64: ...


class Linear(ArrayHead):
    """rows @ weight.T + bias: multinomial logistic regression, or a linear SVM.

    weight: (C, X) float32; bias: (C,) float32
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        self.weight, self.bias = _dense(weights, "weight", "bias")
        _check_equal("labels", len(self.bias), labels)
        super().__init__(weights, self.weight.shape[1], labels)

    def _decide(self, rows: F64) -> F64:
        return np.asarray(rows @ self.weight.T + self.bias)


class Sums(ArrayHead):
    """Sums of a network's own probabilities: a label is what some of its labels are together.

    A decision is the logarithm of the sum, of 1e-7 at least, so that the temperature sharpens
    what a mean over many faces has blurred, and labels of no sum are left out.

    onto: (C, X) float32 of 0 and 1
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        self.onto = _array(weights, "onto", 2)
        _check_equal("labels", len(self.onto), labels)
        super().__init__(weights, self.onto.shape[1], labels)

    def _decide(self, rows: F64) -> F64:
        return np.asarray(np.log(np.maximum(rows @ self.onto.T, 1e-7)))


class MLP(ArrayHead):
    """Dense layers with ReLU between them (scikit-learn's MLPClassifier).

    weight.0, bias.0, weight.1, bias.1, ...: (outputs, inputs) and (outputs,) float32
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        depth = sum(name.startswith("weight.") for name in weights)
        self.layers = [_dense(weights, f"weight.{i}", f"bias.{i}") for i in range(max(1, depth))]
        for (_, bias), (weight, _) in pairwise(self.layers):
            _check_equal("columns", len(bias), weight.shape[1])
        _check_equal("labels", len(self.layers[-1][1]), labels)
        super().__init__(weights, self.layers[0][0].shape[1], labels)

    def _decide(self, rows: F64) -> F64:
        for weight, bias in self.layers[:-1]:
            rows = np.maximum(rows @ weight.T + bias, 0)
        weight, bias = self.layers[-1]
        return np.asarray(rows @ weight.T + bias)


class RBF(ArrayHead):
    """One SVM a label against the rest, with the kernel exp(-|x - s|^2) of standardised rows.

    A column of `weight` belongs to a row of `support`, which the labels share; it is 0 where
    that row is no support vector of the label. gamma is in `width`, as its root.

    weight: (C, S) float32; bias: (C,) float32; support: (S, X) float32, not standardised
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        self.weight, self.bias = _dense(weights, "weight", "bias")
        _check_equal("labels", len(self.bias), labels)
        support = _array(weights, "support", 2)
        _check_equal("support vectors", len(support), self.weight.shape[1])
        super().__init__(weights, support.shape[1], labels)
        self.support = self._standard(support)
        self._squares = (self.support**2).sum(1)

    def _decide(self, rows: F64) -> F64:
        step = max(1, _BLOCK // max(1, len(self.support)))
        parts = [self._some(rows[i : i + step]) for i in range(0, len(rows), step)]
        return np.concatenate([np.zeros((0, self.labels)), *parts])

    def _some(self, rows: F64) -> F64:
        squares = (rows**2).sum(1)[:, None] + self._squares - 2 * rows @ self.support.T
        return np.asarray(np.exp(-squares.clip(0)) @ self.weight.T + self.bias)


class Forest(ArrayHead):
    """The mean of what many trees answer (scikit-learn's RandomForestClassifier).

    A decision is the logarithm of a mean share, of 1e-7 at least. Nodes of all trees stand in
    one list, a parent before its children; a leaf is its own child.

    root: (T,) float32, the numbers of the first nodes; columns: (1,), X
    feature, threshold, left, right: (N,) float32; go left where row[feature] <= threshold
    value: (N, C) float32, the share of each label; whole numbers to 2^24 are exact in float32
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        value = _array(weights, "value", 2)
        _check_equal("labels", value.shape[1], labels)
        width = int(_array(weights, "columns", 1)[0])
        super().__init__(weights, width, labels)
        self.value, self.threshold = value, _array(weights, "threshold", 1)
        nodes = len(value)
        self.root = _numbers(weights, "root", nodes)
        self.feature = _numbers(weights, "feature", width)
        self.left, self.right = (_numbers(weights, name, nodes) for name in ("left", "right"))
        for name in ("threshold", "feature", "left", "right"):
            _check_equal(f"nodes in {name}", len(getattr(self, name)), nodes)
        if (np.minimum(self.left, self.right) < np.arange(nodes)).any():
            raise ValueError("a node of the forest has a child that stands before it")

    def _decide(self, rows: F64) -> F64:
        step = max(1, _BLOCK // self.value.shape[1] // len(self.root))
        parts = [self._shares(rows[i : i + step]) for i in range(0, len(rows), step)]
        share = np.concatenate([np.zeros((0, self.labels)), *parts])
        return np.asarray(np.log(np.maximum(share, 1e-7)))

    def _shares(self, rows: F64) -> F64:
        """Return the mean over the trees (K, C), after all rows went down all trees at once."""
        here, node = np.arange(len(rows))[:, None], np.tile(self.root, (len(rows), 1))  # (K, T)
        while True:
            low = rows[here, self.feature[node]] <= self.threshold[node]
            child = np.where(low, self.left[node], self.right[node])
            if (child == node).all():
                return np.asarray(self.value[node].mean(1))
            node = child


def _dense(weights: Mapping[str, Array], weight: str, bias: str) -> tuple[F64, F64]:
    missing = [name for name in (weight, bias) if name not in weights]
    if missing:
        raise ValueError(f"the head's weights lack {', '.join(missing)}")
    w, b = finite(weight, weights[weight]), finite(bias, weights[bias])
    if w.ndim != 2 or b.shape != w.shape[:1]:
        raise ValueError(f"{weight} is {w.shape} and {bias} is {b.shape}, expected (C, X) and (C,)")
    return w, b


def _array(weights: Mapping[str, Array], name: str, dims: int) -> F64:
    if name not in weights:
        raise ValueError(f"the head's weights lack {name}")
    array = finite(name, weights[name])
    if array.ndim != dims or not array.size:
        raise ValueError(f"{name} is {array.shape}, expected {dims} dimensions, none of them empty")
    return array


def _numbers(weights: Mapping[str, Array], name: str, below: int) -> I64:
    """Return an array of whole numbers from 0 to `below`, that excluded."""
    numbers = _array(weights, name, 1).astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= below:
        raise ValueError(f"{name} has numbers outside 0..{below - 1}")
    return numbers


def _vector(weights: Mapping[str, Array], name: str, length: int, default: float) -> F64:
    if name not in weights:
        return np.full(length, float(default))
    vector = _array(weights, name, 1)
    _check_equal(f"values in {name}", len(vector), length)
    return vector


def _check_equal(what: str, got: int, expected: int) -> None:
    if got != expected:
        raise ValueError(f"{got} {what}, expected {expected}")
