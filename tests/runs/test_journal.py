"""A stopped run is taken up where it was, and ends with the bytes of one that was not stopped."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videmo.data import Descriptor, Failure, VideoInfo
from videmo.errors import InputError, OutputError
from videmo.pipeline import Answer
from videmo.runs.executor import ClipResult
from videmo.runs.inputs import Clip
from videmo.runs.journal import SUFFIX, Journal, differences

STARTUP = Path(__file__).resolve().parents[1] / "support" / "startup"
ONE = Descriptor(np.arange(4, dtype=np.float32), 2, 1, 3)


def result_of(clip: Clip) -> ClipResult:
    return ClipResult(Answer(VideoInfo(clip.path, 2, 2, 3, 0.3, 10.0, "toy"), ONE, None, ()))


def record(clip: Clip, status: str = "ok") -> dict[str, Any]:
    return {"path": clip.path, "status": status, "coverage": 1 / 3}


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Return three files and a part of the last."""
    names = [
        tmp_path / f"{name}.mp4"
        for name in ("a", "b\ud800".encode("utf-8", "replace").decode(), "c")
    ]
    for number, name in enumerate(names):
        name.write_bytes(bytes(number + 1))
    whole = [Clip(str(name)) for name in names]
    return [*whole, Clip(str(names[-1]), start=1.0)]


KIND = {"head": "afew7", "sampling.fps": None}


def begun(out: Path, *clips: Clip) -> Path:
    """Leave the journal of a run that was stopped after these clips, and return its path."""
    with Journal(out) as journal:
        journal.begin(KIND)
        for clip in clips:
            journal.add(clip, result_of(clip), record(clip))
    return Path(f"{out}{SUFFIX}")


def found(out: Path, clips: list[Clip], kind: Any = KIND) -> list[bool]:
    """Return which clips a resumed run finds."""
    with Journal(out) as journal:
        journal.resume(kind)
        return [clip in journal for clip in clips]


def test_what_was_added_is_there_in_another_run(tmp_path: Path, clips: list[Clip]) -> None:
    out = tmp_path / "out.csv"
    begun(out, *clips[:2])
    with Journal(out) as journal:
        assert journal.begun and journal.kind == KIND and not journal.adds
        journal.resume(KIND)
        assert [clip in journal for clip in clips] == [True, True, False, False]
        entry = journal[clips[1]]
        assert entry.record == record(clips[1]) and entry.descriptor is not None
        assert np.array_equal(entry.descriptor.values, ONE.values)
        assert (entry.descriptor.faces, entry.descriptor.frames, entry.descriptor.seen) == (2, 1, 3)
        journal.remove()
    assert not Path(f"{out}{SUFFIX}").exists()


@pytest.mark.parametrize("lost", [1, 7, 40, 150])
def test_half_an_entry_is_cut_off_and_made_again(
    tmp_path: Path, clips: list[Clip], lost: int
) -> None:
    out = tmp_path / "out.npz"
    path = begun(out, *clips[:2])
    path.write_bytes(path.read_bytes()[:-lost])
    with Journal(out) as journal:
        journal.resume(KIND)
        assert [clip in journal for clip in clips[:2]] == [True, False]
        journal.add(clips[1], result_of(clips[1]), record(clips[1]))
        assert journal[clips[0]].record == record(clips[0])
        assert journal[clips[1]].record == record(clips[1])


def test_a_damaged_byte_costs_its_own_entry_and_no_other(tmp_path: Path, clips: list[Clip]) -> None:
    path = begun(tmp_path / "out", *clips)
    whole = path.read_bytes()
    places = [place for place in range(len(whole)) if whole.startswith(b'{"key": [', place)]
    assert len(places) == len(clips)
    lost = []
    for place in range(0, len(whole), 31):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x21]) + whole[place + 1 :])
        missing = [n for n, there in enumerate(found(tmp_path / "out", clips)) if not there]
        mine = [n for n, begin in enumerate(places) if begin <= place][-1:]
        assert missing == mine, f"byte {place}"
        lost.append(missing)
    assert [] in lost and [3] in lost  # of the first lines none, of the last entry itself


