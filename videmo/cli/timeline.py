"""timeline: who showed what, and when: rows of persons in time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command, section
from videmo.cli.options import option_group
from videmo.cli.options.engine import engine_of, engine_options, worker_options
from videmo.cli.options.inputs import clips_of, input_options
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import out_option, resume_options
from videmo.cli.options.recipe import (
    abstain_option,
    baseline_option,
    changes_of,
    prior_option,
    recipe_options,
)
from videmo.cli.outputs import OutputPath, check_outputs
from videmo.cli.run import Run, keeps_journal
from videmo.cli.streams import say
from videmo.cli.types import Number
from videmo.write.formats import EVERY

if TYPE_CHECKING:
    from videmo.data import Features
    from videmo.people.baseline import Baseline
    from videmo.people.linking import Linking
    from videmo.people.timeline import Timing
    from videmo.pipeline import Pipeline
    from videmo.runs.batch import Record
    from videmo.runs.executor import ClipResult
    from videmo.runs.inputs import Clip
    from videmo.runs.journal import Journal
    from videmo.write import Writer

TIMELINE = """\b
Examples:
  videmo timeline interview.mp4
  videmo timeline interview.mp4 --by segment -o interview.srt
  videmo timeline clips/ --window 2 --step 1 -o timeline.csv
  videmo timeline clips/ --out-dir elan/ -f eaf
