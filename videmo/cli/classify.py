"""classify and extract-features: clips in, one record or row each out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command, section
from videmo.cli.options.engine import engine_options, pipeline_of, worker_options
from videmo.cli.options.inputs import clips_of, input_options, window_option
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import format_option, out_option, resume_options
from videmo.cli.options.recipe import (
    abstain_option,
    baseline_option,
    budget_option,
    prior_option,
    recipe_options,
)
from videmo.cli.outputs import OutputPath, check_outputs
from videmo.cli.run import Run, keeps_journal

if TYPE_CHECKING:
    from videmo.pipeline import Pipeline
    from videmo.runs.inputs import Clip
    from videmo.runs.journal import Journal
    from videmo.write import Writer


CLASSIFY = """\b
Examples:
  videmo classify clip.mp4
  videmo classify clips/ -o emotions.csv
  videmo classify talk.mp4 --start 1:30 --end 2:00
  videmo classify clips/ -j auto -o emotions.ndjson --resume
  find . -name '*.mp4' -print0 | videmo classify --files0-from - | jq -r '[.path,.label]|@tsv'
"""
FIRST = ("out", "format_", "head", "fps", "start", "end", "manifest", "jobs", "resume", "overwrite")
EXTRACT_FIRST = (
    "out",
    "head",
    "backbone",
    "fps",
    "manifest",
    "frames",
    "jobs",
    "resume",
    "overwrite",
)
EXTRACT = """\b
Examples:
  videmo extract-features clips/ -o features.npz
  videmo extract-features clips/ --backbone lite0_faces -o features.npz
