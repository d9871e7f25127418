"""Print how long a clip takes beside decoding it, by whole processes in turn, in 4 minutes.

python tests/benchmarks/ratios.py [--rounds 5] [--clip CLIP]
    [--fer PYTHON] [--facenet PYTHON]   # of environments with fer, with facenet-pytorch

Everything takes turns with decoding alone, so that what slows the machine slows both. Run it where
nothing else runs. `pytest` does not: no test depends on a clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
CLIP = HERE.parents[2] / "shared" / "clips" / "faces" / "wolfganglanger_pexels.mp4"
DECODE = (
    "import sys; from videmo.stages.decode import Sampling, open_video\n"
    "with open_video(sys.argv[1]) as video: print(sum(map(len, video.read(Sampling()))))"
)
ANSWER = """
import json, resource, sys, time, videmo
recipe = json.loads(sys.argv[2])
engine = videmo.Engine(precision=recipe.pop("precision", "auto"))
pipeline = videmo.load(engine=engine, **recipe).prepare()
pipeline.answer(sys.argv[1], end=0.1)
begun, spent = time.perf_counter(), time.process_time()
seen = pipeline.answer(sys.argv[1]).descriptor.seen
print(json.dumps([seen / (time.perf_counter() - begun), seen / (time.process_time() - spent),
                  resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
EXACT = {"detection": {"detector": "mtcnn"}, "following": {"every": 1}}
COMMAND = [sys.executable, "-m", "videmo", "classify", "-q"]
LENGTHS = (10, 60, 240)  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS)
    parser.add_argument("--fer", metavar="PYTHON")
    parser.add_argument("--facenet", metavar="PYTHON")
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # who installs videmo has its bytecode
    whole_processes(given.clip, given.rounds)
    running(given.clip, given.rounds)
    others(given.clip, given.rounds, {"fer": given.fer, "facenet": given.facenet})
    with tempfile.TemporaryDirectory() as folder:
        lengths(given.clip, Path(folder), given.lengths)


def whole_processes(clip: Path, rounds: int) -> None:
    """Print wall and processor time of whole processes, and over those of decoding alone."""
    exact = ["--detector", "mtcnn", "--detect-every", "1"]
    in_bf16 = {"in bf16": [*COMMAND, "--precision", "bf16", str(clip)]} if has_bf16() else {}
    commands = {
        "decoding alone": [sys.executable, "-c", DECODE, str(clip)],
        "default recipe": [*COMMAND, str(clip)],
        **in_bf16,
        "budget fast": [*COMMAND, "--budget", "fast", str(clip)],
        "mtcnn, every frame": [*COMMAND, *exact, str(clip)],
        "2 s": [*COMMAND, "--end", "2", str(clip)],
        "--help": [*COMMAND[:3], "--help"],
    }
    taken = in_turns({name: (lambda c=c: spent(c)) for name, c in commands.items()}, rounds)
    alone = taken["decoding alone"]
    for name, runs in taken.items():
        wall, cpu = zip(*runs, strict=True)
        ratio = [a[0] / b[0] for a, b in zip(runs, alone, strict=True)]
        of_cpu = [a[1] / b[1] for a, b in zip(runs, alone, strict=True)]
        print(f"{name:20} {shown(wall)} s, {shown(ratio)} of decoding; processor {shown(cpu)} s, "
              f"{shown(of_cpu)}", flush=True)  # fmt: skip


def has_bf16() -> bool:
    """Return whether this processor calculates in bf16."""
    from openvino import Core

    return "BF16" in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def running(clip: Path, rounds: int) -> None:
    """Print frames/s of a process that is warm, and the most memory it held."""
    recipes: dict[str, dict[str, object]] = {"default recipe": {}, "mtcnn, every frame": EXACT}
    if has_bf16():
        recipes["in bf16"] = {"precision": "bf16"}
    runs = in_turns({name: (lambda r=r: answer(clip, r)) for name, r in recipes.items()}, rounds)
    for name, found in runs.items():
        wall, cpu, peak = zip(*found, strict=True)
        print(f"{name:20} running {shown(wall, 0)} frames/s, {shown(cpu, 0)} a processor second; "
              f"{max(peak):.0f} MB at most", flush=True)  # fmt: skip


def others(clip: Path, rounds: int, pythons: dict[str, str | None]) -> None:
    """Print frames/s of other programs, and ours over theirs, in turn."""
    kinds: dict[str, Callable[[], list[float]]] = {"videmo": lambda: answer(clip, {})}
    for name, python in pythons.items():
        if python:
            command = [python, str(HERE / f"beside_{name}.py"), str(clip)]
            kinds[name] = lambda c=command: told(c)
            if name == "fer":  # which looks by Haar's cascade unless it is told mtcnn=True
                kinds["fer, by Haar"] = lambda c=command: told([*c, "haar"])
    if len(kinds) == 1:
        return
    runs = in_turns(kinds, max(3, rounds // 2))
    for name, found in runs.items():
        ratio = [a[0] / b[0] for a, b in zip(runs["videmo"], found, strict=True)]
        of_cpu = [a[1] / b[1] for a, b in zip(runs["videmo"], found, strict=True)]
        print(f"{name:20} {shown([f[0] for f in found], 1)} frames/s; videmo {shown(ratio, 1)} "
              f"times, by processor time {shown(of_cpu, 1)}", flush=True)  # fmt: skip


def lengths(clip: Path, folder: Path, seconds: list[int]) -> None:
    """Print time and memory over length, and how far times lie from a line."""
    sys.path[:0] = [str(HERE.parent / "figures"), str(HERE.parent / "support")]
    import numpy as np
    from repeat import repeat

    rows = []
    for length in seconds:
        repeat(clip, folder / f"{length}.mp4", length)
        pace, _, peak = answer(folder / f"{length}.mp4", {})
        rows.append((length, 25 * length / pace, peak))
        print(f"{length:4} s of clip: {rows[-1][1]:.2f} s, {peak:.0f} MB at most", flush=True)
    if len(rows) > 2:
        x, y = np.array(rows).T[:2]
        slope, start = np.polyfit(x, y, 1, w=1 / y)  # as good, in shares, for short as for long
        off = abs((start + slope * x) / y - 1).max()
        print(f"linear in length: {start:.2f} s and {60 * slope:.2f} s a minute, {off:.1%} off")


def in_turns(kinds: dict[str, Callable[[], list[float]]], rounds: int) -> dict[str, list]:
    """Return what each kind gives, of every round."""
    found: dict[str, list] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, run in kinds.items():
            found[name].append(run())
    return found


def spent(command: list[str]) -> list[float]:
    """Return the s of the wall and of the processor that a process takes."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - begun, os.times()
    used = after.children_user + after.children_system
    return [wall, used - before.children_user - before.children_system]


def answer(clip: Path, recipe: dict[str, object]) -> list[float]:
    return told([sys.executable, "-c", ANSWER, str(clip), json.dumps(recipe)])


def told(command: list[str]) -> list[float]:
    """Return the numbers of the last line that a process writes."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    numbers: list[float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def shown(values: object, digits: int = 2) -> str:
    numbers = sorted(values)  # type: ignore[call-overload]
    return f"{median(numbers):.{digits}f} ({numbers[0]:.{digits}f}-{numbers[-1]:.{digits}f})"


if __name__ == "__main__":
    main()
