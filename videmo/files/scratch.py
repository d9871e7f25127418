"""Room for what is not finished yet: gone when it is, and cleared by the next run after a kill.

    .videmo-1a2b3c4d5e6f7a8b/        a folder, whose file `lock` its process holds
    .videmo-1a2b3c4d5e6f7a8b.part    a file, which its process holds itself

What no process holds any more was left by one that was killed.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from videmo.files.lock import claim, claim_if_there

_NAME = re.compile(r"\.videmo-[0-9a-f]{16}(\.part)?")
_LOCK = "lock"
_ATTEMPTS = 10  # new names, where others clear each away between its making and its locking


@contextmanager
def scratch(where: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Yield a new folder in `where`, else in the folder for temporary files; it goes at the end.

    What killed processes have left in the same place goes first. Raises OSError.
    """
    where = tempfile.gettempdir() if where is None else os.fspath(where) or os.curdir
    sweep(where)
    folder, lock = _locked_folder(where)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)  # Windows removes no open file


def part_in(where: str) -> tuple[str, IO[bytes] | None]:
    """Return the name of a new file in a folder, and what tells others that it is in use.

    That is to be closed once the file has its own name. What killed processes have left in that
    folder goes first. Raises OSError.
    """
    sweep(where)
    for _ in range(_ATTEMPTS):
        path = os.path.join(where, f".videmo-{secrets.token_hex(8)}.part")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        if sys.platform == "win32":  # where nobody removes or renames an open file
            return path, None
        with suppress(FileNotFoundError, BlockingIOError):
            return path, claim(Path(path), make=False)[0]
    raise FileNotFoundError(path)


def sweep(where: str | os.PathLike[str]) -> None:
    """Remove what killed processes of this user have left in a folder."""
    with suppress(OSError), os.scandir(where or os.curdir) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and not entry.is_symlink():
                with suppress(OSError):
                    _clear(Path(entry.path))


def _clear(path: Path) -> None:
    """Remove one file or folder that nobody holds."""
    if hasattr(os, "getuid") and path.lstat().st_uid != os.getuid():
        return
    with claim_if_there(path / _LOCK if path.is_dir() else path) as free:
        if free and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif free:
            path.unlink()


def _locked_folder(where: str) -> tuple[str, IO[bytes]]:
    for _ in range(_ATTEMPTS):
        folder = os.path.join(where, f".videmo-{secrets.token_hex(8)}")
        os.mkdir(folder, 0o700)
        with suppress(FileNotFoundError):
            return folder, claim(Path(folder, _LOCK))[0]
    raise FileNotFoundError(folder)
