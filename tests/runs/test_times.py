"""Times of a clip as people write them."""

from __future__ import annotations

import math

import pytest

from videmo.runs.times import seconds


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90", 90), ("90.5", 90.5), (".5", 0.5), ("1e2", 100), (" 7 ", 7), ("-1", -1),
        ("1:30", 90), ("01:05.25", 65.25), ("90:00", 5400), ("00:01:30.5", 90.5), ("2:00:00", 7200),
    ],
)  # fmt: skip
def test_a_time_is_a_number_or_a_clock_time(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "x", "1:75", "1:99:00", "1:2:3:4", "-1:30", "1:-3", ":30", "1:", "1,5", "nan", "1_0"],
)
def test_what_is_no_time_is_not_guessed_at(text: str) -> None:
    assert math.isnan(seconds(text))
