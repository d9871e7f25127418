"""Heads: plain arrays that answer as scikit-learn does, calibrated and measured."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from videmo.errors import InputError, UnknownName
from videmo.train.head import (
    HEAD_KINDS,
    HeadTraining,
    cross_entropy,
    cross_validate,
    evaluate_head,
    evaluate_probabilities,
    fit,
    fit_best,
    fit_best_on_val,
    fit_temperature,
    split_folds,
)

QUICK = {
    "logistic": {"C": 10, "balanced": True},
    "svm": {"C": 1, "balanced": True},
    "rbf": {"C": 2, "gamma": 0.5, "balanced": True},
    "forest": {"trees": 20, "depth": 4, "balanced": True},
    "mlp": {"width": 8, "alpha": 0.1},
}


def clips(rng: np.random.Generator, labels: int = 3, count: int = 90):
    """Return descriptors around one centre a label, of length 1, and the labels."""
    truth = np.arange(count) % labels
    rows = rng.normal(0, 0.6, (count, 12)) + np.eye(12)[truth]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), truth


def theirs(kind: str, rows: np.ndarray, truth: np.ndarray):
    """Return scikit-learn's own model of a kind, fitted; rows are standardised as it wants it."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC

    model = {
        "logistic": LogisticRegression(C=10, class_weight="balanced", max_iter=3000),
        "svm": LinearSVC(C=1, class_weight="balanced", random_state=0, dual="auto"),
        "rbf": OneVsRestClassifier(SVC(C=2, gamma=0.5 / rows.shape[1], class_weight="balanced")),
        "forest": RandomForestClassifier(20, max_depth=4, class_weight="balanced", random_state=0),
        "mlp": MLPClassifier((8,), alpha=0.1, random_state=0, max_iter=300),
    }[kind]
    wanted = [StandardScaler()] if kind in ("rbf", "mlp") else []
    return make_pipeline(*wanted, model).fit(
        rows.astype(np.float64 if wanted else rows.dtype), truth
    )


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # stopped at 300 steps, as ours is
@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_head_answers_as_scikit_learn_does(
    rng: np.random.Generator, kind: str, labels: int
) -> None:
    rows, truth = clips(rng, labels)
    unseen, _ = clips(rng, labels)
    head = fit(rows, truth, QUICK[kind], HeadTraining(kind=kind))
    model = theirs(kind, rows, truth)
    if kind in ("svm", "rbf"):
        found, expected = head.logits(unseen), model.decision_function(unseen)
        found = found[:, 1] - found[:, 0] if labels == 2 else found
    else:
        found, expected = head(unseen), model.predict_proba(unseen)
    # float32 arrays of numbers around 1; an MLP is led through 300 steps by rows rounded at 1e-7
    assert found == pytest.approx(expected, abs=1e-3 if kind == "mlp" else 2e-6)


def test_a_forest_goes_left_exactly_where_scikit_learn_does(rng: np.random.Generator) -> None:
    # values on the cuts themselves, which rounding to float32 could push to the other side
    rows = rng.choice(np.array([0.1, 0.2, 0.3], np.float32), (60, 4))
    truth = (rows.sum(1) > 0.8).astype(np.int64)
    head = fit(rows, truth, QUICK["forest"], HeadTraining(kind="forest"))
    assert head(rows) == pytest.approx(theirs("forest", rows, truth).predict_proba(rows), abs=1e-6)


def test_a_column_that_never_changes_says_nothing(rng: np.random.Generator) -> None:
    rows, truth = clips(rng)
    rows[:, 3] = 0.25
    head = fit(rows, truth, QUICK["rbf"], HeadTraining(kind="rbf"))
    other = rows.copy()
    other[:, 3] = 99
    assert head(other) == pytest.approx(head(rows), abs=1e-6)


def test_a_label_that_does_not_occur_is_an_error(rng: np.random.Generator) -> None:
    rows, truth = clips(rng)
    with pytest.raises(InputError, match=r"clips of the labels \[0, 2\] only"):
        fit(rows[truth != 1], truth[truth != 1], QUICK["logistic"])


def test_the_temperature_undoes_logits_that_are_too_sure(rng: np.random.Generator) -> None:
    logits = rng.normal(0, 2, (4000, 3))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in chances])
    # 4,000 clips drawn with these chances: the best temperature is 5 to a few percent
    assert fit_temperature(5 * logits, truth) == pytest.approx(5, rel=0.08)


