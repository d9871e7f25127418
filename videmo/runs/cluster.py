"""Clips on the machines of a Ray cluster: workers that hold the models, and answers that return.

What travels is a path there and an answer back; a clip is read, and fails, where its worker is.
Answers come back in the order of the clips. A worker that ends costs its clip one more try, on
another worker; the clip that ends two of them costs its own answer.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from videmo import store
from videmo.data import Failure
from videmo.errors import CorruptModel, InputError, MissingDependency, ModelError, VidemoError
from videmo.files import cache_dir, sha256
from videmo.pipeline import Engine, Pipeline, cpus
from videmo.recipe import Recipe
from videmo.runs.inputs import Clip
from videmo.runs.workers import Begin, Crew, Done, Work, given_up, look

REACH = 64  # clips a worker, the oldest awaited to the newest; tests/figures/scale.py says why
TRIES = 2  # workers that a clip may end
STARTS = 3  # workers in a row that may end while they load the models
HERE = "local"  # Ray's word for a cluster of this machine alone
OBJECTS = 128 << 20  # bytes that a cluster of this machine alone keeps in shared memory

Provenance = dict[str, str | None]
Reply = tuple[Done, bytes | None]  # and the features of the faces, if they are wanted


@dataclass(frozen=True)
class Fleet(Crew):
    """A crew on a cluster; 0 jobs are as many as it has room for."""

    address: str | None = None  # HOST:PORT or auto; None: RAY_ADDRESS, or one of this machine alone
    gpus: float = 0.0  # of one worker

    @property
    def where(self) -> str:
        """The cluster, as Ray is told of it."""
        return self.address or os.environ.get("RAY_ADDRESS") or HERE

    def engine(self, engine: Engine) -> Engine:
        """Return the engine as it is: the threads of a worker depend on the cluster."""
        return engine


class Cluster:
    """A fleet of workers on a cluster; use it in a `with`, which ends them.

    Raises MissingDependency without Ray; on entering, InputError where no cluster answers, or
    where it has no room for a worker.
    """

    def __init__(self, work: Work, fleet: Fleet) -> None:
        self._ray = _ray(fleet.where)
        self.work, self.fleet, self.jobs = work, fleet, fleet.jobs
        self._provenance: Provenance = {}
        self._waiting: deque[_Task] = deque()
        self._idle: list[_Worker] = []
        self._busy: dict[Any, _Worker] = {}  # by the reference of what they were asked for
        self._ended = 0  # workers, since one has loaded the models
        self._begun = not self._ray.is_initialized()

    def __enter__(self) -> Cluster:
        if self._begun:
            _connect(self._ray, self.fleet)
        try:
            threads = self._room()
            work = replace(self.work, engine=replace(self.work.engine, threads=threads))
            parcels = _parcels(work, self._ray.put)
            kind: Any = self._ray.remote(num_cpus=threads, num_gpus=self.fleet.gpus)(Looker)
            self._make: Callable[[], Any] = lambda: kind.remote(work, parcels)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self._idle, *self._busy.values()):
            self._kill(worker)
        if self._begun:
            self._ray.shutdown()

    @property
    def provenance(self) -> Provenance:
        """What makes the numbers; known once `prepare` has run."""
        return self._provenance

    def prepare(self) -> Cluster:
        """Have a worker load the models now, and return self.

        Raises what loading them raises: InputError, ModelError, MissingDependency; and ModelError
        where no worker lives through it.
        """
        while not self._idle:
            if not self._busy:
                self._start()
            self._settle()
        return self

    def each(self, clips: Iterable[Clip], begin: Begin) -> Iterator[tuple[Clip, Done]]:
        """Yield every clip with what came of it, in their order."""
        todo, order = iter(clips), deque[_Task]()
        while True:
            while len(order) < REACH * self.jobs and (clip := next(todo, None)):
                order.append(_Task(clip))
                self._waiting.append(order[-1])
            if not order:
                return
            self._hand_out()
            if (done := order[0].done) is None:
                self._settle()
                continue
            clip = order.popleft().clip
            begin(clip.path)
            yield clip, done

    def _room(self) -> int:
        """Settle how many work, and return the threads of each.

        Those asked for, or as many as leave room for all; workers that find no room now may find
        it later, on a cluster that grows.
        """
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        most = int(max((node.get("CPU", 0) for node in nodes), default=0))
        asked, gpus = self.work.engine.threads, self.fleet.gpus
        there = _fit(nodes, asked or 1, gpus)
        if not there:
            wanted = f"{asked or 1} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
            raise InputError(
                f"no machine of the cluster has {wanted} for one worker; give fewer --threads or "
                "--gpus-per-worker, or add machines"
            )
        self.jobs = self.fleet.jobs or there
        all_of = min(self.jobs, there)
        return asked or next(t for t in range(most, 0, -1) if _fit(nodes, t, gpus) >= all_of)

    def _hand_out(self) -> None:
        """Give clips that wait to workers that do not, and begin workers while there is need."""
        while self._waiting and self._idle:
            worker = self._idle.pop()
            worker.task, worker.since = self._waiting.popleft(), time.monotonic()
            self._busy[worker.actor.look.remote(worker.task.clip)] = worker
        starting = sum(worker.task is None for worker in self._busy.values())
        for _ in range(min(len(self._waiting) - starting, self.jobs - len(self._busy))):
            self._start()

    def _start(self) -> None:
        worker = _Worker(self._make())
        self._busy[worker.actor.load.remote()] = worker

    def _settle(self) -> None:
        """Wait until a worker has something to say or has taken too long, and act on it."""
        refs = list(self._busy)
        if self._ray.wait(refs, num_returns=1, timeout=self._patience())[0]:
            ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
            for ref in ready:
                self._hear(ref, self._busy.pop(ref))
        self._give_up()

    def _hear(self, ref: Any, worker: _Worker) -> None:
        try:
            found = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise VidemoError(f"a worker failed in an unexpected way ({_last(error)})") from error
        except self._ray.exceptions.RayError as error:
            self._lose(worker, error)
            return
        if isinstance(found, VidemoError):
            raise found
        if worker.task is None:
            self._welcome(found)
        else:
            worker.task.done = self._unpacked(found)
        self._idle.append(worker)
        worker.task = None

    def _welcome(self, provenance: Provenance) -> None:
        """Note what makes the numbers; every worker must say the same."""
        self._ended, first = 0, self._provenance or provenance
        for name, value in provenance.items():
            if value != first[name]:
                raise ModelError(
                    f"the workers differ: {name} is {first[name]} on one machine and {value} on "
                    "another; install the same everywhere"
                )
        self._provenance = first

    def _lose(self, worker: _Worker, error: Exception) -> None:
        """Have another worker try the clip of one that ended, unless it has ended two."""
        self._kill(worker)  # one that only cannot be reached must not come back
        task = worker.task
        if task is None:
            self._ended += 1
            if self._ended >= STARTS:
                raise ModelError(
                    f"{STARTS} workers in a row ended while they loaded the models "
                    f"({_last(error)}); is videmo installed on every machine, and the memory "
                    "enough? give fewer --jobs, and --resume to go on"
                ) from error
            return
        task.ended += 1
        if task.ended < TRIES:
            self._waiting.appendleft(task)
            return
        text = f"{TRIES} workers ended on it; the file may be damaged, or memory ran out"
        task.done = Done(Failure(task.clip.path, "WorkerDied", text))

    def _patience(self) -> float | None:
        """Return the s until the next clip takes too long."""
        limit, since = self.fleet.timeout, [w.since for w in self._busy.values() if w.task]
        return max(0.0, min(since) + limit - time.monotonic()) if limit and since else None

    def _give_up(self) -> None:
        """End the workers whose clip takes too long."""
        limit, now = self.fleet.timeout, time.monotonic()
        for ref, worker in list(self._busy.items()):
            if limit and worker.task and now - worker.since >= limit:
                del self._busy[ref]
                self._kill(worker)
                worker.task.done = given_up(worker.task.clip, limit)

    def _kill(self, worker: _Worker) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):  # it has ended already
            self._ray.kill(worker.actor)

    def _unpacked(self, reply: Reply) -> Done:
        """Return what a worker found, with the features of the faces in a file of this machine."""
        done, faces = reply
        if faces is None or self.work.faces is None:
            return done
        path = os.path.join(self.work.faces, uuid4().hex)
        with open(path, "wb") as file:
            file.write(faces)
        return replace(done, faces=path)


@dataclass(eq=False)
class _Task:
    """A clip, what came of it, and how many workers have ended on it."""

    clip: Clip
    done: Done | None = None
    ended: int = 0


@dataclass(eq=False)
class _Worker:
    """A worker, what it is at, and since when."""

    actor: Any
    task: _Task | None = None  # None: it loads the models, or waits
    since: float = 0.0  # s, of a clock of this process


@dataclass(frozen=True)
class Parcel:
    """A file or a model's folder that the work names, with its content for other machines."""

    place: str
    files: Mapping[str, tuple[str, Any]]  # name -> SHA-256, reference to the bytes

    def lies_in(self, folder: Path) -> bool:
        """Return whether these very files are in a folder."""
        return all(
            (folder / name).is_file() and sha256(folder / name) == expected
            for name, (expected, _) in self.files.items()
        )

    def unpack(self, folder: Path) -> Path:
        """Write the files into a new folder, and return it; raises CorruptModel."""
        folder.mkdir(parents=True)
        for name, (_, ref) in self.files.items():
            (folder / name).write_bytes(_ray().get(ref))
        if not self.lies_in(folder):
            raise CorruptModel(self.place, "the files that were sent", "others")
        return folder


