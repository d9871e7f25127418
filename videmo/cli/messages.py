"""Words for people, on stderr: one line a failure, and progress on a terminal only."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.options import is_given
from videmo.cli.streams import say
from videmo.write.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from videmo.data import Features
    from videmo.pipeline import Pipeline


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
    if any(not line.startswith(usual or ("\n",)) for line in changed):
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
        left = round((self.clips - done) / rate) if rate else None
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


class NoProgress:
    """Tells nothing of how far a run is."""

    def __init__(self, tally: RunStatistics) -> None:
        self.tally = tally

    def begin(self, path: str) -> None:
        """Hear that this clip is being read."""

    def watch(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on."""
        yield from river

    def end(self, record: Mapping[str, Any]) -> None:
        """Hear what became of a clip."""
        self.tally.add(record)

    def close(self) -> None:
        """Hear that the run is over."""


class ProgressLines(NoProgress):
    """A line on stderr every 30 s, for logs."""

    def __init__(self, tally: RunStatistics, every: float = 30.0) -> None:
        super().__init__(tally)
        self.every, self.last = every, tally.began

    def end(self, record: Mapping[str, Any]) -> None:
        """Count a clip, and say how far the run is when it is time."""
        super().end(record)
        if self.tally.clock() - self.last >= self.every:
            self.last = self.tally.clock()
            say(self.line())

    def line(self) -> str:
        """Return what is said."""
        return f"videmo: {self.tally.how_far()}"


class ProgressJson(ProgressLines):
    """The same as a JSON object a line, a second apart, for programs."""

    def __init__(self, tally: RunStatistics, every: float = 1.0) -> None:
        super().__init__(tally, every)

    def line(self) -> str:
        """Return what is said."""
        return json.dumps({"progress": self.tally.facts})

    def close(self) -> None:
        """Say how far the run came."""
        say(self.line())


class ProgressBar(NoProgress):
    """A bar on a terminal: the clip that is read, its frames, and how far the run is."""

    _bar: Progress | None = None
    _task: Any = None

    def begin(self, path: str) -> None:
        """Show that this clip is being read."""
        self._bar = _rich_progress()
        far = f"{self.tally.how_far()}  " if self.tally.clips > 1 else ""
        self._task = self._bar.add_task(far + printable(path), total=None, frames=0)
        self._bar.start()

    def watch(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on and show how many frames were looked at."""
        for features in river:
            if self._bar:
                self._bar.advance(self._task, features.seen)
            yield features

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
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.completed:.0f} frames"),
        TimeElapsedColumn(),
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
