"""bench: what it counts is true, whatever the clock says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from videmo.doctor import DEMO, bench
from videmo.errors import InputError
from videmo.pipeline.river import StageTimer

STAGES = ["decode", "find", "track", "crop", "embed", "pool"]


def test_two_variants_take_turns_and_are_told_beside_each_other(
    videmo_command: Callable[..., Any],
) -> None:
    both = ("--compare", "--detect-every 1", "--detect-every auto")
    ran = videmo_command("bench", "--rounds", "1", "--format", "json", "--threads", "1", *both)
    assert ran.code == 0, ran.err
    exact, fast = json.loads(ran.out)["variants"]
    assert exact["options"] == "--threads 1 --detect-every 1"
    assert (exact["frames"], exact["faces"], exact["frames_detected"]) == (25, 25, 25)
    assert (fast["frames"], fast["faces"], fast["frames_detected"]) == (25, 25, 2)
    for one in (exact, fast):
        assert sorted(one["stages"]) == sorted(STAGES)
        assert one["to_decode"]["median"] > 1 and one["peak_mb"] > 50
    assert exact["to_first"] == {"median": 1, "least": 1, "most": 1}


def test_an_answer_from_some_frames_is_measured_against_all_of_them(
    videmo_command: Callable[..., Any], demo: Path
) -> None:
    clip = demo.with_name("smile.mp4")
    both = ("--compare", "--budget exact", "--budget fast")
    ran = videmo_command("bench", clip, "--rounds", "1", "--format", "json", *both)
    assert ran.code == 0, ran.err
    exact, fast = json.loads(ran.out)["variants"]
    assert (exact["frames"], exact["looked"]) == (75, 75)
    assert (fast["frames"], fast["looked"], fast["frames_detected"]) == (75, 5, 5)
    assert sorted(fast["stages"]) == sorted(STAGES)


def test_an_option_that_is_wrong_is_said_once(videmo_command: Callable[..., Any]) -> None:
    ran = videmo_command("bench", "--rounds", "1", "--detector", "mtcn")
    assert ran.code == 2
    assert "no detector is called 'mtcn'" in ran.err and "Traceback" not in ran.err


def test_rounds_go_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def child(kind: str, path: str, options: list[str]) -> dict[str, Any]:
        asked.append(f"{kind} {' '.join(options)}".strip())
        facts = {"frames": 10, "looked": 10, "faces": 20, "detected": 5, "run": 2.0,
                 "peak_mb": None}  # fmt: skip
        return {**facts, "stages": {}, "whole": 1.0 if kind == "decode" else 4.0}

    monkeypatch.setattr(bench, "_child", child)
    (found, _) = bench.compare_variants("x.mp4", [["a"], ["b"]], 2)
    turn = ["decode a", "answer a", "answer b"]
    assert asked == [*turn, *turn, "stages a", "stages b"]
    assert (found["to_decode"]["median"], found["start_s"]["median"]) == (4.0, 2.0)
    assert (found["frames_per_s"]["median"], found["faces_per_s"]["median"]) == (5.0, 10.0)
    assert found["peak_mb"] is None


def test_a_process_that_fails_is_named() -> None:
    with pytest.raises(InputError, match=r"--detector whatever: .*no detector is called"):
        bench._child("answer", str(DEMO), ["--detector", "whatever"])


def test_a_stage_has_the_time_that_is_its_own() -> None:
    clock, now = StageTimer(), [0.0]
    clock._now = lambda: now[0]  # type: ignore[method-assign]

    def stage(items: Iterator[int], takes: float) -> Iterator[int]:
        for item in items:
            now[0] += takes
            yield item

    first = clock("first", stage(iter([1, 2]), 1.0))
    second = clock("second", stage(first, 3.0))
    assert list(second) == [1, 2]
    assert clock.spent == {"first": 2.0, "second": 6.0}
