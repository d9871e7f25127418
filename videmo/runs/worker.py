"""One process that looks at clips: what it builds its pipeline of, and what it makes of each clip.

It is this process, one of several (`processes`), or one of a cluster's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from videmo import store
from videmo.data import POSITIVE, Failure
from videmo.errors import InputError
from videmo.pipeline import Engine, FeatureHook, OpenHook, Pipeline, cpus
from videmo.recipe import Recipe
from videmo.runs.batch import attempt
from videmo.runs.executor import ClipResult, OnStart, Provenance
from videmo.runs.inputs import Clip
from videmo.write.spool import spooled

if TYPE_CHECKING:
    from videmo.people.linking import Linking


@dataclass(frozen=True)
class PipelineSpec:
    """What each worker builds its pipeline of: small enough to be sent, and the same for all."""

    recipe: Recipe
    head: str | None  # folder of the model
    engine: Engine
    outputs: tuple[str, ...] = ()
    faces: str | None = None  # a folder for the features of every face, if they are wanted
    linking: Linking | None = None  # the moments of every face are wanted in their place

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        options: WorkerOptions,
        faces: str | None = None,
        linking: Linking | None = None,
    ) -> PipelineSpec:
        """Return the spec of a pipeline, which need not be prepared, for one of several workers."""
        head = str(pipeline.head_model.folder.absolute()) if pipeline.head_model else None
        engine = options.engine(pipeline.engine)
        return cls(pipeline.recipe, head, engine, tuple(pipeline.outputs), faces, linking)

    def build(self) -> Pipeline:
        """Return the pipeline, with its models loaded."""
        head = store.load(self.head) if self.head else None
        return Pipeline(self.recipe, head, self.engine, outputs=self.outputs).prepare()


@dataclass(frozen=True)
class WorkerOptions:
    """How many work at once, and for how long on one clip."""

    jobs: int  # processes
    timeout: float | None = None  # s that a clip may take

    def __post_init__(self) -> None:
        POSITIVE.check_given("timeout of a clip", self.timeout)

    def engine(self, engine: Engine) -> Engine:
        """Return the engine of one worker: jobs x threads is what this process may use.

        Raises InputError for more threads than that.
        """
        there = cpus()
        if engine.threads and engine.threads * self.jobs > max(there, self.jobs):
            raise InputError(
                f"{self.jobs} jobs of {engine.threads} threads are more than the {there} CPUs that "
                "may be used; give fewer --jobs or --threads"
            )
        return replace(engine, threads=engine.threads or max(1, there // self.jobs))


class InProcessExecutor:
    """Looks at clips one after the other in this process.

    faces: a folder for the features of every face, if they are wanted
    watch, on_open: as in `Pipeline.answer`
    linking: moments of the faces are wanted in place of their features
    """

    def __init__(
        self,
        pipeline: Pipeline,
        faces: str | None,
        watch: FeatureHook,
        linking: Linking | None = None,
        on_open: OpenHook | None = None,
    ) -> None:
        self.pipeline, self.faces, self.watch, self.linking = pipeline, faces, watch, linking
        self.on_open = on_open

    @property
    def provenance(self) -> Provenance:
        """What makes the numbers."""
        return self.pipeline.provenance

    def map(self, clips: Iterable[Clip], on_start: OnStart) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield every clip with its result, in their order."""
        for clip in clips:
            on_start(clip.path)
            how = self.faces, self.watch, self.linking, self.on_open
            yield clip, run_clip(self.pipeline, clip, *how)

    def again(self, clips: Sequence[Clip]) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield clips with their results; who reads this outlives what ends a worker."""
        return self.map(clips, lambda path: None)


def run_clip(
    pipeline: Pipeline,
    clip: Clip,
    faces: str | None,
    watch: FeatureHook = lambda river: river,
    linking: Linking | None = None,
    on_open: OpenHook | None = None,
) -> ClipResult:
    """Return the result of one clip; the features of its faces go to a new file in `faces`.

    linking: how persons are told apart, where moments are wanted in place of features

    Raises OutputError where that file cannot be written.
    """
    if faces is None:
        return ClipResult(attempt(clip, pipeline, watch, on_open))
    path = os.path.join(faces, uuid4().hex)
    keep = _moments(path, pipeline, linking) if linking else spooled(path)
    answer = attempt(clip, pipeline, lambda river: watch(keep(river)), on_open)
    if isinstance(answer, Failure):
        with suppress(OSError):
            os.unlink(path)
        return ClipResult(answer)
    return ClipResult(answer, path)


def _moments(path: str, pipeline: Pipeline, linking: Linking) -> FeatureHook:
    from videmo.people.moments import spooled_moments  # for few runs, and it takes a while to load

    return spooled_moments(path, pipeline, linking)