"""


column_options = section(
    "Output",
    click.option(
        "--columns",
        type=click.Choice(["full", "short"]),
        default="full",
        help="Of csv, tsv and parquet. short: path, status, label, probabilities, coverage, "
        "warnings; such a file is to be read, and is neither merged nor gone on with.",
    ),
    click.option(
        "--bom",
        is_flag=True,
        help="Begin csv or tsv with the mark of UTF-8, by which Excel knows it; such a file is to "
        "be read, too.",
    ),
)


@click.command(cls=Command, no_args_is_help=True, epilog=CLASSIFY, first=FIRST)
@input_options
@window_option
@recipe_options
@budget_option
@prior_option
@out_option(OutputPath(kept=True))
@format_option
@column_options
@abstain_option
@section("Answer", click.option("--top", type=click.IntRange(1), metavar="K",
                                help="Only the K most probable labels."))  # fmt: skip
@section("Answer", click.option(
    "--per", type=click.Choice(["clip", "person"]), default="clip",
    help="A record a clip, or a row a person, as timeline --by person has it: to tell persons "
    "apart identity embeddings are compared in memory, and never written.",
))  # fmt: skip
@baseline_option
@engine_options
@worker_options
@resume_options
@message_options
def classify(**options: Any) -> None:
    """Tell the emotion of each clip: one record for every input, in order.

    PATHS are video files, folders (searched for videos), quoted globs, or - for a list on stdin.
    """
    from videmo.cli.messages import say_pipeline
    from videmo.write import format_of, open_writer, ready
    from videmo.write.columns import short_columns

    if options["per"] == "person":
        from videmo.cli.timeline import by_person

        if options["columns"] == "short" or options["bom"]:
            raise click.UsageError("--columns and --bom are of records of clips, not of persons")
        if options["window_"]:
            raise click.UsageError("--window with --per person is videmo timeline --by window")
        if options["budget"] != "exact":
            raise click.UsageError("--budget fast: to tell persons apart every frame is looked at")
        by_person(options)
    if options["baseline"]:
        raise click.UsageError("--baseline is a person's: give --per person, or timeline")
    tty = sys.stdout.isatty()
    format_ = format_of(options["out"], tty, files=True, asked=options["format_"])
    ready(format_, options["out"])
    _check_columns(format_, options)
    clips = clips_of(options)
    check_outputs(clips)
    pipeline = pipeline_of(options)
    say_pipeline(pipeline, options)
    part = [k for k in ("start", "end") if any(getattr(c, k) is not None for c in clips)]
    extra = [*pipeline.extra_keys, *part]  # start and end last: merge knows them there
    run = Run(clips, pipeline, options, format_)

    def writer(out: str | None) -> Writer:
        columns = short_columns(pipeline.labels, extra) if options["columns"] == "short" else None
        return open_writer(
            format_, out, labels=pipeline.labels, top=options["top"], extra=extra, columns=columns,
            mark=options["bom"],
        )  # fmt: skip

    def finish(
        out: str, clips: Sequence[Clip], journal: Journal, provenance: dict[str, str | None]
    ) -> None:
        with writer(out) as file:
            for clip in clips:
                file.write(journal[clip].record)

    if keeps_journal(options["out"]):
        failed = run.journalled(options["out"], finish)
    else:
        with writer(options["out"]) as out:
            failed = run.stream(lambda clip, result, record: out.write(record))
    sys.exit(1 if failed else 0)


def _check_columns(format_: str, options: dict[str, Any]) -> None:
    """Refuse what a format does not have, and a part of a run that could not be merged."""
    wanted = {
        "--columns short": (options["columns"] == "short", ("csv", "tsv", "parquet")),
        "--bom": (options["bom"], ("csv", "tsv")),
    }
    for option, (given, formats) in wanted.items():
        if given and format_ not in formats:
            raise click.UsageError(f"{option} is of {', '.join(formats)}, not of {format_}")
        if given and options["resume"] and _is_whole(options["out"]):
            raise click.UsageError(
                f"{options['out']} is there, and {option} makes a file to be read, which cannot be "
                "gone on with; give --overwrite"
            )
        if given and options["shard"]:
            raise click.UsageError(f"{option}: such a part could not be merged; leave it out")


def _is_whole(out: str | None) -> bool:
    """Return whether an output is there, and no journal of a run that was stopped."""
    return bool(out) and os.path.isfile(str(out)) and not os.path.exists(f"{out}.journal")


@click.command(
    "extract-features", cls=Command, no_args_is_help=True, epilog=EXTRACT, first=EXTRACT_FIRST
)
@input_options
@window_option
@recipe_options
@out_option(OutputPath(kept=True), required=True,
            help="Write them here, as the suffix says: npz, parquet, csv or tsv.")  # fmt: skip
@section("Answer", click.option("--backbone", metavar="NAME|DIR",
         help="Features of this network by its own recipe, in place of a head's."))  # fmt: skip
@section("Output", click.option("--frames", is_flag=True,
                                help="Also keep one embedding for each face."))  # fmt: skip
@engine_options
@worker_options
@resume_options
@message_options
def extract_features(**options: Any) -> None:
    """Write one descriptor for each clip to a NumPy archive, or to Parquet.

    A descriptor holds the statistics of a clip's face features that the head's recipe names; mean,
    std, min and max for afew7, which reads probabilities itself, and for any --backbone. The
    archive has no object arrays; `numpy.load` reads it, and its `meta` tells the models and the
    recipe. With --frames it also holds an embedding of every face, which is biometric data: keep
    it as carefully as the faces. As Parquet (the extra parquet) the faces are a second file,
    FILE.frames.parquet.
    """
    from videmo.cli.messages import say_pipeline

    clips = clips_of(options)
    check_outputs(clips)
    pipeline = pipeline_of(options, features=True)
    say_pipeline(pipeline, options)
    failed = write_features(clips, pipeline, options, options["out"], frames=options["frames"])
    sys.exit(1 if failed else 0)


def write_features(
    clips: Sequence[Clip],
    pipeline: Pipeline,
    options: dict[str, Any],
    path: str,
    *,
    frames: bool = False,
) -> int:
    """Write the descriptors of the clips to a feature file, and return how many clips failed."""
    from videmo.write import feature_format, frames_of, open_features, ready, refuse_faces
    from videmo.write.sink import refuse_existing

    format_ = feature_format(path)
    ready(format_, path)
    refuse_faces(path, frames)
    if frames and format_ == "parquet" and not options.get("resume"):
        refuse_existing(frames_of(path), overwrite=bool(options.get("overwrite")))

    def finish(
        out: str, clips: Sequence[Clip], journal: Journal, provenance: dict[str, str | None]
    ) -> None:
        meta = _meta(pipeline, provenance)
        with open_features(out, names=pipeline.feature_names, meta=meta, frames=frames) as file:
            for clip in clips:
                entry = journal[clip]
                record = entry.record
                file.add(
                    clip.path, record["status"], (record["error"] or {}).get("message", ""),
                    entry.descriptor, record["duration"], entry.faces,
                    label=clip.label, split=clip.split, subject=clip.subject,
                    start=clip.start, end=clip.end,
                )  # fmt: skip

    return Run(clips, pipeline, options, format_, True, frames).journalled(path, finish)


def _meta(pipeline: Pipeline, provenance: dict[str, str | None]) -> dict[str, Any]:
    from videmo.write.schema import VERSION

    return {
        "schema_version": VERSION,
        **provenance,
        "recipe": pipeline.recipe.fingerprint(),
        "options": pipeline.recipe.to_dict(),
        "outputs": {name: list(labels) for name, labels in pipeline.outputs.items()},
    }
