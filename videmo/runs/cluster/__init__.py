"""Clips on the machines of a Ray cluster: workers that hold the models, and results that return.

What travels is a path there and a result back; a clip is read, and fails, where its worker is.
Results come back in the order of the clips. What a worker goes through:

    state     event       next       what is done
    LOADING   Loaded      IDLE       what makes the numbers is noted; all must say the same
    LOADING   Ended       gone       another is begun, unless too many ended in a row
    BUSY      Replied     IDLE       its clip has a result
    BUSY      Ended       gone       its clip has the result that its worker died (see `executor`)
    BUSY      TimedOut    gone       its clip has the result that it took too long

An IDLE worker is given the next clip that waits, and is BUSY.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from uuid import uuid4

from videmo.errors import InputError, ModelError, VidemoError
from videmo.runs.cluster.bundles import bundles_of
from videmo.runs.cluster.connection import (
    ClusterOptions,
    connected,
    last_line,
    ray_library,
    room_for,
)
from videmo.runs.cluster.worker import ClusterWorker, Reply
from videmo.runs.executor import (
    RESTARTS,
    ClipResult,
    OnStart,
    Provenance,
    Restarts,
    timed_out,
    worker_died,
)
from videmo.runs.inputs import Clip
from videmo.runs.worker import PipelineSpec
from videmo.write.sink import output_errors

WINDOW = 64  # clips a worker, the oldest awaited to the newest; tests/figures/scale.py says why


class ClusterExecutor:
    """Workers on a cluster; use it in a `with`, which ends them.

    Raises MissingDependency without Ray; on entering, InputError where no cluster answers, or
    where it has no room for a worker.
    """

    def __init__(self, spec: PipelineSpec, options: ClusterOptions) -> None:
        self._ray = ray_library(options.where)
        self.spec, self.options, self.jobs = spec, options, options.jobs
        self._provenance: Provenance = {}
        self._waiting: deque[_Task] = deque()
        self._idle: list[_Worker] = []
        self._asked: dict[Any, _Worker] = {}  # loading or busy, by the reference of the reply
        self._restarts, self._machines = Restarts(), 1
        self._cluster = ExitStack()

    def __enter__(self) -> ClusterExecutor:
        if not self._ray.is_initialized():
            self._cluster.enter_context(connected(self._ray, self.options))
        try:
            threads = self._plan()
            engine = replace(self.spec.engine, threads=threads, scratch=None)
            spec = replace(self.spec, engine=engine)
            bundles = bundles_of(spec, self._ray.put)
            kind: Any = self._ray.remote(num_cpus=threads, num_gpus=self.options.gpus)(
                ClusterWorker
            )
            self._make: Callable[[], Any] = lambda: kind.remote(spec, bundles)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self._idle, *self._asked.values()):
            self._kill(worker)
        self._cluster.close()

    @property
    def provenance(self) -> Provenance:
        """What makes the numbers; known once `prepare` has run."""
        return self._provenance

    def prepare(self) -> ClusterExecutor:
        """Have a worker load the models now, and return self.

        Raises what loading them raises: InputError, ModelError, MissingDependency; and ModelError
        where no worker lives through it.
        """
        while not self._idle:
            if not self._asked:
                self._start()
            self._step()
        return self

    def map(self, clips: Iterable[Clip], on_start: OnStart) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield every clip with its result, in their order."""
        todo, order = iter(clips), deque[_Task]()
        while True:
            while len(order) < WINDOW * self.jobs and (clip := next(todo, None)):
                order.append(_Task(clip))
                self._waiting.append(order[-1])
            if not order:
                return
            self._assign()
            if (result := order[0].result) is None:
                self._step()
                continue
            clip = order.popleft().clip
            on_start(clip.path)
            yield clip, result

    def again(self, clips: Sequence[Clip]) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield clips with their results, as many at once as there are machines."""
        later, self._waiting = self._waiting, deque()
        while any(worker.state is State.BUSY for worker in self._asked.values()):
            self._step()
        for first in range(0, len(clips), self._machines):
            tasks = [_Task(clip) for clip in clips[first : first + self._machines]]
            self._waiting.extend(tasks)
            for task in tasks:
                while task.result is None:
                    self._assign()
                    self._step()
                yield task.clip, task.result
        self._waiting = later

    def _plan(self) -> int:
        """Settle how many work, and return the threads of each.

        Those asked for, or as many as leave room for all; workers that find no room now may find
        it later, on a cluster that grows.
        """
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        most = int(max((node.get("CPU", 0) for node in nodes), default=0))
        asked, gpus = self.spec.engine.threads, self.options.gpus
        room = room_for(nodes, asked or 1, gpus)
        if not room:
            wanted = f"{asked or 1} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
            raise InputError(
                f"no machine of the cluster has {wanted} for one worker; give fewer --threads or "
                "--gpus-per-worker, or add machines"
            )
        self.jobs = self.options.jobs or room
        self._machines = sum(room_for([node], asked or 1, gpus) > 0 for node in nodes)
        all_of = min(self.jobs, room)
        return asked or next(t for t in range(most, 0, -1) if room_for(nodes, t, gpus) >= all_of)

    def _assign(self) -> None:
        """Give clips that wait to workers that do not, and begin workers while there is need."""
        while self._waiting and self._idle:
            worker = self._idle.pop()
            worker.state, worker.task = State.BUSY, self._waiting.popleft()
            worker.since = time.monotonic()
            self._asked[worker.actor.run.remote(worker.task.clip)] = worker
        loading = sum(worker.state is State.LOADING for worker in self._asked.values())
        for _ in range(min(len(self._waiting) - loading, self.jobs - len(self._asked))):
            self._start()

    def _start(self) -> None:
        worker = _Worker(self._make())
        self._asked[worker.actor.load.remote()] = worker

    def _step(self) -> None:
        """Wait for the next events, and act on them."""
        for event in self._events():
            match event:
                case Loaded(worker, provenance):
                    self._agree(provenance)
                    self._rest(worker)
                case Replied(worker, reply):
                    worker.task.result = self._received(reply)
                    self._rest(worker)
                case Ended(worker, error):
                    self._kill(worker)  # one that only cannot be reached must not come back
                    self._replace(worker, error)
                case TimedOut(worker):
                    self._kill(worker)
                    worker.task.result = timed_out(worker.task.clip, self.options.timeout or 0)

    def _events(self) -> Iterator[Event]:
        """Yield what happened, once anything did; a worker in an event awaits no reply."""
        asked = list(self._asked)
        if self._ray.wait(asked, num_returns=1, timeout=self._patience())[0]:
            ready, _ = self._ray.wait(asked, num_returns=len(asked), timeout=0)
            for ref in ready:
                yield self._event(ref, self._asked.pop(ref))
        now = time.monotonic()
        for ref, worker in list(self._asked.items()):
            limit = self.options.timeout
            if limit and worker.state is State.BUSY and now - worker.since >= limit:
                del self._asked[ref]
                yield TimedOut(worker)

    def _event(self, ref: Any, worker: _Worker) -> Event:
        """Return what a reply means; raises what the worker met and all others would meet."""
        try:
            reply = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            text = f"a worker failed in an unexpected way ({last_line(error)})"
            raise VidemoError(text) from error
        except self._ray.exceptions.RayError as error:
            return Ended(worker, error)
        if isinstance(reply, VidemoError):
            raise reply
        return (Loaded if worker.state is State.LOADING else Replied)(worker, reply)

    def _rest(self, worker: _Worker) -> None:
        worker.state, worker.task = State.IDLE, None
        self._idle.append(worker)
        self._restarts.clear()

    def _agree(self, provenance: Provenance) -> None:
        """Note what makes the numbers; every worker must say the same."""
        first = self._provenance or provenance
        for name, value in provenance.items():
            if value != first[name]:
                raise ModelError(
                    f"the workers differ: {name} is {first[name]} on one machine and {value} on "
                    "another; install the same everywhere"
                )
        self._provenance = first

    def _replace(self, worker: _Worker, error: Exception) -> None:
        """Note that the clip of a worker died with it; of one that loaded, that it ended."""
        if worker.task is not None:
            worker.task.result = worker_died(worker.task.clip, last_line(error))
        elif not self._restarts.add():
            raise ModelError(
                f"{RESTARTS} workers in a row ended while they loaded the models "
                f"({last_line(error)}); is videmo installed on every machine, and the memory "
                "enough? give fewer --jobs, and --resume to go on"
            ) from error

    def _patience(self) -> float | None:
        """Return the s until the next clip takes too long."""
        limit = self.options.timeout
        since = [w.since for w in self._asked.values() if w.state is State.BUSY]
        return max(0.0, min(since) + limit - time.monotonic()) if limit and since else None

    def _kill(self, worker: _Worker) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):  # it has ended already
            self._ray.kill(worker.actor)

    def _received(self, reply: Reply) -> ClipResult:
        """Return what a worker found, with the features of the faces in a file of this machine."""
        result, faces = reply
        if faces is None or self.spec.faces is None:
            return result
        path = os.path.join(self.spec.faces, uuid4().hex)
        with output_errors(path), open(path, "wb") as file:
            file.write(faces)
        return replace(result, faces=path)


class State(Enum):
    """What a worker is at."""

    LOADING = 1
    IDLE = 2
    BUSY = 3


@dataclass(eq=False)
class _Task:
    """A clip, and its result once there is one."""

    clip: Clip
    result: ClipResult | None = None


@dataclass(eq=False)
class _Worker:
    """A worker, what it is at, and since when."""

    actor: Any
    state: State = State.LOADING
    task: Any = None  # a _Task where it is BUSY
    since: float = 0.0  # s, of a clock of this process


@dataclass(frozen=True)
class Loaded:
    """A worker has the models."""

    worker: _Worker
    provenance: Provenance


@dataclass(frozen=True)
class Replied:
    """A worker has looked at its clip."""

    worker: _Worker
    reply: Reply


@dataclass(frozen=True)
class Ended:
    """A worker's process or machine is gone."""

    worker: _Worker
    error: Exception


@dataclass(frozen=True)
class TimedOut:
    """A worker has been at its clip for too long."""

    worker: _Worker


Event = Loaded | Replied | Ended | TimedOut
