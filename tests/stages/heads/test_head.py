"""One suite for every head: each is its scikit-learn model, and a row is a row alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from videmo.data import Descriptor
from videmo.errors import UnknownName
from videmo.stages.heads import HEADS, Head, HeadSpec, make_head, predict, softmax

LABELS = ("angry", "happy", "sad")
COLUMNS = 12


def clips(rng: np.random.Generator, rows: int = 90) -> tuple[np.ndarray, np.ndarray]:
    truth = np.arange(rows) % len(LABELS)
    centre = rng.normal(size=(len(LABELS), COLUMNS))
    values = centre[truth] + rng.normal(0, 1.5, (rows, COLUMNS))
    return values.astype(np.float32), truth


def linear(rng: np.random.Generator) -> tuple[Any, dict[str, np.ndarray]]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=2000).fit(*clips(rng))
    return model, {"weight": model.coef_, "bias": model.intercept_}


def mlp(rng: np.random.Generator) -> tuple[Any, dict[str, np.ndarray]]:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((16, 8), learning_rate_init=0.03, random_state=0)
    values, truth = clips(rng)
    for _ in range(20):  # enough to leave the random start
        model.partial_fit(values, truth, classes=np.arange(len(LABELS)))
    arrays = {f"weight.{i}": w.T for i, w in enumerate(model.coefs_)}
    return model, arrays | {f"bias.{i}": b for i, b in enumerate(model.intercepts_)}


class OneVsRest:
    """scikit-learn's SVMs, one a label; probabilities are the softmax of their decisions."""

    def __init__(self, values: np.ndarray, truth: np.ndarray) -> None:
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.svm import SVC

        self.model = OneVsRestClassifier(SVC(C=3, gamma=1.0)).fit(values, truth)

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return softmax(self.model.decision_function(rows * WIDTH))


WIDTH = 0.2  # of a column, so that gamma is its square


def rbf(rng: np.random.Generator) -> tuple[Any, dict[str, np.ndarray]]:
    values, truth = clips(rng)
    model = OneVsRest(values * WIDTH, truth)
    weight = np.zeros((len(LABELS), len(values)))
    for row, one in zip(weight, model.model.estimators_, strict=True):
        row[one.support_] = one.dual_coef_[0]
    bias = np.array([one.intercept_[0] for one in model.model.estimators_])
    width = np.full(COLUMNS, WIDTH)
    return model, {"weight": weight, "bias": bias, "support": values, "width": width}


def forest(rng: np.random.Generator) -> tuple[Any, dict[str, np.ndarray]]:
    """Three trees of depth 4, as videmo.train.head writes them."""
    from sklearn.ensemble import RandomForestClassifier

    from videmo.train.head import HeadTraining, fit

    values, truth = clips(rng)
    params = {"trees": 3, "depth": 4, "balanced": False}
    model = RandomForestClassifier(3, max_depth=4, random_state=0).fit(values, truth)
    return model, fit(values, truth, params, HeadTraining(kind="forest")).arrays


LEARNT = {"linear": linear, "mlp": mlp, "rbf": rbf, "forest": forest}
DENSE = ("linear", "mlp", "rbf")
NOT_LEARNT = {"attention", "given", "sums"}  # tried in test_windows.py, test_answers.py, below


def test_every_head_is_tried() -> None:
    assert set(HEADS) == {*LEARNT} | NOT_LEARNT


@pytest.fixture(scope="module", params=sorted(LEARNT))
def learnt(request: pytest.FixtureRequest) -> tuple[Any, HeadSpec, dict[str, np.ndarray]]:
    """A scikit-learn model, and the spec and arrays of the head that stands for it."""
    model, arrays = LEARNT[request.param](np.random.default_rng(1))
    return model, HeadSpec(request.param, LABELS), arrays


@pytest.fixture(params=DENSE)
def dense(request: pytest.FixtureRequest) -> tuple[HeadSpec, dict[str, np.ndarray]]:
    """The spec and arrays of a head that ends in a weight and a bias."""
    arrays = LEARNT[request.param](np.random.default_rng(1))[1]
    return HeadSpec(request.param, LABELS), arrays


