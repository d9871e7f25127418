"""One pass over a clip goes in; every face that was seen, whose it is and what it shows, comes out.

    pipeline = load("afew7")
    moments = watch(pipeline, "clip.mp4").moments
    moments.faces.time, moments.person, moments.probabilities

A face takes about 250 bytes: an hour of one person at 25 frames/s is 22 MB.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from videmo import pipeline as river
from videmo import store
from videmo.data import F32, F64, I64, Array, Faces, Features
from videmo.errors import InputError
from videmo.people.linking import NOBODY, Linking, PersonLinker, persons_of
from videmo.pipeline import Answer, Engine, FeatureHook, Pipeline
from videmo.recipe import stage_changes
from videmo.stages.heads.attributes import AFFECT, IDENTITY, Affect, per_face
from videmo.stages.quality import quality
from videmo.write.spool import begun, put, spool_errors, unspooled


@dataclass(frozen=True, eq=False)
class Moments:
    """Every face of a clip that counts, in order of frames; columns of one length M."""

    labels: tuple[str, ...]  # of the probabilities, in order
    faces: Faces  # M of them, with their tracks
    person: I64  # (M,) 1, 2, ... as they first appear; 0: too small, or seen for too short
    raw: F32  # (M, P) what the network says of each, whose means `Pipeline.tell` reads
    probabilities: F32  # (M, C) the head's answer for each face alone
    affect: F32  # (M, 2) valence and arousal, -1 to 1; NaN where the network tells none
    quality: F32  # (M, 4) as `stages.quality.NAMES`
    times: F64  # (N,) s, every frame looked at, with a face or without
    cuts: F64  # (K,) s, the first frames behind a cut

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, keep: Array | slice) -> Moments:
        """Return the faces that `keep` (a mask, indices or a slice) selects; frames stay."""
        columns = ("faces", "person", "raw", "probabilities", "affect", "quality")
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})

    @property
    def persons(self) -> tuple[int, ...]:
        """The numbers of those who were seen, rising."""
        return tuple(n for n in np.unique(self.person).tolist() if n != NOBODY)

    @classmethod
    def of(cls, batches: Iterable[Features], pipeline: Pipeline) -> Moments:
        """Return the moments of a clip from what `spooled_moments` kept of it."""
        values, times, cuts, faces = _joined(batches, _columns(pipeline))
        told = _width(pipeline)
        raw, rest = values[:, 1 : 1 + told], values[:, 1 + told :]
        affect = rest if rest.shape[1] else np.full((len(values), 2), np.nan, np.float32)
        return cls(
            pipeline.labels, faces, values[:, 0].astype(np.int64), raw, pipeline.tell(raw),
            affect, quality(faces), times, cuts,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Watched:
    """What one pass over a clip found out."""

    answer: Answer  # what `classify` would tell of it, by the same recipe
    moments: Moments


def load(
    head: str | Path = "afew7",
    *,
    engine: Engine | None = None,
    prior: str | Path | None = None,
    linking: Linking | None = None,
    **changes: Any,
) -> Pipeline:
    """Return a pipeline that counts all faces of a frame, and tells persons apart.

    The arguments are those of `pipeline.load`; `changes` go first. The identity embeddings that
    `linking` asks for are compared in memory and never written.
    Raises InputError for a head that reads whole clips, or a network that lacks identity where it
    is asked for, and what `pipeline.load` raises.
    """
    outputs = (IDENTITY,) if (linking or Linking()).by == "identity" else ()
    _check_identity(head, outputs)
    given: dict[str, Any] = stage_changes(**changes)
    given["detection"] = {"faces": "all", **given.get("detection", {})}
    made = river.load(head, engine=engine, outputs=outputs, prior=prior, **given)
    made.tell(np.zeros((0, 0)))
    return made


def _check_identity(head: str | Path, outputs: Collection[str]) -> None:
    """Refuse a network that cannot tell persons apart, where that is asked of it."""
    backbone = store.load(store.load(head).as_head().recipe.backbone)
    if missing := [name for name in outputs if name not in backbone.backbone_spec().outputs]:
        raise InputError(
            f"network {backbone.name} has no output {missing[0]}, to know who comes back by; "
            "give link=overlap, or another head"
        )


def watch(
    pipeline: Pipeline,
    path: str | Path,
    *,
    start: float | None = None,
    end: float | None = None,
    linking: Linking | None = None,
    progress: FeatureHook = lambda features: features,
) -> Watched:
    """Return all faces of a clip, whose they are and what they show.

    pipeline: as `load` makes it
    start, end: s of presentation time
    progress: sees the features pass
    Raises VideoError where the clip cannot be read.
    """
    collector = MomentCollector(pipeline, linking)

    def through(features: Iterator[Features]) -> Iterator[Features]:
        return progress(collector(features))

    pipeline.check_every_frame()
    answer = pipeline.answer(path, start=start, end=end, through=through)
    return Watched(answer, Moments.of(collector.batches(), pipeline))


class MomentCollector:
    """Keeps moments while features flow past: a `through` for a pipeline.

    keep: is handed each batch as it is kept; by default they are kept in memory
    """

    def __init__(
        self,
        pipeline: Pipeline,
        linking: Linking | None = None,
        keep: Callable[[Features], None] | None = None,
    ) -> None:
        self._pipeline, self._kept = pipeline, list[Features]()
        self._keep = keep or self._kept.append
        self._linker = PersonLinker(linking)

    def __call__(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on unchanged."""
        for features in river:
            piece = self._linker.add(features)
            self._keep(_compact(features, self._pipeline, piece))
            yield features

    def batches(self) -> Iterator[Features]:
        """Yield what was kept in memory, and let go of it, with the person of each face."""
        self._kept.reverse()
        return self.numbered(self._kept.pop() for _ in range(len(self._kept)))

    def numbered(self, batches: Iterable[Features]) -> Iterator[Features]:
        """Yield batches as they were kept, with the person of each face."""
        persons = self._linker.persons()
        for features in batches:
            features.values[:, 0] = persons_of(features.values[:, 0].astype(np.int64), persons)
            yield features


