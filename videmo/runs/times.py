"""Times of a clip as people write them: 90, 1:30, 00:01:30.5."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]?\d(?:\.\d*)?)", re.ASCII)  # h:mm:ss.s or m:ss.s


def seconds(text: str) -> float:
    """Return a time in s, or NaN for a text that is none.

    It is a number of seconds, or minutes:seconds, or hours:minutes:seconds. Seconds behind a
    colon are below 60, and so are minutes between two: 1:75 is a slip, not 2:15.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    clock = _CLOCK.fullmatch(text)
    if clock is None or (clock[1] and int(clock[2]) > 59):
        return math.nan
    return 3600.0 * int(clock[1] or 0) + 60.0 * int(clock[2]) + float(clock[3])
