"""How far a command is with the frames of one clip: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from videmo.cli.streams import say

if TYPE_CHECKING:
    from rich.progress import Progress

    from videmo.data import Features

_EVERY = {"lines": 30.0, "json": 1.0}  # s between two lines


class FrameProgress:
    """Hears which frames were looked at and, with a second reading, drawn; tells nothing.

    total: frames of one reading, None where nobody knows
    """

    def __init__(self, total: int | None, readings: int = 1) -> None:
        self.total, self.readings = total, readings
        self.done, self.began = 0, time.monotonic()
        self.step = "looking"

    def watch(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on."""
        for features in river:
            self._tell("looking", features.seen)
            yield features

    def drawn(self, frames: int) -> None:
        """Hear of frames that were drawn."""
        self._tell("drawing", frames)

    def close(self) -> None:
        """Hear that the work is over."""

    def _tell(self, step: str, frames: int) -> None:
        if step != self.step:  # the next reading has a pace of its own
            self.step, self.done, self.began = step, 0, time.monotonic()
        self.done += frames
        self.show()

    def show(self) -> None:
        """Tell how far it is."""

    @property
    def facts(self) -> dict[str, Any]:
        """How far it is: frames of this reading, frames/s, s left of it."""
        spent = time.monotonic() - self.began
        rate = self.done / spent if spent > 0 else 0.0
        left = round(max(0, self.total - self.done) / rate) if rate and self.total else None
        return {
            "step": self.step, "frames": self.done, "of": self.total,
            "frames_per_second": round(rate, 1), "seconds_left": left,
        }  # fmt: skip


class FrameLines(FrameProgress):
    """A line on stderr now and then: words, or JSON for programs."""

    def __init__(self, total: int | None, readings: int, kind: str) -> None:
        super().__init__(total, readings)
        self.kind, self.last = kind, time.monotonic()

    def show(self) -> None:
        """Say a line when it is time."""
        if time.monotonic() - self.last < _EVERY[self.kind]:
            return
        self.last, f = time.monotonic(), self.facts
        if self.kind == "json":
            say(json.dumps({"progress": f}))
            return
        of = f"/{f['of']}" if f["of"] else ""
        left = "" if f["seconds_left"] is None else f", {timedelta(seconds=f['seconds_left'])} left"
        say(f"videmo: {f['step']}: {f['frames']}{of} frames, {f['frames_per_second']:g}/s{left}")


class FrameBar(FrameProgress):
    """A bar on a terminal, with the time that is left."""

    def __init__(self, total: int | None, readings: int) -> None:
        super().__init__(total, readings)
        self._bar = _rich_bar()
        self._task = self._bar.add_task(self.step, total=total)
        self._bar.start()

    def show(self) -> None:
        """Move the bar."""
        done = self.done
        if self.total is not None:
            done = min(done, self.total)
        name = f"{self.step} {1 + (self.step == 'drawing')}/{self.readings}"
        if done and self._bar.tasks[0].completed > done:
            self._bar.reset(self._task, total=self.total)
        self._bar.update(self._task, completed=done, description=name)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


@contextmanager
def frame_progress(
    options: Mapping[str, Any], clip: str, *, readings: int = 2
) -> Iterator[FrameProgress]:
    """Yield what --progress asks for, for one clip."""
    kind = options["progress"]
    if kind == "auto":
        kind = "none" if options["quiet"] else "bar" if sys.stderr.isatty() else "lines"
    total = None if kind == "none" else _frames_in(clip, options["start"], options["end"])
    progress = (
        FrameProgress(total, readings) if kind == "none"
        else FrameBar(total, readings) if kind == "bar"
        else FrameLines(total, readings, kind)
    )  # fmt: skip
    try:
        yield progress
    finally:
        progress.close()


def _frames_in(clip: str, start: float | None, end: float | None) -> int | None:
    """Return about how many frames are read, as the file declares; None where it does not."""
    from videmo.errors import VidemoError
    from videmo.files.remote import is_url
    from videmo.stages.decode import open_video

    if is_url(clip):
        return None
    with suppress(VidemoError), open_video(clip) as video:  # what is wrong is said later
        info = video.info
        if info.duration and info.rate:
            last = info.duration if end is None else min(end, info.duration)
            return max(0, round((last - (start or 0.0)) * info.rate)) or None
    return None


def _rich_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
    return Progress(*columns, console=Console(stderr=True), transient=True)
