"""Heads: plain arrays that answer as scikit-learn does, calibrated and measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from videmo.errors import InputError
from videmo.train.head import (
    HeadTraining,
    LinearHead,
    choose,
    cross_entropy,
    fit,
    measure_head,
    save_head,
    temperature,
)


def clips(rng: np.random.Generator, labels: int = 3, count: int = 90):
    """Return descriptors around one centre a label, of length 1, and the labels."""
    truth = np.arange(count) % labels
    rows = rng.normal(0, 0.6, (count, 12)) + np.eye(12)[truth]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("labels", [2, 3])
def test_a_head_answers_as_scikit_learn_does(rng: np.random.Generator, labels: int) -> None:
    from sklearn.linear_model import LogisticRegression

    rows, truth = clips(rng, labels)
    head = fit(rows, truth, strength=10, balanced=True)
    theirs = LogisticRegression(C=10, class_weight="balanced", max_iter=3000).fit(rows, truth)
    assert head(rows) == pytest.approx(theirs.predict_proba(rows), abs=1e-6)


def test_a_support_vector_machine_keeps_its_ranking(rng: np.random.Generator) -> None:
    from sklearn.svm import LinearSVC

    rows, truth = clips(rng)
    head = fit(rows, truth, strength=1, balanced=False, options=HeadTraining(kind="svm"))
    theirs = LinearSVC(C=1, random_state=0, max_iter=5000).fit(rows, truth)
    assert (head(rows).argmax(1) == theirs.predict(rows)).all()


def test_a_label_that_does_not_occur_is_an_error(rng: np.random.Generator) -> None:
    rows, truth = clips(rng)
    with pytest.raises(InputError, match=r"clips of the labels \[0, 2\] only"):
        fit(rows[truth != 1], truth[truth != 1], strength=1, balanced=False)


def test_the_temperature_undoes_logits_that_are_too_sure(rng: np.random.Generator) -> None:
    logits = rng.normal(0, 2, (4000, 3))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in chances])
    # 4,000 clips drawn with these chances: the best temperature is 5 to a few percent
    assert temperature(5 * logits, truth) == pytest.approx(5, rel=0.08)


def test_choosing_calibrates_on_the_val_clips(rng: np.random.Generator) -> None:
    rows, truth = clips(rng, count=150)
    val_rows, val_truth = clips(rng, count=150)
    options = HeadTraining(strengths=(1, 1000))
    head, tried = choose(rows, truth, val_rows, val_truth, options)
    assert len(tried) == 4 and sum("chosen" in facts for facts in tried) == 1
    assert temperature(head.logits(val_rows), val_truth) == pytest.approx(1, rel=0.02)


def test_cross_entropy_of_even_odds_is_the_logarithm_of_their_number() -> None:
    assert cross_entropy(np.zeros((5, 4)), np.arange(5) % 4) == pytest.approx(np.log(4))


def test_a_saved_head_is_two_arrays_and_a_spec(rng: np.random.Generator, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    rows, truth = clips(rng)
    head = fit(rows, truth, strength=1, balanced=False)
    head = LinearHead(np.asfortranarray(head.weight), head.bias)  # as scikit-learn may leave it
    save_head(head, ["a", "b", "c"], {"stats": ["mean"]}, tmp_path)
    kept = load_file(tmp_path / "weights.safetensors")
    assert kept["weight"].shape == (3, 12) and kept["weight"].dtype == np.float32
    assert (kept["weight"] == head.weight).all() and (kept["bias"] == head.bias).all()
    assert json.loads((tmp_path / "spec.json").read_text())["labels"] == ["a", "b", "c"]
    assert measure_head(head, rows, truth, ["a", "b", "c"])["ece"] < 0.5
