"""From rows with labels to a head of plain arrays: scikit-learn learns, arrays remain.

What is tried and the temperature are chosen on folds of what is learned from, and the figures
come from clips that took part in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal

import numpy as np

from videmo.data import F32, F64, I64
from videmo.errors import InputError, UnknownName
from videmo.evaluate.metrics import (
    bootstrap,
    calibration_error,
    label_metrics,
    overall_metrics,
    wilson_interval,
)
from videmo.stages.heads import HEADS
from videmo.stages.heads.arrays import ArrayHead
from videmo.stages.registry import resolve
from videmo.train.classifiers import FITS, Arrays, Params, scaling_of, sklearn_errors

Fold = tuple[I64, I64]  # rows to learn from, rows to look at
OnMessage = Callable[[str], None]


@dataclass(frozen=True)
class HeadKind:
    """A family of classifiers that scikit-learn fits."""

    type: str  # the head that it becomes, a name of HEADS
    grid: Mapping[str, tuple[Any, ...]]  # what is tried of each parameter
    standardise: bool  # whether columns get mean 0 and std 1, unless told otherwise


_STRENGTHS = {"balanced": (False, True), "C": (0.1, 0.3, 1, 3, 10, 30, 100)}
HEAD_KINDS = {
    "logistic": HeadKind("linear", _STRENGTHS, False),  # multinomial regression
    "svm": HeadKind("linear", _STRENGTHS | {"C": (0.01, 0.03, 0.1, 0.3, 1, 3, 10)}, False),
    "rbf": HeadKind(
        "rbf",
        # gamma as a multiple of 1 / (columns * variance), which scikit-learn calls scale
        {"balanced": (False, True), "C": (0.5, 2, 8), "gamma": (0.3, 1)},
        True,
    ),
    "forest": HeadKind(
        "forest", {"balanced": (False, True), "trees": (300,), "depth": (5, 10, 20)}, False
    ),
    "mlp": HeadKind("mlp", {"width": (32, 128), "alpha": (0.001, 0.1, 10)}, True),
}


@dataclass(frozen=True)
class HeadTraining:
    """What is fitted to the rows, what is tried, and what decides."""

    kind: str = "logistic"  # a name of HEAD_KINDS
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # in place of the kind's own
    metric: Literal["uar", "accuracy"] = "uar"  # what the chosen parameters are best in
    standardise: bool | None = None  # None: as the kind wants it
    folds: int = 5  # parts that figures come from, where no split is given
    inner: int = 3  # parts of what is learned from, on which parameters are chosen
    seed: int = 0

    def candidates(self) -> list[dict[str, Any]]:
        """Return every combination of what is tried; raises UnknownName, InputError."""
        grid = {**find_kind(self.kind).grid}
        for name, values in self.grid.items():
            if name not in grid:
                raise InputError(f"{self.kind} has no {name!r}; it has {', '.join(grid)}")
            grid[name] = tuple(values)
        return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def find_kind(name: str) -> HeadKind:
    """Return the kind of that name; raises UnknownName."""
    if name not in HEAD_KINDS:
        raise UnknownName("kind of head", name, HEAD_KINDS)
    return HEAD_KINDS[name]


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A head as its arrays, and how it came about."""

    type: str  # a name of HEADS
    labels: int
    arrays: Arrays
    params: Params = field(default_factory=dict)  # those chosen
    tried: tuple[Mapping[str, Any], ...] = ()

    def __call__(self, rows: F32) -> F32:
        """Return probabilities (K, C) of rows (K, X)."""
        return self._head(rows)

    def logits(self, rows: F32) -> F64:
        """Return (K, C), before the softmax."""
        return self._head.logits(rows)

    @property
    def temperature(self) -> float:
        """What the decisions are divided by."""
        return float(self.arrays.get("temperature", np.ones(1))[0])

    def calibrated(self, temperature: float) -> TrainedHead:
        """Return the head with its decisions divided by `temperature`, once more."""
        heat = np.array([self.temperature * temperature], np.float32)
        return replace(self, arrays={**self.arrays, "temperature": heat})

    @cached_property
    def _head(self) -> ArrayHead:
        head: ArrayHead = resolve("head", HEADS, self.type)(self.arrays, self.labels)
        return head


