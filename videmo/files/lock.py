"""One process at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PAUSE = 0.05  # s between two looks
_BINARY = getattr(os, "O_BINARY", 0)  # of Windows
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def file_lock(path: Path, pause: float = _PAUSE) -> Iterator[bool]:
    """Wait until no other process holds `path`, and hold it; it is gone afterwards.

    Yields whether it could be locked: some network disks know no locks.
    """
    file = _acquire(path, pause)
    try:
        yield file is not None
    finally:
        if file is not None:
            with suppress(OSError):  # Windows removes no open file
                path.unlink()
            file.close()


def claim(path: Path, *, make: bool = True) -> tuple[IO[bytes], bool]:
    """Return `path`, opened to be read and written, and whether it could be locked.

    The lock is held until the file is closed or its process ends, however that ends. The file is
    made where it is missing, if that is allowed, and may be removed while it is held.

    Raises BlockingIOError at once where another process holds it, OSError.
    """
    flags = os.O_RDWR | (os.O_CREAT if make else 0) | _BINARY
    while True:
        file = os.fdopen(os.open(path, flags, 0o666), "r+b")
        try:
            if not _lock(file):
                raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
            if _is_same_file(file, path):  # or who held it has removed it meanwhile
                return file, True
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return file, False
            file.close()
            raise
        file.close()


@contextmanager
def claim_if_there(path: Path) -> Iterator[bool]:
    """Hold a file that is there, and yield whether nobody else does, as far as can be known."""
    try:
        file, known = claim(path, make=False)
    except OSError:
        yield False
        return
    with file:
        yield known


def _acquire(path: Path, pause: float) -> IO[bytes] | None:
    """Return the open, locked file of that name, or None where there are no locks."""
    while True:
        file = open(path, "a+b")  # noqa: SIM115  # held until it is let go
        try:
            while not _lock(file):
                time.sleep(pause)
            if _is_same_file(file, path):  # or who held it has removed it meanwhile
                return file
        except OSError as error:
            file.close()
            if error.errno in _NO_LOCKS:
                return None
            raise
        except BaseException:
            file.close()
            raise
        file.close()


def _is_same_file(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