@pytest.fixture
def head(learnt) -> Head:
    _, spec, arrays = learnt
    return make_head(spec, arrays)


@pytest.fixture
def rows(rng) -> np.ndarray:
    return rng.normal(0, 3, (40, COLUMNS)).astype(np.float32)


def test_it_says_what_scikit_learn_says(learnt, head: Head, rows: np.ndarray) -> None:
    model, _, _ = learnt
    np.testing.assert_allclose(head(rows), model.predict_proba(rows), atol=1e-6)


def test_arrays_of_32_bits_say_nearly_the_same(learnt, rows: np.ndarray) -> None:
    model, spec, arrays = learnt
    small = make_head(spec, {k: v.astype(np.float32) for k, v in arrays.items()})
    np.testing.assert_allclose(small(rows), model.predict_proba(rows), atol=1e-5)


def test_rows_are_probabilities_that_sum_to_one(head: Head, rows: np.ndarray) -> None:
    got = head(rows)
    assert got.shape == (40, 3) and got.dtype == np.float32
    assert (got >= 0).all()
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-6)


def test_a_row_does_not_depend_on_the_others(head: Head, rows: np.ndarray) -> None:
    alone = np.concatenate([head(row[None]) for row in rows])
    np.testing.assert_allclose(head(rows), alone, atol=1e-7)  # float32 of a float64 result
    np.testing.assert_allclose(head(rows[::-1])[::-1], alone, atol=1e-7)


def test_zero_rows_give_zero_rows(head: Head) -> None:
    got = head(np.zeros((0, COLUMNS), np.float32))
    assert got.shape == (0, 3) and got.dtype == np.float32


def test_great_numbers_do_not_overflow(head: Head, rows: np.ndarray) -> None:
    got = head(rows * np.float32(1e6))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-6)


def test_rows_and_arrays_are_left_as_they_were(learnt, rows: np.ndarray) -> None:
    _, spec, arrays = learnt
    before, kept = rows.copy(), {k: v.copy() for k, v in arrays.items()}
    make_head(spec, arrays)(rows)
    assert (rows == before).all()
    assert all((arrays[k] == kept[k]).all() for k in kept)


@pytest.mark.parametrize("columns", [COLUMNS - 1, COLUMNS + 1])
def test_rows_of_another_width_are_refused(head: Head, columns: int) -> None:
    with pytest.raises(ValueError, match=f"{columns} columns, expected {COLUMNS}"):
        head(np.zeros((2, columns), np.float32))


def test_another_number_of_labels_is_refused(learnt) -> None:
    _, spec, arrays = learnt
    with pytest.raises(ValueError, match="3 labels, expected 2"):
        make_head(HeadSpec(spec.type, LABELS[:2]), arrays)


def test_no_arrays_at_all_are_refused(learnt) -> None:
    _, spec, _ = learnt
    with pytest.raises(ValueError, match=r"the head's weights lack (weight|value)"):
        make_head(spec, {})


def test_a_missing_array_is_named(learnt) -> None:
    _, spec, arrays = learnt
    needed = [name for name in arrays if name != "width" and not name.startswith("weight.")]
    for name in needed:  # the number of an MLP's layers is that of its weights
        with pytest.raises(ValueError, match=f"lack .*{name}"):
            make_head(spec, {k: v for k, v in arrays.items() if k != name})


def test_a_bias_of_another_length_is_refused(dense) -> None:
    spec, arrays = dense
    bias = next(k for k in arrays if k.startswith("bias"))
    with pytest.raises(ValueError, match=rf"{bias} is \(\d+,\), expected \(C, X\) and \(C,\)"):
        make_head(spec, arrays | {bias: arrays[bias][:-1]})


def test_a_weight_that_is_no_matrix_is_refused(dense) -> None:
    spec, arrays = dense
    weight = next(k for k in arrays if k.startswith("weight"))
    with pytest.raises(ValueError, match=weight):
        make_head(spec, arrays | {weight: arrays[weight][0]})


