"""What asks a command to stop: Ctrl-C, TERM and HUP, all in the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Handler = Callable[[int, Any], object]
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no HUP


def handle(handler: Handler) -> Callable[[], None]:
    """Have these signals call `handler`; return what puts back what they did before.

    One that is ignored stays so: nohup and shells have their reasons.
    """
    before = {}
    for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
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
    restore = handle(signal.default_int_handler)
    try:
        yield
    finally:
        restore()