def test_choosing_calibrates_on_the_val_clips(rng: np.random.Generator) -> None:
    rows, truth = clips(rng, count=150)
    val_rows, val_truth = clips(rng, count=150)
    options = HeadTraining(grid={"C": (1, 1000)})
    head, tried = fit_best_on_val(rows, truth, val_rows, val_truth, options)
    assert len(tried) == 4 and sum("chosen" in facts for facts in tried) == 1
    assert fit_temperature(head.logits(val_rows), val_truth) == pytest.approx(1, rel=0.02)


def test_cross_entropy_of_even_odds_is_the_logarithm_of_their_number() -> None:
    assert cross_entropy(np.zeros((5, 4)), np.arange(5) % 4) == pytest.approx(np.log(4))


def test_a_head_is_measured_with_its_calibration(rng: np.random.Generator) -> None:
    rows, truth = clips(rng)
    head = fit(rows, truth, QUICK["logistic"])
    found = evaluate_head(head, rows, truth, ["a", "b", "c"])
    assert 0 <= found["ece"] < 0.5 and found["n"] == len(truth)


def test_folds_part_no_subject_and_miss_no_label(rng: np.random.Generator) -> None:
    truth, groups = np.arange(120) % 3, np.arange(120) // 3 % 8
    for seen, unseen in split_folds(truth, groups, 4, seed=0):
        assert not set(groups[seen]) & set(groups[unseen])
        assert set(truth[seen]) == {0, 1, 2} and len(unseen)


def test_a_label_of_one_subject_cannot_be_parted() -> None:
    truth = np.array([0, 1] * 10 + [2] * 10)
    groups = np.array([*np.repeat(np.arange(5), 4), *[5] * 10])
    with pytest.raises(InputError, match="too few subjects to be parted into 3 folds"):
        split_folds(truth, groups, 3, seed=0)


def test_nothing_is_learned_of_labels_by_chance(rng: np.random.Generator) -> None:
    # the whole of the choosing stands inside each fold: of noise the figure is that of chance
    rows = rng.normal(size=(150, 200)).astype(np.float32)
    truth = np.arange(150) % 3
    options = HeadTraining(kind="svm", grid={"C": (0.01, 1), "balanced": (False,)})
    chances = cross_validate(rows, truth, None, options)
    assert 0.2 < (chances.argmax(1) == truth).mean() < 0.47  # 1/3, and 3.5 standard errors


def test_a_subjects_own_ways_do_not_help(rng: np.random.Generator) -> None:
    # each subject shows one label and has a place of its own, so a leak would be seen at once
    groups = np.repeat(np.arange(12), 10)
    truth = groups % 2
    rows = (rng.normal(size=(12, 16))[groups] + rng.normal(0, 0.05, (120, 16))).astype(np.float32)
    options = HeadTraining(kind="svm", grid={"C": (1,), "balanced": (False,)}, folds=4, inner=2)
    leaking, honest = (
        (cross_validate(rows, truth, by, options).argmax(1) == truth).mean()
        for by in (None, groups)
    )
    assert leaking > 0.99 and honest < 0.9


def test_the_same_seed_gives_the_same_head(rng: np.random.Generator) -> None:
    rows, truth = clips(rng, count=60)
    options = HeadTraining(kind="forest", grid={"trees": (5,), "depth": (2, 3)})
    one, two = (fit_best(rows, truth, None, options) for _ in range(2))
    assert one.params == two.params
    assert all((one.arrays[name] == two.arrays[name]).all() for name in one.arrays)


def test_learning_tells_all_that_was_tried_and_calibrates(rng: np.random.Generator) -> None:
    rows, truth = clips(rng, count=150)
    head = fit_best(rows, truth, None, HeadTraining(grid={"C": (0.1, 1000), "balanced": (False,)}))
    assert [facts["C"] for facts in head.tried] == [0.1, 1000]
    (chosen,) = [facts for facts in head.tried if facts.get("chosen")]
    assert chosen["C"] == head.params["C"] and chosen["uar"] == max(x["uar"] for x in head.tried)
    assert head.temperature != 1


def test_a_parameter_the_kind_has_not_is_an_error() -> None:
    with pytest.raises(InputError, match="forest has no 'C'; it has balanced, trees, depth"):
        HeadTraining(kind="forest", grid={"C": (1,)}).candidates()
    with pytest.raises(UnknownName, match="no kind of head is called 'tree'; there is logistic"):
        HeadTraining(kind="tree").candidates()


def test_clips_without_a_face_count_as_wrong_among_all() -> None:
    chances = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    facts = evaluate_probabilities(
        chances, np.array([0, 1, 1]), ["a", "b"], faceless=np.array([0, 0])
    )
    assert (facts["n"], facts["accuracy"]) == (3, 0.6667)
    assert (facts["all"]["n"], facts["all"]["accuracy"]) == (5, 0.4)
    assert facts["all"]["uar"] == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-4)
