"""Accuracy of a head on filmed stills that detection has to find, with both recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from following import EXACT, FAST

from videmo import pipeline, store
from videmo.data import FrameBatch, VideoInfo
from videmo.evaluate.metrics import wilson_interval
from videmo.labels import label_set, meaning
from videmo.stages.image import resize
from videmo.train.ferplus import read_ferplus
from videmo.train.synthetic import VALENCES, TrackOptions, make_frames

EDGE, LARGER = 32, 3  # px around the picture of 64 px, and how often as large a frame shows it


class Reel:
    """A clip that lies in memory: grey pictures (N, 64, 64), each in a frame of 384 px."""

    warnings: Sequence[str] = ()

    def __init__(self, pictures: np.ndarray) -> None:
        edged = np.pad(pictures, ((0, 0), (EDGE, EDGE), (EDGE, EDGE)), mode="edge")
        side = edged.shape[1] * LARGER
        self.pixels = np.stack([resize(np.repeat(p[..., None], 3, -1), side, side) for p in edged])
        self.info = VideoInfo("reel", side, side, len(edged), len(edged) / 25, 25.0, "memory")

    def read(self, sampling: Any) -> Iterator[FrameBatch]:
        yield FrameBatch(self.pixels, np.arange(len(self.pixels)), np.arange(len(self.pixels)) / 25)

    def close(self) -> None:
        pass


class Filmed(pipeline.Pipeline):
    """Answers for a Reel."""

    def _open(self, path: Any) -> Any:
        return path


def report(data: Path, head: str, each: int, split: str, seed: int = 0) -> None:
    """Print the accuracy of `head` with each recipe, and on how many clips they differ."""
    model = store.load(head).as_head()
    runs = [Filmed(model.recipe.with_changes(**recipe), model) for recipe in (EXACT, FAST)]
    faces, rng = read_ferplus(data, split), np.random.default_rng(seed)
    right: list[list[bool]] = []
    covered = np.zeros((2, 2))
    for label in [label for label in label_set(head) for _ in range(each)]:
        own = VALENCES.get(meaning(label), (meaning(label),))
        shown = own[rng.integers(len(own))] if len(own) > 1 else own[0]
        reel = Reel(make_frames(faces, shown, TrackOptions(frames=(8, 24)), rng))
        answers = [run.answer(reel) for run in runs]  # type: ignore[arg-type]
        right.append([bool(a.prediction and a.prediction.label == label) for a in answers])
        covered += [[a.descriptor.frames, a.descriptor.seen] for a in answers]
    table = np.array(right)
    for name, column, (frames, seen) in zip(("exact", "fast"), table.T, covered, strict=True):
        low, high = wilson_interval(int(column.sum()), len(column))
        print(
            f"{name:6} {column.mean():.4f} [{low:.4f}, {high:.4f}] of {len(column)} clips, "
            f"a face in {frames:.0f} of {seen:.0f} frames"
        )
    only = (table[:, 0] & ~table[:, 1]).sum(), (table[:, 1] & ~table[:, 0]).sum()
    print(f"right with one alone: exact {only[0]}, fast {only[1]}")
