"""What is said of how far a run is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from videmo.cli.messages import (
    ProgressBar,
    ProgressJson,
    ProgressLines,
    RunStatistics,
    make_progress,
)
from videmo.data import Faces, Features, VideoInfo
from videmo.runs.board import Underway, frames_expected
from videmo.stages.decode import Sampling


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


def seen(frames: int) -> Features:
    return Features(np.zeros((0, 2), np.float32), Faces.none(), frames)


def info(**known: Any) -> VideoInfo:
    whole = {"frames": 1000, "duration": 40.0, "rate": 25.0, "decoder": "toy", **known}
    return VideoInfo("long.mp4", 2, 2, **whole)


@pytest.mark.parametrize(
    ("sampling", "frames"),
    [
        (Sampling(), 1000), (Sampling(every=4), 250), (Sampling(fps=5), 200),
        (Sampling(fps=60), 1000), (Sampling(start=30), 250), (Sampling(start=10, end=12), 50),
        (Sampling(start=50), 1),
    ],
)  # fmt: skip
def test_a_clip_says_how_many_frames_will_be_looked_at(sampling: Sampling, frames: int) -> None:
    assert frames_expected(info(), sampling) == frames


def test_a_clip_that_does_not_say_how_long_it_is_has_no_end_to_expect() -> None:
    assert frames_expected(info(duration=None), Sampling(every=10)) == 100
    assert frames_expected(info(duration=None, frames=None), Sampling()) is None


@pytest.mark.parametrize("clips", [1, 3])
def test_lines_speak_within_a_long_clip(capsys: pytest.CaptureFixture[str], clips: int) -> None:
    clock = Clock()
    lines = ProgressLines(RunStatistics(clips, clock))
    lines.begin("long.mp4")
    lines.opened(info(), Sampling())
    for _ in lines.watch(seen(50) for _ in range(20)):
        clock.now += 4.0
    said = capsys.readouterr().err.splitlines()
    before = "" if clips == 1 else "0/3 clips, 0 clips/s; "
    assert said[0] == f"videmo: {before}long.mp4: 45 %, 0:00:39 left" and len(said) == 2


def test_a_program_hears_how_far_a_clip_is(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressJson(RunStatistics(1, clock))
    lines.begin("long.mp4")
    lines.opened(info(), Sampling())
    clock.now = 2.0
    [*lines.watch(iter([seen(250)]))]
    told = json.loads(capsys.readouterr().err)["progress"]
    assert (told["clip"], told["clip_share"], told["clip_seconds_left"]) == ("long.mp4", 0.25, 6)
    assert told["clip_frames"] == 250 and told["done"] == 0


def test_clips_beside_each_other_are_told_each_and_count_for_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = ProgressLines(RunStatistics(5, clock))
    clock.now = 20.0
    places = (Underway(0, "a.mp4", 50, 100), Underway(1, "b.mp4", 100, 100, True),
              *(Underway(n, f"{n}.mp4", 7, None) for n in (2, 3, 4)))  # fmt: skip
    lines.heard(places)  # when they are first heard of
    clock.now = 40.0
    lines.heard(places)
    assert capsys.readouterr().err.splitlines() == [
        "videmo: 0/5 clips, 0 clips/s, 0:01:33 left; a.mp4: 50 %, 0:00:20 left; 2.mp4: 7 frames; "
        "3.mp4: 7 frames; and 1 more"
    ]
    program = ProgressJson(RunStatistics(5, clock))
    clock.now = 42.0
    program.heard(places)
    told = json.loads(capsys.readouterr().err)["progress"]
    assert [(one["clip"], one["clip_share"]) for one in told["running"][:2]] == [
        ("a.mp4", 0.5), ("2.mp4", None)
    ]  # fmt: skip


def test_a_bar_of_clips_beside_each_other_is_that_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bar = ProgressBar(RunStatistics(4))
    bar.begin("a.mp4")
    for columns, words in ((100, "0/4 clips, a.mp4 50 %"), (80, "0/4 clips, a.mp4…")):
        monkeypatch.setenv("COLUMNS", str(columns))
        bar.heard([Underway(0, "x/a.mp4", 50, 100), Underway(1, "b.mp4", 10, 10, True)])
        task = bar._bar.tasks[0]
        assert (task.description, task.percentage, task.fields["frames"]) == (words, 37.5, 50)
    bar.end(record())
    assert bar.tally.underway == 0.5


def test_a_bar_ends_where_the_clip_does() -> None:
    bar = ProgressBar(RunStatistics(1))
    bar.begin("a [red]clip[/red].mp4")
    bar.opened(info(frames=100, duration=4.0), Sampling())
    for _ in bar.watch(seen(60) for _ in range(2)):  # 120, more than the clip says
        task = bar._bar.tasks[0]
    assert (task.completed, task.total, task.percentage) == (120, 120, 100)
    bar.close()
