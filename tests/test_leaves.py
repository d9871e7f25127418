"""Nothing leaves: no lookup, no connection, no file but the output and the cache's."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import published
import pytest

from videmo import doctor

ROOT = Path(__file__).resolve().parents[1]
AUDIT = ROOT / "tests" / "support" / "startup"
# Programs of this machine that libraries ask for a fact: ctypes and torch where a library lies,
# platform what the processor is called, matplotlib where fonts lie.
# Ray begins its own; completion asks bash how old it is.
LOCAL = (
    "gcs_server",
    "raylet",
    "ldconfig",
    "uname",
    "fc-list",
    "gcc",
    "cc",
    "ld",
    "objdump",
    "lscpu",
    "bash",
)
TABLE, ARCHIVE = ["out.csv", "out.csv.receipt"], ["f.npz", "f.npz.receipt"]
COMMANDS = {  # what is run, and the files it is asked for
    "classify": ("classify demo.mp4 --every 5", []),
    "into a file": (
        "classify demo.mp4 --every 5 --offline --out out.csv",
        TABLE,
    ),
    "two jobs": (
        "classify demo.mp4 again.mp4 --every 5 -j 2 --out out.csv",
        TABLE,
    ),
    "torch": ("classify demo.mp4 --every 5 --engine torch --device cpu", []),
    "extract-features": (
        "extract-features demo.mp4 --every 5 --frames --out f.npz",
        ARCHIVE,
    ),
    "timeline": ("timeline demo.mp4 --every 5 --out t.csv", ["t.csv", "t.csv.receipt"]),
    "subtitles": (
        "timeline demo.mp4 --every 5 --out-dir told -f srt",
        ["told/demo.srt", "told/timeline.csv", "told/timeline.csv.receipt"],
    ),
    "report": ("report demo.mp4 --every 5 --out r.html", ["r.html"]),
    "annotate": ("annotate demo.mp4 --every 5 --out a.mp4", ["a.mp4"]),
    "compare": ("compare table.csv same.csv", []),
    "completion": ("completion bash", []),
    "attributes": ("attributes demo.mp4 --every 5 --out a.csv", ["a.csv"]),
    "identify": ("identify demo.mp4 again.mp4 --every 9", []),
    "doctor": ("doctor", []),
    "train head": (
        "train head table.csv --columns x* --path-column path --out head",
        ["head/card.json", "head/weights.safetensors"],
    ),
    "evaluate": (
        "evaluate --predictions table.csv --truth table.csv --path-column path "
        "--pred-column label --truth-column label --confusion m.png",
        ["m.png"],
    ),
    "export": ("export lite0_faces --to openvino --out n.xml", ["n.xml", "n.bin"]),
    "models import": (
        "models import net.pt --as net --architecture test_efficientnet --size 64",
        [],
    ),
    "ray": ("classify demo.mp4 --every 9 --engine ray -j 1 --out out.csv", TABLE),
    "models list": ("models list", []),
    "schema": ("schema", []),
}


SLOW = ("torch", "export", "ray")


@dataclass(frozen=True)
class Seen:
    """What a command did besides answering."""

    code: int
    err: str
    left: list[str]  # what went out, or was about to
    started: set[str]  # names of other programs
    written: set[str]  # where it opened files to write them, below the folder of the test
    files: set[str]  # that are there afterwards and were not before, below the same


def watch(folder: Path, *arguments: str) -> Seen:
    """Run Python with an empty home and an empty folder for temporary files, and watch it."""
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir(exist_ok=True)
    before, log = files(folder), folder / "log"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder / "work", capture_output=True, text=True, timeout=300,
        env={
            "PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": f"{AUDIT}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1",
            "AUDIT_LOG": str(log),
        },
    )  # fmt: skip
    events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    started = {fact for event, fact in events if event == "subprocess.Popen"}
    outside = {
        os.path.relpath(fact, folder)
        for event, fact in events
        if event == "write" and not fact.startswith(("/dev/", "/proc/"))
    }
    return Seen(
        done.returncode,
        done.stderr,
        [f"{event} {fact}" for event, fact in events if leaves(event, fact)],
        {Path(fact.split()[0].strip("'")).name for fact in started},
        outside,
        files(folder) - before - {"log"},
    )


def leaves(event: str, fact: str) -> bool:
    """Return whether something is about to leave this process for another machine."""
    within = "family=1" in fact or "AF_UNIX" in fact  # a socket that is a file
    numbered = event == "socket.getaddrinfo" and re.match(r"'[\d.]+'", fact)  # nothing to look up
    if within or numbered:
        return False
    return event not in ("write", "subprocess.Popen", "os.posix_spawn", "os.exec")


def files(folder: Path) -> set[str]:
    """Return what lies in a folder and below it, but for folders that only hold other things."""
    there = [path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir())]
    return {str(path.relative_to(folder)) for path in there}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose `work` holds clips, a network and a table to work on."""
    work = tmp_path / "work"
    work.mkdir()
    for name in ("demo.mp4", "again.mp4"):
        shutil.copy(doctor.DEMO, work / name)
    with open(work / "table.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "x0", "x1"])
        rows.writerows([f"{i}.mp4", "ab"[i % 2], i % 2, i % 3] for i in range(40))
    shutil.copy(work / "table.csv", work / "same.csv")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in COMMANDS],
)
def test_a_command_looks_nothing_up_and_leaves_nothing_behind(folder: Path, name: str) -> None:
    line, expected = COMMANDS[name]
    if name == "models import":
        weights = published.network("test_efficientnet", 0).state_dict()
        published.save(weights, folder / "work" / "net.pt")
    seen = watch(folder, "-m", "videmo", *line.split())
    assert seen.code == 0, seen.err
    assert seen.left == []
    assert seen.started <= {Path(sys.executable).name, *LOCAL}
    cache = "home/.cache/videmo/"
    strays = {path for path in seen.files if not path.startswith(cache)}
    assert strays == {f"work/{path}" for path in expected}
    places = (cache, "tmp/", "work/")
    elsewhere = {path for path in seen.written if not f"{path}/".startswith(places)}
    gone = {path for path in elsewhere if "/.videmo-" in path and not (folder / path).exists()}
    assert elsewhere - gone <= {"home/.cache"}  # made on the way to the one below


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import socket; socket.getaddrinfo('localhost', 1)", "socket.getaddrinfo"),
        ("import urllib.request as r; r.urlopen('http://127.0.0.1:9/')", "urllib.Request"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "socket.connect"),
        (
            "import multiprocessing as m, socket\n"
            "p = m.get_context('fork').Process(target=socket.gethostbyname, args=('localhost',))\n"
            "p.start(); p.join()",
            "socket.gethostbyname",
        ),
    ],
)
def test_what_leaves_is_seen(tmp_path: Path, program: str, said: str) -> None:
    assert any(one.startswith(said) for one in watch(tmp_path, "-c", program).left)


def test_what_is_left_behind_is_seen(tmp_path: Path) -> None:
    program = "import os; open(os.path.expanduser('~/id'), 'w'); os.mkdir('empty')"
    seen = watch(tmp_path, "-c", program)
    assert seen.files == {"home/id", "work/empty"} and "home/id" in seen.written


def test_openvino_reports_where_it_is_not_kept_from_it(tmp_path: Path) -> None:
    """Or the tests above prove nothing: this is what the room keeps it from."""
    seen = watch(tmp_path, "-c", "import openvino.tools.ovc")
    assert any("google-analytics" in one for one in seen.left)
