"""Emotion, affect, age, gender, ethnicity and likeness, read from what a backbone says of faces.

A backbone's outputs are raw. `per_face` turns them into rows that may be averaged over the faces
of one person; `affect`, `age`, `gender`, `ethnicity` and `similarity` read such means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from videmo.data import F64, FINITE, SHARE, Array, Range
from videmo.errors import ModelError, UnknownName
from videmo.stages.heads import softmax

ATTRIBUTES = ("age", "gender", "ethnicity")  # outputs of a backbone that are told in words
IDENTITY = "identity"  # the output that is compared
EMOTION = "emotion"  # the output that is a backbone's own answer for a clip
AFFECT = "valence_arousal"  # the output of two numbers, about -1 to 1


@dataclass(frozen=True)
class AttributeOptions:
    """How probabilities become answers.

    The published rules (Savchenko 2021, facial_analysis.py of HSE_FaceRec_tf and the Android
    application) are age "top2" with an offset of 1 (Python) or 0.5 (Android), and male 0.6.
    """

    age: Literal["mean", "top2"] = "mean"  # over all years, or over the two most probable alone
    offset: float = 0.0  # years added to what a class is called; 0: age in completed years
    level: float = 0.8  # share of the probability inside the age's interval; 0.8: 10 to 90 %
    male: float = 0.5  # say male from this probability on

    def __post_init__(self) -> None:
        if self.age not in ("mean", "top2"):
            raise UnknownName("rule for the age", str(self.age), ("mean", "top2"))
        FINITE.check("offset", self.offset)
        Range(0, 1, open=True).check("level", self.level)
        SHARE.check("male", self.male)


class Age(NamedTuple):
    """An age in years, and the years between which it lies as far as the network can tell."""

    years: float
    low: float
    high: float


class Affect(NamedTuple):
    """How pleasant and how aroused a face looks, -1 to 1."""

    valence: float
    arousal: float


def per_face(name: str, output: Array) -> F64:
    """Return rows (M, C) that may be averaged over faces, of the raw output called `name`.

    Of identity the embedding divided by its length, so that a face counts by its direction
    alone; of valence and arousal the values clipped to -1..1, as their networks answer without
    bounds (advice of their author, EmotiEffLib issues 24 and 40); of anything else probabilities.
    Probabilities are averaged and not logits: each face then has one vote, where logits would
    let a single blurred face that is wrong and very sure outweigh the others; and the mean is a
    distribution still, whose quantiles mean something.
    """
    if name == IDENTITY:
        return unit_rows(output)
    if name == AFFECT:
        return np.asarray(output.astype(np.float64).clip(-1, 1))
    return softmax(output).astype(np.float64)


def affect(values: Array, labels: Sequence[str]) -> Affect:
    """Return valence and arousal from values (2,) and their labels.

    Raises ModelError for other labels.
    """
    if sorted(labels) != sorted(Affect._fields):
        raise ModelError(
            f"output {AFFECT} has the labels {', '.join(labels)}, not valence and arousal"
        )
    return Affect(**{name: float(values[list(labels).index(name)]) for name in Affect._fields})


def age(p: Array, labels: Sequence[str], options: AttributeOptions | None = None) -> Age:
    """Return the age that the probabilities p (C,) of single years tell.

    labels: the years in rising order, as text ("0", "1", ...)

    Rule "mean" is the expectation over all years; "top2" that over the two most probable ones,
    renormalised. The interval, whatever the rule, has `level` of the probability in it, and at
    most half of the rest on either side: its ends are the first years at which the sum reaches
    (1 - level) / 2 and (1 + level) / 2. It is what the network believes, not measured coverage.

    Raises ModelError for labels that are not years.
    """
    options = options or AttributeOptions()
    years = _years(labels) + options.offset
    p = p.astype(np.float64) / p.sum()
    chosen = np.argsort(-p, kind="stable")[: 2 if options.age == "top2" else None]
    sums = p.cumsum() + 1e-9  # rounding may leave the sum just below a round share
    shares = (1 - options.level) / 2, (1 + options.level) / 2
    low, high = (float(years[np.searchsorted(sums, share)]) for share in shares)
    return Age(float(years[chosen] @ p[chosen] / p[chosen].sum()), low, high)


def gender(
    p: Array, labels: Sequence[str], options: AttributeOptions | None = None
) -> tuple[str, float]:
    """Return male or female and its probability, from p (2,) and its labels.

    With a threshold other than 0.5 the probability of the word that is said may be below 0.5.

    Raises ModelError for other labels.
    """
    if sorted(labels) != ["female", "male"]:
        raise ModelError(f"output gender has the labels {', '.join(labels)}, not female and male")
    male = float(p[list(labels).index("male")])
    return ("male", male) if male >= (options or AttributeOptions()).male else ("female", 1 - male)


def ethnicity(p: Array, labels: Sequence[str]) -> tuple[str, dict[str, float]]:
    """Return the most probable label and the probability of each, from p (C,)."""
    scores = {label: float(share) for label, share in zip(labels, p, strict=True)}
    return labels[int(np.argmax(p))], scores


def similarity(a: Array, b: Array) -> F64:
    """Return the cosines (A, B), -1 to 1, of mean embeddings a (A, C) with b (B, C)."""
    return np.asarray((unit_rows(a) @ unit_rows(b).T).clip(-1, 1))


def unit_rows(rows: Array) -> F64:
    """Return each row divided by its length (L2)."""
    rows = rows.astype(np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True).clip(1e-12))


def _years(labels: Sequence[str]) -> F64:
    try:
        years = np.array([float(label) for label in labels])
    except ValueError as error:
        raise ModelError(f"output age has a label that is no year: {error}") from error
    if (np.diff(years) <= 0).any():
        raise ModelError("output age has labels that are not years in rising order")
    return years
