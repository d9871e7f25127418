"""A run over many clips: what looks at them, what is kept, and how it stops."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.signals import handle
from videmo.cli.streams import say
from videmo.errors import VidemoError

if TYPE_CHECKING:
    from videmo.cli.messages import NoProgress
    from videmo.people.linking import Linking
    from videmo.pipeline import Pipeline
    from videmo.runs.batch import Record
    from videmo.runs.cluster import ClusterExecutor
    from videmo.runs.executor import ClipResult
    from videmo.runs.inputs import Clip
    from videmo.runs.journal import Journal
    from videmo.runs.processes import ProcessExecutor
    from videmo.runs.resume import Expected, FinishedOutput
    from videmo.runs.worker import InProcessExecutor

    Keep = Callable[[Clip, ClipResult, Record], None]
    # is told where to write, the clips in their order, what was found, and what made it
    Finish = Callable[[str, Sequence[Clip], Journal, dict[str, str | None]], None]


_FIRST_FAILURE = "stopped at the first clip that failed"


@dataclass(frozen=True)
class Run:
    """Clips, the pipeline they go through, and the command line's options."""

    clips: Sequence[Clip]
    pipeline: Pipeline
    options: dict[str, Any]
    format: str = ""  # of the output
    features: bool = False  # whether it holds features, and label, split and subject with them
    frames: bool = False  # whether the features of every face are kept
    linking: Linking | None = None  # their moments in place of features, with persons told apart
    by: str = ""  # what the rows of a timeline are

    def stream(self, keep: Keep) -> int:
        """Hand the record of every clip to `keep` as it is made; return how many failed."""
        failed = self._each(self.clips, keep, {}, ordered=True)
        if failed and self.options.get("fail_fast"):
            self._say(f"{_FIRST_FAILURE} (--fail-fast)")
        return failed

    def journalled(self, out: str, finish: Finish) -> int:
        """Keep what is found beside `out` as it is made, then have `finish` write all of it.

        A run that was stopped is taken up where it was, with --resume, and so is a whole output
        that lacks clips or holds failures; return how many failed.

        Raises OutputError where `out` is there already and nothing else was asked for, or where
        another run writes it.
        """
        from videmo.runs.journal import Journal

        with _place(out) as place, Journal(place) as journal:
            before = self._begin(journal, out)
            todo = [clip for clip in self.clips
                    if clip not in journal and not (before and before.has(clip))]  # fmt: skip
            if before and not todo and not len(journal):
                self._say(f"{out} is complete; --overwrite makes it again")
                return 0
            if len(todo) < len(self.clips):
                done = len(self.clips) - len(todo)
                self._say(f"{done} of {len(self.clips)} clips are done already")
            run = self._apart() if journal.killed and self.options.get("resume") else self
            try:
                failed = run._finish(todo, journal, out, finish, before)
            except (KeyboardInterrupt, VidemoError):
                if len(journal):
                    self._say(f"{len(journal)} of {len(self.clips)} clips are kept in "
                              f"{journal.path}; --resume goes on")  # fmt: skip
                raise
        return failed

    def _apart(self) -> Run:
        """Return the run with a process beside this one, where it would have none.

        The run before ended without a word: if a clip was the cause, it now costs its own row.
        """
        if self.options.get("jobs") or self.options["engine"] == "ray":
            return self
        return replace(self, options=self.options | {"jobs": 1})

    def _begin(self, journal: Journal, out: str) -> FinishedOutput | None:
        """Begin a run or go on with one; return what a whole output holds that is added to."""
        from videmo.runs.resume import refuse_receipt

        refuse_receipt(out)
        there = _is_file(out) and _exists(out)
        if self.options.get("resume"):
            return self._resume(journal, out, there)
        if not self.options.get("overwrite"):
            _refuse(journal, out, there)
        journal.begin(self._kind())
        return None

    def _resume(self, journal: Journal, out: str, there: bool) -> FinishedOutput | None:
        """Go on with a run that was stopped or, where none was, with a whole output."""
        from videmo.errors import OutputError
        from videmo.runs.journal import differences

        kind = self._kind()
        if journal.begun:
            if journal.kind and (found := differences(journal.kind, kind)):
                step = "give the options of that run, or --overwrite"
                raise OutputError(journal.path, f"is of another run ({'; '.join(found)}); {step}")
            journal.resume(kind)
            return self._whole(out) if journal.adds and there else None
        before = self._whole(out) if there else None
        if not (before and all(map(before.has, self.clips))):
            journal.begin(kind, adds=before is not None)
        return before

    def _finish(
        self,
        todo: Sequence[Clip],
        journal: Journal,
        out: str,
        finish: Finish,
        before: FinishedOutput | None,
    ) -> int:
        """Look at the clips that are left, write the output, and take the journal away."""
        from videmo.runs.resume import add_rows, key_of, write_receipt

        provenance: dict[str, str | None] = {}
        failed = self._rest(todo, journal, provenance)
        if failed and self.options.get("fail_fast") and any(clip not in journal for clip in todo):
            raise VidemoError(f"{_FIRST_FAILURE}, as --fail-fast asks")
        new = [clip for clip in self.clips if clip in journal]
        if before:
            with _fetched(out) as file, _beside(out) as folder:
                part = os.path.join(folder, f"part.{self.format}")
                finish(part, new, journal, provenance)
                add_rows(out, file, part, self._expected())
        else:
            finish(out, new, journal, provenance)
        if _is_file(out):
            states = {key_of(clip): journal.state(clip) for clip in new}
            write_receipt(out, self._expected(), states, before)
        journal.remove()
        return failed

    def _rest(
        self, todo: Sequence[Clip], journal: Journal, provenance: dict[str, str | None]
    ) -> int:
        """Look at the clips that are left; without any no model is loaded for it."""
        if todo or not self.clips:
            return self._each(todo, journal.add, provenance, ordered=False)
        first = next(clip for clip in self.clips if clip in journal)
        provenance |= {**journal[first].record["provenance"], "decoder": None}
        return 0

    def _kind(self) -> dict[str, Any]:
        """Return what makes two runs' findings the same: recipe, head, and what is kept."""
        import json
        from dataclasses import asdict

        from videmo import __version__
        from videmo.files import sha256

        head, given = self.pipeline.head_model, self.options.get("detector_weights")
        recipe = self.pipeline.recipe.to_dict()
        recipe["backbone"] = self.pipeline.backbone_model.name
        kind = {
            "videmo": __version__,
            "head": head.name if head else None,
            "head_sha256": head.sha256 if head else None,
            "detector_weights": sha256(Path(given)) if given else None,
            "features": self.features,
            "--frames": self.frames,
            **_flat(recipe),
            **({"--abstain": least} if (least := self.options.get("abstain")) else {}),
            **({"by": self.by, **_flat(asdict(self.linking), "linking.")} if self.linking else {}),
        }
        plain: dict[str, Any] = json.loads(json.dumps(kind))
        return plain

    def _expected(self) -> Expected:
        from videmo import __version__
        from videmo.runs.resume import Expected

        head, backbone = self.pipeline.head_model, self.pipeline.backbone_model
        kind = self._kind()
        settings = {
            "videmo": __version__,
            "head": head.name if head else None,
            "head_sha256": head.sha256 if head else None,
            "backbone": backbone.name,
            "backbone_sha256": backbone.sha256,
            "detector": self.pipeline.recipe.detection.detector,
            "recipe": self.pipeline.recipe.fingerprint(),
        }
        if self.features:
            settings["--frames"] = str(self.frames)
        if self.by:
            settings["kind of record"] = f"a timeline's ({self.by})"
        more = {"--format": self.format, "--top": self.options.get("top")}
        return Expected(self.clips, kind | more, settings, self.format, self.features)

    def _whole(self, out: str) -> FinishedOutput:
        """Return what an output holds; raises OutputError where it cannot be gone on with."""
        from videmo.runs.resume import read_finished

        expected = self._expected()
        if self.options["engine"] != "ray":  # where this machine may lack what its workers have
            expected.settings["detector_sha256"] = self.pipeline.detector.sha256
        with _fetched(out) as file:
            return read_finished(out, file, expected)

    def _say(self, words: str) -> None:
        if not self.options["quiet"]:
            say(f"videmo: {words}")

    def _each(
        self, clips: Sequence[Clip], keep: Keep, provenance: dict[str, str | None], *, ordered: bool
    ) -> int:
        """Look at the clips, and fill in what made the numbers."""
        from videmo.cli.messages import say_device, say_record, say_trace
        from videmo.cli.wording import record
        from videmo.errors import InputGone
        from videmo.runs.executor import with_retries
        from videmo.runs.roots import Roots
        from videmo.write.record import abstained

        failed, roots = 0, Roots(clips)
        with (
            closing(self._progress(len(clips))) as bar,
            self._executor(bar) as executor,
            _stopping(len(clips)) as stopped,
        ):
            provenance |= executor.provenance
            say_device(provenance, self.options)
            for clip, result in with_retries(executor, clips, bar.begin, ordered=ordered):
                line = record(
                    clip, result.answer, executor.provenance, self.pipeline.extra_keys,
                    doubts=self.linking is None,
                )  # fmt: skip
                line = abstained(line, self.options.get("abstain")) | self._picture(result)
                bar.end(line)
                if line["status"] == "error" and (folder := roots.gone(clip)):
                    raise InputGone(folder)
                keep(clip, result, line)
                if result.faces:
                    os.unlink(result.faces)
                say_record(line, self.options)
                say_trace(result.answer, self.options)
                failed += line["status"] == "error"
                if failed and self.options.get("fail_fast"):
                    break
                if stopped.is_set():
                    raise KeyboardInterrupt
        if len(clips) > 1 and not self.options["quiet"]:
            whole = not (failed and self.options.get("fail_fast"))
            say(f"videmo: {bar.tally.summary(self.options.get('out') if whole else None)}")
        return failed

    def _picture(self, result: ClipResult) -> dict[str, Any]:
        """Return what the rows of a timeline tell of a clip's picture: its size in px, its names.

        Names only where rows are of frames of --frames-of.
        """
        from videmo.data import Failure

        if self.linking is None or isinstance(result.answer, Failure):
            return {}
        info = result.answer.info
        named = self.options.get("frames_of") and self.by.startswith("frame")
        names = {"frame_names": list(info.names)} if named else {}
        return {"width": info.width, "height": info.height, **names}

    def _progress(self, clips: int) -> NoProgress:
        from videmo.cli.messages import make_progress

        quiet = bool(self.options["quiet"])
        return make_progress(self.options.get("progress") or "auto", clips, quiet=quiet)

    @contextmanager
    def _executor(
        self, bar: NoProgress
    ) -> Iterator[InProcessExecutor | ProcessExecutor | ClusterExecutor]:
        """Yield what looks at clips: this process, with --jobs others, or a cluster."""
        from videmo.runs.worker import InProcessExecutor, PipelineSpec, WorkerOptions

        jobs, timeout = self.options.get("jobs"), self.options.get("clip_timeout")
        ray = self.options["engine"] == "ray"
        if timeout and not jobs and not ray:
            raise click.UsageError("--clip-timeout needs --jobs: only a process can be given up")
        with self._scratch() as folder:
            faces = folder if self.frames else None
            if ray:
                with self._cluster(faces) as cluster:
                    yield cluster.prepare()
                return
            if not jobs:
                pipeline = self.pipeline.prepare()
                yield InProcessExecutor(pipeline, faces, bar.watch, self.linking, bar.opened)
                return
            from videmo.runs.processes import ProcessExecutor  # which few runs need

            workers = WorkerOptions(jobs, timeout)
            spec = PipelineSpec.of(self.pipeline, workers, faces, self.linking)
            with ProcessExecutor(spec, workers, bar.heard) as processes:
                yield processes.prepare()

    @contextmanager
    def _scratch(self) -> Iterator[str | None]:
        """Yield a folder beside the journal for faces and for copies of clips, if there are any."""
        from videmo.files.remote import is_url
        from videmo.files.scratch import scratch, sweep

        where = self._beside_the_journal()
        if not self.frames and not any(is_url(clip.path) for clip in self.clips):
            if where is not None:
                sweep(where)
            yield None
            return
        with scratch(where) as folder:
            self.pipeline.engine = replace(self.pipeline.engine, scratch=folder)
            yield folder

    def _beside_the_journal(self) -> str | None:
        """Return the folder of the journal, if one is kept."""
        out = self.options.get("out")
        if not keeps_journal(out):
            return None
        from videmo.runs.journal import beside

        return os.path.dirname(beside(str(out)))

    def _cluster(self, faces: str | None) -> ClusterExecutor:
        from videmo.runs.cluster import ClusterExecutor
        from videmo.runs.cluster.connection import ClusterOptions
        from videmo.runs.worker import PipelineSpec

        names = ("clip_timeout", "ray_address", "gpus_per_worker")
        workers = ClusterOptions(self.options["jobs"] or 0, *(self.options[name] for name in names))
        spec = PipelineSpec.of(self.pipeline, workers, faces, self.linking)
        return ClusterExecutor(spec, workers)