class Looker:
    """What a worker of the cluster is: models, loaded once, and clips, looked at one by one.

    What videmo raises is returned, so that it comes back as it is.
    """

    def __init__(self, work: Work, parcels: Mapping[str, Parcel]) -> None:
        self._work, self._parcels = work, parcels
        self._pipeline: Pipeline | None = None

    def load(self) -> Provenance | VidemoError:
        """Load the models, and say what makes the numbers."""
        with ExitStack() as stack:

            def spare() -> Path:
                folder = tempfile.TemporaryDirectory(prefix="videmo-")
                return Path(stack.enter_context(folder))

            try:
                self._pipeline = _settled(self._work, self._parcels, spare).pipeline()
                return self._pipeline.provenance
            except VidemoError as error:
                return error

    def look(self, clip: Clip) -> Reply | VidemoError:
        """Look at one clip."""
        assert self._pipeline is not None
        try:
            if self._work.faces is None:
                return look(self._pipeline, clip, None), None
            with tempfile.TemporaryDirectory(prefix="videmo-") as folder:
                done = look(self._pipeline, clip, folder)
                faces = Path(done.faces).read_bytes() if done.faces else None
                return replace(done, faces=None), faces
        except VidemoError as error:
            return error


def _ray(where: str = "") -> Any:
    """Return Ray, told before its import to count nobody's use.

    Of a cluster of its own it lets in who has a token; left to itself, it keeps one in ~/.ray.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of the future
    if where == HERE and "ray" not in sys.modules:  # it reads them once
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
        from ray._private import worker
    except ImportError as error:
        raise MissingDependency("ray", "ray") from error
    worker._worker_logs_enabled = False  # it tells of ended workers on the standard output
    return ray


def _connect(ray: Any, fleet: Fleet) -> None:
    """Join the cluster of a fleet, or begin it."""
    more = {"num_cpus": max(cpus(), fleet.jobs), "object_store_memory": OBJECTS,
            "include_dashboard": False} if fleet.where == HERE else {}  # fmt: skip
    try:
        if ":" in fleet.where:  # Ray itself tries for two minutes
            _knock(fleet.where.removeprefix("ray://"))
        ray.init(address=fleet.where, log_to_driver=False, logging_level="critical", **more)
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"{fleet.where}: no Ray cluster can be used there ({_last(error)}); --ray-address "
            "wants HOST:PORT"
        ) from error


def _knock(address: str) -> None:
    """Raise OSError, or ValueError, where nobody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _fit(nodes: Iterable[Mapping[str, float]], threads: int, gpus: float) -> int:
    """Return how many workers have room on machines with these resources."""
    return sum(
        int(min(node.get("CPU", 0) // threads, node.get("GPU", 0) // gpus if gpus else 1 << 30))
        for node in nodes
    )


def _last(error: Exception) -> str:
    """Return the last line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def _parcels(work: Work, put: Any) -> dict[str, Parcel]:
    """Return what the work names, packed: head, backbone and the detector's own weights."""
    parcels, recipe = {}, _recipe(work)
    models = {"head": work.head, "backbone": recipe.backbone if recipe else None}
    for role, name in models.items():
        if name:
            model = store.load(name)
            files = ["card.json", *map(str, model.card["files"])]
            parcels[role] = _parcel(name, model.folder, files, put)
    if weights := work.engine.detector_weights:
        path = Path(weights)
        parcels["detector"] = _parcel(weights, path.parent, [path.name], put)
    return parcels


def _parcel(place: str, folder: Path, names: Iterable[str], put: Any) -> Parcel:
    files = {name: (sha256(folder / name), put((folder / name).read_bytes())) for name in names}
    return Parcel(place, files)


def _settled(work: Work, parcels: Mapping[str, Parcel], spare: Callable[[], Path]) -> Work:
    """Return the work with every file it names where this machine has it; else it is unpacked.

    spare: makes a new folder
    """
    recipe = _recipe(work)
    for role, parcel in parcels.items():
        name = Path(parcel.place).name
        if role == "detector":
            places = [Path(parcel.place).parent]
        else:
            places = [Path(parcel.place), store.EMBEDDED / name, cache_dir() / "models" / name]
        folder = next(filter(parcel.lies_in, places), None)
        folder = folder or parcel.unpack(spare() / name)
        if role == "head":
            work = replace(work, head=str(folder))
        elif role == "backbone" and recipe:
            work = replace(work, recipe=replace(recipe, backbone=str(folder)))
        else:
            engine = replace(work.engine, detector_weights=str(folder / name))
            work = replace(work, engine=engine)
    return work


def _recipe(work: Work) -> Recipe | None:
    """Return the recipe of the work; a stand-in for work may have none."""
    return work.recipe
