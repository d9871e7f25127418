"""Several clips at once: processes that each hold the models, and outlive what a clip does.

Results come back in the order of the clips, whoever made them first. A clip that crashes its
process, takes too long, or needs more memory than there is costs its own result; the process is
begun again for the next.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError as TookTooLong
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from videmo.errors import ModelError, VidemoError
from videmo.pipeline import Pipeline
from videmo.runs.board import Board, Underway
from videmo.runs.executor import (
    ClipResult,
    OnStart,
    Provenance,
    Restarts,
    timed_out,
    worker_died,
)
from videmo.runs.inputs import Clip
from videmo.runs.worker import PipelineSpec, WorkerOptions, run_clip

if TYPE_CHECKING:
    from pebble import ProcessFuture, ProcessPool


_OPEN_FILE = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_WORKER = "pebble_pool_worker"  # what pebble calls its processes
_SPAWN = multiprocessing.get_context("spawn")  # threads of ours would not survive a fork
_board: Board | None = None  # of a process that works for another; memory comes with its start only
QUEUED = 3  # clips a worker that wait or are done already: enough that none is idle


OnTick = Callable[[Sequence[Underway]], None]  # is told how far clips are


class Task(NamedTuple):
    """A clip, what will be its result, and its place on the board."""

    clip: Clip
    result: ProcessFuture[ClipResult]
    place: int | None


class ProcessExecutor:
    """Processes on this machine; use it in a `with`, which ends them.

    on_tick: is told every second, while a result is waited for, how far the clips are
    """

    def __init__(
        self, spec: PipelineSpec, options: WorkerOptions, on_tick: OnTick | None = None
    ) -> None:
        self.spec, self.options, self._on_tick = spec, options, on_tick
        self._board = Board(QUEUED * options.jobs + 1, _SPAWN)
        self._pool, self._restarts = _pool(options.jobs, self._board), Restarts()
        self._tasks: deque[Task] = deque()  # not yet yielded, in the order of the clips
        self._provenance: Provenance = {}

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _end(self._pool)

    @property
    def provenance(self) -> Provenance:
        """What makes the numbers; known once `prepare` has run."""
        return self._provenance

    def prepare(self) -> ProcessExecutor:
        """Have a worker load the models now, and return self.

        Raises what loading them raises: InputError, ModelError, MissingDependency; and ModelError
        where the process does not live through it.
        """
        from pebble import ProcessExpired

        try:
            each = [self._pool.schedule(_load, [self.spec]) for _ in range(self.options.jobs)]
            self._provenance = each[0].result()  # the others load theirs at the same time
        except (ProcessExpired, BrokenProcessPool) as end:
            how = _how(getattr(end, "exitcode", None))
            raise ModelError(
                f"a process ended while it loaded the models ({how}); give fewer --jobs, or none"
            ) from end
        return self

    def map(self, clips: Iterable[Clip], on_start: OnStart) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield every clip with its result, in their order."""
        for clip in clips:
            self._tasks.append(self._schedule(clip, self._board.take()))
            if len(self._tasks) >= QUEUED * self.options.jobs:
                on_start(self._tasks[0].clip.path)
                yield self._next()
        while self._tasks:
            on_start(self._tasks[0].clip.path)
            yield self._next()

    def again(self, clips: Sequence[Clip]) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield clips with their results, one by one, once all that were scheduled have theirs."""
        for place in range(len(self._tasks)):
            self._wait(place)
        for clip in clips:
            self._tasks.appendleft(self._schedule(clip, self._board.take()))
            yield self._next()

    def _schedule(self, clip: Clip, place: int | None) -> Task:
        try:
            task = [self.spec, _reachable(clip), place]
            return Task(clip, self._pool.schedule(_run, task, timeout=self.options.timeout), place)
        except RuntimeError as end:  # the pool has ended meanwhile
            return Task(clip, _broken(end), place)

    def _next(self) -> tuple[Clip, ClipResult]:
        self._wait(0)
        clip, task, place = self._tasks.popleft()
        self._board.give_back(place)
        return clip, self._result(clip, task)

    def _wait(self, place: int) -> None:
        """Wait until a task is done, in as many pools as that takes.

        Raises VidemoError where the last pools had no result at all.
        """
        while self._pool_ended(self._tasks[place].result):
            if not self._restarts.add():
                raise VidemoError(
                    "the processes ended while they waited, perhaps for lack of memory; give fewer "
                    "--jobs, and --resume to go on"
                )
            self._restart()
        self._restarts.clear()

    def _pool_ended(self, task: ProcessFuture[ClipResult]) -> bool:
        """Wait for the result, and return whether the whole pool ended before there was one.

        So it does when a process is killed while none has anything to do. What it had accepted
        and not begun then stays open for ever, so that the pool is looked at every second.
        """
        while not wait([task], timeout=1).done:
            if not self._pool.active:
                return True
            if self._on_tick:
                self._on_tick(self._underway())
        return isinstance(task.exception(), BrokenProcessPool)

    def _underway(self) -> list[Underway]:
        """Return how far the clips are that somebody has begun, in their order."""
        found = (self._board.read(place, clip.path, done=task.done())
                 for clip, task, place in self._tasks)  # fmt: skip
        return [one for one in found if one]

    def _restart(self) -> None:
        """Begin another pool, and hand it the clips that have no result."""
        _end(self._pool)
        self._pool = _pool(self.options.jobs, self._board)
        for i, (clip, task, place) in enumerate(self._tasks):
            if not task.done() or isinstance(task.exception(), BrokenProcessPool):
                self._tasks[i] = self._schedule(clip, place)

    def _result(self, clip: Clip, task: ProcessFuture[ClipResult]) -> ClipResult:
        from pebble import ProcessExpired

        try:
            result: ClipResult = task.result()
            return result
        except TookTooLong:
            return timed_out(clip, self.options.timeout or 0)
        except ProcessExpired as end:
            return worker_died(clip, _how(end.exitcode))


def _broken(end: RuntimeError) -> ProcessFuture[ClipResult]:
    """Return the task of a clip that a pool takes no more."""
    from pebble import ProcessFuture

    task: ProcessFuture[ClipResult] = ProcessFuture()
    task.set_exception(BrokenProcessPool(str(end)))
    return task


def _pool(jobs: int, board: Board) -> ProcessPool:
    from pebble import ProcessPool

    return ProcessPool(
        max_workers=jobs, context=_SPAWN, initializer=_begin_worker, initargs=[board]
    )


def _end(pool: ProcessPool) -> None:
    """End a pool and its processes, all at once.

    A process that has just begun asks for locks of the pool, which lets go of them and only then
    ends its processes one after the other; the last would miss its locks, and say so at length.
    """
    pool.stop()
    for process in multiprocessing.active_children():
        if process.name == _WORKER:
            process.terminate()
    pool.join()


def _begin_worker(board: Board) -> None:
    """Keep the board, and from standard error what libraries warn of; records tell what matters.

    A terminal that is closed sends HUP to workers too; what they are at is the parent's to end.
    """
    global _board
    _board = board
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(logging.NullHandler())


def _how(exitcode: int | None) -> str:
    """Return how a process ended: the name of a signal, or its exit code."""
    if exitcode is not None and exitcode < 0:
        try:
            return signal.Signals(-exitcode).name
        except ValueError:
            return f"signal {-exitcode}"
    return f"exit code {exitcode}"


@lru_cache(1)
def _pipeline(spec: PipelineSpec) -> Pipeline:
    """Return the pipeline of this process, made for its first clip."""
    return spec.build()


def _load(spec: PipelineSpec) -> Provenance:
    return _pipeline(spec).provenance


def _reachable(clip: Clip) -> Clip:
    """Return a clip whose path another process can open: <(cat a.mkv) is an open file of ours."""
    found = _OPEN_FILE.fullmatch(clip.path)
    number = "0" if clip.path == "/dev/stdin" else found and found[1]
    ours = f"/proc/{os.getpid()}/fd/{number}"
    return replace(clip, path=ours) if number and os.path.exists(ours) else clip


def _run(spec: PipelineSpec, clip: Clip, place: int | None) -> ClipResult:
    pipeline = _pipeline(spec)
    if _board is None or place is None:
        return run_clip(pipeline, clip, spec.faces, linking=spec.linking)
    told = _board.writer(place)
    return run_clip(pipeline, clip, spec.faces, told.watch, spec.linking, told.opened)
