"""Several clips at once: processes that each hold the models, and outlive what a clip does.

Answers come back in the order of the clips, whoever made them first. A clip that crashes its
process, takes too long, or needs more memory than there is costs its own answer; the process is
begun again for the next.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as TookTooLong
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import IO, TYPE_CHECKING
from uuid import uuid4

import numpy as np

from videmo import store
from videmo.data import Faces, Failure, Features
from videmo.errors import InputError, ModelError, VidemoError
from videmo.pipeline import Answer, Engine, Pipeline, Through, cpus
from videmo.recipe import Recipe
from videmo.runs.batch import attempt
from videmo.runs.inputs import Clip

if TYPE_CHECKING:
    from pebble import ProcessFuture, ProcessPool

    Task = tuple[Clip, ProcessFuture["Done"]]

AHEAD = 3  # clips a worker that wait or are done already: enough that none is idle
TRIES = 3  # pools in a row that may end without an answer


@dataclass(frozen=True)
class Work:
    """What each worker does with a clip: small enough to be sent, and the same for all."""

    recipe: Recipe
    head: str | None  # folder of the model
    engine: Engine
    outputs: tuple[str, ...] = ()
    faces: str | None = None  # a folder for the features of every face, if they are wanted

    @classmethod
    def like(cls, pipeline: Pipeline, crew: Crew, faces: str | None = None) -> Work:
        """Return the work that a pipeline does, shared by a crew; it need not be prepared."""
        head = str(pipeline.head_model.folder) if pipeline.head_model else None
        engine = crew.engine(pipeline.engine)
        return cls(pipeline.recipe, head, engine, tuple(pipeline.outputs), faces)

    def pipeline(self) -> Pipeline:
        """Return the pipeline, with its models loaded."""
        head = store.load(self.head) if self.head else None
        return Pipeline(self.recipe, head, self.engine, outputs=self.outputs).prepare()


@dataclass(frozen=True)
class Crew:
    """How many work at once, and for how long on one clip."""

    jobs: int  # processes
    timeout: float | None = None  # s that a clip may take

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


@dataclass(frozen=True, eq=False)
class Done:
    """What a worker sends back of one clip."""

    answer: Answer | Failure
    faces: str | None = None  # where it left the features of the faces


def given_up(clip: Clip, limit: float) -> Done:
    """Return what comes of a clip that takes more than `limit` s."""
    text = f"took more than {limit:g} s and was given up; raise --clip-timeout, or look at the file"
    return Done(Failure(clip.path, "ClipTimeout", text))


Begin = Callable[[str], None]  # is told the path of the clip that is looked at


class Here:
    """Looks at clips one after the other in this process.

    faces: a folder for the features of every face, if they are wanted
    watch: sees the features pass
    """

    def __init__(self, pipeline: Pipeline, faces: str | None, watch: Through) -> None:
        self.pipeline, self.faces, self.watch = pipeline, faces, watch

    @property
    def provenance(self) -> dict[str, str | None]:
        """What makes the numbers."""
        return self.pipeline.provenance

    def each(self, clips: Iterable[Clip], begin: Begin) -> Iterator[tuple[Clip, Done]]:
        """Yield every clip with what came of it, in their order."""
        for clip in clips:
            begin(clip.path)
            yield clip, look(self.pipeline, clip, self.faces, self.watch)


class Processes:
    """A crew of processes on this machine; use it in a `with`, which ends them."""

    def __init__(self, work: Work, crew: Crew) -> None:
        self.work, self.crew = work, crew
        self._pool, self._tries = _pool(crew.jobs), TRIES
        self._provenance: dict[str, str | None] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()

    @property
    def provenance(self) -> dict[str, str | None]:
        """What makes the numbers; known once `prepare` has run."""
        return self._provenance

    def prepare(self) -> Processes:
        """Have a worker load the models now, and return self.

        Raises what loading them raises: InputError, ModelError, MissingDependency; and ModelError
        where the process does not live through it.
        """
        from pebble import ProcessExpired

        try:
            each = [self._pool.schedule(_provenance, [self.work]) for _ in range(self.crew.jobs)]
            self._provenance = each[0].result()  # the others load theirs at the same time
        except (ProcessExpired, BrokenProcessPool) as end:
            how = _how(getattr(end, "exitcode", None))
            raise ModelError(
                f"a process ended while it loaded the models ({how}); give fewer --jobs, or none"
            ) from end
        return self

    def each(self, clips: Iterable[Clip], begin: Begin) -> Iterator[tuple[Clip, Done]]:
        """Yield every clip with what came of it, in their order."""
        waiting: deque[Task] = deque()
        for clip in clips:
            waiting.append((clip, self._schedule(clip)))
            if len(waiting) >= AHEAD * self.crew.jobs:
                yield self._next(waiting, begin)
        while waiting:
            yield self._next(waiting, begin)

    def _schedule(self, clip: Clip) -> ProcessFuture[Done]:
        try:
            return self._pool.schedule(_look, [self.work, clip], timeout=self.crew.timeout)
        except RuntimeError as end:  # the pool has ended meanwhile
            return _broken(end)

    def _next(self, waiting: deque[Task], begin: Begin) -> tuple[Clip, Done]:
        begin(waiting[0][0].path)
        while self._ended(waiting[0][1]):
            self._begin_again(waiting)
        self._tries = TRIES
        clip, task = waiting.popleft()
        return clip, self._result(clip, task)

    def _ended(self, task: ProcessFuture[Done]) -> bool:
        """Wait for the answer, and return whether the whole pool ended before there was one.

        So it does when a process is killed while none has anything to do. What it had accepted
        and not begun then stays open for ever, so that the pool is looked at every second.
        """
        while not wait([task], timeout=1).done:
            if not self._pool.active:
                return True
        return isinstance(task.exception(), BrokenProcessPool)

    def _begin_again(self, waiting: deque[Task]) -> None:
        """Begin another pool, and hand it the clips that have no answer.

        Raises VidemoError where the last ones gave no answer at all.
        """
        self._tries -= 1
        if not self._tries:
            raise VidemoError(
                "the processes ended while they waited, perhaps for lack of memory; give fewer "
                "--jobs, and --resume to go on"
            )
        self._pool.stop()
        self._pool.join()
        self._pool = _pool(self.crew.jobs)
        for i, (clip, task) in enumerate(waiting):
            if not task.done() or isinstance(task.exception(), BrokenProcessPool):
                waiting[i] = clip, self._schedule(clip)

    def _result(self, clip: Clip, task: ProcessFuture[Done]) -> Done:
        from pebble import ProcessExpired

        try:
            done: Done = task.result()
            return done
        except TookTooLong:
            return given_up(clip, self.crew.timeout or 0)
        except ProcessExpired as end:
            text = f"its process ended ({_how(end.exitcode)}); the file may be damaged, or memory"
            return Done(Failure(clip.path, "WorkerDied", f"{text} ran out"))


def _broken(end: RuntimeError) -> ProcessFuture[Done]:
    """Return what becomes of a clip that a pool takes no more."""
    from pebble import ProcessFuture

    task: ProcessFuture[Done] = ProcessFuture()
    task.set_exception(BrokenProcessPool(str(end)))
    return task


def _pool(jobs: int) -> ProcessPool:
    from pebble import ProcessPool

    spawn = multiprocessing.get_context("spawn")  # threads of ours would not survive a fork
    return ProcessPool(max_workers=jobs, context=spawn)


def _how(exitcode: int | None) -> str:
    """Return how a process ended: the name of a signal, or its exit code."""
    if exitcode is not None and exitcode < 0:
        try:
            return signal.Signals(-exitcode).name
        except ValueError:
            return f"signal {-exitcode}"
    return f"exit code {exitcode}"


@lru_cache(1)
def _pipeline(work: Work) -> Pipeline:
    """Return the pipeline of this process, made for its first clip."""
    return work.pipeline()


def _provenance(work: Work) -> dict[str, str | None]:
    return _pipeline(work).provenance


def _look(work: Work, clip: Clip) -> Done:
    return look(_pipeline(work), clip, work.faces)


def look(
    pipeline: Pipeline, clip: Clip, faces: str | None, watch: Through = lambda river: river
) -> Done:
    """Return what comes of one clip; the features of its faces go to a new file in `faces`."""
    if faces is None:
        return Done(attempt(clip, pipeline, watch))
    path = os.path.join(faces, uuid4().hex)
    answer = attempt(clip, pipeline, lambda river: watch(keeping(path)(river)))
    if isinstance(answer, Failure):
        with suppress(OSError):
            os.unlink(path)
        return Done(answer)
    return Done(answer, path)


def keeping(path: str) -> Through:
    """Return what passes features on and keeps them in a file, for `kept` to read."""

    def through(river: Iterator[Features]) -> Iterator[Features]:
        with open(path, "wb") as file:
            for features in river:
                columns = [getattr(features.faces, column.name) for column in fields(Faces)]
                for array in (np.array(features.seen), features.values, *columns):
                    np.save(file, array, allow_pickle=False)
                yield features

    return through


def kept(file: IO[bytes], end: int) -> Iterator[Features]:
    """Yield the features that `keeping` kept, from where the file is up to `end`."""
    while file.tell() < end:
        seen, values, *columns = (
            np.load(file, allow_pickle=False) for _ in range(2 + len(fields(Faces)))
        )
        yield Features(values, Faces(*columns), int(seen))