def test_a_record_that_is_lengthened_by_a_damaged_byte_does_not_swallow_the_next(
    tmp_path: Path, clips: list[Clip]
) -> None:
    path = begun(tmp_path / "out", *clips)
    whole = path.read_bytes()
    damaged = whole.replace(b'"vector": 2', b'"vector": 4', 1)
    assert damaged != whole
    path.write_bytes(damaged)
    assert found(tmp_path / "out", clips) == [False, True, True, True]


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path, clips: list[Clip]) -> None:
    begun(tmp_path / "out", clips[0])
    Path(clips[0].path).write_bytes(b"another")
    assert found(tmp_path / "out", clips[:1]) == [False]


def test_another_kind_of_run_finds_nothing_and_can_be_told_apart(
    tmp_path: Path, clips: list[Clip]
) -> None:
    begun(tmp_path / "out", clips[0])
    other = {**KIND, "sampling.fps": 5.0}
    assert found(tmp_path / "out", clips[:1], other) == [False]
    assert differences(KIND, other) == ["sampling.fps None -> 5.0"]
    assert differences({"old": 1}, {"new": 2}) == ["old 1 -> None", "new None -> 2"]


def test_what_failed_is_tried_again_by_the_next_run(tmp_path: Path, clips: list[Clip]) -> None:
    failed = ClipResult(Failure(clips[0].path, "VideoError", "no"))
    with Journal(tmp_path / "out") as journal:
        journal.begin(KIND)
        journal.add(clips[0], failed, record(clips[0], "error"))
        assert journal[clips[0]].record["status"] == "error"
    assert found(tmp_path / "out", clips[:1]) == [False]


def test_an_entry_that_is_not_the_clips_is_not_taken_for_it(
    tmp_path: Path, clips: list[Clip]
) -> None:
    path = begun(tmp_path / "out", *clips[:2])
    with Journal(tmp_path / "out") as journal:
        journal.resume(KIND)
        assert clips[0] in journal and clips[1] in journal
        whole = path.read_bytes()
        first, second = (whole.index(b'{"key": ['), whole.rindex(b'{"key": ['))
        path.write_bytes(whole[:first] + whole[second:])  # as another writer would
        with pytest.raises(OutputError, match="another program has changed it"):
            _ = journal[clips[0]]


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"out{SUFFIX}").write_text("dear diary\nnothing\n")
    with pytest.raises(InputError, match="is no journal of this videmo"):
        Journal(tmp_path / "out")
    assert (tmp_path / f"out{SUFFIX}").read_text() == "dear diary\nnothing\n"


def test_a_journal_that_nothing_was_written_into_goes(tmp_path: Path) -> None:
    with Journal(tmp_path / "out") as journal:
        assert not journal.begun
    assert not list(tmp_path.iterdir())


def test_one_run_at_a_time_writes_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "out") as journal:
        journal.begin(KIND)
        who = f"another videmo, process {os.getpid()} on {socket.gethostname()}, is writing this"
        with pytest.raises(OutputError, match=who):
            Journal(tmp_path / "out")
    with Journal(tmp_path / "out") as journal:
        assert journal.begun


def test_a_disk_without_locks_knows_the_dead_by_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path / "out") as journal:
        journal.begin(KIND)
    monkeypatch.setattr("videmo.files.lock._lock", no_locks)
    path = Path(f"{tmp_path / 'out'}{SUFFIX}")
    whole = path.read_bytes()
    for process, host, said in [
        (subprocess.Popen(["true"]), socket.gethostname(), ""),
        (os.getppid(), socket.gethostname(), "if that has ended, remove"),
        (1, "elsewhere", "process 1 on elsewhere, is writing this"),
    ]:
        number = process if isinstance(process, int) else process.pid
        if not isinstance(process, int):
            process.wait()
        owner = {"videmo": "journal", "process": number, "host": host}
        path.write_bytes(json.dumps(owner).encode().ljust(159) + b"\n" + whole[160:])
        if said:
            with pytest.raises(OutputError, match=said):
                Journal(tmp_path / "out")
        else:
            with Journal(tmp_path / "out") as journal:
                assert journal.begun


