"""What is said of how far a run is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from videmo.cli.messages import ProgressJson, ProgressLines, RunStatistics, make_progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(status: str = "ok", kind: str = "VideoError") -> dict[str, Any]:
    return {"status": status, "error": {"type": kind} if status == "error" else None}


def test_a_log_gets_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressLines(RunStatistics(100, clock))
    for second in range(1, 66):
        clock.now = float(second)
        lines.end(record("error" if second == 2 else "ok"))
    assert capsys.readouterr().err.splitlines() == [
        "videmo: 30/100 clips, 1 clips/s, 1 failed, 0:01:10 left",
        "videmo: 60/100 clips, 1 clips/s, 1 failed, 0:00:40 left",
    ]


def test_a_program_gets_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressJson(RunStatistics(4, clock))
    clock.now = 2.0
    lines.end(record())
    lines.close()
    found = [json.loads(line)["progress"] for line in capsys.readouterr().err.splitlines()]
    expected = {"done": 1, "clips": 4, "failed": 0, "clips_per_second": 0.5, "seconds_left": 6}
    assert found == [expected, expected]


def test_the_summary_counts_and_says_how_to_list_what_failed() -> None:
    tally = RunStatistics(5)
    for one in (record(), record("no_face"), record("error"), record("error", "ClipTimeout"),
                record("error")):  # fmt: skip
        tally.add(one)
    assert tally.summary("my out.ndjson") == (
        "5 clips: 1 ok, 1 without a face, 3 failed (2 VideoError, 1 ClipTimeout); "
        "list them: jq -r 'select(.status==\"error\")|.path' 'my out.ndjson'"
    )
    assert "list them" not in tally.summary(None)


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    silent = make_progress("auto", 3, quiet=True)
    silent.begin("a")
    silent.end(record())
    silent.close()
    assert capsys.readouterr().err == ""


def test_a_run_ends_with_a_summary_of_several_clips(videmo_command: Any, tmp_path: Any) -> None:
    for name in "ab":
        (tmp_path / f"{name}.mp4").write_bytes(b"no video")
    ran = videmo_command("classify", tmp_path, "--progress", "json")
    assert ran.code == 1 and len(ran.records) == 2
    assert ran.err.splitlines()[-1] == "videmo: 2 clips: 2 failed (2 VideoError)"
    assert '{"progress": {"done": 2, "clips": 2, "failed": 2' in ran.err
    one = videmo_command("classify", tmp_path / "a.mp4")
    assert "clips:" not in one.err
