"""The time stamps of frames go in, in order; seconds since the file starts come out."""

from __future__ import annotations

from typing import Any

GAP = 1.0  # s without a picture from which it is told, where the frames do not come so slowly
SLOWLY = 10  # times the usual distance of two frames
LEAP = 10.0  # s that a clock may go forth; above it FFmpeg too takes it for another clock
MADE_UP = "some frames have no time stamp; their times are made up from the frame rate"
BACK = 1.0  # s that a stamp may go back where nothing else tells of a new clock; less is jitter


class Clock:
    """Turns the time stamps of frames into seconds, which never run backwards.

    A stamp that is missing is made up. Where another clock begins, as in recordings that were
    joined, its frames go on one frame after the last. That is so where the decoding stamps step
    back, for those of one clock only rise; where they are missing, at a step back of more than a
    second; and in formats whose clock may be set anew (MPEG-TS, MPEG-PS) at a leap of over 10 s.

    origin: s, the stamp of time 0
    step: s from frame to frame, where nothing else tells
    leaps: whether the clock of the format may be set anew
    counted: whether the file tells how many frames it has, so that none is lost in a short gap
    """

    def __init__(self, origin: float, step: float, *, leaps: bool, counted: bool) -> None:
        self.last, self.origin = 0.0, origin  # s, of the latest frame; as given
        self.joined = 0  # clocks that began after the first
        self._leaps, self._least = leaps, LEAP if counted else GAP
        self._shift, self._step, self._first, self._count = 0.0, step, 0.0, 0
        self._decoding: int | None = None  # the latest decoding stamp
        self._rewound = False  # whether those have stepped back since the last new clock
        self._made_up = False
        self._jump, self._gap, self._gaps = "", "", 0  # the first of each, in words

    def __call__(self, frame: Any) -> float:
        """Return the time of the next frame."""
        time = self._stamp(frame) - self.origin + self._shift
        self._heed(frame.dts)
        if not self._count:
            self._shift, time = max(0.0, -time), max(0.0, time)
            self._first = self.last = time
        elif self._is_new(time):
            self._join(time)
        else:
            self._note_gap(time)
            self.last = max(self.last, time)
        self._count += 1
        return self.last

    @property
    def step(self) -> float:
        """Return the usual distance of two frames in s."""
        passed = self.last - self._first
        return passed / (self._count - 1) if self._count > 1 and passed > 0 else self._step

    @property
    def notes(self) -> list[str]:
        """What is to be told of the stamps so far."""
        told = []
        if self._made_up:
            told.append(MADE_UP)
        if self.joined:
            told.append(f"{self._jump}{_more(self.joined)}; joined on as players do")
        if self._gaps:
            told.append(f"{self._gap}{_more(self._gaps)}")
        return told

    def _heed(self, decoding: int | None) -> None:
        if decoding is not None:
            self._rewound |= self._decoding is not None and decoding < self._decoding
            self._decoding = decoding

    def _is_new(self, time: float) -> bool:
        """Return whether a frame of this time is by another clock."""
        if time < self.last:
            return self._rewound or (self._decoding is None and time < self.last - BACK)
        return self._leaps and time > self.last + LEAP

    def _join(self, time: float) -> None:
        if not self.joined:
            by = time - self.last
            self._jump = (
                f"the time stamps jump by {by:+.2f} s at frame {self._count} ({self.last:.2f} s)"
            )
        self._shift += self.last + self.step - time
        self.last += self.step
        self.joined, self._rewound = self.joined + 1, False

    def _note_gap(self, time: float) -> None:
        gap = time - self.last
        if gap > self._least and gap > SLOWLY * max(self.step, self._step):
            self._gaps += 1
            if self._gaps == 1:
                self._gap = f"no picture for {gap:.2f} s before frame {self._count} ({time:.2f} s)"

    def _stamp(self, frame: Any) -> float:
        if frame.time is not None:
            return float(frame.time)
        self._made_up = True
        if frame.dts is not None and frame.time_base:
            return float(frame.dts) * float(frame.time_base)
        here = self.last + self._step if self._count else 0.0
        return here + self.origin - self._shift


def _more(count: int) -> str:
    return "" if count == 1 else f" and {count - 1} more {'time' if count == 2 else 'times'}"