def no_locks(file: Any) -> bool:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    place = tmp_path_factory.mktemp("clips")
    for name in "abcd":
        (place / f"{name}.mp4").write_bytes(demo.read_bytes())
    (place / "e.mp4").write_bytes(b"no video")
    return place


GIVEN = {
    "csv": ["classify", "--fps", "2", "--out", "out.csv"],
    "npz": ["extract-features", "--fps", "2", "--frames", "--out", "out.npz"],
}


def killed(given: list[str], folder: Path, where: Path, how: int, jobs: str) -> None:
    """Begin the command, and send it a signal when two clips are in its journal."""
    where.mkdir()
    more = ["-j", jobs] if jobs else []
    command = [sys.executable, "-m", "videmo", *given, str(folder), *more]
    run = subprocess.Popen(
        command, cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    journal = where / f"{given[-1]}{SUFFIX}"
    until = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b'"vector"') < 2:
        assert run.poll() is None and time.monotonic() < until, "it ended before it was killed"
        time.sleep(0.005)
    os.kill(run.pid, how)
    assert run.wait(timeout=60) != 0


@pytest.mark.parametrize(("kind", "jobs"), [("csv", ""), ("npz", ""), ("csv", "2")])
def test_a_killed_run_ends_with_the_same_bytes(
    videmo_command: Any, folder: Path, tmp_path: Path, kind: str, jobs: str
) -> None:
    given = GIVEN[kind]
    (tmp_path / "whole").mkdir()
    assert videmo_command(*given, folder, cwd=tmp_path / "whole").code == 1
    killed(given, folder, tmp_path / "cut", signal.SIGKILL, jobs)
    assert videmo_command(*given, folder, cwd=tmp_path / "cut").code == 1  # neither asked for
    again = videmo_command(*given, folder, "--resume", cwd=tmp_path / "cut")
    assert again.code == 1 and "of 5 clips are done already" in again.err
    whole, cut = ((tmp_path / name / given[-1]).read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    names = sorted(path.name for path in (tmp_path / "cut").iterdir())
    assert names == [given[-1], f"{given[-1]}.receipt"]


def test_a_clip_that_kills_its_process_costs_its_own_row_when_the_run_goes_on(
    videmo_command: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(STARTUP), *sys.path]))
    monkeypatch.setenv("FATAL", "b.mp4")
    given = [*GIVEN["csv"], folder]
    assert videmo_command(*given, cwd=tmp_path).code == -signal.SIGKILL
    again = videmo_command(*given, "--resume", cwd=tmp_path)
    assert again.code == 1, again.err
    with open(tmp_path / "out.csv", newline="") as file:
        said = [(row["status"], row["error_type"]) for row in csv.DictReader(file)]
    ok = ("ok", "")
    assert said[:4] == [ok, ("error", "WorkerDied"), ok, ok] and said[4][0] == "error"


def test_ctrl_c_finishes_the_clip_in_hand_and_keeps_it(
    videmo_command: Any, folder: Path, tmp_path: Path
) -> None:
    killed(GIVEN["csv"], folder, tmp_path / "cut", signal.SIGINT, "")
    assert (tmp_path / "cut" / f"out.csv{SUFFIX}").exists()
    assert not (tmp_path / "cut" / "out.csv").exists()
    again = videmo_command(*GIVEN["csv"], folder, "--resume", cwd=tmp_path / "cut")
    assert again.code == 1 and "of 5 clips are done already" in again.err


class Full:
    """A file on a disk that has no room for the second half of what is written."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, text: bytes) -> None:
        self.file.write(text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_full_disk_stops_the_run_and_what_was_done_stays(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path / "out") as journal:
        journal.begin(KIND)
        journal.add(clips[0], result_of(clips[0]), record(clips[0]))

        monkeypatch.setattr(journal, "_file", Full(journal._file))
        with pytest.raises(OutputError, match="the disk is full"):
            journal.add(clips[1], result_of(clips[1]), record(clips[1]))
    assert found(tmp_path / "out", clips[:2]) == [True, False]
