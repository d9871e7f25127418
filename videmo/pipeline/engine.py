"""What may change the pace of a pipeline, and never its numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from videmo.data import Range
from videmo.stages.decode.formats import MAX_PIXELS


@dataclass(frozen=True)
class Engine:
    """What may change the pace but not the numbers."""

    device: str = "auto"  # auto, cpu, cuda, cuda:N, mps
    engine: str = "auto"  # auto, openvino, torch
    precision: str = "auto"  # auto, fp32, bf16, fp16: of the backbone's arithmetic
    decoder: str = "auto"  # auto, decord, pyav
    threads: int = 0  # 0: as many as this process may use
    detector_weights: str | None = None  # where a copy of the detector's own weights lies
    megapixels: float = MAX_PIXELS / 1e6  # of a frame, that are read; larger ones are errors
    batch_mb: int = 16  # MiB of pixels in one batch of frames; about five batches live at once
    scratch: str | None = None  # where copies of clips at URLs lie; None: with temporary files

    def __post_init__(self) -> None:
        Range(0, open=True).check("megapixels", self.megapixels)

    @property
    def runs(self) -> str:
        """What runs the network of faces: openvino or torch."""
        if self.engine != "auto":
            return self.engine
        return "openvino" if self.device in ("auto", "cpu") else "torch"

    @property
    def cpus(self) -> int:
        """How many threads calculate."""
        return self.threads or cpus()


def cpus() -> int:
    """Return how many CPUs this process may use: its affinity and its cgroup's share.

    Not the machine's count: a container may have a part of it (cpu.max, Linux cgroup v2).
    """
    there = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    return max(1, min(there, _cgroup_cpus("/sys/fs/cgroup/cpu.max", there)))


def _cgroup_cpus(path: str, otherwise: int) -> int:
    """Return the CPUs that a cgroup may use, from its quota and period in microseconds."""
    try:
        quota, period = Path(path).read_text().split()
        return int(quota) // int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return otherwise
