"""Words for people, on stderr: one line a failure, and progress on a terminal only."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.options import is_given
from videmo.cli.streams import say
from videmo.write.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from videmo.data import Features, VideoInfo
    from videmo.pipeline import Pipeline
    from videmo.runs.board import Underway
    from videmo.stages.decode import Sampling


def say_record(record: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Say a clip's failure, missing face or (with verbose) its warnings, each in one line."""
    path = printable(record["path"])
    if options["quiet"] or _shown_by_table(options):
        return
    if record["status"] == "error":
        say(f"videmo: error: {path}: {record['error']['message']}")
    elif record["status"] == "no_face" or options["verbose"]:
        for warning in record["warnings"]:
            say(f"videmo: warning: {path}: {warning}")


def say_trace(answer: object, options: Mapping[str, Any]) -> None:
    """Show, with debug, where a failure that nobody foresaw comes from."""
    trace = getattr(answer, "trace", "")
    if options.get("debug") and trace:
        for line in trace.splitlines():
            say(line)


def _shown_by_table(options: Mapping[str, Any]) -> bool:
    """Return whether the table says the same on the same terminal."""
    table = options.get("format_") in (None, "table") and not options.get("out")
    return table and sys.stdout.isatty() and sys.stderr.isatty()


def say_pipeline(
    pipeline: Pipeline, options: Mapping[str, Any], usual: tuple[str, ...] = ()
) -> None:
    """Say, where it matters, that the recipe is not the one the head was trained with.

    usual: options that the command changes by itself, of which its help tells
    """
    if options["quiet"] or pipeline.head_model is None:
        return
    changed = pipeline.head_model.recipe.differences(pipeline.recipe)
    usual = (*usual, "budget.")  # of which the card tells what it costs
    if any(not line.startswith(usual) for line in changed):
        name = pipeline.head_model.name
        say(
            f"videmo: note: {name} was trained with another recipe ({'; '.join(changed)}); "
            "its measured accuracy does not hold for this run"
        )
    if options["verbose"]:
        facts = {k: v for k, v in pipeline.provenance.items() if v}
        say("videmo: " + ", ".join(f"{k} {v}" for k, v in facts.items()))


