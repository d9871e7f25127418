"""Leads that are learnt: how sure an answer from some of the frames must be."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.stages.budget import Budget
from videmo.stages.pool import Pooling
from videmo.train.budget import (
    Readings,
    SeenFaces,
    card_part,
    joined,
    judge,
    learn_leads,
    paired_interval,
    pooled,
    search,
)

MEAN = Pooling(stats=("mean",), normalise=None)


def clip(values: list[float], number: list[int] | None = None, frames: int = 0) -> SeenFaces:
    numbers = np.arange(len(values)) if number is None else np.array(number)
    rows = np.array(values, np.float32)[:, None]
    return SeenFaces(rows, numbers.astype(np.int64), frames or len(values))


def test_a_stride_pools_the_faces_of_its_own_frames():
    found = pooled([clip([1, 2, 3, 4, 5, 6, 7]), clip([4, 8], [1, 3], 5)], MEAN, (6, 3))
    assert found.rows[1][:, 0].tolist() == [4, 6]
    assert found.rows[3][:, 0].tolist() == [4, 8]
    assert found.rows[6][:, 0].tolist() == [4, 0], "who is seen in none of them has zeros"
    assert found.faces[6].tolist() == [2, 0] and found.frames.tolist() == [7, 5]


def test_the_faces_of_a_frame_are_pooled_first_where_the_head_does_so():
    two = Pooling(stats=("mean",), within=("mean",), normalise=None)
    found = pooled([clip([0, 4, 8], [0, 0, 2])], two, (2,))
    assert found.rows[2][:, 0].tolist() == [5]
    assert found.faces[2].tolist() == [2]


def test_files_of_which_one_keeps_no_faces_tell_nothing():
    one = pooled([clip([1, 2])], MEAN)
    both = joined([one, one])
    assert both is not None and len(both.frames) == 2
    assert joined([one, None]) is None and joined([]) is None


def readings(coarse: np.ndarray, exact: np.ndarray, stride: int = 4) -> Readings:
    """Return what is said of clips of two labels, by the probability of the first."""
    scores = {s: np.stack([p, 1 - p], 1) for s, p in ((stride, coarse), (1, exact))}
    faces = {s: np.full(len(coarse), 3) for s in scores}
    return Readings(scores, faces, np.full(len(coarse), 100))


def test_the_lead_is_the_least_that_few_clips_with_another_label_reach():
    exact = np.full(200, 0.9)
    coarse = np.linspace(0.5, 1, 200)
    coarse[[0, 1, 2]] = 0.1, 0.2, 0.25  # leads of 0.8, 0.6 and 0.5, and the other label
    # a share of 0.02 / 2 of 200 clips: two of them
    assert learn_leads(readings(coarse, exact), (4,), changed=0.02).leads == pytest.approx([0.5001])
    assert learn_leads(readings(coarse, exact), (4,), changed=0.01).leads[0] > 0.6
    assert learn_leads(readings(exact, exact), (4,)).leads == (0.0,)


def test_from_few_clips_nothing_is_learnt():
    few = np.full(99, 0.9)
    assert learn_leads(readings(few, few), (4,)).leads == (2.0,)


def test_later_levels_may_change_more():
    scores = np.stack([np.linspace(0, 1, 900), 1 - np.linspace(0, 1, 900)], 1)
    exact = np.tile([0.9, 0.1], (900, 1))
    of = {18: scores, 6: scores, 1: exact}
    found = Readings(of, {s: np.full(900, 9) for s in of}, np.full(900, 100))
    first, second = learn_leads(found).leads
    assert first > second > 0


def test_the_search_ends_at_the_first_level_that_is_sure():
    found = readings(np.array([0.9, 0.6, 0.9]), np.full(3, 0.9))
    found = Readings(found.scores, {4: np.array([3, 3, 2]), 1: found.faces[1]}, found.frames)
    assert search(found, Budget((4,), (0.5,))).tolist() == [4, 1, 1]


def test_what_is_given_up_and_saved_is_told():
    found = readings(np.array([0.9, 0.4, 0.52, 0.9]), np.array([0.9, 0.9, 0.1, 0.9]))
    facts = judge(found, Budget((4,), (0.1,)), np.array([0, 0, 1, 1]))
    assert facts["ends"] == {"4": 0.75, "1": 0.25}
    assert facts["frames_share"] == pytest.approx((3 * 0.25 + 1) / 4)
    assert (facts["changed"], facts["accuracy_exact"], facts["accuracy"]) == (0.25, 0.75, 0.5)
    low, high = facts["difference_interval"]
    assert low < facts["difference"] == -0.25 < high


def test_the_interval_of_a_difference_is_that_of_pairs():
    right = np.array([True] * 80 + [False] * 20)
    low, high = paired_interval(right, right)
    assert -0.03 < low < 0 < high < 0.03
    worse = right.copy()
    worse[:20] = False
    low, high = paired_interval(right, worse)
    # Agresti and Min 2005: (0.5 - 20.5) / 102, and 1.96 sqrt(21 - 20^2 / 102) / 102 about it
    assert (low, high) == pytest.approx((-0.2752, -0.1169), abs=1e-3)


def test_a_card_says_why_a_search_is_not_worth_it():
    facts = {"n": 9, "frames_share": 0.95}
    part = card_part(Budget((4,), (0.9,)), {"n": 9}, {"val": facts})
    assert "95%" in part["note"] and "strides" not in part
    part = card_part(Budget((4,), (0.9,)), {"n": 9}, {"val": facts | {"frames_share": 0.3}})
    assert (part["strides"], part["leads"]) == ([4], [0.9])
