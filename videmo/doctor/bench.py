"""How fast a clip is read here: by whole processes in turn, and by stage in one of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from videmo.errors import InputError
from videmo.pipeline import Engine, Pipeline
from videmo.stages.decode import Sampling, open_video

PERIOD = 600.0  # s that one process may take

Facts = dict[str, Any]


def measure_decoding(path: str, engine: Engine) -> Facts:
    """Read every frame, do nothing with it, and count them; raises VideoError."""
    with open_video(path, engine.decoder, threads=engine.threads or 2) as video:
        return {"frames": sum(len(frames) for frames in video.read(Sampling()))}


def measure_stages(path: str, pipeline: Pipeline) -> Facts:
    """Return the s of each stage, one after the other in one thread; raises VideoError."""
    return {"stages": pipeline.prepare().spent(path)}


def measure_answer(path: str, pipeline: Pipeline) -> Facts:
    """Return what one answer comes to, and the s that it took without the start."""
    pipeline.prepare()
    begun = time.perf_counter()
    given = pipeline.answer(path)
    spent = time.perf_counter() - begun
    found = given.descriptor
    return {
        "frames": round(found.seen / given.share), "looked": found.seen,
        "faces": found.faces, "detected": given.looks.whole, "run": spent,
        "peak_mb": peak_mb(),
    }  # fmt: skip


def peak_mb() -> float | None:
    """Return the most memory that this process has held, in MiB; None where nobody tells."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def compare_variants(path: str, variants: Sequence[Sequence[str]], rounds: int) -> list[Facts]:
    """Return what each variant, as options of the command, takes: all of them in turn, and again.

    Each round reads the clip once without anything else, then once by each variant, every time
    in a fresh process: what slows the machine for a while slows all of them.
    """
    times: list[list[float]] = [[] for _ in variants]
    alone, facts = [], [list[Facts]() for _ in variants]
    for _ in range(rounds):
        alone.append(_child("decode", path, variants[0])["whole"])
        for took, found, options in zip(times, facts, variants, strict=True):
            found.append(_child("answer", path, options))
            took.append(found[-1]["whole"])
    return [
        {
            "options": " ".join(options),
            **_summary(found, alone),
            "to_first": median_and_range([a / b for a, b in zip(took, times[0], strict=True)]),
            "stages": _child("stages", path, options)["stages"],
        }
        for options, found, took in zip(variants, facts, times, strict=True)
    ]


def median_and_range(values: Sequence[float]) -> Facts:
    """Return the median of some values, the least and the most of them."""
    return {"median": median(values), "least": min(values), "most": max(values)}


def _summary(found: Sequence[Facts], alone: Sequence[float]) -> Facts:
    """Return what all runs of one variant come to, beside decoding alone in the same rounds."""
    whole = [one["whole"] for one in found]
    first = found[0]
    return {
        "frames": first["frames"], "looked": first["looked"],
        "faces": first["faces"], "frames_detected": first["detected"],
        "whole_s": median_and_range(whole), "decode_s": median_and_range(alone),
        "to_decode": median_and_range([a / b for a, b in zip(whole, alone, strict=True)]),
        "start_s": median_and_range([one["whole"] - one["run"] for one in found]),
        "frames_per_s": median_and_range([one["frames"] / one["run"] for one in found]),
        "faces_per_s": median_and_range([one["faces"] / one["run"] for one in found]),
        "peak_mb": max((one["peak_mb"] for one in found if one["peak_mb"]), default=None),
    }  # fmt: skip


def _child(kind: str, path: str, options: Sequence[str]) -> Facts:
    """Return what another process measures, and the s that all of it took; raises InputError."""
    command = [sys.executable, "-m", "videmo", "bench", path, "--once", kind, *options]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=PERIOD, check=False)
    whole = time.perf_counter() - begun
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(
            f"{' '.join(options) or 'videmo bench'}: {said[-1].removeprefix('videmo: error: ')}"
        )
    found: Facts = json.loads(done.stdout)
    return {**found, "whole": whole}
