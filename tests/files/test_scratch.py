"""What is unfinished lies where it belongs, and what a killed process left goes with the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from videmo.files.scratch import part_in, scratch, sweep
from videmo.write.sink import open_file

HOLDS = """
import os, sys, time
from videmo.files.scratch import part_in, scratch
with scratch(sys.argv[1]) as folder:
    open(os.path.join(folder, "faces"), "w").close()
    held = part_in(sys.argv[1])
    print("ready", flush=True)
    time.sleep(60)
"""


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that holds a folder and a file in `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    with process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_folder_is_there_until_it_is_left(tmp_path: Path) -> None:
    with scratch(tmp_path) as folder:
        (Path(folder) / "faces").write_text("x")
        assert os.path.dirname(folder) == str(tmp_path) and len(there(tmp_path)) == 1
        assert os.stat(folder).st_mode & 0o077 == 0 or os.name == "nt"  # faces are nobody else's
    assert there(tmp_path) == []


def test_a_folder_goes_when_what_is_done_in_it_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path):
        raise KeyboardInterrupt
    assert there(tmp_path) == []


def test_without_a_place_it_lies_with_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch() as folder:
        assert os.path.dirname(folder) == str(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise there")
def test_what_is_in_use_stays_and_what_a_kill_left_goes(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    sweep(tmp_path)
    assert len(there(tmp_path)) == 2
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert len(there(tmp_path)) == 2
    with open_file(tmp_path / "out.csv") as sink:
        sink.write("x")
        assert len(there(tmp_path)) == 1  # of this output alone
    assert there(tmp_path) == ["out.csv"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".videmo-0123456789abcdef").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".videmo-notes").mkdir()
    (tmp_path / ".videmo-0123456789abcde0.part.txt").touch()
    before = there(tmp_path)
    sweep(tmp_path)
    assert there(tmp_path) == before


def test_a_file_that_was_finished_is_let_go(tmp_path: Path) -> None:
    path, lock = part_in(str(tmp_path))
    sweep(tmp_path)
    assert there(tmp_path) == [Path(path).name]
    if lock:
        lock.close()
    sweep(tmp_path)
    assert there(tmp_path) == []