"""
FIRST = ("out", "out_dir", "format_", "by", "window", "step", "smooth", "fps", "jobs", "resume")
INDEX = "timeline.csv"  # in the folder of --out-dir, with a row at least for every clip

timing_options = section(
    "Answer",
    click.option(
        "--by",
        type=click.Choice(["frame", "window", "segment", "person"]),
        help="What a row is: a frame, a window of time, a run of one label, or all of a person in "
        "the clip. By default window, "
        "and for players and annotation programs what suits them.",
    ),
    click.option(
        "--window", type=Number(0, open=True), default=1.0, metavar="S", help="Length of a window."
    ),
    click.option(
        "--step",
        type=Number(0, open=True),
        metavar="S",
        help="From one window to the next. By default half a window; in tiers a whole one.",
    ),
    click.option(
        "--smooth",
        type=click.Choice(["auto", "none", "mean", "median"]),
        default="auto",
        help="Over the faces about each, never across a gap, a cut or another person; auto is "
        "mean for segments, else none.",
    ),
    click.option(
        "--smooth-width",
        type=Number(0, open=True),
        default=0.5,
        metavar="S",
        help="How long that is.",
    ),
    click.option(
        "--margin",
        type=Number(0, 1),
        default=0.1,
        metavar="P",
        help="A segment goes on until another label is ahead of its own by more than P.",
    ),
    click.option(
        "--min-length",
        type=Number(0),
        default=0.5,
        metavar="S",
        help="Shorter segments are joined to a neighbour.",
    ),
)

person_options = section(
    "What is looked at",
    click.option(
        "--link",
        type=click.Choice(["identity", "overlap"]),
        default="identity",
        help="How a face that comes back is known: by its identity embedding, which is compared "
        "in memory and never written; or not at all (overlap), and it is another person.",
    ),
    click.option(
        "--link-threshold",
        type=Number(-1, 1),
        metavar="COSINE",
        help="Least similarity of one person. By default as measured on joined clips.",
    ),
)

output_options = option_group(
    out_option(OutputPath(kept=True)),
    section(
        "Output",
        click.option(
            "--out-dir",
            type=click.Path(readable=False, file_okay=False),
            metavar="DIR",
            help="A file for each clip, as --format says, and all rows in DIR/timeline.csv; an "
            "--output that is a folder, or ends in /, is the same.",
        ),
        click.option(
            "-f",
            "--format",
            "format_",
            type=click.Choice([*EVERY]),
            help="By default as the suffix of the output says; without one, a table on a "
            "terminal, NDJSON elsewhere.",
        ),
    ),
)


@click.command(cls=Command, no_args_is_help=True, epilog=TIMELINE, first=FIRST)
@input_options
@recipe_options
@prior_option
@timing_options
@abstain_option
@baseline_option
@person_options
@output_options
@engine_options
@worker_options
@resume_options
@message_options
def timeline(**options: Any) -> None:
    """Tell who showed what emotion when: rows of persons in time.

    All faces of a frame count, and each person of a clip has a number, 1, 2, ... as they first
    appear. A clip without a face, or one that cannot be read, is one row with its status.

    Formats: tables (csv, tsv, xlsx, parquet), ndjson, json; subtitles (srt, vtt, ass with boxes);
    annotation programs (eaf of ELAN, textgrid of Praat); events of BIDS (name_events.tsv) and the
    columns of py-feat (name.fex.csv). Those of one clip want --out-dir for several.

    Persons are told apart by comparing faces within a clip: nothing of that is written but the
    number, and --link overlap does without. README.md says where this must not be used.
    """
    _take_folder(options)
    _tell(_plan(options), options)


def _take_folder(options: dict[str, Any]) -> None:
    """Take an --output that is a folder, or ends as one does, for --out-dir."""
    out = str(options["out"] or "")
    if not options["out_dir"] and (out.endswith(("/", os.sep)) or os.path.isdir(out)):
        options |= {"out": None, "out_dir": out}
        click.get_current_context().params.update(options)


def by_person(options: dict[str, Any]) -> None:
    """Tell a row a person, for the options of classify; ends the program."""
    from videmo.people.linking import Linking
    from videmo.people.timeline import Timing
    from videmo.write import format_of, ready

    if options["top"]:
        raise click.UsageError("--top is of records of clips; leave it out with --per person")
    tty, out = sys.stdout.isatty(), options["out"]
    format_ = format_of(out, tty, files=True, asked=options["format_"])
    ready(format_, out)
    _tell(_Plan(format_, out, None, Timing(by="person"), Linking()), options)


def _tell(plan: _Plan, options: dict[str, Any]) -> None:
    from videmo.cli.messages import say_pipeline
    from videmo.people import moments

    clips = clips_of(options)
    _check_count(plan, clips)
    check_outputs(clips)
    files = _files(plan, clips, options)
    pipeline = moments.load(
        options["head"], engine=engine_of(options), prior=options["prior"],
        linking=plan.linking, **changes_of(options),
    )  # fmt: skip
    if not options["jobs"] and options["engine"] != "ray":
        pipeline.prepare()
    say_pipeline(pipeline, options, usual=("detection.faces ",))
    baseline = _baseline(options, pipeline, plan)
    work = _Timeline(plan, pipeline, options, files, baseline)
    sys.exit(1 if work.run(clips) else 0)


@dataclass(frozen=True)
class _Plan:
    """What comes out."""

    format: str
    out: str | None
    folder: str | None  # of --out-dir
    timing: Timing
    linking: Linking


def _plan(options: dict[str, Any]) -> _Plan:
    """Return what comes out; raises UsageError and InputError before any work."""
    from videmo.people.linking import Linking
    from videmo.people.timeline import Timing
    from videmo.write import format_of, ready

    out, folder = options["out"], options["out_dir"]
    if out and folder:
        raise click.UsageError("--output and --out-dir are two places; give one")
    if folder and not options["format_"]:
        raise click.UsageError("--out-dir wants --format: that of each clip's file")
    format_ = options["format_"] if folder else format_of(
        out, sys.stdout.isatty(), files=True, asked=options["format_"], formats=EVERY
    )  # fmt: skip
    ready(format_, os.path.join(folder, "x") if folder else out)
    threshold = options["link_threshold"]
    more = {} if threshold is None else {"threshold": threshold}
    by: Any = (
        options["by"] or EVERY[format_].by or ("segment" if EVERY[format_].single else "window")
    )
    timing = Timing(
        by, options["window"], _step(options, format_), options["smooth"],
        options["smooth_width"], options["margin"], options["min_length"],
    )  # fmt: skip
    _check_rows(timing, format_)
    return _Plan(format_, out, folder, timing, Linking(by=options["link"], **more))


def _step(options: dict[str, Any], format_: str) -> float:
    """Return the step of windows: in tiers nothing may overlap."""
    if options["step"] is not None:
        return float(options["step"])
    return float(options["window"]) / (1 if format_ in ("eaf", "textgrid") else 2)


def _check_rows(timing: Timing, format_: str) -> None:
    """Refuse rows that a format cannot hold."""
    if format_ == "fex" and timing.by != "frame":
        raise click.UsageError("fex has a row a frame; leave --by out")
    if format_ in ("eaf", "textgrid") and timing.by == "window" and timing.step < timing.window:
        raise click.UsageError(
            f"in the tiers of {format_} nothing overlaps; give --step {timing.window:g}, "
            "or --by segment"
        )


def _check_count(plan: _Plan, clips: Sequence[Clip]) -> None:
    """Refuse several clips for a file of one."""
    if EVERY[plan.format].single and not plan.folder and len(clips) > 1:
        raise click.UsageError(
            f"{plan.format} is of one clip, here are {len(clips)}; give --out-dir DIR -f "
            f"{plan.format} for a file each, or -o timeline.csv for all rows in one"
        )


def _files(plan: _Plan, clips: Sequence[Clip], options: dict[str, Any]) -> dict[Clip, str]:
    """Return the file of each clip in the folder of --out-dir, which is there afterwards."""
    from videmo.people.names import file_names
    from videmo.write.sink import check_place, output_errors, refuse_existing, refuse_source

    sources = [clip.path for clip in clips]
    if not plan.folder:
        _check_sidecars([plan.out] if plan.out else [], plan, sources, options)
        return {}
    names = file_names(clips, EVERY[plan.format].suffixes[0], taken=(INDEX,))
    files = {clip: os.path.join(plan.folder, names[clip]) for clip in clips}
    with output_errors(plan.folder):
        os.makedirs(plan.folder, exist_ok=True)
    for file in (*files.values(), os.path.join(plan.folder, INDEX)):
        check_place(file)
        refuse_source(file, sources)
    for file in files.values() if not options["resume"] else ():
        refuse_existing(file, overwrite=bool(options["overwrite"]))
    _check_sidecars([*files.values()], plan, sources, options)
    return files


def _check_sidecars(
    files: Sequence[str], plan: _Plan, sources: Sequence[str], options: dict[str, Any]
) -> None:
    """Refuse what lies where the sidecars of BIDS events are to be."""
    from videmo.write.events import sidecar_of
    from videmo.write.sink import refuse_existing, refuse_source

    for file in files if plan.format == "bids" else ():
        if place := sidecar_of(file):
            refuse_source(place, sources)
            refuse_existing(place, overwrite=bool(options["overwrite"] or options["resume"]))


def _baseline(options: dict[str, Any], pipeline: Pipeline, plan: _Plan) -> Baseline | None:
    """Return what --baseline names; a clip is looked at now."""
    import math

    from videmo.people.baseline import Baseline, of_clip
    from videmo.people.moments import watch
    from videmo.runs.times import seconds

    name = options["baseline"]
    if name in (None, "auto"):
        return name and Baseline("auto")
    start, _, end = name.partition("-")
    span = seconds(start), seconds(end)
    if not any(map(math.isnan, span)):
        if span[0] >= span[1]:
            raise click.UsageError(f"--baseline {name}: its start is not before its end")
        return Baseline(name, span)
    return of_clip(name, watch(pipeline, name, linking=plan.linking).moments, pipeline)


@dataclass(frozen=True)
class _Timeline:
    """A run over clips, of whose moments rows are made as each is written."""

    plan: _Plan
    pipeline: Pipeline
    options: dict[str, Any]
    files: dict[Clip, str]
    baseline: Baseline | None

    def run(self, clips: Sequence[Clip]) -> int:
        """Look at the clips, write their rows, and return how many failed."""
        from videmo.people.records import described

        plan = self.plan
        by = described(plan.timing, plan.linking, self.baseline)
        format_ = "csv" if plan.folder else plan.format
        run = Run(clips, self.pipeline, self.options, format_, False, True, plan.linking, by)
        out = os.path.join(plan.folder, INDEX) if plan.folder else plan.out
        if keeps_journal(out):
            return run.journalled(str(out), self._finish)
        with self._writer(format_, out) as writer:
            return run.stream(lambda clip, result, record: self._add(writer, clip, result, record))

    def _finish(
        self, out: str, clips: Sequence[Clip], journal: Journal, provenance: dict[str, str | None]
    ) -> None:
        with self._writer("csv" if self.plan.folder else self.plan.format, out) as writer:
            for clip in clips:
                entry = journal[clip]
                self._write(writer, clip, entry.record, entry.faces)

    def _add(self, writer: Writer, clip: Clip, result: ClipResult, record: Record) -> None:
        from videmo.write.spool import unspooled

        if not result.faces:
            self._write(writer, clip, record, iter(()))
            return
        with open(result.faces, "rb") as file:
            faces = unspooled(file, os.path.getsize(result.faces))
            self._write(writer, clip, record, faces)

    def _write(self, writer: Writer, clip: Clip, record: Record, faces: Iterator[Features]) -> None:
        """Write the rows of one clip, also into its own file."""
        from videmo.people.moments import Moments
        from videmo.people.records import timeline_records
        from videmo.write.record import abstained

        seen = Moments.of(faces, self.pipeline) if record["status"] != "error" else None
        rows = timeline_records(
            record, seen, self.pipeline, self.plan.timing, self.plan.linking, clip, self.baseline
        )
        with ExitStack() as stack:
            writers, cues = [writer], 0
            if clip in self.files:
                own = self._writer(self.plan.format, self.files[clip])
                writers.append(stack.enter_context(own))
            for row in rows:
                row = abstained(row, self.options["abstain"])
                cues += row["person"] is not None
                for one in writers:
                    one.write(row)
        if not cues and EVERY[self.plan.format].single:
            self._say_empty(clip, record)

    def _say_empty(self, clip: Clip, record: Record) -> None:
        from videmo.write.printable import printable

        if not self.options["quiet"]:
            step = "" if record["status"] == "error" else "; --by window has those of nobody"
            said = f"nobody to tell of in {record['frames']} frames, its file is empty{step}"
            say(f"videmo: note: {printable(clip.path)}: {said}")

    def _writer(self, format_: str, out: str | None) -> Writer:
        from videmo.people.records import NAME, RISES
        from videmo.pipeline import LEFT_OUT
        from videmo.stages.heads.attributes import AFFECT, Affect
        from videmo.write import open_writer
        from videmo.write.columns import timeline_columns

        labels = self.pipeline.labels
        told = Affect._fields if AFFECT in self.pipeline.outputs else ()
        counted = (LEFT_OUT,) if self.pipeline.recipe.filtering.filters else ()
        named = (NAME,) if self.options["frames_of"] and self.plan.timing.by == "frame" else ()
        extra = (*told, *(RISES if self.baseline else ()), *counted, *named)
        columns = timeline_columns(labels, extra)
        if format_ == "table":
            from videmo.write.persons import open_records

            shown = ("person", "from-to", "answer", "with face")
            return open_records("table", out, shown=shown, columns=columns)
        return open_writer(format_, out, labels=labels, columns=columns)
