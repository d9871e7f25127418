"""Where fetched files are kept, and what sum they have."""

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


def sha256(source: Path | IO[bytes]) -> str:
    """Return the SHA-256 in hex of a file, or of an open one from where it stands."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return sha256(file)
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
