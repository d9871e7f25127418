"""Files that are to be had from the network: what is known of one, where it lies, may it be asked.

Without what fetches them: that takes a third of the time in which a command starts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from videmo.errors import InputError
from videmo.files import cache_dir

OFFLINE = "--offline"
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Download:
    """A file that is to be had, and by what it is told from another of its name."""

    name: str
    urls: tuple[str, ...]  # http, https or file; tried in this order
    sha256: str = ""  # in hex: all digits, or the first ones
    git_blob: str = ""  # the first digits of its id in git
    packed: bool = False  # the SHA-256 may be that of the only member of the archive it is

    @property
    def sum(self) -> str:
        """By what it is known, in words."""
        if self.sha256:
            return f"SHA-256 {self.sha256}"
        return f"git blob {self.git_blob}" if self.git_blob else "of a sum not known"


def files_dir() -> Path:
    """Return the folder of the cache that holds what was fetched."""
    return cache_dir() / "files"


def checked_name(name: str) -> str:
    """Return `name` if a file or folder may be called so; raises InputError."""
    odd = any(c in "/\\:" or not c.isprintable() for c in name)
    if odd or not name or name.startswith("."):
        raise InputError(f"{name!r} is no plain name; give one without folders, such as own_net")
    return name


def offline() -> str:
    """Return what forbids the network, in words, or nothing: a variable, or the option that set it
    for this process and those that it starts."""
    for name in ("VIDEMO_OFFLINE", "HF_HUB_OFFLINE"):
        said = os.environ.get(name, "").strip().lower()
        if said == OFFLINE:
            return f"{OFFLINE} is given"
        if said in _TRUE:
            return f"{name} is set"
    return ""
