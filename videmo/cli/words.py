"""Words for people, on stderr: one line a failure, and progress on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress

    from videmo.data import Features
    from videmo.pipeline import Pipeline


def say_record(record: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Say a clip's failure, missing face or (with verbose) its warnings, each in one line."""
    path = _one_line(record["path"])
    if options["quiet"] or _shown_anyway(options):
        return
    if record["status"] == "error":
        click.echo(f"videmo: error: {path}: {record['error']['message']}", err=True)
    elif record["status"] == "no_face" or options["verbose"]:
        for warning in record["warnings"]:
            click.echo(f"videmo: warning: {path}: {warning}", err=True)


def _shown_anyway(options: Mapping[str, Any]) -> bool:
    """Return whether the table says the same on the same terminal."""
    table = options.get("format_") in (None, "table") and not options.get("out")
    return table and sys.stdout.isatty() and sys.stderr.isatty()


def say_pipeline(pipeline: Pipeline, options: Mapping[str, Any]) -> None:
    """Say, where it matters, that the recipe is not the one the head was trained with."""
    if options["quiet"] or pipeline.head_model is None:
        return
    changed = pipeline.head_model.recipe.differences(pipeline.recipe)
    if changed:
        name = pipeline.head_model.name
        click.echo(
            f"videmo: note: {name} was trained with another recipe ({'; '.join(changed)}); "
            "its measured accuracy does not hold for this run",
            err=True,
        )
    if options["verbose"]:
        facts = {k: v for k, v in pipeline.provenance.items() if v}
        click.echo("videmo: " + ", ".join(f"{k} {v}" for k, v in facts.items()), err=True)


class Bar:
    """How far a run is: a bar on stderr where that is a terminal, silence elsewhere."""

    def __init__(self, clips: int, *, quiet: bool) -> None:
        self.clips, self.done = clips, 0
        self._wanted = not quiet and sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: Any = None

    def begin(self, path: str) -> None:
        """Show that this clip is being read."""
        if self._wanted:
            self._bar = _progress()
            text = f"{self.done + 1}/{self.clips} {_one_line(path)}"
            self._task = self._bar.add_task(text, total=None, frames=0)
            self._bar.start()

    def watch(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on and show how many frames were looked at."""
        for features in river:
            if self._bar:
                self._bar.advance(self._task, features.seen)
            yield features

    def end(self) -> None:
        """Take the bar away, so that a record can be written."""
        self.done += 1
        self.close()

    def close(self) -> None:
        """Take the bar away for good."""
        if self._bar:
            self._bar.stop()
            self._bar = None


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.completed:.0f} frames"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _one_line(path: str) -> str:
    """Return a path that cannot break a line or a terminal."""
    plain = path.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain)
