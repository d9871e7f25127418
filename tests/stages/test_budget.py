"""Levels of ever more frames, and when the search for a sure answer ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from videmo.data import VideoInfo
from videmo.errors import InputError, UnknownName
from videmo.stages.budget import Budget, Level, check_budget, lead
from videmo.stages.decode import Sampling, Thinned, expected_frames, sampled_indices

TWO = Budget((18, 6), (0.4, 0.2))


def test_without_strides_every_frame_is_looked_at() -> None:
    assert not Budget().searches
    assert Budget().levels(math.inf) == []


def test_a_level_goes_on_from_what_the_one_before_has_seen() -> None:
    assert TWO.levels(math.inf) == [Level(18, None, 0.4), Level(6, 18, 0.2)]


@pytest.mark.parametrize(("frames", "strides"), [(12, []), (13, [6]), (36, [6]), (37, [18, 6])])
def test_a_level_that_would_see_too_few_frames_is_left_out(frames: int, strides: list[int]) -> None:
    assert [level.stride for level in TWO.levels(frames)] == strides
    assert not strides or TWO.levels(frames)[0].before is None


def test_a_level_ends_the_search_when_the_first_label_leads_far_enough() -> None:
    level = TWO.levels(100)[0]
    assert TWO.ends(level, np.array([0.75, 0.25, 0.0]), frames=3)
    assert not TWO.ends(level, np.array([0.69, 0.31, 0.0]), frames=3)
    assert not TWO.ends(level, np.array([0.75, 0.25, 0.0]), frames=2)


def test_more_frames_need_less_of_a_lead() -> None:
    level = Level(18, None, 0.6)
    least = {3: 0.6, 6: 0.6 / 2**0.5, 9: 0.6 / 3**0.5, 900: 0.6 / 3**0.5}
    for frames, enough in least.items():
        for lead_, sure in ((enough + 1e-6, True), (enough - 1e-6, False)):
            assert TWO.ends(level, np.array([lead_ + 0.1, 0.1]), frames) is sure


def test_the_lead_is_that_over_the_next_label() -> None:
    assert lead(np.array([[0.2, 0.5, 0.3], [0.5, 0.5, 0.0]])) == pytest.approx([0.2, 0.0])
    assert lead(np.ones((2, 1))).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("strides", "leads", "said"),
    [
        ((18,), (), "1 strides and 0 leads"), ((18, 4), (0.1, 0.1), "no multiple of 4"),
        ((6, 6), (0.1, 0.1), "no multiple of 6"), ((6, 18), (0.1, 0.1), "no multiple of 18"),
        ((1,), (0.1,), "a stride of budget"), ((2.5,), (0.1,), "a stride of budget"),
        ((2,), (2.1,), "a lead of budget"), ((2,), (math.nan,), "a lead of budget"),
    ],
)  # fmt: skip
def test_levels_that_cannot_be_are_refused(strides: tuple, leads: tuple, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Budget(strides, leads)


def test_a_budget_is_exact_or_fast() -> None:
    check_budget("fast")
    with pytest.raises(UnknownName, match="exact, fast"):
        check_budget("quick")


@pytest.mark.parametrize("sampling", [{}, {"every": 3}, {"fps": 10}, {"start": 0.5, "end": 3.3}])
def test_strides_part_the_sampled_frames_without_looking_at_one_twice(sampling: dict) -> None:
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.01, 0.08, 200))  # of a rate that varies
    every = sampled_indices(time, Sampling(**sampling))
    coarse, fine = Thinned(**sampling, stride=6), Thinned(**sampling, stride=2, but=6)
    assert sampled_indices(time, coarse).tolist() == every[::6].tolist()
    both = [*sampled_indices(time, coarse), *sampled_indices(time, fine)]
    assert sorted(both) == every[::2].tolist()
    assert coarse.tally.frames == fine.tally.frames == len(every)


@pytest.mark.parametrize(
    ("sampling", "frames"),
    [
        ({}, 100), ({"every": 4}, 25), ({"fps": 5}, 20), ({"fps": 500}, 100),
        ({"start": 1.0, "end": 3.0}, 50), ({"end": 9.0, "every": 2}, 50), ({"start": 5.0}, 0),
    ],
)  # fmt: skip
def test_about_how_many_frames_a_clip_has_is_known_before_it_is_read(
    sampling: dict, frames: float
) -> None:
    info = VideoInfo("clip", 10, 10, 100, 4.0, 25.0, "pyav")
    assert expected_frames(info, Sampling(**sampling)) == pytest.approx(frames)


def test_a_clip_that_does_not_say_how_long_it_is_may_have_any_number_of_frames() -> None:
    mute = VideoInfo("clip", 10, 10, None, None, None, "pyav")
    assert expected_frames(mute, Sampling()) == math.inf
    assert expected_frames(mute, Sampling(fps=5)) == math.inf
    pictures = VideoInfo("clip", 10, 10, 30, None, None, "images")
    assert expected_frames(pictures, Sampling(every=3)) == 10
