"""Time stamps of frames go in, as a file has them; seconds that never run backwards come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Clock:
    """Turns the time stamps of frames, in order, into seconds since the file starts.

    A stamp that is missing is made up, and the times never run backwards: where the stamps
    start again (joined recordings), they are taken to go on one frame later.
    """

    def __init__(self, container: Any, step: float, warn: Callable[[str], None]) -> None:
        self.last = 0.0
        self.origin = (container.start_time or 0) / 1_000_000  # FFmpeg's AV_TIME_BASE
        self._shift, self._step, self._warn = 0.0, step, warn
        self._started = False

    def __call__(self, frame: Any) -> float:
        time = self._stamp(frame) - self.origin + self._shift
        if not self._started:
            self._shift = max(0.0, -time)
            self._started, self.last = True, max(0.0, time)
        elif time < self.last - 1:  # s; less is jitter
            self._warn(f"the time stamps start again at {self.last:.2f} s")
            self._shift += self.last + self._step - time
            self.last += self._step
        else:
            self.last = max(self.last, time)
        return self.last

    def _stamp(self, frame: Any) -> float:
        if frame.time is not None:
            return float(frame.time)
        self._warn("some frames have no time stamp; their times are made up from the frame rate")
        if frame.dts is not None and frame.time_base:
            return float(frame.dts) * float(frame.time_base)
        here = self.last + self._step if self._started else 0.0
        return here + self.origin - self._shift