def fit_best(
    rows: F32, truth: I64, groups: I64 | None = None, options: HeadTraining | None = None
) -> TrainedHead:
    """Return the head that does best on folds of the rows, fitted to all and calibrated.

    The temperature has the lowest cross entropy on what the folds' heads said of the clips that
    they had not seen. With `groups`, rows of one group are never parted.

    rows:   (K, X) float32; truth: (K,) 0..C-1, each of which occurs; groups: (K,)
    raises: InputError where the rows cannot be parted
    """
    options = options or HeadTraining()
    candidates = options.candidates()
    splits = split_folds(truth, groups, options.inner, options.seed)
    tried, best = [], (-1.0, np.zeros((0, 0)), candidates[0])
    for params in candidates:
        logits = _out_of_fold_logits(rows, truth, splits, params, options)
        found = label_metrics(logits.argmax(1), truth, range(logits.shape[1]))
        tried.append({**params, "accuracy": found["accuracy"], "uar": found["uar"]})
        if found[options.metric] > best[0]:
            best = found[options.metric], logits, params
    _, logits, params = best
    tried[candidates.index(params)]["chosen"] = True
    head = fit(rows, truth, params, options).calibrated(fit_temperature(logits, truth))
    return replace(head, tried=tuple(tried))


def cross_validate(
    rows: F32,
    truth: I64,
    groups: I64 | None = None,
    options: HeadTraining | None = None,
    on_message: OnMessage | None = None,
) -> F32:
    """Return probabilities (K, C) of every row, by a head that was chosen and fitted without it.

    Nested: each fold's head is the whole of `fit_best` on the other folds, its parameters and
    temperature too (Varma and Simon 2006).
    """
    options = options or HeadTraining()
    probabilities = np.zeros((len(truth), int(truth.max()) + 1), np.float32)
    splits = nested_folds(truth, groups, options)
    for number, (seen, unseen) in enumerate(splits, 1):
        head = fit_best(rows[seen], truth[seen], None if groups is None else groups[seen], options)
        probabilities[unseen] = head(rows[unseen])
        right = (probabilities[unseen].argmax(1) == truth[unseen]).mean()
        if on_message:
            on_message(
                f"fold {number} of {len(splits)}: {_params_text(head.params)}: accuracy {right:.3f}"
            )
    return probabilities


def nested_folds(truth: I64, groups: I64 | None, options: HeadTraining) -> list[Fold]:
    """Return the folds of `cross_validate`; raises InputError if they or theirs are not sound."""
    splits = split_folds(truth, groups, options.folds, options.seed)
    for seen, _ in splits:
        split_folds(
            truth[seen], None if groups is None else groups[seen], options.inner, options.seed
        )
    return splits


def split_folds(truth: I64, groups: I64 | None, folds: int, seed: int) -> list[Fold]:
    """Return `folds` ways to part the rows, each label spread evenly, no group on both sides.

    raises: InputError where a label is missing on the side to learn from
    """
    with sklearn_errors():
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(folds, shuffle=True, random_state=seed)
        try:
            splits = list(splitter.split(np.zeros((len(truth), 1)), truth, groups))
        except ValueError as error:
            raise InputError(f"{len(truth)} clips cannot be parted into {folds} folds") from error
    for seen, unseen in splits:
        if not len(unseen) or len(np.unique(truth[seen])) < len(np.unique(truth)):
            raise InputError(
                f"a label has clips of too few subjects to be parted into {folds} folds; "
                "give fewer --folds, or clips of more subjects"
            )
    return splits


def fit(rows: F32, truth: I64, params: Params, options: HeadTraining | None = None) -> TrainedHead:
    """Return the head that scikit-learn fits, as float32 arrays.

    Where rows are standardised, mean and width are rounded to float32 first, so that nothing is
    lost when they are stored.

    rows:   (K, X) float32; truth: (K,) 0..C-1, each of which occurs
    raises: InputError if there are fewer than two labels or one of 0..C-1 does not occur
    """
    options = options or HeadTraining()
    labels = np.unique(truth)
    if len(labels) < 2 or not np.array_equal(labels, np.arange(len(labels))):
        raise InputError(f"clips of the labels {labels.tolist()} only; give clips of every label")
    kind = find_kind(options.kind)
    wanted = kind.standardise if options.standardise is None else options.standardise
    scale = scaling_of(rows) if wanted and kind.type != "forest" else {}
    with sklearn_errors():
        arrays = FITS[options.kind](rows, truth, params, options.seed, scale)
    return TrainedHead(kind.type, len(labels), arrays, params)


