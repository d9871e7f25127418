"""What following costs and gives: each shared clip with both recipes, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import videmo
from videmo.data import Faces
from videmo.errors import VidemoError
from videmo.pipeline import Answer, Pipeline
from videmo.stages.boxes import iou

EXACT = {"detection": {"detector": "mtcnn"}, "following": {"every": 1}}
FAST = {"detection": {"detector": "retinaface-mobilenet"}, "following": {"every": "auto"}}


class Kept:
    """Keeps the faces that flow by."""

    def __init__(self) -> None:
        self.faces: list[Faces] = []

    def __call__(self, river: Iterator[Any]) -> Iterator[Any]:
        for features in river:
            self.faces.append(features.faces)
            yield features

    def by_frame(self) -> Iterator[tuple[int, Faces]]:
        for faces in self.faces:
            for number in np.unique(faces.index):
                yield int(number), faces[faces.index == number]


def pipelines(head: str, recipes: Sequence[Mapping[str, Any]]) -> list[Pipeline]:
    """Return a pipeline of `head` with each of the recipes."""
    return [videmo.load(head, **recipe).prepare() for recipe in recipes]


def meet(ours: Kept, theirs: Kept) -> np.ndarray:
    """Return for each face of both: overlap, offset x y, scale x y, points over the eye distance.

    Offset and scale are those of ours in sides of theirs.
    """
    other, rows = dict(theirs.by_frame()), []
    for number, faces in ours.by_frame():
        there = other.get(number)
        if there is None:
            continue
        overlap = iou(faces.box, there.box)
        for one, which in enumerate(overlap.argmax(1)):
            if overlap[one, which] > 0.3:
                rows.append([overlap[one, which], *_apart(faces, one, there, int(which))])
    return np.array(rows).reshape(-1, 6)


def steps(kept: Kept) -> list[float]:
    """Return how far the edges of each face move from a frame to the next, in sides of it."""
    frames, moved = dict(kept.by_frame()), []
    for number, faces in frames.items():
        before = frames.get(number - 1)
        if before is None:
            continue
        overlap = iou(faces.box, before.box)
        for one, which in enumerate(overlap.argmax(1)):
            if overlap[one, which] > 0.3:
                side = (faces.box[one, 2:] - faces.box[one, :2]).max()
                moved.append(float(np.abs(faces.box[one] - before.box[which]).mean() / side))
    return moved


def _apart(faces: Faces, one: int, there: Faces, which: int) -> list[float]:
    box, other = faces.box[one].astype(float), there.box[which].astype(float)
    side = other[2:] - other[:2]
    offset = (box[:2] + box[2:] - other[:2] - other[2:]) / 2 / side
    scale = (box[2:] - box[:2]) / side
    marks, expected = faces.landmarks[one], there.landmarks[which]
    eyes = np.linalg.norm(expected[1] - expected[0])
    return [*offset, *scale, float(np.linalg.norm(marks - expected, axis=1).mean() / eyes)]


def report(clips: Sequence[Path], head: str) -> None:
    """Print a line a clip, then what all faces and all labels come to."""
    exact, fast = pipelines(head, (EXACT, FAST))
    met, apart, same = [np.zeros((0, 6))], [], 0
    moved: tuple[list[float], list[float]] = [], []
    for clip in clips:
        kept = Kept(), Kept()
        try:
            one, two = (p.answer(clip, through=k) for p, k in zip((exact, fast), kept, strict=True))
        except VidemoError as error:
            print(f"{clip.name}: {type(error).__name__}", flush=True)
            continue
        met.append(meet(kept[1], kept[0]))
        for of, one_kept in zip(moved, kept, strict=True):
            of += steps(one_kept)
        print(f"{clip.name[:40]:41}{_counts(one, two)}  {_labels(one, two)}", flush=True)
        if one.prediction and two.prediction:
            apart.append(np.abs(one.prediction.scores - two.prediction.scores).mean())
            same += one.prediction.label == two.prediction.label
    rows = np.concatenate(met)
    print(
        f"{same} of {len(apart)} labels equal; probabilities {np.mean(apart):.4f} apart on average"
    )
    print(
        f"n {len(rows)}: overlap, 1st, 5th, 50th percentile", np.percentile(rows[:, 0], [1, 5, 50])
    )
    for name, column in zip(("offset x", "y", "scale x", "y"), rows[:, 1:5].T, strict=True):
        print(f"  {name:9}mean {column.mean():+.4f}, sd {column.std():.4f}")
    print(
        "  points of the eye distance, 50th, 95th percentile", np.percentile(rows[:, 5], [50, 95])
    )
    for name, of in zip(("on every frame", "followed"), moved, strict=True):
        print(f"  edges move from frame to frame, {name}, 50th, 90th percentile of sides",
              np.percentile(of, [50, 90]))  # fmt: skip


def _counts(one: Answer, two: Answer) -> str:
    seen = two.descriptor.seen
    return (
        f"{seen:5} frames, a face in {one.descriptor.frames} and {two.descriptor.frames}, "
        f"{two.looks.whole} whole"
    )


def _labels(one: Answer, two: Answer) -> str:
    said = [a.prediction.label if a.prediction else "no face" for a in (one, two)]
    return said[0] if said[0] == said[1] else f"{said[0]} and {said[1]} DIFFER"