def test_standardising_and_cooling_are_arrays_like_others(dense, rng, rows: np.ndarray) -> None:
    spec, arrays = dense
    mean, width = rng.normal(size=COLUMNS), rng.uniform(0.5, 2, COLUMNS)
    if spec.type == "rbf":
        arrays = arrays | {"width": np.ones(COLUMNS)}
        support = arrays["support"] / width + mean  # is standardised as the rows are
    more = {"mean": mean, "width": width, "temperature": np.array([2.0])}
    moved = arrays | more | ({"support": support} if spec.type == "rbf" else {})
    got = make_head(spec, moved)(rows)
    plain = make_head(spec, arrays)((rows - mean) * width)
    expected = np.sqrt(plain.astype(np.float64))  # softmax of halved decisions
    np.testing.assert_allclose(got, expected / expected.sum(1, keepdims=True), atol=1e-6)


def test_support_vectors_are_as_many_as_weights() -> None:
    arrays = rbf(np.random.default_rng(1))[1]
    with pytest.raises(ValueError, match="89 support vectors, expected 90"):
        make_head(HeadSpec("rbf", LABELS), arrays | {"support": arrays["support"][1:]})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("left", 0, "a child that stands before it"),
        ("right", 1e6, "right has numbers outside"),
        ("feature", COLUMNS, f"feature has numbers outside 0..{COLUMNS - 1}"),
        ("root", -1, "root has numbers outside"),
    ],
)
def test_a_forest_that_would_not_end_is_refused(name: str, value: float, said: str) -> None:
    arrays = forest(np.random.default_rng(1))[1]
    broken = arrays[name].copy()
    broken[-1] = value
    with pytest.raises(ValueError, match=said):
        make_head(HeadSpec("forest", LABELS), arrays | {name: broken})


def test_layers_that_do_not_meet_are_refused_when_the_head_is_made(rng) -> None:
    shapes = {"weight.0": (8, COLUMNS), "bias.0": (8,), "weight.1": (3, 7), "bias.1": (3,)}
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    with pytest.raises(ValueError, match="8 columns, expected 7"):
        make_head(HeadSpec("mlp", LABELS), arrays)


def test_a_descriptor_is_told_with_its_labels(learnt, head: Head, rows: np.ndarray) -> None:
    _, spec, _ = learnt
    descriptor = Descriptor(rows[0], faces=2, frames=2, seen=3)
    got = predict(head, spec, descriptor)
    assert got.labels == LABELS and got.descriptor is descriptor
    np.testing.assert_array_equal(got.scores, head(rows[:1])[0])
    assert got.label == LABELS[int(got.scores.argmax())]


def test_an_mlp_without_hidden_layers_is_the_linear_head(rows: np.ndarray) -> None:
    _, arrays = linear(np.random.default_rng(1))
    flat = make_head(HeadSpec("mlp", LABELS), {f"{k}.0": v for k, v in arrays.items()})
    straight = make_head(HeadSpec("linear", LABELS), arrays)
    np.testing.assert_allclose(flat(rows), straight(rows), atol=1e-7)


def test_a_head_nobody_knows_lists_the_heads() -> None:
    with pytest.raises(UnknownName, match="no head is called 'oracle'; there is linear, mlp, rbf"):
        make_head(HeadSpec("oracle", LABELS), {})


def test_softmax_is_its_formula() -> None:
    got = softmax(np.array([[0.0, np.log(3)], [1000.0, 1000.0]]))
    np.testing.assert_allclose(got, [[0.25, 0.75], [0.5, 0.5]], atol=1e-7)


def test_sums_are_of_probabilities_and_are_sharpened() -> None:
    onto = np.array([[1, 0, 0, 0], [0, 1, 1, 0]], np.float32)  # the fourth is left out
    rows = np.array([[0.4, 0.1, 0.2, 0.3]], np.float32)
    spec = HeadSpec("sums", ("a", "b"))
    assert make_head(spec, {"onto": onto})(rows)[0] == pytest.approx([4 / 7, 3 / 7])
    half = {"onto": onto, "temperature": np.array([0.5], np.float32)}
    assert make_head(spec, half)(rows)[0] == pytest.approx([16 / 25, 9 / 25])
    assert make_head(spec, half)(np.eye(4, dtype=np.float32)).sum(1) == pytest.approx(1)
