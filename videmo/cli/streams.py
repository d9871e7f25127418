"""Standard streams that are closed, full or that nobody reads, and libraries that write to them.

Standard error never stops work: what finds no room there is dropped. The end of the standard
output is `ReaderGone`, which is the end of a command that writes there, and of no other.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

import click

from videmo.write.printable import printable


def guard_streams() -> None:
    """Put streams that behave in place of this process's own; a test's stay as they are."""
    for number in range(3):  # or the next file that is opened would be one of them
        with suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _text(_OutputStream(closed=sys.stdout is None), sys.stdout, "surrogateescape")
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _text(_ErrorStream(), sys.stderr, "backslashreplace")


def say(words: object) -> None:
    """Say a line on standard error; names, cards and files of others cannot move the cursor."""
    click.echo(printable(str(words)), err=True)


def drop_output() -> None:
    """Send what is left in the buffer nowhere, or Python complains of it when it ends."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _OutputStream):
        raw.drop()


def leave(end: SystemExit) -> NoReturn:
    """End this process: what it holds the system frees at once.

    Piece by piece, that takes OpenVINO 50 to 100 ms. What waits for the end of a process has it;
    a debugger or a profiler, which must see it, has the ordinary one.
    """
    if _is_watched() or not isinstance(end.code, int):
        raise end
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # `main` has told of what could not be written
            stream.flush()
    os._exit(end.code)


def _is_watched() -> bool:
    """Return whether a debugger or a profiler is at work."""
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12 and later
    tools = [monitoring.get_tool(number) for number in range(6)] if monitoring else []
    return any([sys.gettrace(), sys.getprofile(), *tools])


def quiet_libraries(*, debug: bool) -> None:
    """Keep what foreign libraries warn of from standard error; `debug` shows it as ours."""
    logging.captureWarnings(True)
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(_LogHandler(debug))


class _LogHandler(logging.Handler):
    """Says in a line each what videmo logs and, with `debug`, what others do."""

    def __init__(self, debug: bool) -> None:
        super().__init__()
        self._debug = debug

    def emit(self, record: logging.LogRecord) -> None:
        words = " ".join(record.getMessage().split())
        if record.name.partition(".")[0] == "videmo":
            say(f"videmo: {record.levelname.lower()}: {words}")
        elif self._debug:
            say(f"videmo: debug: {record.name}: {words}")


class _OutputStream(io.RawIOBase):
    """The standard output.

    closed: there is none
    """

    def __init__(self, closed: bool) -> None:
        self._none = closed

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def isatty(self) -> bool:
        return not self._none and os.isatty(1)

    def drop(self) -> None:
        self._none = False
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def write(self, content: Any) -> int:
        try:
            if self._none:
                raise BrokenPipeError
            return os.write(1, content)
        except OSError as error:  # not left to click, which would end with 1
            from videmo.write.sink import output_errors

            with output_errors("standard output"):
                raise error


class _ErrorStream(io.RawIOBase):
    """The standard error."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    def write(self, content: Any) -> int:
        with suppress(OSError):
            os.write(2, content)
        return len(content)


def _text(raw: io.RawIOBase, like: Any, errors: str) -> io.TextIOWrapper:
    """Return text over a stream, encoded as that which it replaces."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors=getattr(like, "errors", None) or errors,
        line_buffering=True,
    )
