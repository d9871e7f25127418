"""What scikit-learn fits, as plain float32 arrays: one function a kind of head."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from videmo.data import F32, I64, Array
from videmo.files.extras import missing_dependency

Arrays = dict[str, F32]
Params = Mapping[str, Any]


@contextmanager
def sklearn_errors() -> Iterator[None]:
    """Translate a missing scikit-learn; a fit that stopped early is judged by its scores alone."""
    try:
        from sklearn.exceptions import ConvergenceWarning
    except ImportError as error:
        raise missing_dependency("sklearn") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield


def scaling_of(rows: F32) -> Arrays:
    """Return mean and width of the columns; a column that never changes has the width 0."""
    spread = rows.std(0, dtype=np.float64)
    width = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    return {"mean": rows.mean(0, dtype=np.float64).astype(np.float32), "width": _f32(width)}


def _scaled(rows: F32, scale: Arrays) -> Array:
    """Return the rows as an ArrayHead standardises them."""
    if not scale:
        return rows
    mean, width = (scale[name].astype(np.float64) for name in ("mean", "width"))
    return np.asarray((rows.astype(np.float64) - mean) * width)


def _fit_logistic(rows: F32, truth: I64, params: Params, seed: int, scale: Arrays) -> Arrays:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=params["C"], class_weight=_class_weight(params), max_iter=3000)
    model.fit(_scaled(rows, scale), truth)
    return scale | _dense(model.coef_, model.intercept_)


def _fit_svm(rows: F32, truth: I64, params: Params, seed: int, scale: Arrays) -> Arrays:
    from sklearn.svm import LinearSVC

    model = LinearSVC(
        C=params["C"],
        class_weight=_class_weight(params),
        random_state=seed,
        max_iter=5000,
        dual="auto",
    )
    model.fit(_scaled(rows, scale), truth)
    return scale | _dense(model.coef_, model.intercept_)


def _fit_rbf(rows: F32, truth: I64, params: Params, seed: int, scale: Arrays) -> Arrays:
    """Fit one machine a label against the rest, as OneVsRestClassifier(SVC()) does."""
    from sklearn.svm import SVC

    columns = rows.shape[1]
    gamma = params["gamma"] / max(columns * float(_scaled(rows, scale).var()), 1e-12)
    width = scale.get("width", np.ones(columns, np.float32)).astype(np.float64)
    scale = {"mean": np.zeros(columns, np.float32), **scale, "width": _f32(width * gamma**0.5)}
    values = _scaled(rows, scale)
    labels = np.unique(truth)
    weight, bias = np.zeros((len(labels), len(rows))), np.zeros(len(labels))
    for label in labels if len(labels) > 2 else labels[1:]:  # of two, one says it all
        model = SVC(C=params["C"], gamma=1.0, class_weight=_class_weight(params))
        model.fit(values, truth == label)
        weight[label, model.support_], bias[label] = model.dual_coef_[0], model.intercept_[0]
    used = weight.any(0)
    return scale | {"weight": _f32(weight[:, used]), "bias": _f32(bias), "support": rows[used]}


def _fit_forest(rows: F32, truth: I64, params: Params, seed: int, scale: Arrays) -> Arrays:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        params["trees"],
        max_depth=params["depth"],
        class_weight=_class_weight(params),
        random_state=seed,
    )
    model.fit(rows, truth)
    trees = [tree.tree_ for tree in model.estimators_]
    root = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    nodes = [_nodes(tree, int(first)) for tree, first in zip(trees, root, strict=True)]
    joined = {name: _f32(np.concatenate([one[name] for one in nodes])) for name in nodes[0]}
    return joined | {"root": _f32(root), "columns": np.array([rows.shape[1]], np.float32)}


def _nodes(tree: Any, first: int) -> dict[str, Array]:
    """Return the nodes of one tree, whose numbers begin with `first`; a leaf is its own child."""
    here, leaf = np.arange(tree.node_count), tree.children_left < 0
    value = tree.value[:, 0]
    cut = tree.threshold.astype(np.float32)
    low = np.nextafter(cut, np.float32(-np.inf))
    return {
        "feature": np.where(leaf, 0, tree.feature),
        # the largest float32 that is not above the cut parts float32 values as the cut does
        "threshold": np.where(cut > tree.threshold, low, cut),
        "left": first + np.where(leaf, here, tree.children_left),
        "right": first + np.where(leaf, here, tree.children_right),
        "value": value / value.sum(1, keepdims=True),
    }


def _fit_mlp(rows: F32, truth: I64, params: Params, seed: int, scale: Arrays) -> Arrays:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (params["width"],), alpha=params["alpha"], random_state=seed, max_iter=300
    )
    model.fit(_scaled(rows, scale), truth)
    *inner, last = zip(model.coefs_, model.intercepts_, strict=True)
    layers = [*inner, tuple(_dense(last[0].T, last[1]).values())]
    arrays = dict(scale)
    for number, (weight, bias) in enumerate(layers):
        arrays[f"weight.{number}"] = _f32(weight.T if number < len(inner) else weight)
        arrays[f"bias.{number}"] = _f32(bias)
    return arrays


def _dense(weight: Array, bias: Array) -> Arrays:
    """Return weight (C, X) and bias (C,), also of two labels, which scikit-learn keeps as one."""
    if len(weight) == 1:  # a logistic of the difference
        weight, bias = np.concatenate([0 * weight, weight]), np.append(0.0, bias)
    return {"weight": _f32(weight), "bias": _f32(bias)}


def _class_weight(params: Params) -> str | None:
    return "balanced" if params["balanced"] else None


def _f32(array: Array) -> F32:
    return np.ascontiguousarray(array, np.float32)


FITS: dict[str, Callable[[F32, I64, Params, int, Arrays], Arrays]] = {
    "logistic": _fit_logistic,
    "svm": _fit_svm,
    "rbf": _fit_rbf,
    "forest": _fit_forest,
    "mlp": _fit_mlp,
}
