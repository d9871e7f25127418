"""A clip in windows: parts that hold all of its frames, none of them empty."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import clips
import pytest
import toys
from click.testing import CliRunner

from videmo.cli import videmo
from videmo.errors import InputError
from videmo.runs.inputs import Clip
from videmo.runs.windows import windows


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return str(clips.make(tmp_path / "a.mp4", 56, rate=10))  # 5.6 s


def spans(clip: Clip, length: float, **more: Any) -> list[tuple[float | None, float | None]]:
    return [(part.start, part.end) for part in windows([clip], length, **more)]


def test_windows_follow_each_other_and_the_last_takes_what_is_left(clip: str) -> None:
    assert spans(Clip(clip), 2) == [(0, 2), (2, 4), (4, None)]  # 1.6 s
    assert spans(Clip(clip), 2.5) == [(0, 2.5), (2.5, None)]  # 3.1 s
    assert spans(Clip(clip), 60) == [(0, None)]


def test_a_part_that_is_asked_for_is_what_windows_are_of(clip: str) -> None:
    parts = windows([Clip(clip, 1.0, 5.0, label="Happy", subject="s1")], 2)
    assert parts == [
        Clip(clip, 1.0, 3.0, label="Happy", subject="s1"),
        Clip(clip, 3.0, 5.0, label="Happy", subject="s1"),
    ]


def test_a_folder_of_pictures_is_as_long_as_its_rate_says(tmp_path: Path) -> None:
    folder = toys.clip(tmp_path / "frames", [(9, 9, 9)] * 8)
    assert spans(Clip(str(folder)), 2, frame_rate=2) == [(0, 2), (2, None)]


def test_what_cannot_be_read_is_one_part_and_a_url_is_not_fetched_for_it(tmp_path: Path) -> None:
    assert spans(Clip(str(tmp_path / "none.mp4")), 2) == [(0, None)]
    with pytest.raises(InputError, match="must be a file"):
        windows([Clip("https://example.org/a.mp4")], 2)


def test_records_of_windows_look_at_every_frame_once(clip: str, tmp_path: Path) -> None:
    toys.network(tmp_path / "red", "emotion")
    given = ["classify", clip, "--head", str(tmp_path / "red"), "--window", "2", "--format", "csv"]
    told = [*csv.DictReader(io.StringIO(CliRunner().invoke(videmo, given).stdout))]
    assert [int(row["frames"]) for row in told] == [20, 20, 16]
    spans = [(float(row["start"]), row["end"]) for row in told]
    assert spans == [(0, "2.0000"), (2, "4.0000"), (4, "")]


def test_shares_of_windows_are_merged_to_the_bytes_of_one_run(clip: str, tmp_path: Path) -> None:
    toys.network(tmp_path / "red", "emotion")
    clips.make(tmp_path / "b.mp4", 30, rate=10)
    inputs = [clip, str(tmp_path / "b.mp4")]
    parts = [str(tmp_path / f"{k}.csv") for k in range(3)]
    for k, part in enumerate(parts):
        share = ["--shard", f"{k}/2"] if k else []
        given = ["--head", str(tmp_path / "red"), "--window", "2", "-o", part, *share]
        assert CliRunner().invoke(videmo, ["classify", *inputs, *given]).exit_code == 0
    expected = [word for one in inputs for word in ("--expect", one)]
    given = ["merge", *parts[1:], "-o", str(tmp_path / "m.csv"), *expected]
    assert CliRunner().invoke(videmo, given).exit_code == 1, "whole clips are not expected"
    assert CliRunner().invoke(videmo, [*given, "--window", "2"]).exit_code == 0
    assert (tmp_path / "m.csv").read_bytes() == Path(parts[0]).read_bytes()
