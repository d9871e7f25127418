"""Truth and predictions go in, matched by name; figures over both denominators come out.

Clips with a face (those that have an answer), and all clips: there one without a face, one that
cannot be read and one that is missing is wrong.

    a figure                 metrics; what is told with which interval: here
    who is matched to whom   pairs (rows of files: rows; names of labels: reading)
    two runs                 compare; what a head has met already: leaks
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from videmo.data import F64, I64
from videmo.errors import InputError
from videmo.evaluate.metrics import (
    DRAWS,
    agreement,
    agreement_terms,
    bootstrap,
    brier_score,
    calibration_error,
    confusion_matrix,
    overall_metrics,
    per_label_metrics,
    wilson_interval,
)
from videmo.evaluate.pairs import ANSWERS, Pair
from videmo.evaluate.reading import LabelReader, published_set, reading_by_meaning, reading_by_name

Evaluation = dict[str, Any]


@dataclass(frozen=True)
class EvaluationOptions:
    """What is compared with what, and how sure one may be of it."""

    labels: tuple[str, ...] = ()  # the whole set; else those with a probability, or of the truth
    by_meaning: bool = False  # Happy is happiness; 8 labels are read as 7, or 7 as 3
    draws: int = DRAWS  # samples of the bootstrap
    seed: int = 0


@dataclass(frozen=True)
class EvaluationProtocol:
    """What is published of a data set: metrics, the one that decides first, over all clips."""

    name: str
    metrics: tuple[str, ...]
    split: str | None = None  # None: cross-validated, the clips of all folds or of one
    clips: int | None = None  # how many these are, over all folds


def evaluate_labels(pairs: Sequence[Pair], options: EvaluationOptions | None = None) -> Evaluation:
    """Return the figures of labels over clips with a face and over all clips.

    README lists the keys. Intervals draw subjects where every clip has one, else clips.

    Raises InputError where no clip has an answer, ManifestError for a label that is not known.
    """
    options = options or EvaluationOptions()
    labels, found, truth, probabilities = _as_arrays(pairs, options)
    units = _subjects(pairs)
    answered = found >= 0
    result = _counts(pairs, "labels", options, units) | {"labels": list(labels)}
    for name, rows in (("with_face", answered), ("all", np.ones_like(answered))):
        some = None if units is None else [u for u, row in zip(units, rows, strict=True) if row]
        result[name] = _metrics(found[rows], truth[rows], labels, some, options)
    if probabilities is not None:
        result["with_face"] |= {
            "ece": round(calibration_error(probabilities, truth[answered]), 4),
            "brier": round(brier_score(probabilities, truth[answered]), 4),
        }
    return result


def evaluate_numbers(pairs: Sequence[Pair], options: EvaluationOptions | None = None) -> Evaluation:
    """Return CCC, PCC, MAE and RMSE over the clips with a face, with bootstrap intervals.

    A clip without an answer has no error that could be averaged: the counts tell how many.

    Raises InputError, ManifestError for a cell that is no number.
    """
    options = options or EvaluationOptions()
    answered = _answered(pairs)
    truth = np.array([p.truth.row.number(p.truth.clip.label) for p in answered])
    found = np.array([p.found.row.number(p.found.label) for p in answered if p.found])
    parts, units = agreement_terms(found, truth), _subjects(answered)
    point = {k: _rounded(v) for k, v in agreement(parts.sum(0)).items()}
    ends = bootstrap(agreement, parts, units, draws=options.draws, seed=options.seed)
    figures = {"n": len(answered), **point, "intervals": ends}
    return _counts(pairs, "numbers", options, units) | {"with_face": figures}


def with_protocol(result: Evaluation, protocol: EvaluationProtocol) -> Evaluation:
    """Return `result` with what the protocol calls official, over all clips, before it."""
    official = {
        metric: {
            "value": result["all"][metric],
            "interval": result["all"]["intervals"][metric],
            "with_face": result["with_face"][metric],
        }
        for metric in protocol.metrics
    }
    told = {"name": protocol.name, "split": protocol.split, "clips": protocol.clips}
    return {"protocol": told, "official": official, **result}


def _metrics(
    found: I64,
    truth: I64,
    labels: Sequence[str],
    units: list[str] | None,
    options: EvaluationOptions,
) -> Evaluation:
    """Return the figures of one denominator."""
    wide = len(labels) + 1
    matrix = confusion_matrix(found, truth, len(labels))
    parts = np.zeros((len(truth), len(labels) * wide))
    parts[np.arange(len(truth)), truth * wide + found % wide] = 1  # -1 is the last column
    ends = bootstrap(
        lambda sums: overall_metrics(sums.reshape(-1, len(labels), wide)),
        parts, units, draws=options.draws, seed=options.seed,
    )  # fmt: skip
    return {
        "n": len(truth),
        **{name: _rounded(value) for name, value in overall_metrics(matrix).items()},
        "intervals": ends,
        "wilson": wilson_interval(int(matrix.diagonal().sum()), len(truth)),
        "by_label": per_label_metrics(matrix, labels),
        "confusion": matrix[:, :-1].tolist(),
        "no_answer": matrix[:, -1].tolist(),
    }


def _counts(
    pairs: Sequence[Pair], kind: str, options: EvaluationOptions, units: list[str] | None
) -> dict[str, Any]:
    states = [pair.status for pair in pairs]
    return {
        "kind": kind,
        "clips": len(pairs),
        **{name: states.count(name) for name in (*ANSWERS, "missing")},
        "subjects": None if units is None else len(set(units)),
        "bootstrap": {
            "units": "clips" if units is None else "subjects",
            "draws": options.draws,
            "seed": options.seed,
        },
    }


def _subjects(pairs: Sequence[Pair]) -> list[str] | None:
    """Return the subject of every clip, None where one has none."""
    subjects = [pair.truth.clip.subject for pair in pairs]
    return [s for s in subjects if s] if all(subjects) else None


def _answered(pairs: Sequence[Pair]) -> list[Pair]:
    answered = [pair for pair in pairs if pair.status == "ok"]
    if not answered:
        raise InputError(f"not one of {len(pairs)} clips has an answer; nothing can be measured")
    return answered


def _as_arrays(
    pairs: Sequence[Pair], options: EvaluationOptions
) -> tuple[tuple[str, ...], I64, I64, F64 | None]:
    """Return the labels, found (-1: no answer) and true numbers, and probabilities (M, C)."""
    answered = _answered(pairs)
    for pair in pairs:
        if not pair.truth.clip.label:
            raise pair.truth.row.wrong(f"{pair.truth.clip.path} has no true label; add it")
    labels, read = _reading(pairs, options)
    place = {label: n for n, label in enumerate(labels)}
    truth = np.array([place[read(p.truth.row, p.truth.clip.label or "", {})[0]] for p in pairs])
    told = [read(p.found.row, p.found.label or "", p.found.scores) for p in answered if p.found]
    found = np.full(len(pairs), -1, np.int64)
    found[[p.status == "ok" for p in pairs]] = [place[label] for label, _ in told]
    sure = [scores for _, scores in told if scores]
    if len(sure) < len(told):
        return labels, found, truth, None
    return labels, found, truth, np.array([[s.get(n, 0.0) for n in labels] for s in sure])


def _reading(
    pairs: Sequence[Pair], options: EvaluationOptions
) -> tuple[tuple[str, ...], LabelReader]:
    """Return the labels that are compared, and what reads a row as one of them."""
    given = sorted({p.truth.clip.label or "" for p in pairs})
    if options.by_meaning:
        labels = options.labels or published_set(given)
        return labels, reading_by_meaning(labels)
    scored = dict.fromkeys(label for p in pairs if p.found for label in p.found.scores)
    labels = options.labels or tuple(scored) or tuple(given)
    return labels, reading_by_name(labels)


def _rounded(value: Any) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


class _Callable(ModuleType):
    """This room, which may be called too: `videmo.evaluate(...)` is the function of its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Evaluation:
        from videmo.evaluate.function import evaluate

        return evaluate(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