def fit_best_on_val(
    rows: F32, truth: I64, val_rows: F32, val_truth: I64, options: HeadTraining | None = None
) -> tuple[TrainedHead, list[dict[str, Any]]]:
    """Return the head that does best on the val clips, calibrated on them, and what was tried.

    Best is the highest mean of accuracy and UAR; the temperature has the lowest cross entropy.
    """
    options = options or HeadTraining()
    tried, heads = [], []
    for params in options.candidates():
        head = fit(rows, truth, params, options)
        found = label_metrics(head.logits(val_rows).argmax(1), val_truth, range(head.labels))
        tried.append({**params, "accuracy": found["accuracy"], "uar": found["uar"]})
        heads.append(head)
    best = int(np.argmax([facts["accuracy"] + facts["uar"] for facts in tried]))
    heat = fit_temperature(heads[best].logits(val_rows), val_truth)
    tried[best] |= {"chosen": True, "temperature": heat}
    return heads[best].calibrated(heat), tried


def fit_temperature(logits: F64, truth: I64) -> float:
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


def evaluate_head(
    head: TrainedHead, rows: F32, truth: I64, labels: Sequence[str]
) -> dict[str, Any]:
    """Return the scores on clips, with the calibration error of the probabilities."""
    return evaluate_probabilities(head(rows), truth, labels)


def evaluate_probabilities(
    probabilities: F32,
    truth: I64,
    labels: Sequence[str],
    faceless: I64 | None = None,
    units: tuple[I64, I64] | None = None,
) -> dict[str, Any]:
    """Return the scores of probabilities (K, C), with their calibration error.

    faceless: the labels of clips without an answer; where given, `all` tells the scores in
        which they count as wrong
    units: the numbers of the people in clips with and without an answer, or of the videos of which
        they are parts; intervals then draw these, since clips of one person are alike
    """
    found = probabilities.argmax(1).astype(np.int64)
    facts = label_metrics(found, truth, labels) | {
        "ece": round(calibration_error(probabilities, truth), 4)
    }
    if units is not None:
        facts |= group_intervals(found, truth, len(labels), units[0])
    if faceless is None:
        return facts
    silent = np.full(len(faceless), -1, np.int64)
    found, every = np.concatenate([found, silent]), np.concatenate([truth, faceless])
    whole = label_metrics(found, every, labels)
    if units is not None:
        whole |= group_intervals(found, every, len(labels), np.concatenate(units))
    kept = ("n", "accuracy", "interval", "uar", "uar_interval", "wilson", "subjects")
    return facts | {"all": {key: whole[key] for key in kept if key in whole}}


def group_intervals(found: I64, truth: I64, labels: int, units: I64) -> dict[str, Any]:
    """Return 95 % intervals of accuracy and UAR from drawing units anew, as `evaluate` gives them.

    found: -1 is no answer
    The Wilson interval, which takes clips for independent, stands beside them, and that of the
    accuracy is never narrower: where all people's clips are right, drawing them shows no doubt.
    """
    wide = labels + 1
    parts = np.zeros((len(truth), labels * wide))
    parts[np.arange(len(truth)), truth * wide + found % wide] = 1  # -1 is the last column
    ends = bootstrap(
        lambda sums: overall_metrics(sums.reshape(-1, labels, wide)), parts, units.tolist()
    )
    alone = wilson_interval(int((found == truth).sum()), len(truth))
    low, high = ends["accuracy"] or alone
    return {
        "interval": [min(low, alone[0]), max(high, alone[1])],
        "uar_interval": ends["uar"],
        "wilson": alone,
        "subjects": len(np.unique(units)),
    }


def _out_of_fold_logits(
    rows: F32, truth: I64, splits: Sequence[Fold], params: Params, options: HeadTraining
) -> F64:
    """Return decisions (K, C) on every row, by heads that were fitted without it."""
    logits = np.zeros((len(truth), int(truth.max()) + 1))
    for seen, unseen in splits:
        logits[unseen] = fit(rows[seen], truth[seen], params, options).logits(rows[unseen])
    return logits


def _params_text(params: Params) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items())
