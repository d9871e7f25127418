"""Ten thousand clips: one run watched from outside, stopped twice, and taken up again."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import faults

from videmo.runs.journal import SUFFIX

_ENTRY = b'"vector": '


@dataclass
class Seen:
    """What was seen of one run of the command."""

    code: int
    seconds: float
    done: int  # clips in its journal when it ended, or was stopped
    memory: list[int] = field(default_factory=list)  # MB of the parent, each so many new clips
    peak: int = 0  # MB


@dataclass
class Crowd:
    """What ten thousand clips did to a run."""

    whole: Seen
    stops: list[Seen]  # by Ctrl-C, by kill -9, and the last one to the end
    again: Seen  # from a journal that has every clip
    complete: Seen  # with an output that is there already
    ordered: bool  # rows as the names sort
    equal: list[bool]  # the output of the stopped run, and that of the full journal


def named(folder: Path, count: int) -> Path:
    """Put one tiny clip under so many names, which sort in no simple way; return their folder."""
    one, place = faults.tiny(folder / "one.mp4"), folder / "clips"
    place.mkdir()
    for number in range(count):
        where = place / ("", "Z", "a", "é")[number % 4]
        where.mkdir(exist_ok=True)
        name = where / f"{'aZ é_'[number % 5]}{number * 7919 % count}.mp4"
        try:
            os.link(one, name)
        except OSError:  # a disk without links
            name.write_bytes(one.read_bytes())
    return place


def crowd(folder: Path, count: int, *, jobs: int = 2, stopped: bool = True) -> Crowd:
    """Classify `count` clips in one go, and resume what is done; `stopped`: also with two stops."""
    place, each = named(folder, count), max(1, count // 10)
    one, two, full = (folder / name for name in ("one.csv", "two.csv", "full.journal"))
    command = [sys.executable, "-m", "videmo", "classify", str(place), "--detector", "whole",
               "-q", "-j", str(jobs), "--out"]  # fmt: skip
    whole = watched([*command, str(one)], one, each, keep=full)
    wanted, equal, stops = one.read_bytes(), [], []
    if stopped:
        third, resumed = count * 3 // 10, [*command, str(two), "--resume"]
        stops = [
            watched([*command, str(two)], two, each, stop=(third, signal.SIGINT)),
            watched(resumed, two, each, stop=(2 * third, signal.SIGKILL)),
            watched(resumed, two, each),
        ]
        equal.append(two.read_bytes() == wanted)
    one.unlink()
    full.rename(f"{one}{SUFFIX}")
    again = watched([*command, str(one), "--resume"], one, each)
    equal.append(one.read_bytes() == wanted)
    complete = watched([*command, str(one), "--resume"], one, each)
    return Crowd(whole, stops, again, complete, _ordered(one, place), equal)


def watched(
    command: Sequence[str],
    out: Path,
    each: int,
    *,
    stop: tuple[int, signal.Signals] | None = None,
    keep: Path | None = None,
) -> Seen:
    """Run a command and look at its journal and its memory until it ends.

    each: clips between two looks at its memory
    stop: after how many clips it gets which signal
    keep: another name for its journal, which stays when the journal is removed
    """
    journal, sent, begun = Path(f"{out}{SUFFIX}"), False, time.monotonic()
    place, before = _news(journal, 0)
    seen = Seen(0, 0.0, before)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        while run.poll() is None:
            if keep and not keep.exists() and journal.exists():
                os.link(journal, keep)
            place, new = _news(journal, place)
            seen.done += new
            now, seen.peak = _memory(run.pid, seen.peak)
            if seen.done - before >= each * (len(seen.memory) + 1):
                seen.memory.append(now)
            if stop and not sent and seen.done >= stop[0]:
                run.send_signal(stop[1])
                sent = True
            time.sleep(0.02)
        seen.code, seen.seconds = run.returncode, time.monotonic() - begun
        said = run.stderr.read().decode() if run.stderr else ""
    if "Traceback" in said or (stop is None and seen.code not in (0, 1)):
        raise RuntimeError(said)
    return seen


def _news(journal: Path, place: int) -> tuple[int, int]:
    """Return how far a journal was read, and how many entries are new since `place`."""
    try:
        with journal.open("rb") as file:
            file.seek(place)
            new = file.read()
    except FileNotFoundError:
        return place, 0
    last = max(new.rfind(_ENTRY) + len(_ENTRY), 0) if _ENTRY in new else 0
    return place + last, new.count(_ENTRY)


def _memory(pid: int, peak: int) -> tuple[int, int]:
    """Return the resident memory of a process and its highest so far, in MB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, peak
    found = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if "Vm" in line}
    return int(found.get("VmRSS", 0)) >> 10, max(peak, int(found.get("VmHWM", 0)) >> 10)


def _ordered(out: Path, place: Path) -> bool:
    """Return whether there is a row for each clip, in the order of the names, part by part."""
    with out.open(encoding="utf-8", newline="") as file:
        rows = [row["path"] for row in csv.DictReader(file)]
    clips = [str(path) for path in place.rglob("*.mp4")]
    return rows == sorted(clips, key=lambda path: path.split(os.sep))


def report(folder: Path, count: int) -> None:
    """Print a table of what so many clips did to a run."""
    made = crowd(folder, count)
    runs = {"in one go": made.whole, "Ctrl-C": made.stops[0], "resumed, kill -9": made.stops[1],
            "resumed to the end": made.stops[2], "resumed, all done": made.again,
            "resumed, output there": made.complete}  # fmt: skip
    print(f"{count} clips; memory is that of the parent, MB, each {max(1, count // 10)} new clips")
    print(f"{'run':24}{'exit code':>10}{'clips':>8}{'s':>8}{'peak':>6}  memory")
    for name, seen in runs.items():
        row = f"{name:24}{seen.code:>10}{seen.done:>8}{seen.seconds:>8.1f}{seen.peak:>6}"
        print(row, "", *seen.memory)
    print(f"rows in the order of the names: {made.ordered}; the same bytes after the stops, and "
          f"from the full journal: {', '.join(map(str, made.equal))}")  # fmt: skip
