"""Files of others, read up to a limit: a list that is none may be a device that never ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

LIST = 1 << 30  # bytes of a list, a manifest, records, a truth: about 10 million clips
SETTINGS = 1 << 20  # bytes of a file of options or shares


def read_bounded(path: str | Path, most: int = LIST) -> bytes:
    """Return the bytes of a file; raises OSError, also where it has more than `most`."""
    with open(path, "rb") as file:
        return rest_of(file, most, os.fspath(path))


def rest_of(file: IO[bytes], most: int = LIST, name: str = "") -> bytes:
    """Return what is left of an open file; raises OSError where that is more than `most`."""
    content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} megabytes", name)
    return content
