"""The simulation of large runs agrees with what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import scale

ONE = scale.Run(2000, 1, ends=0.0, poison=0.0)


def test_one_worker_takes_the_sum_of_the_clips() -> None:
    found = scale.simulate(ONE)
    assert found.seconds == pytest.approx(scale.STARTING + ONE.costs().sum() + 2000 * scale.DRIVER)
    assert (found.held, found.ended, found.died) == (0, 0, 0)


def test_no_more_answers_wait_than_the_reach_allows() -> None:
    held = [scale.simulate(replace(ONE, workers=20, reach=reach)).held for reach in (1, 4, 64)]
    assert held[0] < 20 and held[1] < 80 and held[0] < held[1] <= held[2]


def test_a_longer_reach_wastes_less_time() -> None:
    used = [scale.simulate(replace(ONE, workers=50, reach=reach)).used for reach in (1, 4, 16)]
    assert used[0] < used[1] < used[2] < 1


def test_a_clip_that_ends_its_workers_is_lost_after_two_and_the_others_are_not() -> None:
    found = scale.simulate(replace(ONE, workers=4, poison=0.01))
    assert found.died > 0 and found.ended == 2 * found.died


def test_runs_that_are_too_long_go_on_at_the_same_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scale.simulate(replace(ONE, clips=20_000, workers=10))
    monkeypatch.setattr(scale, "SIMULATED", 5_000)
    part = scale.simulate(replace(ONE, clips=20_000, workers=10))
    assert part.seconds == pytest.approx(whole.seconds, rel=0.05)
