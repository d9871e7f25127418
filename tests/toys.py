"""Stand-ins for a pipeline and what it finds, where a worker's process can import them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from videmo.data import Descriptor, Faces, Features, VideoInfo
from videmo.errors import InputError, ModelNotFound
from videmo.pipeline import Answer
from videmo.workers import Work


class Toy:
    """Stands for a pipeline; what it does with a clip is the clip's name."""

    @property
    def provenance(self) -> dict[str, str | None]:
        return {"videmo": "toy"}

    def answer(self, path: str, **more: Any) -> Answer:
        word, _, number = path.partition(" ")
        if word == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if word == "vanish":
            os._exit(7)
        if word == "hang":
            time.sleep(60)
        if word == "slow":
            time.sleep(0.3)
        if word == "broken":
            raise InputError(f"{path}: cannot be read")
        if word == "hungry":
            raise MemoryError
        descriptor = Descriptor(np.full(2, float(number), np.float32), 1, 1, 1)
        return Answer(VideoInfo(path, 2, 2, 1, 0.1, 10.0, "toy"), descriptor, None, ())


@dataclass(frozen=True)
class ToyWork(Work):
    """Makes toys; `missing` stands for a model that is not there."""

    missing: bool = False
    deadly: bool = False

    def pipeline(self) -> Any:
        if self.missing:
            raise ModelNotFound("toy", ["afew7"])
        if self.deadly:
            os._exit(9)
        return Toy()


def features(count: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    faces = Faces(
        row=np.zeros(count, np.int64),
        index=np.arange(count),
        time=np.arange(count) / 25,
        box=rng.random((count, 4), np.float32),
        score=rng.random(count, np.float32),
        landmarks=np.zeros((count, 5, 2), np.float32),
        track=np.arange(count) % 2,
    )
    return Features(rng.random((count, 3), np.float32), faces, count)


def descriptor(*values: float) -> Descriptor:
    return Descriptor(np.array(values, np.float32), faces=9, frames=7, seen=8)
