"""How well labels and numbers were found: shares with their intervals, F1, calibration, CCC."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from videmo.data import F64, I64

DRAWS = 2000  # of a bootstrap: the ends of its interval then move by about 2 % of its width
_BLOCK = 1 << 22  # counts drawn at a time, 32 MiB

Statistic = Callable[[F64], Mapping[str, F64]]


def label_metrics(
    found: NDArray[np.int64], truth: NDArray[np.int64], labels: Sequence[Any]
) -> dict[str, Any]:
    """Return accuracy with its 95 % interval, UAR, recall by label and the confusion matrix.

    UAR is the mean recall of the labels that occur. Confusion: a row a true label.
    found: -1 is no answer, which is wrong; `no_answer` then counts these by true label
    """
    matrix = confusion_matrix(found, truth, len(labels))
    counts, right = matrix.sum(1), matrix.diagonal()
    recall = {
        label: {
            "n": int(n),
            "recall": round(float(k / n), 4),
            "interval": wilson_interval(int(k), int(n)),
        }
        for label, k, n in zip(labels, right, counts, strict=True)
        if n
    }
    silent = matrix[:, -1]
    return {
        "n": len(truth),
        "accuracy": round(float(right.sum() / len(truth)), 4),
        "interval": wilson_interval(int(right.sum()), len(truth)),
        "uar": round(float(np.mean([entry["recall"] for entry in recall.values()])), 4),
        "recall": recall,
        "confusion": matrix[:, :-1].tolist(),
        **({"no_answer": silent.tolist()} if silent.any() else {}),
    }


def confusion_matrix(found: NDArray[np.int64], truth: NDArray[np.int64], labels: int) -> I64:
    """Return counts (C, C + 1): a row a true label, a column a found one, the last no answer (-1).

    Raises ValueError for a number that is no label.
    """
    if len(truth) and not (truth.min() >= 0 and truth.max() < labels):
        raise ValueError(f"truth has {truth.min()} to {truth.max()}, expected 0 to {labels - 1}")
    if len(found) and not (found.min() >= -1 and found.max() < labels):
        raise ValueError(f"found has {found.min()} to {found.max()}, expected -1 to {labels - 1}")
    matrix = np.zeros((labels, labels + 1), np.int64)
    np.add.at(matrix, (truth, found), 1)  # -1 is the last column
    return matrix


def overall_metrics(matrices: NDArray[Any]) -> dict[str, F64]:
    """Return accuracy, uar, macro_f1 and weighted_f1 of confusion matrices (..., C, C + 1).

    accuracy: also called WAR, for the recalls weighted by the counts of their labels are it
    uar: the mean recall of the labels that occur in the truth
    macro_f1: the mean F1 of the labels that occur in the truth or were found, as scikit-learn's
    weighted_f1: that mean weighted by the counts in the truth
    A label that occurs and is never found has recall, precision and F1 of 0, and counts. One that
    is found and does not occur has F1 of 0 and no recall.
    """
    matrices = np.asarray(matrices, np.float64)
    right = np.diagonal(matrices[..., :-1], axis1=-2, axis2=-1)
    true, found = matrices.sum(-1), matrices[..., :-1].sum(-2)
    f1 = _ratio(2 * right, true + found)
    return {
        "accuracy": _ratio(right.sum(-1), true.sum(-1)),
        "uar": _ratio(_ratio(right, true).sum(-1), (true > 0).sum(-1)),
        "macro_f1": _ratio(f1.sum(-1), (true + found > 0).sum(-1)),
        "weighted_f1": _ratio((f1 * true).sum(-1), true.sum(-1)),
    }


def per_label_metrics(matrix: I64, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return recall, precision (with Wilson intervals) and F1 for each label of `confusion_matrix`.

    n: how often it is true; found: how often it was answered. What has no clips is None.
    """
    right, true, found = matrix.diagonal(), matrix.sum(1), matrix[:, :-1].sum(0)
    return {
        label: {
            "n": int(n),
            "found": int(m),
            "recall": _share(k, n),
            "recall_interval": wilson_interval(int(k), int(n)) if n else None,
            "precision": _share(k, m),
            "precision_interval": wilson_interval(int(k), int(m)) if m else None,
            "f1": _share(2 * k, n + m),
        }
        for label, k, n, m in zip(labels, right, true, found, strict=True)
    }


def wilson_interval(right: int, n: int) -> list[float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z, share = 1.959964, right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return [round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)]


def cohen_kappa(tables: NDArray[Any]) -> F64:
    """Return Cohen's kappa (1960) of tables (..., C, C), a row a label of one side.

    (share that is the same - share expected) / (1 - share expected), where the latter is what two
    would share who answer each label as often, and by chance. NaN where both always give one label.
    """
    tables = np.asarray(tables, np.float64)
    n = tables.sum((-1, -2))
    same = np.trace(tables, axis1=-2, axis2=-1) / n
    chance = (tables.sum(-1) * tables.sum(-2)).sum(-1) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(chance < 1, (same - chance) / (1 - chance), np.nan))