def keeps_journal(out: str | None) -> bool:
    """Return whether an output is a file that a stopped run can be taken up for."""
    return out not in (None, "-") and _is_file(str(out))


def _is_file(out: str) -> bool:
    """Return whether `out` is a file or may become one, and no device, pipe or open file."""
    if out.startswith(("/dev/", "/proc/")):
        return False
    return not os.path.exists(out) or os.path.isfile(out)


def _refuse(journal: Journal, out: str, there: bool) -> None:
    """Raise OutputError for an output, or what a stopped run left of it, that is there already."""
    from videmo.errors import OutputError

    if journal.begun:
        step = "--resume goes on, --overwrite begins again"
        raise OutputError(journal.path, f"a run was stopped here; {step}")
    if there:
        raise OutputError(out, "is there already; give --overwrite, or another --out")


def _exists(out: str) -> bool:
    """Return whether an output is there already; raises OutputError where nobody can say."""
    from videmo.files.remote import checked_url, exists, is_url
    from videmo.write.sink import output_errors

    if not is_url(out):
        return os.path.exists(out)
    with output_errors(out):
        return exists(checked_url(out))


def _fetched(out: str) -> AbstractContextManager[str]:
    """Return what yields the name of an output here, wherever it is."""
    from videmo.files.remote import is_url, local_copy

    return local_copy(out) if is_url(out) else nullcontext(out)


