"""Figures that are printed beside models."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.evaluate.metrics import (
    agreement,
    agreement_terms,
    bootstrap,
    brier_score,
    calibration_error,
    confusion_matrix,
    label_metrics,
    overall_metrics,
    per_label_metrics,
    wilson_interval,
)

metrics = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def answers(rng):
    truth = rng.integers(0, 3, 200)
    found = np.where(rng.random(200) < 0.7, truth, rng.integers(0, 3, 200))
    return found, truth


def test_scores_equal_those_of_scikit_learn(answers):
    found, truth = answers
    got = label_metrics(found, truth, ["a", "b", "c"])
    assert got["accuracy"] == pytest.approx(metrics.accuracy_score(truth, found), abs=1e-4)
    assert got["uar"] == pytest.approx(metrics.balanced_accuracy_score(truth, found), abs=1e-4)
    assert got["confusion"] == metrics.confusion_matrix(truth, found).tolist()
    recall = metrics.recall_score(truth, found, average=None)
    assert [r["recall"] for r in got["recall"].values()] == pytest.approx(recall, abs=1e-4)


def test_a_label_that_does_not_occur_is_left_out_of_the_mean():
    got = label_metrics(np.array([0, 1]), np.array([0, 0]), ["a", "b"])
    assert got["uar"] == 0.5
    assert list(got["recall"]) == ["a"]


def test_the_interval_is_wilsons():
    # Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662 by Wilson's score method
    assert wilson_interval(81, 263) == [0.2553, 0.3662]
    assert wilson_interval(0, 20)[0] == 0
    # R, binom::binom.confint(80, 100, methods = "wilson")
    assert wilson_interval(80, 100) == [0.7112, 0.8666]


def test_perfect_confidence_has_no_calibration_error():
    sure = np.eye(3)[[0, 1, 2, 1]]
    assert calibration_error(sure, np.array([0, 1, 2, 1])) == 0
    assert calibration_error(sure, np.array([1, 2, 0, 0])) == 1


def test_an_answer_that_is_always_right_and_half_sure_is_off_by_a_half():
    chances = np.array([[0.5, 0.25, 0.25]] * 10)
    assert calibration_error(chances, np.zeros(10, np.int64)) == pytest.approx(0.5)


def test_shares_equal_those_of_scikit_learn(answers):
    found, truth = answers
    got = overall_metrics(confusion_matrix(found, truth, 3))
    assert got["accuracy"] == pytest.approx(metrics.accuracy_score(truth, found), abs=1e-12)
    assert got["uar"] == pytest.approx(metrics.balanced_accuracy_score(truth, found), abs=1e-12)
    for name in ("macro", "weighted"):
        expected = metrics.f1_score(truth, found, average=name)
        assert got[f"{name}_f1"] == pytest.approx(expected, abs=1e-12)


def test_accuracy_is_war_the_recalls_weighted_by_their_counts(answers):
    found, truth = answers
    recall = metrics.recall_score(truth, found, average="weighted")
    assert overall_metrics(confusion_matrix(found, truth, 3))["accuracy"] == pytest.approx(
        recall, abs=1e-12
    )


def test_a_label_that_is_never_found_counts_as_zero():
    found, truth = np.array([0, 0, 1]), np.array([0, 2, 1])
    got = overall_metrics(
        confusion_matrix(found, truth, 4)
    )  # label 3 neither occurs nor is found: left out
    assert got["uar"] == pytest.approx(2 / 3)
    assert got["macro_f1"] == pytest.approx(
        metrics.f1_score(truth, found, average="macro", zero_division=0)
    )


def test_a_label_that_is_found_and_does_not_occur_costs_f1_but_no_recall():
    found, truth = np.array([0, 1]), np.array([0, 0])
    got = overall_metrics(confusion_matrix(found, truth, 2))
    assert got["uar"] == 0.5
    assert got["macro_f1"] == pytest.approx(
        metrics.f1_score(truth, found, average="macro", zero_division=0)
    )


def test_no_answer_is_wrong_and_no_label():
    found, truth = np.array([0, -1, 1, -1]), np.array([0, 0, 1, 1])
    got = label_metrics(found, truth, ["a", "b"])
    assert (got["accuracy"], got["uar"], got["no_answer"]) == (0.5, 0.5, [1, 1])
    assert got["confusion"] == [[1, 0], [0, 1]]
    # precision is 1, recall 1/2
    assert overall_metrics(confusion_matrix(found, truth, 2))["macro_f1"] == pytest.approx(2 / 3)


def test_a_number_that_is_no_label_is_refused():
    for found, truth in (([2], [0]), ([-2], [0]), ([0], [2]), ([0], [-1])):
        with pytest.raises(ValueError, match="expected"):
            confusion_matrix(np.array(found), np.array(truth), 2)


def test_precision_and_recall_of_each_label_equal_those_of_scikit_learn(answers):
    found, truth = answers
    got = per_label_metrics(confusion_matrix(found, truth, 3), ["a", "b", "c"])
    expected = metrics.precision_recall_fscore_support(truth, found)
    for name, column in zip(("precision", "recall", "f1", "n"), expected, strict=True):
        assert [of[name] for of in got.values()] == pytest.approx(column, abs=1e-4)
    right = int((found[truth == 0] == 0).sum())
    assert got["a"]["recall_interval"] == wilson_interval(right, int((truth == 0).sum()))
    assert got["a"]["precision_interval"] == wilson_interval(right, int((found == 0).sum()))


def test_what_has_no_clips_has_no_share():
    got = per_label_metrics(confusion_matrix(np.array([0]), np.array([0]), 2), ["a", "b"])["b"]
    assert (got["recall"], got["precision"], got["f1"], got["recall_interval"]) == (None,) * 4


def test_brier_is_twice_that_of_scikit_learn_for_two_labels(rng):
    sure, truth = rng.random(50), rng.integers(0, 2, 50)
    got = brier_score(np.stack([1 - sure, sure], 1), truth)
    assert got == pytest.approx(2 * metrics.brier_score_loss(truth, sure), abs=1e-12)


@pytest.mark.parametrize("origin", [0, 1000])  # a large mean must not drown the differences
def test_agreement_equals_its_formulas(rng, origin):
    truth = origin + rng.normal(0, 1, 300)
    found = 0.3 + 0.6 * (truth - origin) + origin + rng.normal(0, 0.5, 300)
    got = agreement(agreement_terms(found, truth).sum(0))
    cov = np.cov(found, truth, ddof=0)
    ccc = 2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + (found.mean() - truth.mean()) ** 2)  # Lin 1989
    assert got["ccc"] == pytest.approx(ccc, abs=1e-9)
    assert got["pcc"] == pytest.approx(np.corrcoef(found, truth)[0, 1], abs=1e-9)
    assert got["mae"] == pytest.approx(metrics.mean_absolute_error(truth, found), abs=1e-9)
    assert got["rmse"] ** 2 == pytest.approx(metrics.mean_squared_error(truth, found), abs=1e-9)


def test_a_constant_answer_agrees_with_nothing_and_has_no_correlation():
    got = agreement(agreement_terms(np.full(9, 0.1), np.arange(9) / 10).sum(0))
    assert np.isnan(got["pcc"])
    assert got["ccc"] == pytest.approx(0, abs=1e-12)


def test_two_equal_constants_have_no_ccc():
    assert np.isnan(agreement(agreement_terms(np.full(9, 0.1), np.full(9, 0.1)).sum(0))["ccc"])


def mean(sums):
    return {"mean": sums[:, 0] / sums[:, 1]}


def test_the_bootstrap_of_a_share_is_near_wilsons_interval(rng):
    right = rng.random(500) < 0.7
    parts = np.stack([right, np.ones(500)], 1)
    low, high = bootstrap(mean, parts)["mean"]
    # both are 95 % intervals of one share; at n = 500 they differ by less than 0.01
    assert [low, high] == pytest.approx(wilson_interval(int(right.sum()), 500), abs=0.01)


def test_the_bootstrap_is_that_of_drawing_clips_one_by_one(rng):
    values = rng.normal(0, 1, 60)
    got = bootstrap(mean, np.stack([values, np.ones(60)], 1), draws=20_000)["mean"]
    one_by_one = rng.choice(values, (20_000, 60)).mean(1)
    # the ends of 20,000 draws stray by about 0.003 here
    assert got == pytest.approx(np.percentile(one_by_one, [2.5, 97.5]), abs=0.015)


def test_the_bootstrap_of_subjects_is_wider_where_their_clips_are_alike(rng):
    subjects = np.repeat(np.arange(20), 25)
    right = np.repeat(rng.random(20) < 0.6, 25)
    parts = np.stack([right, np.ones(500)], 1)
    clips, people = bootstrap(mean, parts)["mean"], bootstrap(mean, parts, subjects)["mean"]
    assert people[1] - people[0] > 3 * (clips[1] - clips[0])  # sqrt(25) = 5 in theory


def test_the_bootstrap_repeats_itself_in_any_order_of_clips(rng):
    parts = np.stack([rng.normal(0, 1, 50), np.ones(50)], 1)
    assert bootstrap(mean, parts, seed=3) == bootstrap(mean, parts[::-1], seed=3)
    assert bootstrap(mean, parts, seed=3) != bootstrap(mean, parts, seed=4)


def test_one_subject_has_no_interval():
    assert bootstrap(mean, np.ones((5, 2)), ["a"] * 5) == {"mean": None}
