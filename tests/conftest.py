"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # cores are shared, and threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from commands import Ran
from pages import Site, serving


def pytest_configure(config: pytest.Config) -> None:
    """No example of Hypothesis has a deadline: a busy machine is no failure."""
    with suppress(ImportError):
        from hypothesis import settings

        settings.register_profile("videmo", deadline=None)
        settings.load_profile("videmo")


os.environ["VIDEMO_CONFIG"] = ""  # no defaults of whoever runs the tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and an environment that says nothing of networks or terminals."""
    for name in ("VIDEMO_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy",
                 "ALL_PROXY", "COLUMNS"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on this machine, whose pages a test puts there."""
    with serving() as site:
        yield site


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and faces, which is not part of the project."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with real clips and faces is not here")
    return folder


@pytest.fixture(scope="session")
def demo() -> Path:
    """The clip of examples/: 0-3 s one smiling face, 3-5 s another face, 5-8 s both."""
    return Path(__file__).resolve().parents[1] / "examples" / "demo.mp4"


@pytest.fixture(scope="session")
def videmo_command() -> Callable[..., Ran]:
    """Run `videmo ...` in a process of its own, as a shell would."""

    def run(*arguments: str | Path, stdin: bytes = b"", timeout: float = 300, **more: Any) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "videmo", *map(str, arguments)],
            input=stdin, capture_output=True, timeout=timeout, **more,
        )  # fmt: skip
        decode = partial(bytes.decode, encoding="utf-8", errors="surrogateescape")
        return Ran(done.returncode, decode(done.stdout), decode(done.stderr))

    return run
