"""Files that are not the package's own: fetched, checked, locked, compiled, or at a URL.

A name with URLs and a sum goes in, the path of a whole, checked file in the cache comes out. Here
stand the two things that all of this room needs: where the cache is, and the sum of a file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

_BLOCK = 1 << 20  # bytes read at once


def cache_dir() -> Path:
    """Return where what is not in the package is kept: VIDEMO_CACHE, or the platform's place."""
    import platformdirs

    given = os.environ.get("VIDEMO_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("videmo", False))


def config_dir() -> Path:
    """Return the platform's folder for a person's own settings."""
    import platformdirs

    return Path(platformdirs.user_config_dir("videmo", False))


def sha256(source: Path | IO[bytes]) -> str:
    """Return the SHA-256 in hex of a file, or of an open one from where it stands."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return sha256(file)
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
