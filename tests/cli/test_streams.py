"""Standard streams that are closed, full or that nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import toys

GREEN = (40, 200, 40)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a clip, a broken one and a small network."""
    folder = tmp_path_factory.mktemp("streams")
    toys.clip(folder / "a.gif", [GREEN] * 3)
    (folder / "b.gif").write_bytes(b"no picture")
    toys.network(folder / "net", "emotion")
    return folder


def shell(place: Path, arguments: str, streams: str) -> subprocess.CompletedProcess[str]:
    """Run `videmo ...` with streams as a shell has them; the last word of stdout is the code."""
    line = f"{sys.executable} -m videmo {arguments} {streams}; echo $?"
    return subprocess.run(
        ["bash", "-c", line], cwd=place, capture_output=True, text=True, timeout=120
    )


CLASSIFY = "classify a.gif b.gif --head ./net --format csv"
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


@pytest.mark.parametrize("arguments", [CLASSIFY, "--help", "schema"])
def test_an_output_that_is_closed_ends_with_141(place: Path, arguments: str) -> None:
    ran = shell(place, arguments, ">&-")
    assert ran.stdout.split()[-1] == "141"
    assert "Traceback" not in ran.stderr and "Exception ignored" not in ran.stderr


@pytest.mark.parametrize("arguments", [CLASSIFY, "--help", "schema"])
def test_an_output_that_nobody_reads_ends_with_141(place: Path, arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # before it starts: `| true` may still be there when a short answer is written
    command = [sys.executable, "-m", "videmo", *arguments.split()]
    ran = subprocess.run(command, cwd=place, stdout=writer, stderr=subprocess.PIPE, timeout=120)
    os.close(writer)
    assert ran.returncode == 141 and ran.stderr == b""


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&- <&-", "2>&-",
    pytest.param(">/dev/full 2>/dev/full", marks=needs_full),
    pytest.param("2>/dev/full", marks=needs_full)])  # fmt: skip
def test_a_run_into_a_file_does_not_care_for_them(place: Path, streams: str) -> None:
    out = place / f"out{len(list(place.iterdir()))}.csv"
    ran = shell(place, f"{CLASSIFY} --out {out.name}", streams)
    assert ran.stdout.split()[-1] == "1"  # for b.gif is broken
    assert out.read_text().count("\n") == 3 and "Traceback" not in ran.stderr


@pytest.mark.parametrize("streams", ["2>&-", pytest.param("2>/dev/full", marks=needs_full)])
def test_words_that_find_no_room_stop_no_work(place: Path, streams: str) -> None:
    ran = shell(place, CLASSIFY, streams)
    assert ran.stdout.split()[-1] == "1" and ran.stdout.count("a.gif") == 1


@needs_full
def test_a_full_output_is_said_in_a_line(place: Path) -> None:
    ran = shell(place, "schema", ">/dev/full")
    assert ran.stderr == (
        "videmo: error: standard output: the disk is full; free some space or write to another "
        "disk\n"
    )


def test_a_library_does_not_warn_into_our_lines(place: Path, shared: Path) -> None:
    picture = shared / "clips/reported/damaged_exif.jpg"
    for more in ("", "-j 1"):
        ran = shell(place, f"classify {picture} a.gif --head ./net --format csv {more}", "")
        lines = ran.stderr.splitlines()
        assert lines and all(line.startswith("videmo: ") for line in lines), ran.stderr
        assert ran.stdout.split()[-1] == "1"


def test_debug_shows_where_a_failure_comes_from(place: Path, shared: Path) -> None:
    picture = shared / "clips/reported/damaged_exif.jpg"
    ran = shell(place, f"classify {picture} --head ./net --format csv --debug", "")
    assert "please report it" not in ran.stdout or "Traceback" in ran.stderr


def test_words_cannot_move_the_cursor_of_a_terminal(place: Path) -> None:
    """On a terminal, where click takes no escapes out of what it is given."""
    import pty

    evil = "a\x1b[2J\nb\x9b1mc"
    (place / f"{evil}.mp4").write_text("no video")
    commands = (
        ["classify", f"{evil}.mp4", "--format", "ndjson"],
        ["classify", "x.mp4", "--head", f"./{evil}"],
        ["models", "show", f"./{evil}"],
        ["evaluate", "--predictions", f"{evil}.csv", "--folders"],
        [f"--{evil}"],
        ["classify", f"--{evil}"],
    )
    for command in commands:
        ours, theirs = pty.openpty()
        subprocess.run(
            [sys.executable, "-m", "videmo", *command], cwd=place, stdout=subprocess.DEVNULL,
            stderr=theirs, timeout=120,
        )  # fmt: skip
        said = os.read(ours, 1 << 16)
        os.close(theirs)
        os.close(ours)
        assert b"\x1b[2J" not in said and "\x9b" not in said.decode(), command
        assert rb"\x1b[2J" in said, said


def test_the_end_of_the_process_is_short_but_not_for_those_who_wait_for_it() -> None:
    code = (
        "import atexit, os, sys, threading, time\n"
        "atexit.register(lambda: print('at exit', os.environ['OPENBLAS_NUM_THREADS']))\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('a thread'))).start()\n"
        "from videmo.__main__ import command; command()"
    )
    command = [sys.executable, "-c", code, "--version"]
    given = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(command, capture_output=True, text=True, env=given)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a thread" in done.stdout and done.stdout.splitlines()[-1] == "at exit 1"


def test_a_profiler_sees_the_end_of_the_process() -> None:
    command = [sys.executable, "-m", "cProfile", "-m", "videmo", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "function calls" in done.stdout
