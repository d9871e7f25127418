"""Runs that are killed, doubled, or whose folder goes away, against one that was left alone.

However a run was interrupted, once it is resumed its output has the bytes of the other, nothing
else is left beside it, and nobody sees a traceback.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import faults
import numpy as np

from videmo.runs.journal import SUFFIX
from videmo.runs.resume import RECEIPT

LIMIT = 300  # s; a run that takes longer hangs
COMMANDS = {
    "out.csv": ("classify", "--detector", "whole"),
    "out.npz": ("extract-features", "--frames", "--detector", "whole"),
}


@dataclass
class Tried:
    """What came of interruptions of one kind."""

    kind: str
    count: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge(self, run: Finished, out: Path, wanted: bytes, what: str) -> None:
        """Count one, and note what is not as it should be after its last run."""
        self.count += 1
        allowed = {out.name, out.name + RECEIPT, "clips"}
        left = {path.name for path in out.parent.iterdir()} - allowed
        faults_ = [
            ("hangs", run.code is None),
            ("has a traceback", "Traceback" in run.words),
            (f"ends with {run.code}", run.code not in (0, 1)),
            ("has no output", not out.exists()),
            ("has other bytes", out.exists() and out.read_bytes() != wanted),
            (f"leaves {sorted(left)}", bool(left)),
        ]
        self.wrong += [f"{what}: {fault}" for fault, there in faults_ if there]


@dataclass
class Finished:
    """A run that has ended; without a code it was still on after `LIMIT`."""

    code: int | None
    words: str


def kills(folder: Path, count: int, seed: int) -> list[Tried]:
    """Kill the parent, or a worker, at a random clip; resume, and compare."""
    rng, tried = np.random.default_rng(seed), [Tried("parents killed"), Tried("workers killed")]
    clips = _clips(folder, 24)
    wanted = {name: _whole(folder, clips, name) for name in COMMANDS}
    for number in range(count):
        of, name = tried[number % 2], list(COMMANDS)[number // 2 % 2]
        jobs = ("-j", "2") if number % 2 or rng.random() < 0.5 else ()
        after = int(rng.integers(1, 20))
        out = _place(folder, f"kill{number}") / name
        what = f"{of.kind} {number}: {name} {' '.join(jobs)} after {after}"
        run = _started(clips, out, *jobs)
        if _reached(run, out, after):
            victim = run.pid if of is tried[0] else _worker(run.pid, rng)
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
        ended = _ended(run)
        if of is tried[0]:
            ended = _ended(_started(clips, out, "--resume", *jobs))
        of.judge(ended, out, wanted[name], what)
    return tried


def writers(folder: Path, count: int, seed: int) -> Tried:
    """Begin two runs into one file, a moment apart; one must write it, the other say who does."""
    rng, tried = np.random.default_rng(seed), Tried("two writers of one file")
    clips = _clips(folder, 24)
    wanted = _whole(folder, clips, "out.csv")
    for number in range(count):
        more = ((), ("--resume",), ("--overwrite",))[number % 3]
        out = _place(folder, f"two{number}") / "out.csv"
        runs = [_started(clips, out, *more)]
        time.sleep(float(rng.uniform(0, 1.5)))
        runs.append(_started(clips, out, *more))
        ended = [_ended(run) for run in runs]
        good = [run for run in ended if re.search(_REFUSED, run.words) is None]
        tried.judge((good or ended)[0], out, wanted, f"writers {number} {' '.join(more)}")
        if not good or any("Traceback" in run.words for run in ended):
            tried.wrong.append(f"writers {number}: {[run.words[-200:] for run in ended]}")
    return tried


_REFUSED = r"another videmo, process \d+ on|is there already; give|a run was stopped here"


def renamed(folder: Path, count: int, clips: int = 200) -> Tried:
    """Rename the folder of the clips half-way and back once the run has ended; resume."""
    tried = Tried(f"roots of {clips} clips renamed")
    root = _clips(folder, clips)
    wanted = _whole(folder, root, "out.csv")
    for number in range(count):
        jobs = ("-j", "2") if number % 2 else ()
        out = _place(folder, f"renamed{number}") / "out.csv"
        run = _started(root, out, *jobs)
        _reached(run, out, clips // 2)
        root.rename(root.with_name("away"))
        first = _ended(run)
        root.with_name("away").rename(root)
        what = f"renamed {number} {' '.join(jobs)}"
        if first.code != 1 or "is not there any more" not in first.words or out.exists():
            tried.wrong.append(f"{what}: was not stopped ({first.code}: {first.words[-200:]})")
        tried.judge(_ended(_started(root, out, "--resume", *jobs)), out, wanted, what)
    return tried


def report(folder: Path, count: int, seed: int) -> None:
    """Print what came of `count` kills, and of a fifth as many of the others."""
    ways: Sequence[Callable[[Path], Sequence[Tried]]] = (
        lambda place: kills(place, count, seed),
        lambda place: [writers(place, max(3, count // 5), seed)],
        lambda place: [renamed(place, max(2, count // 15))],
    )
    for number, way in enumerate(ways):
        place = folder / str(number)
        place.mkdir()
        for tried in way(place):
            print(f"{tried.kind}: {tried.count}, wrong {len(tried.wrong)}")
            for wrong in tried.wrong:
                print(f"  {wrong}")


def _clips(folder: Path, count: int) -> Path:
    """Write so many tiny clips, of which every tenth is broken, and return their folder."""
    place, one = folder / "clips", faults.tiny(folder / "one.mp4").read_bytes()
    place.mkdir()
    for number in range(count):
        (place / f"{number:03}.mp4").write_bytes(one if number % 10 else one[: len(one) // 2])
    return place


def _place(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _whole(folder: Path, clips: Path, name: str) -> bytes:
    out = _place(folder, f"whole {name}") / name
    ended = _ended(_started(clips, out))
    if ended.code != 1:
        raise RuntimeError(ended.words)
    return out.read_bytes()


def _started(clips: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """Begin a run beside its output, over clips that are named from there."""
    name, *options = COMMANDS[out.name]
    command = [sys.executable, "-m", "videmo", name, os.path.relpath(clips, out.parent), *options]
    return subprocess.Popen(
        [*command, "--out", out.name, *more], cwd=out.parent,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def _ended(run: subprocess.Popen[bytes]) -> Finished:
    try:
        _, words = run.communicate(timeout=LIMIT)
        return Finished(run.returncode, words.decode())
    except subprocess.TimeoutExpired:
        run.kill()
        _, words = run.communicate()
        return Finished(None, words.decode())


def _reached(run: subprocess.Popen[bytes], out: Path, entries: int) -> bool:
    """Wait until so many clips are in the journal; return whether the run is still on."""
    journal, until = Path(f"{out}{SUFFIX}"), time.monotonic() + LIMIT
    while run.poll() is None and time.monotonic() < until:
        try:
            if journal.read_bytes().count(b'"vector": ') >= entries:
                return True
        except FileNotFoundError:
            pass
        time.sleep(0.002)
    return False


def _worker(parent: int, rng: np.random.Generator) -> int | None:
    """Return one of the processes that look at clips, if there is one."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(parent)],
                            capture_output=True, text=True)  # fmt: skip
    found = [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]
    return int(rng.choice(found)) if found else None
