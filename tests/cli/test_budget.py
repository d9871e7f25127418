"""--budget, as a person says it and records tell it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def clips(demo: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(demo.with_name("smile.mp4").read_bytes())
    return folder


def test_records_tell_how_far_the_search_went(videmo_command: Command, clips: Path) -> None:
    ran = videmo_command("classify", clips, "--budget", "fast", "--format", "ndjson")
    assert ran.code == 0 and "does not hold" not in ran.err
    for record in map(json.loads, ran.out.splitlines()):
        assert (record["label"], record["frames"], record["stride"]) == ("Happy", 5, 18)
        assert record["frames_share"] == pytest.approx(5 / 75, abs=1e-4)
    plain = videmo_command("classify", clips, "--format", "ndjson")
    assert "stride" not in json.loads(plain.out.splitlines()[0])


def test_a_run_is_gone_on_with_by_its_own_budget_alone(
    videmo_command: Command, clips: Path, tmp_path: Path
) -> None:
    out, fast = tmp_path / "out.csv", ("--budget", "fast")
    assert videmo_command("classify", clips / "a.mp4", "-o", out, *fast).code == 0
    other = videmo_command("classify", clips, "-o", out, "--resume")
    assert other.code != 0 and "budget.strides" in other.err
    assert videmo_command("classify", clips, "-o", out, "--resume", *fast).code == 0
    again = videmo_command("classify", clips, "-j", "2", *fast, "--format", "csv")
    assert again.out == out.read_bytes().decode()


def test_frames_are_not_chosen_twice(videmo_command: Command, clips: Path) -> None:
    ran = videmo_command("classify", clips, "--budget", "fast", "--fps", "5")
    assert ran.code == 2 and "leave out --fps, --every" in ran.err
