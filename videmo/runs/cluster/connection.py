"""Ray, and the cluster that it is told of."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from videmo.errors import InputError
from videmo.files.extras import missing_dependency
from videmo.files.scratch import scratch
from videmo.pipeline import Engine, cpus
from videmo.runs.worker import WorkerOptions

LOCAL = "local"  # Ray's word for a cluster of this machine alone
OBJECT_STORE = 128 << 20  # bytes that a cluster of this machine alone keeps in shared memory


@dataclass(frozen=True)
class ClusterOptions(WorkerOptions):
    """Workers on a cluster; 0 jobs are as many as it has room for."""

    address: str | None = None  # HOST:PORT or auto; None: RAY_ADDRESS, or one of this machine alone
    gpus: float = 0.0  # of one worker

    @property
    def where(self) -> str:
        """The cluster, as Ray is told of it."""
        return self.address or os.environ.get("RAY_ADDRESS") or LOCAL

    def engine(self, engine: Engine) -> Engine:
        """Return the engine as it is: the threads of a worker depend on the cluster."""
        return engine


def ray_library(where: str = "") -> Any:
    """Return Ray, told before its import to count nobody's use.

    Of a cluster of its own it lets in who has a token; left to itself, it keeps one in ~/.ray.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of the future
    if where == LOCAL and "ray" not in sys.modules:  # it reads them once
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
        from ray._private import worker
    except ImportError as error:
        raise missing_dependency("ray") from error
    worker._worker_logs_enabled = False  # it tells of ended workers on the standard output
    return ray


@contextmanager
def connected(ray: Any, options: ClusterOptions) -> Iterator[None]:
    """Join the cluster of these options, and leave it; one of this machine alone leaves nothing."""
    with ExitStack() as stack:
        if options.where == LOCAL:
            # its sockets lie there, whose names may have some 100 characters, most of them Ray's
            near = "/tmp" if os.access("/tmp", os.W_OK) else None
            folder = stack.enter_context(scratch(near))
            stack.enter_context(_without_dashboard())
            _connect(ray, options, _temp_dir=folder, _node_ip_address="127.0.0.1")
        else:
            _connect(ray, options)
        stack.callback(ray.shutdown)
        yield


@contextmanager
def _without_dashboard() -> Iterator[None]:
    """Keep Ray from beginning the process of its dashboard.

    Switched off, it runs still, and asks the addresses of three clouds which of them this is,
    also where no usage is reported.
    """
    from ray._private.node import Node

    start = Node.start_api_server
    Node.start_api_server = lambda self, **_: None
    try:
        yield
    finally:
        Node.start_api_server = start


def _connect(ray: Any, options: ClusterOptions, **more: Any) -> None:
    """Join the cluster of these options, or begin it."""
    if options.where == LOCAL:
        more |= {"num_cpus": max(cpus(), options.jobs), "object_store_memory": OBJECT_STORE,
                 "include_dashboard": False}  # fmt: skip
    try:
        if ":" in options.where:  # Ray itself tries for two minutes
            _check_reachable(options.where.removeprefix("ray://"))
        ray.init(address=options.where, log_to_driver=False, logging_level="critical", **more)
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"{options.where}: no Ray cluster can be used there ({last_line(error)}); "
            "--ray-address wants HOST:PORT"
        ) from error


def _check_reachable(address: str) -> None:
    """Raise OSError, or ValueError, where nobody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def room_for(nodes: Iterable[Mapping[str, float]], threads: int, gpus: float) -> int:
    """Return how many workers have room on machines with these resources."""
    return sum(
        int(min(node.get("CPU", 0) // threads, node.get("GPU", 0) // gpus if gpus else 1 << 30))
        for node in nodes
    )


def last_line(error: Exception) -> str:
    """Return the last line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
