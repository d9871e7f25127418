"""What asks a command to stop: Ctrl-C, TERM and HUP, all in the same way."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Handler = Callable[[int, Any], object]
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no HUP
PATIENCE = 2.0  # s that a second signal waits for Python to hear of it
DEAF = b"videmo: what is being read does not answer; ended without it\n"


def handle(handler: Handler) -> Callable[[], None]:
    """Have these signals call `handler`; return what puts back what they did before.

    One that is ignored stays so: nohup and shells have their reasons.
    """
    before = {}
    for number in _numbers():
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handler)

    def restore() -> None:
        for number, then in before.items():
            signal.signal(number, then)

    return restore


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at any of them, so that what is unfinished is cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _ended_if_deaf() as heed:

        def interrupt(number: int, frame: Any) -> None:
            heed()
            signal.default_int_handler(number, frame)

        restore = handle(interrupt)
        try:
            yield
        finally:
            restore()


@contextmanager
def _ended_if_deaf() -> Iterator[Callable[[], None]]:
    """End the process where a second signal is not heard; yield what is called on hearing one.

    Python hears of a signal between two steps of its own, and a library that waits for a pipe, a
    device or a disk that has gone away never comes back to it. Then what is unfinished stays, as
    after a kill, and goes with --resume or the next run.
    """
    if os.name == "nt":  # where a pipe cannot be told not to wait
        yield lambda: None
        return
    heard: list[float] = []
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    before = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ear, heard), daemon=True).start()
    try:
        yield lambda: heard.append(time.monotonic())
    finally:
        signal.set_wakeup_fd(before)
        os.close(mouth)  # ends the thread


def _watch(ear: int, heard: list[float]) -> None:
    asked = 0
    with os.fdopen(ear, "rb", buffering=0) as pipe:
        while number := pipe.read(1):
            asked += number[0] in _numbers()
            if asked > 1 and number[0] in _numbers():
                time.sleep(PATIENCE)
                if len(heard) < asked - 1:  # the first may have been heard by who finishes a clip
                    _end()


def _end() -> None:
    with suppress(OSError):
        os.write(2, DEAF)
    os._exit(130)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
