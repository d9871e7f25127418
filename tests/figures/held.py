"""What the rows, trails and pages of a long clip hold in memory beside its faces."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np

from videmo.data import Faces, Features
from videmo.people.moments import Moments, load
from videmo.people.timeline import Timing, rows
from videmo.pipeline import Pipeline
from videmo.show.annotate import AnnotateOptions, _Painter
from videmo.show.clip_page import _strips

PERSONS, RATE, BATCH = 4, 25, 256  # people who are always there; frames/s; faces of a batch


def kept(pipeline: Pipeline, seconds: int, seed: int = 0) -> Iterator[Features]:
    """Yield the faces of a clip as a run keeps them, of people whose answers are drawn."""
    rng, wide = np.random.default_rng(seed), len(pipeline.outputs[pipeline.recipe.pooling.of])
    for first in range(0, seconds * RATE * PERSONS, BATCH):
        face = np.arange(first, min(first + BATCH, seconds * RATE * PERSONS))
        index, person = face // PERSONS, face % PERSONS
        box = np.tile(np.array([10, 10, 90, 90], np.float32), (len(face), 1))
        points = np.zeros((len(face), 5, 2), np.float32)
        score = np.ones(len(face), np.float32)
        faces = Faces(index - index[0], index, index / RATE, box, score, points, person)
        values = np.column_stack([1 + person, rng.dirichlet(np.ones(wide), len(face))])
        times = np.unique(index) / RATE
        yield Features(values.astype(np.float32), faces, len(times), times=times)


def peak(work: Callable[[], object]) -> float:
    """Return the MB that work holds at most, beside what is there before."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def held(seconds: int = 3600) -> None:
    """Print what each holds of a clip of four people at every frame."""
    pipeline = load("afew7")
    batches = [*kept(pipeline, seconds)]
    tracemalloc.start()
    moments = Moments.of(iter(batches), pipeline)
    here, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{len(moments):,} faces: {here / 1e6:.0f} MB; read again {(most - here) / 1e6:.0f} more")
    for by in ("frame", "window", "segment", "person"):  # all is held when the first row comes
        timing = Timing(by=by)  # type: ignore[arg-type]
        print(f"timeline by {by} {peak(lambda t=timing: next(rows(moments, pipeline, t))):.0f} MB")
    print(f"annotate {peak(lambda: _Painter(moments, pipeline, AnnotateOptions())):.0f} MB")
    print(f"strips of a report {peak(lambda: _page(moments, pipeline, seconds)):.0f} MB")


def _page(moments: Moments, pipeline: Pipeline, seconds: int) -> None:
    _strips(moments, pipeline, moments.persons, 0, seconds)
    for _ in rows(moments, pipeline, Timing(by="segment")):
        pass