def mcnemar_test(only_a: int, only_b: int) -> dict[str, Any]:
    """Return whether two runs differ in how often they are right (McNemar 1947), by paired clips.

    only_a, only_b: clips that one of them has right and the other has not; up to 1,000 together
        p is that of the binomial test, two-sided, above that of chi squared with the continuity
        correction of Edwards 1948
    """
    n = only_a + only_b
    if n <= 1000:
        tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
        p, method = min(1.0, 2 * tail / 2**n), "exact"
    else:
        p, method = math.erfc(math.sqrt((abs(only_a - only_b) - 1) ** 2 / n / 2)), "chi2"
    return {"only_a": only_a, "only_b": only_b, "p": float(f"{p:.4g}"), "method": method}


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


def brier_score(probabilities: NDArray[np.floating[Any]], truth: NDArray[np.int64]) -> float:
    """Return the mean squared distance to the truth as 0 and 1, summed over labels: 0 to 2.

    After Brier 1950; for two labels it is twice what scikit-learn gives.
    """
    sure = np.eye(probabilities.shape[1])[truth]
    return float(((np.asarray(probabilities, np.float64) - sure) ** 2).sum(1).mean())


def agreement_terms(found: NDArray[Any], truth: NDArray[Any]) -> F64:
    """Return what each of N pairs of numbers adds to the sums that `agreement` reads, (N, 7).

    Both are counted from the mean of the truth, so that squares of large numbers do not drown
    the differences that matter.
    """
    origin = np.mean(np.asarray(truth, np.float64))
    x, y = np.asarray(found, np.float64) - origin, np.asarray(truth, np.float64) - origin
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, abs(x - y)], axis=-1)


def agreement(sums: F64) -> dict[str, F64]:
    """Return ccc, pcc, mae and rmse from sums (..., 7) over the rows of `agreement_terms`.

    pcc: Pearson's r. ccc: Lin 1989, 2 cov / (var x + var y + (mean x - mean y)^2) with the
    variances of the sample at hand (division by N). NaN where that is 0 / 0: for pcc where one
    side never varies, for ccc where neither does and both are equal.
    """
    count, *rest = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    x, y, xx, yy, xy, apart = (part / count for part in rest)
    var_x, var_y, cov = np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0), xy - x * y
    varies = (var_x > 1e-12 * xx) & (var_y > 1e-12 * yy)  # what rounding leaves is no variance
    spread = var_x + var_y + (x - y) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        pcc = np.where(varies, cov / np.sqrt(var_x * var_y), np.nan)
        ccc = np.where(spread > 1e-12 * (xx + yy), 2 * cov / spread, np.nan)
    rmse = np.sqrt(np.maximum(xx - 2 * xy + yy, 0))
    return {"ccc": ccc, "pcc": pcc, "mae": apart, "rmse": rmse}


def bootstrap(
    measure: Statistic,
    parts: NDArray[Any],
    units: Sequence[Any] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, list[float] | None]:
    """Return the 95 % percentile interval (Efron 1979) of every figure of `measure`.

    measure: takes sums (B, K) of the parts of B samples and gives figures (B,) by name
    parts: (N, K), what each clip adds to the sums
    units: the subject of each clip; whole subjects are then drawn, for clips of one person are
        alike. None draws clips.

    The order of the clips makes no difference. None where fewer than two units can be drawn, or
    where a figure is not defined.
    """
    parts = np.asarray(parts, np.float64)
    if units is not None:
        names, place = np.unique(np.asarray(units), return_inverse=True)
        summed = np.zeros((len(names), parts.shape[1]))
        np.add.at(summed, place.ravel(), parts)
        parts = summed
    if len(parts) < 2:
        return dict.fromkeys(measure(parts.sum(0, keepdims=True)))
    return {
        name: _interval(values)
        for name, values in _bootstrap_samples(measure, parts, draws, seed).items()
    }


def _bootstrap_samples(measure: Statistic, parts: F64, draws: int, seed: int) -> dict[str, F64]:
    """Return each figure of `draws` samples; units that are alike are drawn as one kind."""
    rng = np.random.default_rng(seed)
    kinds, count = np.unique(parts, axis=0, return_counts=True)
    block = max(1, _BLOCK // max(kinds.shape))
    done: list[Mapping[str, F64]] = []
    for begun in range(0, draws, block):
        size = min(block, draws - begun)
        times = rng.multinomial(len(parts), count / len(parts), size)  # (B, kinds)
        done.append(measure(times @ kinds))
    return {name: np.concatenate([figures[name] for figures in done]) for name in done[0]}


def _interval(values: F64) -> list[float] | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return [round(float(end), 4) for end in np.percentile(values, [2.5, 97.5])]


def _ratio(part: Any, whole: Any) -> F64:
    """Return part / whole, 0 where the whole is."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    zeros = np.zeros(np.broadcast(part, whole).shape)
    return np.asarray(np.divide(part, whole, out=zeros, where=whole > 0))


def _share(part: int, whole: int) -> float | None:
    return round(float(part / whole), 4) if whole else None
