"""Losses against their formulas, and SAM against its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from videmo.train.losses import EmbeddingLoss, IdentityLoss, LossOptions, TaskLoss, known_rows
from videmo.train.sam import perturbed_weights

SHARES = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 2]]  # four, two and one of a class
LOGITS = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.5]])
TARGETS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.4, 0.6]])


def loss(**options: float) -> float:
    return float(TaskLoss(SHARES, LossOptions({}, **options))(LOGITS, TARGETS))


def test_plain_is_the_cross_entropy_with_shares() -> None:
    assert loss() == pytest.approx(float(cross_entropy(LOGITS, TARGETS, reduction="sum")))


def test_smoothing_is_that_of_torch() -> None:
    expected = cross_entropy(LOGITS, TARGETS, reduction="sum", label_smoothing=0.1)
    assert loss(smoothing=0.1) == pytest.approx(float(expected))


def test_classes_weigh_the_most_frequent_over_their_own_number() -> None:
    weight = torch.tensor([1.0, 2.0, 4.0])  # 4/4, 4/2, 4/1
    expected = -(weight * TARGETS * LOGITS.log_softmax(1)).sum()
    assert loss(balance=True) == pytest.approx(float(expected))


def test_adjusted_logits_have_the_logarithm_of_the_class_s_share_added() -> None:
    moved = LOGITS + 0.5 * torch.tensor([4 / 7, 2 / 7, 1 / 7]).log()
    expected = cross_entropy(moved, TARGETS, reduction="sum")
    assert loss(adjust=0.5) == pytest.approx(float(expected))


def test_people_are_told_apart_by_a_plain_softmax_or_by_held_back_cosines() -> None:
    embeddings, centres = torch.randn(4, 8), torch.randn(5, 8)
    people = torch.tensor([0, 4, 2, 2])
    plain = IdentityLoss(LossOptions({}))(embeddings, people, centres)
    assert plain == pytest.approx(
        float(cross_entropy(embeddings @ centres.T, people, reduction="sum")), rel=1e-5
    )
    cosine = normalize(embeddings) @ normalize(centres).T
    cosine[range(4), people] -= 0.2
    held = IdentityLoss(LossOptions({}, scale=16.0, margin=0.2))(embeddings, people, centres)
    expected = cross_entropy(16 * cosine, people, reduction="sum")
    assert held == pytest.approx(float(expected), rel=1e-5)


def test_rows_without_a_label_are_not_known() -> None:
    shares = torch.tensor([[0.5, 0.5], [math.nan, math.nan]])
    assert known_rows(shares).tolist() == [True, False]
    assert known_rows(torch.tensor([-1, 3])).tolist() == [False, True]


def test_sam_takes_the_gradient_at_the_top_of_a_ball_and_comes_back() -> None:
    """Of L = sum a w^2: g = 2 a w, e = rho g / |g|, and the gradient there is 2 a (w + e)."""
    model = nn.Linear(3, 1, bias=False)
    a, w = torch.tensor([1.0, 2.0, 3.0]), model.weight.detach().clone()[0]

    def backward() -> None:
        (a * model.weight[0] ** 2).sum().backward()

    backward()
    g = 2 * a * w
    with perturbed_weights(model, 0.05):
        assert torch.allclose(model.weight[0], w + 0.05 * g / g.norm(), atol=1e-7)
        backward()
    assert torch.equal(model.weight[0], w)
    assert torch.allclose(model.weight.grad[0], 2 * a * (w + 0.05 * g / g.norm()), atol=1e-6)


def test_the_norm_of_sam_is_one_over_all_weights() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    for weight, gradient in zip(model.parameters(), (3.0, 4.0), strict=True):
        nn.init.zeros_(weight)
        weight.grad = torch.full_like(weight, gradient)
    with perturbed_weights(model, 0.5):
        moved = [float(weight.detach()) for weight in model.parameters()]
    assert moved == pytest.approx([0.3, 0.4])


def test_batch_norm_counts_a_batch_once_though_sam_looks_twice() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    rows = torch.randn(16, 2)
    model(rows).sum().backward()
    mean, count = model[1].running_mean.clone(), int(model[1].num_batches_tracked)
    with perturbed_weights(model, 0.05):
        model(rows).sum().backward()
    assert torch.equal(model[1].running_mean, mean)
    assert int(model[1].num_batches_tracked) == count == 1
    assert model[1].momentum == 0.1


def test_the_error_in_years_is_of_the_age_that_is_expected() -> None:
    at = torch.eye(5)[[1, 3]]
    sure = 50 * torch.eye(5)[[2, 3]]  # one year off, and right
    ages = np.eye(5, dtype=np.float32)
    plain = float(TaskLoss(ages, LossOptions({}))(sure, at))
    with_years = float(TaskLoss(ages, LossOptions({}, years=2.0))(sure, at))
    assert with_years - plain == pytest.approx(
        2 * 0.5 / 3, abs=1e-4
    )  # 0.5 x^2 / beta, within beta = 3 years


def test_likeness_is_of_directions_and_of_the_angles_between_faces() -> None:
    wanted = torch.eye(4)[:3]
    assert float(EmbeddingLoss()(5 * wanted, wanted)) == pytest.approx(0)
    flipped = -wanted  # the same angles between faces, no direction right
    assert float(EmbeddingLoss()(flipped, wanted)) == pytest.approx(6)
    collapsed = torch.eye(4)[[0, 0, 0]]
    assert float(EmbeddingLoss()(collapsed, wanted)) == pytest.approx(2 + 2 * 6 / 3)