def spooled_moments(path: str, pipeline: Pipeline, linking: Linking | None = None) -> FeatureHook:
    """Return what passes features on and keeps moments in a file, for `unspooled` to read.

    The persons are known at the end alone, so that the file is written twice.
    """

    def through(river: Iterator[Features]) -> Iterator[Features]:
        draft = f"{path}.draft"
        try:
            with begun(draft) as file:
                collector = MomentCollector(pipeline, linking, partial(_put, path, file))
                yield from collector(river)
            with spool_errors(path), open(draft, "rb") as source, open(path, "wb") as whole:
                for batch in collector.numbered(unspooled(source, os.path.getsize(draft))):
                    put(whole, batch)
        finally:
            with suppress(OSError):
                os.unlink(draft)

    return through


def _put(path: str, file: IO[bytes], batch: Features) -> None:
    with spool_errors(path):
        put(file, batch)


def _compact(features: Features, pipeline: Pipeline, piece: I64) -> Features:
    """Return what is kept of a batch: what tells the person, and what is told of each face."""
    names = [pipeline.recipe.pooling.of, *([AFFECT] if AFFECT in pipeline.outputs else [])]
    told = [per_face(name, features.outputs[name]) for name in names]
    values = np.column_stack([piece, *told]).astype(np.float32)
    return replace(features, values=values, outputs={})


def _width(pipeline: Pipeline) -> int:
    """Return how many columns the network's own answer has."""
    return len(pipeline.outputs[pipeline.recipe.pooling.of])


def _columns(pipeline: Pipeline) -> int:
    return 1 + _width(pipeline) + (len(Affect._fields) if AFFECT in pipeline.outputs else 0)


def _joined(batches: Iterable[Features], width: int) -> tuple[F32, F64, F64, Faces]:
    """Return the values (M, width), times, cuts and faces of all batches in a row.

    Column by column, whose parts are let go of, so that memory does not hold all of them twice.
    """
    names = [column.name for column in fields(Faces)]
    none = Features(np.zeros((0, width), np.float32), Faces.none(), 0)
    parts: dict[str, list[Array]] = {name: [] for name in ("values", "times", "cuts", *names)}
    for batch in chain([none], batches):
        parts["values"].append(batch.values)
        for name in ("times", "cuts"):
            told = getattr(batch, name)
            parts[name].append(np.zeros(0) if told is None else told)
        for name in names:
            parts[name].append(getattr(batch.faces, name))
    values, times, cuts, *columns = (np.concatenate(parts.pop(name)) for name in [*parts])
    return values, times, cuts, Faces(*columns)
