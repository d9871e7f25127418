"""Figures that are printed beside models."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.metrics import calibration_error, scores, wilson

metrics = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def answers(rng):
    truth = rng.integers(0, 3, 200)
    found = np.where(rng.random(200) < 0.7, truth, rng.integers(0, 3, 200))
    return found, truth


def test_scores_equal_those_of_scikit_learn(answers):
    found, truth = answers
    got = scores(found, truth, ["a", "b", "c"])
    assert got["accuracy"] == pytest.approx(metrics.accuracy_score(truth, found), abs=1e-4)
    assert got["uar"] == pytest.approx(metrics.balanced_accuracy_score(truth, found), abs=1e-4)
    assert got["confusion"] == metrics.confusion_matrix(truth, found).tolist()
    recall = metrics.recall_score(truth, found, average=None)
    assert [r["recall"] for r in got["recall"].values()] == pytest.approx(recall, abs=1e-4)


def test_a_label_that_does_not_occur_is_left_out_of_the_mean():
    got = scores(np.array([0, 1]), np.array([0, 0]), ["a", "b"])
    assert got["uar"] == 0.5
    assert list(got["recall"]) == ["a"]


def test_the_interval_is_wilsons():
    # Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662 by Wilson's score method
    assert wilson(81, 263) == [0.2553, 0.3662]
    assert wilson(0, 20)[0] == 0
    # R, binom::binom.confint(80, 100, methods = "wilson")
    assert wilson(80, 100) == [0.7112, 0.8666]


def test_perfect_confidence_has_no_calibration_error():
    sure = np.eye(3)[[0, 1, 2, 1]]
    assert calibration_error(sure, np.array([0, 1, 2, 1])) == 0
    assert calibration_error(sure, np.array([1, 2, 0, 0])) == 1


def test_an_answer_that_is_always_right_and_half_sure_is_off_by_a_half():
    chances = np.array([[0.5, 0.25, 0.25]] * 10)
    assert calibration_error(chances, np.zeros(10, np.int64)) == pytest.approx(0.5)
