"""Classifiers of plain arrays: rows in, probabilities out.

A kind of head is a class that computes (`arrays`), a line in HEADS and, where it can be trained,
one in `videmo.train.head.HEAD_KINDS` and what fits it in `videmo.train.classifiers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from videmo.data import F32, F64, Array, Descriptor, Prediction
from videmo.errors import ModelError
from videmo.stages.registry import resolve

if TYPE_CHECKING:
    from videmo.stages.heads.windows import WindowMean


LEVELS = ("clip", "face", "window")


@dataclass(frozen=True)
class HeadSpec:
    """What a head is, as its card says."""

    type: str  # a name in HEADS
    labels: tuple[str, ...]  # in the order of the columns
    level: str = "clip"  # what a row is: a "clip", a "face", or a "window" of faces through time


class Head(Protocol):
    """Maps rows (K, X) float32 to probabilities (K, C) float32 whose rows sum to 1."""

    def __call__(self, rows: F32) -> F32: ...


@runtime_checkable
class WindowHead(Protocol):
    """Answers for each window of the features of a clip's faces, which come in order of time."""

    def windows(self) -> WindowMean:
        """Return what reads the windows of one clip."""
        ...


HEADS = {
    "linear": "videmo.stages.heads.arrays:Linear",
    "mlp": "videmo.stages.heads.arrays:MLP",
    "rbf": "videmo.stages.heads.arrays:RBF",
    "forest": "videmo.stages.heads.arrays:Forest",
    "sums": "videmo.stages.heads.arrays:Sums",
    "attention": "videmo.stages.heads.windows:Attention",
    "given": "videmo.stages.heads:PassThrough",
}


def make_head(spec: HeadSpec, weights: Mapping[str, Array]) -> Head:
    """Return the head that `spec` describes, over its arrays.

    Raises UnknownName for a type that is not in HEADS, ModelError for one that is not of the
    spec's level, ValueError where the arrays do not fit.
    """
    head: Head = resolve("head", HEADS, spec.type)(weights, len(spec.labels))
    if isinstance(head, WindowHead) != (spec.level == "window"):
        raise ModelError(f"a head of type {spec.type} is not of level {spec.level}; import it anew")
    return head


def predict(head: Head, spec: HeadSpec, descriptor: Descriptor) -> Prediction:
    """Return the probabilities of one descriptor that holds at least one face."""
    scores = head(descriptor.values[None])[0]
    return Prediction(spec.labels, scores, descriptor)


def softmax(logits: Array) -> F32:
    """Return exp(x) / sum(exp(x)) over the last axis, in float64 inside, float32 outside."""
    return np.asarray(softmax64(logits), np.float32)


def softmax64(logits: Array) -> F64:
    """Return the same in float64, for what is reckoned on with."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    e = np.exp(shifted)
    return np.asarray(e / e.sum(-1, keepdims=True))


def finite(name: str, array: Array) -> F64:
    """Return an array of a head in float64; raises ValueError where it holds no finite number."""
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} holds what is no finite number")
    return numbers


class PassThrough:
    """The simplest head: its rows are probabilities already, such as the mean over faces."""

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        self.labels = labels

    def __call__(self, rows: F32) -> F32:
        """Return rows (K, C) as they are."""
        if rows.shape[1] != self.labels:
            raise ValueError(f"{rows.shape[1]} columns, expected {self.labels}")
        return rows
