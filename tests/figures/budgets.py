"""What answers from some of the frames give up and save: filmed stills, and the shared clips."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from repeat import repeat

import videmo
from videmo.errors import VidemoError
from videmo.evaluate.metrics import wilson_interval
from videmo.labels import label_set, meaning
from videmo.pipeline import Answer, Pipeline
from videmo.stages.decode.arrays import Frames
from videmo.stages.image import resize
from videmo.train.budget import paired_interval
from videmo.train.ferplus import read_ferplus
from videmo.train.synthetic import VALENCES, TrackOptions, make_frames

EDGE, LARGER = 32, 3  # px around the picture of 64 px, and how often as large a frame shows it
LENGTHS = {"as filmed": (8, 24), "longer": (25, 100)}  # frames


def pair(head: str) -> list[Pipeline]:
    """Return a head that looks at every frame, and one that looks at as few as it needs."""
    engine = videmo.Engine(threads=1)
    return [videmo.load(head, engine=engine, budget=b).prepare() for b in ("exact", "fast")]


def timed(pipeline: Pipeline, clip: object) -> tuple[Answer, float]:
    """Return an answer, and the s of processor time that it took."""
    begun = time.process_time()
    return pipeline.answer(clip), time.process_time() - begun  # type: ignore[arg-type]


def filmed(data: Path, head: str, each: int, split: str, seed: int = 0) -> None:
    """Print accuracy, frames and time of both on filmed stills that detection has to find."""
    faces, pipelines = read_ferplus(data, split), pair(head)
    for name, frames in LENGTHS.items():
        rng = np.random.default_rng(seed)
        right, spent, shares, ends = [], [], [], Counter[int]()
        for label in [label for label in label_set(head) for _ in range(each)]:
            own = VALENCES.get(meaning(label), (meaning(label),))
            shown = own[rng.integers(len(own))] if len(own) > 1 else own[0]
            clip = _shown(make_frames(faces, shown, TrackOptions(frames=frames), rng))
            answers, took = zip(*(timed(one, clip) for one in pipelines), strict=True)
            right.append([bool(a.prediction and a.prediction.label == label) for a in answers])
            spent.append(took)
            shares.append(answers[1].share)
            ends[answers[1].stride] += 1
        print(f"{head}, {name}, {frames[0]} to {frames[1]} frames, of which decoding is no part:")
        _say(np.array(right), np.array(spent), shares, ends)


def _shown(pictures: np.ndarray) -> Frames:
    """Return grey pictures (N, 64, 64) as a clip, each in a frame of 384 px."""
    edged = np.pad(pictures, ((0, 0), (EDGE, EDGE), (EDGE, EDGE)), mode="edge")
    side = edged.shape[1] * LARGER
    return Frames(np.stack([resize(np.repeat(p[..., None], 3, -1), side, side) for p in edged]))


def _say(right: np.ndarray, spent: np.ndarray, shares: list[float], ends: Counter[int]) -> None:
    for name, column in zip(("exact", "fast"), right.T, strict=True):
        low, high = wilson_interval(int(column.sum()), len(column))
        print(f"  {name:6}{column.mean():.3f} ({low:.3f}-{high:.3f}, n {len(column)})")
    low, high = paired_interval(*right.T)
    apart = right[:, 1].mean() - right[:, 0].mean()
    print(f"  difference {apart:+.3f} ({low:+.3f} to {high:+.3f}, of pairs)")
    stops = ", ".join(f"{ends[s]} at stride {s}" for s in sorted(ends, reverse=True))
    print(f"  {np.mean(shares):.3f} of the frames: {stops}")
    print(f"  {spent[:, 1].sum() / spent[:, 0].sum():.2f} of the time")


def clips(paths: Sequence[Path], head: str, rounds: int = 3) -> None:
    """Print for each clip what both answer, and how long they take: the least of some in turn."""
    pipelines, apart, same = pair(head), [], 0
    for path in paths:
        try:
            (exact, fast), times = _in_turn(pipelines, path, rounds)
        except VidemoError:
            continue
        if exact.prediction and fast.prediction:
            apart.append(np.abs(exact.prediction.scores - fast.prediction.scores).mean())
            same += exact.prediction.label == fast.prediction.label
        labels = [a.prediction.label if a.prediction else "no face" for a in (exact, fast)]
        print(
            f"{path.name:42.42} {exact.descriptor.seen:5} frames, {fast.share:.3f} of them, "
            f"{times[1] / times[0]:.2f} of {times[0]:.2f} s  {' '.join(dict.fromkeys(labels))}"
        )
    print(f"{same} of {len(apart)} labels are equal, probabilities {np.mean(apart):.3f} apart")


def _in_turn(
    pipelines: Sequence[Pipeline], path: Path, rounds: int
) -> tuple[list[Answer], np.ndarray]:
    taken = [[timed(one, path) for one in pipelines] for _ in range(rounds)]
    times = np.array([[took for _, took in each] for each in taken])
    return [answer for answer, _ in taken[0]], times.min(0)


def long(source: Path, head: str, seconds: float = 600) -> None:
    """Print the same of a clip of ten minutes, and of its first two seconds."""
    with tempfile.TemporaryDirectory() as folder:
        for length in (2, seconds):
            path = Path(folder) / f"{source.stem}, {length:.0f} s.mp4"
            repeat(source, path, length)
            clips([path], head, rounds=3 if length == 2 else 1)
