"""classify and extract-features: clips in, one record or row each out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.options import (
    clips_of,
    crew_options,
    engine_options,
    input_options,
    pipeline_of,
    recipe_options,
    word_options,
)

if TYPE_CHECKING:
    from videmo.batch import Record
    from videmo.data import Failure, Features
    from videmo.inputs import Clip
    from videmo.pipeline import Answer, Pipeline, Through
    from videmo.workers import Here, Processes


CLASSIFY = """\b
Examples:
  videmo classify clip.mp4
  videmo classify clips/ --out emotions.csv
  find . -name '*.mp4' -print0 | videmo classify --files0-from - | jq -r '[.path,.label]|@tsv'
"""
EXTRACT = """\b
Example:
  videmo extract-features clips/ --out features.npz
"""


@click.command(no_args_is_help=True, epilog=CLASSIFY)
@input_options
@recipe_options
@click.option("--format", "format_", type=click.Choice(["table", "ndjson", "json", "csv", "tsv"]),
              help="By default a table on a terminal, NDJSON elsewhere.")  # fmt: skip
@click.option("--out", metavar="FILE", help="Write here; the suffix chooses the format.")
@click.option("--top", type=click.IntRange(1), metavar="K", help="Only the K most probable labels.")
@engine_options
@crew_options
@word_options
def classify(**options: Any) -> None:
    """Tell the emotion of each clip: one record for every input, in order.

    PATHS are video files, folders (searched for videos), quoted globs, or - for a list on stdin.
    """
    from videmo.cli.words import say_pipeline
    from videmo.write import format_of, open_writer

    format_ = options["format_"] or format_of(options["out"], sys.stdout.isatty())
    clips, pipeline = clips_of(options), pipeline_of(options)
    say_pipeline(pipeline, options)
    part = [k for k in ("start", "end") if any(getattr(c, k) is not None for c in clips)]
    with (
        _looking(pipeline, options) as looking,
        open_writer(
            format_, options["out"], labels=pipeline.labels, top=options["top"], extra=part
        ) as out,
    ):
        failed = _each(clips, looking, options, lambda clip, answer, record: out.write(record))
    sys.exit(1 if failed else 0)


@click.command("extract-features", no_args_is_help=True, epilog=EXTRACT)
@input_options
@recipe_options
@click.option("--out", required=True, metavar="FILE.npz", help="Write the features here.")
@click.option("--frames", is_flag=True, help="Also keep one embedding for each face.")
@engine_options
@crew_options
@word_options
def extract_features(**options: Any) -> None:
    """Write one descriptor for each clip to a NumPy archive.

    A descriptor holds the statistics of a clip's face features that the head's recipe names:
    mean, std, min and max for afew7. The archive has no object arrays; `numpy.load` reads it,
    and its `meta` tells the models and the recipe. With --frames it also holds an embedding of
    every face, which is biometric data: keep it as carefully as the faces.
    """
    from videmo.cli.words import say_pipeline

    clips, pipeline = clips_of(options), pipeline_of(options)
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
    from videmo.write.npz import FeatureFile

    with (
        _looking(pipeline, options, frames=frames) as looking,
        FeatureFile(
            path,
            names=pipeline.feature_names,
            meta=_meta(pipeline, looking.provenance),
            frames=frames,
        ) as file,
    ):

        def keep(clip: Clip, answer: Answer | Failure, record: Record) -> None:
            file.add(
                clip.path, record["status"], (record["error"] or {}).get("message", ""),
                getattr(answer, "descriptor", None), record["duration"],
                label=clip.label, split=clip.split, subject=clip.subject,
            )  # fmt: skip

        return _each(clips, looking, options, keep, file.spool)


@contextmanager
def _looking(
    pipeline: Pipeline, options: dict[str, Any], *, frames: bool = False
) -> Iterator[Here | Processes]:
    """Yield what looks at clips: this process, or with --jobs others."""
    from tempfile import TemporaryDirectory

    from videmo.workers import Crew, Here, Processes, Work

    if not options.get("jobs"):
        if options.get("clip_timeout"):
            raise click.UsageError("--clip-timeout needs --jobs: only a process can be given up")
        yield Here(pipeline.prepare())
        return
    crew = Crew(options["jobs"], options["clip_timeout"])
    with TemporaryDirectory(prefix="videmo-") as folder:
        work = Work.like(pipeline, crew, folder if frames else None)
        with Processes(work, crew) as processes:
            yield processes.prepare()


def _each(
    clips: Sequence[Clip],
    looking: Here | Processes,
    options: dict[str, Any],
    keep: Callable[[Clip, Answer | Failure, Record], None],
    spool: Through | None = None,
) -> int:
    """Look at every clip, hand its answer and record to `keep`, and return how many failed."""
    from videmo.batch import record
    from videmo.cli.words import Bar, say_record

    failed = 0
    with closing(Bar(len(clips), quiet=options["quiet"])) as bar:

        def through(river: Iterator[Features]) -> Iterator[Features]:
            return bar.watch(spool(river) if spool else river)

        for clip, answer in looking.each(clips, bar.begin, through):
            line = record(clip, answer, looking.provenance)
            bar.end()
            keep(clip, answer, line)
            say_record(line, options)
            failed += line["status"] == "error"
    return failed


def _meta(pipeline: Pipeline, provenance: dict[str, str | None]) -> dict[str, Any]:
    from videmo.batch import SCHEMA_VERSION

    return {
        "schema_version": SCHEMA_VERSION,
        **provenance,
        "recipe": pipeline.recipe.fingerprint(),
        "options": pipeline.recipe.to_dict(),
        "outputs": {name: list(labels) for name, labels in pipeline.outputs.items()},
    }
