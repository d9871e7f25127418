"""A stopped run is taken up where it was, and ends with the bytes of one that was not stopped."""

from __future__ import annotations

import os
import signal
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
from videmo.runs.inputs import Clip
from videmo.runs.journal import SUFFIX, Journal, refuse_existing
from videmo.runs.workers import Done

ONE = Descriptor(np.arange(4, dtype=np.float32), 2, 1, 3)


def done(clip: Clip) -> Done:
    return Done(Answer(VideoInfo(clip.path, 2, 2, 3, 0.3, 10.0, "toy"), ONE, None, ()))


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


def test_what_was_added_is_there_in_another_run(tmp_path: Path, clips: list[Clip]) -> None:
    out = tmp_path / "out.csv"
    with Journal(out, "recipe") as journal:
        for clip in clips[:2]:
            journal.add(clip, done(clip), record(clip))
    with Journal(out, "recipe") as journal:
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
    with Journal(out, "recipe") as journal:
        for clip in clips[:2]:
            journal.add(clip, done(clip), record(clip))
    path = Path(f"{out}{SUFFIX}")
    path.write_bytes(path.read_bytes()[:-lost])
    with Journal(out, "recipe") as journal:
        assert [clip in journal for clip in clips[:2]] == [True, False]
        journal.add(clips[1], done(clips[1]), record(clips[1]))
        assert journal[clips[0]].record == record(clips[0])
        assert journal[clips[1]].record == record(clips[1])


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path, clips: list[Clip]) -> None:
    with Journal(tmp_path / "out", "recipe") as journal:
        journal.add(clips[0], done(clips[0]), record(clips[0]))
        Path(clips[0].path).write_bytes(b"another")
        assert clips[0] not in journal


def test_another_recipe_is_another_run(tmp_path: Path, clips: list[Clip]) -> None:
    with Journal(tmp_path / "out", "recipe") as journal:
        journal.add(clips[0], done(clips[0]), record(clips[0]))
    with Journal(tmp_path / "out", "other") as journal:
        assert clips[0] not in journal


def test_what_failed_is_tried_again_by_the_next_run(tmp_path: Path, clips: list[Clip]) -> None:
    failed = Done(Failure(clips[0].path, "VideoError", "no"))
    with Journal(tmp_path / "out", "recipe") as journal:
        journal.add(clips[0], failed, record(clips[0], "error"))
        assert journal[clips[0]].record["status"] == "error"
    with Journal(tmp_path / "out", "recipe") as journal:
        assert clips[0] not in journal


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"out{SUFFIX}").write_text("dear diary\nnothing\n")
    with pytest.raises(InputError, match="is no journal of videmo"):
        Journal(tmp_path / "out", "recipe")
    assert (tmp_path / f"out{SUFFIX}").read_text() == "dear diary\nnothing\n"


def test_an_output_is_not_replaced_unasked(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    refuse_existing(str(out), overwrite=False)
    out.write_text("mine")
    with pytest.raises(OutputError, match="is there already; give --overwrite"):
        refuse_existing(str(out), overwrite=False)
    Path(f"{out}{SUFFIX}").write_text("")
    with pytest.raises(OutputError, match="a run was stopped here; --resume goes on"):
        refuse_existing(str(out), overwrite=False)
    refuse_existing(str(out), overwrite=True)


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
    assert [path.name for path in (tmp_path / "cut").iterdir()] == [given[-1]]


def test_ctrl_c_finishes_the_clip_in_hand_and_keeps_it(
    videmo_command: Any, folder: Path, tmp_path: Path
) -> None:
    killed(GIVEN["csv"], folder, tmp_path / "cut", signal.SIGINT, "")
    assert (tmp_path / "cut" / f"out.csv{SUFFIX}").exists()
    assert not (tmp_path / "cut" / "out.csv").exists()
    again = videmo_command(*GIVEN["csv"], folder, "--resume", cwd=tmp_path / "cut")
    assert again.code == 1 and "of 5 clips are done already" in again.err


def test_a_complete_output_is_not_made_again(
    videmo_command: Any, folder: Path, tmp_path: Path
) -> None:
    given = ["classify", folder / "a.mp4", "--end", "0.2", "--out", "out.csv"]
    assert videmo_command(*given, cwd=tmp_path).code == 0
    before = (tmp_path / "out.csv").stat().st_mtime_ns
    again = videmo_command(*given, "--resume", cwd=tmp_path)
    assert again.code == 0 and "out.csv is complete" in again.err
    assert (tmp_path / "out.csv").stat().st_mtime_ns == before
    other = videmo_command(
        "classify", folder / "b.mp4", "--resume", "--out", "out.csv", cwd=tmp_path
    )
    assert other.code == 1 and "is complete, and of other clips" in other.err
    assert videmo_command(*given, cwd=tmp_path).code == 1
    assert videmo_command(*given, "--overwrite", cwd=tmp_path).code == 0


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
    with Journal(tmp_path / "out", "recipe") as journal:
        journal.add(clips[0], done(clips[0]), record(clips[0]))

        monkeypatch.setattr(journal, "_file", Full(journal._file))
        with pytest.raises(OutputError, match="the disk is full"):
            journal.add(clips[1], done(clips[1]), record(clips[1]))
    with Journal(tmp_path / "out", "recipe") as journal:
        assert clips[0] in journal
