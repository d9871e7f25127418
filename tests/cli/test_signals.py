"""TERM and HUP are Ctrl-C; after a kill nothing stays behind that --resume does not clear away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from videmo import doctor

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
ROOT = Path(__file__).resolve().parents[2]
CLIPS = 12


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with clips, and beside it an empty one for temporary files."""
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    for number in range(CLIPS):
        shutil.copy(doctor.DEMO, tmp_path / "work" / f"{number:02}.mp4")
    return tmp_path / "work"


def begin(work: Path, *more: str, **how: object) -> subprocess.Popen[str]:
    clips = [f"{number:02}.mp4" for number in range(CLIPS)]
    return subprocess.Popen(
        [sys.executable, "-m", "videmo", "extract-features", *clips, "--frames", "--detector",
         "whole", "--out", "f.npz", *more],
        cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(work.parent / "tmp")},
        **how,  # type: ignore[call-overload]
    )  # fmt: skip


def wait_for_entries(run: subprocess.Popen[str], work: Path, count: int) -> None:
    """Wait until the journal has some entries."""
    journal, until = work / "f.npz.journal", time.monotonic() + 240
    while not journal.exists() or journal.read_bytes().count(b'"record"') < count:
        assert run.poll() is None and time.monotonic() < until, "it ended too early"
        time.sleep(0.01)


def left(work: Path) -> tuple[list[str], list[str]]:
    """Return what lies beside the clips, and with temporary files."""
    beside = sorted(path.name for path in work.iterdir() if path.suffix != ".mp4")
    return beside, sorted(path.name for path in (work.parent / "tmp").iterdir())


@pytest.mark.parametrize("jobs", [[], ["-j", "2"]], ids=["here", "jobs"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_finishes_the_clip_in_hand_and_leaves_the_journal_alone(
    work: Path, name: str, jobs: list[str]
) -> None:
    run = begin(work, *jobs)
    wait_for_entries(run, work, 1)
    run.send_signal(getattr(signal, name))
    _, err = run.communicate(timeout=240)
    assert run.returncode == 130, err
    assert "finishing the clip in hand" in err and "--resume goes on" in err
    assert left(work) == (["f.npz.journal"], [])


def test_a_second_signal_stops_at_once(work: Path) -> None:
    run = begin(work, "-j", "2")
    wait_for_entries(run, work, 1)
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=240)
    assert run.returncode == 130, err
    assert left(work) == (["f.npz.journal"], [])


@pytest.mark.parametrize("clips", [1, 2])
def test_a_second_signal_ends_what_waits_for_a_pipe_that_has_stalled(
    work: Path, clips: int
) -> None:
    os.mkfifo(work / "stalled.mp4")
    run = subprocess.Popen(
        [sys.executable, "-m", "videmo", "classify", "stalled.mp4", "00.mp4"][: 4 + clips],
        cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    with (work / "stalled.mp4").open("wb", buffering=0) as pipe:  # waits until it is opened there
        pipe.write((work / "00.mp4").read_bytes()[:1000])
        time.sleep(0.2)
        for _ in range(2):
            run.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "does not answer" in err


def test_a_terminal_that_is_closed_costs_no_worker_its_clip(work: Path) -> None:
    run = begin(work, "-j", "2")
    wait_for_entries(run, work, 1)
    os.killpg(run.pid, signal.SIGHUP)  # all of them are told
    _, err = run.communicate(timeout=240)
    assert run.returncode == 130, err
    assert "WorkerDied" not in (work / "f.npz.journal").read_bytes().decode("latin-1")
    assert left(work) == (["f.npz.journal"], [])


def test_a_signal_that_is_ignored_stays_ignored(work: Path) -> None:
    run = begin(work, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for_entries(run, work, 1)
    run.send_signal(signal.SIGHUP)
    assert run.communicate(timeout=240) and run.returncode == 0


@pytest.mark.parametrize("jobs", [[], ["-j", "2"]], ids=["here", "jobs"])
def test_what_a_kill_leaves_lies_beside_the_journal_and_goes_with_resume(
    work: Path, jobs: list[str]
) -> None:
    run = begin(work, *jobs)
    wait_for_entries(run, work, 1)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    beside, temporary = left(work)
    assert temporary == []  # so that a full disk there does not matter, and no face stays there
    assert any(name.startswith(".videmo-") for name in beside) and "f.npz.journal" in beside
    run.communicate(timeout=60)  # its workers have ended
    again = begin(work, *jobs, "--resume")
    _, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    assert set(left(work)[0]) <= {"f.npz", "f.npz.receipt"} and left(work)[1] == []


def test_workers_end_with_the_process_that_began_them(work: Path) -> None:
    run = begin(work, "-j", "2")
    wait_for_entries(run, work, 1)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    until = time.monotonic() + 60
    while True:
        try:
            os.killpg(run.pid, 0)  # somebody is left
        except ProcessLookupError:
            break
        assert time.monotonic() < until, "its workers live on"
        time.sleep(0.1)
    run.communicate()


def test_a_command_that_writes_no_journal_clears_up_as_well(work: Path) -> None:
    """Stopped while it writes: nothing of the output stays."""
    run = subprocess.Popen(
        [sys.executable, "-m", "videmo", "attributes", *(["00.mp4"] * 1), "--out", "a.csv"],
        cwd=work, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(work.parent / "tmp")},
    )  # fmt: skip
    until = time.monotonic() + 120
    while not any(path.suffix == ".part" for path in work.iterdir()):
        assert run.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.1)  # stopped in the very moment it is made, it stays, and the next run sweeps it
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert left(work) == ([], [])


@pytest.mark.parametrize("command", ["annotate -o a.mp4", "report -o a.html", "bench"])
def test_a_pipe_is_refused_by_what_reads_a_clip_twice(work: Path, command: str) -> None:
    name, *rest = command.split()
    os.mkfifo(work / "pipe")  # which nobody opens
    run = subprocess.run(
        [sys.executable, "-m", "videmo", name, "pipe", *rest], cwd=work, text=True, timeout=60,
        capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 1 and "write it to a file first" in run.stderr
