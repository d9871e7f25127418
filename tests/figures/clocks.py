"""Recordings whose clock jumps, joined at random, and whether their times are told truly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import clips
import numpy as np

from videmo.stages.decode import Sampling, open_video

RATE = 25  # frames/s
TICKS = 600  # a second, as `clips.make` counts
HOUR = 3600 * TICKS


def piece(folder: Path, begin: int, frames: int) -> bytes:
    """Return a transport stream of so many frames whose clock begins at so many ticks."""
    path = folder / f"{begin}-{frames}.ts"
    if not path.exists():
        ticks = [begin + i * TICKS // RATE for i in range(frames)]
        clips.make(path, frames, ticks=ticks, size=(96, 128))
    return path.read_bytes()


def report(folder: Path, count: int, seed: int) -> None:
    """Print how many joined recordings are read with times that rise by one frame each."""
    rng, wrong, told = np.random.default_rng(seed), list[str](), Counter[str]()
    begins = [0, TICKS // 2, 5 * TICKS, 30 * TICKS, HOUR, 3 * HOUR, 20 * HOUR]
    for number in range(count):
        pieces = [
            (int(rng.choice(begins)), int(rng.choice([10, 25, 50])))
            for _ in range(int(rng.integers(2, 5)))
        ]
        path = folder / f"joined {number}.ts"
        path.write_bytes(b"".join(piece(folder, *one) for one in pieces))
        fault = _fault(path, pieces)
        told["told" if fault is None else "wrong"] += 1
        if fault:
            wrong.append(f"{pieces}: {fault}")
        path.unlink()
    print(f"{count} recordings of 2 to 4 pieces, seed {seed}: {told['told']} told truly")
    for line in wrong:
        print(f"    {line}")


def _fault(path: Path, pieces: list[tuple[int, int]]) -> str | None:
    """Return what is wrong with the times of a recording."""
    with open_video(path) as video:
        times = np.concatenate([frames.time for frames in video.read(Sampling())])
    frames = sum(count for _, count in pieces)
    if len(times) != frames:
        return f"{len(times)} of {frames} frames"
    steps = np.diff(times)
    if (steps < 0).any():
        return "times run backwards"
    jumps = int((np.abs(steps - 1 / RATE) > 2e-3).sum())
    if jumps and not video.warnings:
        return f"{jumps} jumps that nothing tells"
    if video.info.duration is None or not times[-1] < video.info.duration < times[-1] + 1:
        return f"lasts {video.info.duration} s, the last frame is at {times[-1]:.2f} s"
    return None
