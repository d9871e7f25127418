"""A run over many clips: what looks at them, what is kept, and how it stops."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from videmo.cli.words import Quiet
    from videmo.pipeline import Pipeline
    from videmo.runs.batch import Record
    from videmo.runs.cluster import Cluster
    from videmo.runs.inputs import Clip
    from videmo.runs.journal import Journal
    from videmo.runs.workers import Done, Here, Processes

    Keep = Callable[[Clip, Done, Record], None]
    Finish = Callable[[Journal, dict[str, str | None]], None]


@dataclass(frozen=True)
class Run:
    """Clips, the pipeline they go through, and the command line's options."""

    clips: Sequence[Clip]
    pipeline: Pipeline
    options: dict[str, Any]
    frames: bool = False  # whether the features of every face are kept

    def stream(self, keep: Keep) -> int:
        """Hand the record of every clip to `keep` as it is made; return how many failed."""
        return self._each(self.clips, keep, {})

    def journalled(self, out: str, finish: Finish) -> int:
        """Keep what is found beside `out` as it is made, then have `finish` write all of it.

        A run that was stopped is taken up where it was, with --resume; return how many failed.

        Raises OutputError where `out` is there already and nothing else was asked for.
        """
        from videmo.runs.journal import SUFFIX, Journal, place_of, refuse_existing, there

        beside = place_of(out) + SUFFIX
        begun = os.path.exists(beside)
        if self.options.get("resume"):
            if not begun and (os.path.exists(out) or there(out)):
                return self._complete(out)
        elif _is_file(out):
            refuse_existing(out, overwrite=bool(self.options.get("overwrite")))
            if begun:
                os.unlink(beside)
        with ExitStack() as stack:
            place = stack.enter_context(_place(out))
            journal = stack.enter_context(Journal(place, self._kind()))
            todo = [clip for clip in self.clips if clip not in journal]
            if begun and not self.options["quiet"]:
                done = len(self.clips) - len(todo)
                click.echo(f"videmo: {done} of {len(self.clips)} clips are done already", err=True)
            provenance: dict[str, str | None] = {}
            try:
                failed = self._rest(todo, journal, provenance)
            except KeyboardInterrupt:
                click.echo(f"videmo: {len(journal)} of {len(self.clips)} clips are kept in "
                           f"{journal.path}; --resume goes on", err=True)  # fmt: skip
                raise
            finish(journal, provenance)
            journal.remove()
        return failed

    def _rest(
        self, todo: Sequence[Clip], journal: Journal, provenance: dict[str, str | None]
    ) -> int:
        """Look at the clips that are left; without any no model is loaded for it."""
        if todo or not self.clips:
            return self._each(todo, journal.add, provenance)
        made = journal[self.clips[0]].record["provenance"]
        provenance |= {**made, "decoder": None}
        return 0

    def _kind(self) -> str:
        """Return what makes two runs' findings the same: recipe, head, and what is kept."""
        from videmo.files import sha256

        head, given = self.pipeline.head_model, self.options.get("detector_weights")
        detector = sha256(Path(given)) if given else None
        recipe = self.pipeline.recipe.fingerprint()
        return f"{recipe} {head and head.sha256} {detector} {self.frames}"

    def _complete(self, out: str) -> int:
        """Say that there is nothing to do; raises OutputError if `out` is of other clips."""
        from videmo.errors import OutputError
        from videmo.evaluate.rows import read_rows
        from videmo.files.remote import fetched, is_url

        with fetched(out) if is_url(out) else nullcontext(out) as file:
            rows = [row.cells for row in read_rows(file)]
        if sorted(str(row["path"]) for row in rows) != sorted(clip.path for clip in self.clips):
            raise OutputError(out, "is complete, and of other clips; give --overwrite")
        if not self.options["quiet"]:
            click.echo(f"videmo: {out} is complete; --overwrite makes it again", err=True)
        return sum(row.get("status") == "error" for row in rows)

    def _each(self, clips: Sequence[Clip], keep: Keep, provenance: dict[str, str | None]) -> int:
        """Look at the clips, and fill in what made the numbers."""
        from videmo.cli.words import say_device, say_record
        from videmo.runs.batch import record

        failed = 0
        with (
            closing(self._progress(len(clips))) as bar,
            self._looking(bar) as looking,
            _stopping(len(clips)) as stopped,
        ):
            provenance |= looking.provenance
            say_device(provenance, self.options)
            for clip, done in looking.each(clips, bar.begin):
                line = record(clip, done.answer, looking.provenance, self.pipeline.also)
                bar.end(line)
                keep(clip, done, line)
                if done.faces:
                    os.unlink(done.faces)
                say_record(line, self.options)
                failed += line["status"] == "error"
                if stopped.is_set():
                    raise KeyboardInterrupt
        if len(clips) > 1 and not self.options["quiet"]:
            click.echo(f"videmo: {bar.tally.summary(self.options.get('out'))}", err=True)
        return failed

    def _progress(self, clips: int) -> Quiet:
        from videmo.cli.words import progress

        quiet = bool(self.options["quiet"])
        return progress(self.options.get("progress") or "auto", clips, quiet=quiet)

    @contextmanager
    def _looking(self, bar: Quiet) -> Iterator[Here | Processes | Cluster]:
        """Yield what looks at clips: this process, with --jobs others, or a cluster."""
        from tempfile import TemporaryDirectory

        from videmo.runs.workers import Crew, Here, Processes, Work

        jobs, timeout = self.options.get("jobs"), self.options.get("clip_timeout")
        ray = self.options["engine"] == "ray"
        if timeout and not jobs and not ray:
            raise click.UsageError("--clip-timeout needs --jobs: only a process can be given up")
        with TemporaryDirectory(prefix="videmo-") as folder:
            faces = folder if self.frames else None
            if ray:
                with self._cluster(faces) as cluster:
                    yield cluster.prepare()
                return
            if not jobs:
                yield Here(self.pipeline.prepare(), faces, bar.watch)
                return
            crew = Crew(jobs, timeout)
            with Processes(Work.like(self.pipeline, crew, faces), crew) as processes:
                yield processes.prepare()

    def _cluster(self, faces: str | None) -> Cluster:
        from videmo.runs.cluster import Cluster, Fleet
        from videmo.runs.workers import Work

        names = ("clip_timeout", "ray_address", "gpus_per_worker")
        fleet = Fleet(self.options["jobs"] or 0, *(self.options[name] for name in names))
        return Cluster(Work.like(self.pipeline, fleet, faces), fleet)


def keeps_journal(out: str | None) -> bool:
    """Return whether an output is a file that a stopped run can be taken up for."""
    return out not in (None, "-") and _is_file(str(out))


def _is_file(out: str) -> bool:
    """Return whether `out` is a file or may become one, and no device, pipe or open file."""
    if out.startswith(("/dev/", "/proc/")):
        return False
    return not os.path.exists(out) or os.path.isfile(out)


@contextmanager
def _place(out: str) -> Iterator[str]:
    """Yield the name beside which the journal lies: the output's, unless that is a device."""
    from tempfile import TemporaryDirectory

    from videmo.runs.journal import place_of

    if _is_file(out):
        yield place_of(out)
        return
    with TemporaryDirectory(prefix="videmo-") as folder:
        yield os.path.join(folder, "out")


@contextmanager
def _stopping(clips: int) -> Iterator[threading.Event]:
    """Yield what Ctrl-C sets the first time, so that the clip in hand is finished.

    The second time it stops at once, and so does the first where there is only one clip.
    """
    asked = threading.Event()
    if clips < 2 or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        asked.set()
        click.echo("videmo: finishing the clip in hand; Ctrl-C again stops at once", err=True)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
