"""Classifiers of plain arrays: rows in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from videmo.data import F32, Array, Descriptor, Prediction
from videmo.registry import find


@dataclass(frozen=True)
class HeadSpec:
    """What a head is, as its card says."""

    type: str  # a name in HEADS
    labels: tuple[str, ...]  # in the order of the columns
    level: str = "clip"  # what a row is: a "clip" or a "face"


class Head(Protocol):
    """Maps rows (K, X) float32 to probabilities (K, C) float32 whose rows sum to 1."""

    def __call__(self, rows: F32) -> F32: ...


HEADS = {
    "linear": "videmo.heads.arrays:Linear",
    "mlp": "videmo.heads.arrays:MLP",
    "rbf": "videmo.heads.arrays:RBF",
    "forest": "videmo.heads.arrays:Forest",
}


def make_head(spec: HeadSpec, weights: Mapping[str, Array]) -> Head:
    """Return the head that `spec` describes, over its arrays.

    Raises UnknownName for a type that is not in HEADS, ValueError where the arrays do not fit.
    """
    head: Head = find("head", HEADS, spec.type)(weights, len(spec.labels))
    return head


def predict(head: Head, spec: HeadSpec, descriptor: Descriptor) -> Prediction:
    """Return the probabilities of one descriptor that holds at least one face."""
    scores = head(descriptor.values[None])[0]
    return Prediction(spec.labels, scores, descriptor)


def softmax(logits: Array) -> F32:
    """Return exp(x) / sum(exp(x)) over the last axis, in float64 inside, float32 outside."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    e = np.exp(shifted)
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)