def say_device(provenance: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Say what --device auto took, which is not known before the models are loaded.

    The CPU, which it takes by default, is only named to who asks.
    """
    device = provenance.get("device")
    if not device or options.get("device") != "auto" or options["quiet"]:
        return
    asked = options["verbose"] or options.get("engine") == "torch" or is_given("device")
    if asked or device != "cpu":
        say(f"videmo: --device auto took {device}")


class RunStatistics:
    """What has become of the clips so far, and how fast."""

    def __init__(self, clips: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.clips, self.clock, self.began = clips, clock, clock()
        self.statuses: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.underway = 0.0  # clips' worth of what is looked at just now

    def add(self, record: Mapping[str, Any]) -> None:
        """Count a clip."""
        self.statuses[record["status"]] += 1
        if record["status"] == "error":
            self.reasons[record["error"]["type"]] += 1

    @property
    def facts(self) -> dict[str, Any]:
        """How far the run is: clips, clips/s, s left."""
        done, spent = sum(self.statuses.values()), self.clock() - self.began
        rate = done / spent if spent > 0 else 0.0
        share = (done + self.underway) / self.clips if self.clips else 1.0
        left = round(spent * (1 - share) / share) if share and spent > 0 else None
        failed = self.statuses["error"]
        return {
            "done": done, "clips": self.clips, "failed": failed,
            "clips_per_second": round(rate, 2), "seconds_left": left,
        }  # fmt: skip

    def how_far(self) -> str:
        """Return a line for people."""
        f = self.facts
        left = f["seconds_left"]
        more = "" if left is None else f", {timedelta(seconds=left)} left"
        failed = f", {f['failed']} failed" if f["failed"] else ""
        return f"{f['done']}/{f['clips']} clips, {f['clips_per_second']:g} clips/s{failed}{more}"

    def summary(self, out: str | None) -> str:
        """Return the last line of a run: what became of the clips, and how to list failures."""
        said = {"ok": "ok", "no_face": "without a face", "error": "failed"}
        parts = [f"{self.statuses[status]} {words}" for status, words in said.items()
                 if self.statuses[status]]  # fmt: skip
        line = f"{sum(self.statuses.values())} clips: {', '.join(parts)}"
        if self.reasons:
            line += f" ({', '.join(f'{n} {kind}' for kind, n in self.reasons.most_common())})"
        if self.reasons and out and out.endswith(".ndjson"):
            line += f"; list them: jq -r 'select(.status==\"error\")|.path' {shlex.quote(out)}"
        return line


class ClipProgress:
    """How far one clip is."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self.path, self.clock, self.began = path, clock, clock()
        self.seen = 0  # frames that were looked at
        self.frames: int | None = None  # that will have been, where it is known

    @property
    def share(self) -> float | None:
        """The share of its frames that was looked at, 0 to 1, where it is known."""
        return min(1.0, self.seen / self.frames) if self.frames else None

    @property
    def seconds_left(self) -> float | None:
        """The s that it will take still, at the pace so far."""
        share, spent = self.share, self.clock() - self.began
        return spent * (1 - share) / share if share else None

    @property
    def facts(self) -> dict[str, Any]:
        """The clip, its frames, the share of them, s left."""
        share, left = self.share, self.seconds_left
        return {
            "clip": self.path, "clip_frames": self.seen,
            "clip_share": None if share is None else round(share, 4),
            "clip_seconds_left": None if left is None else round(left),
        }  # fmt: skip

    def how_far(self) -> str:
        """Return words for people."""
        left = self.seconds_left
        words = [f"{self.seen} frames"]
        if self.share is not None and left is not None:
            words = [f"{100 * self.share:.0f} %", f"{timedelta(seconds=round(left))} left"]
        return f"{self.path}: {', '.join(words)}"


_NAMED = 3  # clips that are named beside each other in a line
_COLUMNS = 72  # cells of a bar beside its words
_DONE = 16  # cells of its words in a narrow terminal, for how many clips are done


def _how_far(clips: Sequence[ClipProgress]) -> list[str]:
    """Return words for each of the first clips, and how many others there are."""
    more = len(clips) - _NAMED
    words = [clip.how_far() for clip in clips[:_NAMED]]
    return words if more <= 0 else [*words, f"and {more} more"]


class NoProgress:
    """Tells nothing of how far a run is."""

    def __init__(self, tally: RunStatistics) -> None:
        self.tally = tally
        self.clip = ClipProgress("", tally.clock)
        self.beside: dict[int, ClipProgress] = {}  # that other processes look at, by their place

    def begin(self, path: str) -> None:
        """Hear that this clip is being read."""
        self.clip = ClipProgress(path, self.tally.clock)

    def opened(self, info: VideoInfo, sampling: Sampling) -> None:
        """Hear how long it is, and what of it is looked at."""
        from videmo.runs.board import frames_expected

        self.clip.frames = frames_expected(info, sampling)

    def heard(self, underway: Sequence[Underway]) -> None:
        """Hear how far the clips are that other processes look at."""
        self.beside = {one.place: self._heard(one) for one in underway if not one.done}
        shares = sum(clip.share or 0.0 for clip in self.beside.values())
        self.tally.underway = shares + sum(one.done for one in underway)
        self.tell()

    def _heard(self, one: Underway) -> ClipProgress:
        clip = self.beside.get(one.place)
        if clip is None or clip.path != one.path:
            clip = ClipProgress(one.path, self.tally.clock)
        clip.seen, clip.frames = one.seen, one.expected
        return clip

    def watch(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on, and count their frames."""
        for features in river:
            self.clip.seen += features.seen
            self.tell()
            yield features

    def tell(self) -> None:
        """Say how far the clip is, if it is time."""

    def end(self, record: Mapping[str, Any]) -> None:
        """Hear what became of a clip."""
        self.tally.add(record)
        self.tally.underway = max(0.0, self.tally.underway - 1)

    def close(self) -> None:
        """Hear that the run is over."""


class ProgressLines(NoProgress):
    """A line on stderr every 30 s, for logs."""

    def __init__(self, tally: RunStatistics, every: float = 30.0) -> None:
        super().__init__(tally)
        self.every, self.last = every, tally.began

    def tell(self) -> None:
        """Say how far the clip is, and the run, when it is time."""
        if self._is_time():
            say(self.line(*(self.beside.values() or [self.clip])))

    def end(self, record: Mapping[str, Any]) -> None:
        """Count a clip, and say how far the run is when it is time."""
        super().end(record)
        if self._is_time():
            say(self.line())

    def _is_time(self) -> bool:
        due = self.tally.clock() - self.last >= self.every
        self.last = self.tally.clock() if due else self.last
        return due

    def line(self, *clips: ClipProgress) -> str:
        """Return what is said."""
        run = [self.tally.how_far()] if self.tally.clips > 1 or not clips else []
        return f"videmo: {'; '.join([*run, *_how_far(clips)])}"


class ProgressJson(ProgressLines):
    """The same as a JSON object a line, a second apart, for programs."""

    def __init__(self, tally: RunStatistics, every: float = 1.0) -> None:
        super().__init__(tally, every)

    def line(self, *clips: ClipProgress) -> str:
        """Return what is said."""
        if self.beside:
            more: dict[str, Any] = {"running": [clip.facts for clip in clips]}
        else:
            more = clips[0].facts if clips else {}
        return json.dumps({"progress": self.tally.facts | more})

    def close(self) -> None:
        """Say how far the run came."""
        say(self.line())


class ProgressBar(NoProgress):
    """A bar on a terminal: the clip that is read, its frames, and how far the run is."""

    _bar: Progress | None = None
    _task: Any = None

    def begin(self, path: str) -> None:
        """Show that this clip is being read."""
        super().begin(path)
        self._bar = _rich_progress()
        far = f"{self.tally.how_far()}  " if self.tally.clips > 1 else ""
        self._task = self._bar.add_task(far + printable(path), total=None, frames=0)
        if self.beside:  # as far as was heard while the clip before was waited for
            self.tell()
        self._bar.start()

    def tell(self) -> None:
        """Move the bar."""
        if self._bar and self.beside:
            frames = sum(clip.seen for clip in self.beside.values())
            done = sum(self.tally.statuses.values()) + self.tally.underway
            self._bar.update(
                self._task, description=self._beside(), completed=done, total=self.tally.clips,
                frames=frames,
            )  # fmt: skip
        elif self._bar:
            done, total = self.clip.seen, self.clip.frames
            total = total and max(done, total)
            self._bar.update(self._task, completed=done, total=total, frames=done)

    def _beside(self) -> str:
        """Return how many clips are done and, where there is room, how far each other one is."""
        facts, room = self.tally.facts, shutil.get_terminal_size().columns - _COLUMNS
        words = f"{facts['done']}/{facts['clips']} clips"
        words += f", {facts['failed']} failed" if facts["failed"] else ""
        for clip in self.beside.values():
            share = "" if clip.share is None else f" {100 * clip.share:.0f} %"
            words += f", {printable(os.path.basename(clip.path))}{share}"
        return words if len(words) <= room else f"{words[: max(room, _DONE)]}…"

    def end(self, record: Mapping[str, Any]) -> None:
        """Take the bar away, so that a record can be written."""
        super().end(record)
        self.close()

    def close(self) -> None:
        """Take the bar away for good."""
        if self._bar:
            self._bar.stop()
            self._bar = None


PROGRESS: dict[str, Callable[[RunStatistics], NoProgress]] = {
    "bar": ProgressBar,
    "lines": ProgressLines,
    "json": ProgressJson,
    "none": NoProgress,
}


def make_progress(kind: str, clips: int, *, quiet: bool) -> NoProgress:
    """Return what tells how far a run is; auto is a bar on a terminal and lines elsewhere."""
    if kind == "auto":
        kind = "none" if quiet else "bar" if sys.stderr.isatty() else "lines"
    return PROGRESS[kind](RunStatistics(clips))


def _rich_progress() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[frames]} frames"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def say_result(record: Mapping[str, Any]) -> None:
    """Print what came of a command whose result is a file, if anybody reads it."""
    from videmo.cli.streams import drop_output
    from videmo.errors import OutputError, ReaderGone

    try:
        click.echo(json.dumps(record, ensure_ascii=False))
    except (OutputError, ReaderGone):
        drop_output()