@contextmanager
def _beside(out: str) -> Iterator[str]:
    """Yield a new folder on the disk of an output, or for a URL in the folder for such things."""
    from videmo.files.remote import is_url
    from videmo.files.scratch import scratch
    from videmo.write.sink import output_errors

    with ExitStack() as stack:
        with output_errors(out):
            where = None if is_url(out) else os.path.dirname(os.path.realpath(out))
            folder = stack.enter_context(scratch(where))
        yield folder


def _flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options under names with dots."""
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        inner = (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
        flat |= inner
    return flat


@contextmanager
def _place(out: str) -> Iterator[str]:
    """Yield the name beside which the journal lies: the output's, unless that is a device."""
    from videmo.files.scratch import scratch
    from videmo.runs.journal import beside

    if _is_file(out):
        yield beside(out)
        return
    with scratch() as folder:
        yield os.path.join(folder, "out")


@contextmanager
def _stopping(clips: int) -> Iterator[threading.Event]:
    """Yield what Ctrl-C, TERM or HUP sets the first time, so that the clip in hand is finished.

    The second time it stops at once, and so does the first where there is only one clip.
    """
    asked = threading.Event()
    if clips < 2 or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: Any) -> None:
        asked.set()
        restore()
        say("videmo: finishing the clip in hand; Ctrl-C again stops at once")

    restore = handle(ask)
    try:
        yield asked
    finally:
        restore()
