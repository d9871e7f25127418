"""Time stamps as files have them, some missing and some that start again."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

from videmo.stages.decode.clock import Clock

STEP = 0.04  # s from frame to frame


def seconds(
    times: list[float | None], start: int | None = None, dts: list[int] | None = None
) -> tuple[list[float], list[str]]:
    """Return what a clock makes of the times of frames, and what it warns of."""
    said: list[str] = []
    clock = Clock(SimpleNamespace(start_time=start), STEP, said.append)
    packets = [None] * len(times) if dts is None else dts
    frames = [
        SimpleNamespace(time=time, dts=stamp, time_base=Fraction(1, 100))
        for time, stamp in zip(times, packets, strict=True)
    ]
    return [clock(frame) for frame in frames], said


def test_time_0_is_where_the_file_starts() -> None:
    assert seconds([1.5, 1.54], start=1_500_000) == (pytest.approx([0.0, 0.04]), [])
    assert seconds([1.5, 1.54], start=1_000_000) == (pytest.approx([0.5, 0.54]), [])


def test_a_picture_that_begins_before_the_file_begins_at_0() -> None:
    assert seconds([-0.08, -0.04, 0.0]) == (pytest.approx([0.0, 0.04, 0.08]), [])


def test_jitter_does_not_run_backwards() -> None:
    assert seconds([0.0, 0.08, 0.04, 0.12]) == ([0.0, 0.08, 0.08, 0.12], [])


def test_joined_recordings_go_on_one_frame_later() -> None:
    times, said = seconds([0.0, 5.0, 0.0, STEP])
    assert times == pytest.approx([0.0, 5.0, 5.04, 5.08])
    assert said == ["the time stamps start again at 5.00 s"]


def test_missing_stamps_are_those_of_packets_or_made_up() -> None:
    times, said = seconds([0.0, None, None], dts=[0, 4, 8])
    assert times == pytest.approx([0.0, 0.04, 0.08])
    assert set(said) == {
        "some frames have no time stamp; their times are made up from the frame rate"
    }
    assert seconds([0.0, None, None])[0] == pytest.approx([0.0, 0.04, 0.08])
