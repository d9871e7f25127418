"""report: one HTML file to look at, of a clip, of many, or of records that are there already."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command, section
from videmo.cli.options.engine import engine_of, engine_options, pipeline_of, worker_options
from videmo.cli.options.inputs import clips_of, input_options
from videmo.cli.options.messages import message_options, progress_option
from videmo.cli.options.outputs import out_option
from videmo.cli.options.recipe import changes_of, prior_option, recipe_options
from videmo.cli.outputs import check_outputs, overwrite_option
from videmo.cli.streams import say

if TYPE_CHECKING:
    from videmo.evaluate.pairs import PredictedClip
    from videmo.runs.inputs import Clip

RECORDS = (".csv", ".tsv", ".ndjson", ".jsonl", ".json", ".parquet", ".xlsx")  # suffixes of records

EXAMPLES = """\b
Examples:
  videmo report talk.mp4 -o talk.html
  videmo report clips/ --folders -j auto -o clips.html
  videmo report emotions.ndjson --truth clips.csv -o emotions.html
"""


@click.command(
    cls=Command, no_args_is_help=True, epilog=EXAMPLES,
    first=("out", "no_faces", "truth", "folders", "head", "start", "end", "jobs", "overwrite"),
)  # fmt: skip
@input_options
@recipe_options
@prior_option
@out_option(help="Write the page here: .html.", required=True)
@overwrite_option
@section("Output", click.option("--no-faces", is_flag=True,
                                help="Of a clip, show no picture of a face."))  # fmt: skip
@section(
    "Answer",
    click.option("--truth", metavar="FILE", help="A manifest with the true labels of many clips."),
    click.option("--folders", is_flag=True, help="The folder of a clip names its true label."),
    click.option("--match", type=click.Choice(["path", "name", "stem"]), default="path",
                 help="Clips and their truth are one if these are."),
    click.option("--by-meaning", is_flag=True,
                 help="Happy is happiness; read 8 labels as 7 or 3."),
)  # fmt: skip
@engine_options
@worker_options
@progress_option
@message_options
def report(**options: Any) -> None:
    """Make a page of a clip, of many clips, or of records: one HTML file, for a browser.

    Of a clip: the answer, its doubt, who showed what when, and the faces that were counted. Of
    several, and of what classify has written (CSV, TSV, NDJSON, JSON, Parquet, Excel): a table to
    sort, the worst and the least certain first, and the confusion matrix where the truth is known.
    The page holds all that it shows, and asks nothing of any network.
    """
    from videmo.files.extras import require
    from videmo.write.names import kind_of
    from videmo.write.sink import open_sink

    kind_of(options["out"], {".html": "html", ".htm": "html"})
    if options["truth"] and options["folders"]:
        raise click.UsageError("--truth and --folders are two truths; give one")
    require("jinja2")
    page, failed = _page(options)
    sink = open_sink(options["out"])
    sink.write(page)
    sink.close()
    sys.exit(1 if failed else 0)


def _page(options: dict[str, Any]) -> tuple[str, int]:
    """Return the page, and how many clips failed that were looked at for it."""
    paths = options["paths"]
    if len(paths) == 1 and paths[0].lower().endswith(RECORDS) and os.path.isfile(paths[0]):
        from videmo.evaluate.pairs import read_predictions

        check_outputs()
        return _of_records(os.path.basename(paths[0]), read_predictions(paths[0]), options), 0
    clips = clips_of(options)
    check_outputs(clips)
    if len(clips) == 1 and not (options["truth"] or options["folders"]):
        return _of_clip(clips[0], options), 0
    found, failed = _classify(clips, options)
    name = os.path.basename(os.path.abspath(paths[0])) if len(paths) == 1 else "videmo"
    return _of_records(name, found, options), failed


def _of_clip(clip: Clip, options: dict[str, Any]) -> str:
    from videmo.cli.frames import frame_progress
    from videmo.people.moments import load, watch
    from videmo.show.annotate import open_again
    from videmo.show.clip_page import ClipPageOptions, clip_page
    from videmo.stages.decode.probe import check_rereadable

    check_rereadable(clip.path)
    changes = changes_of(options)
    made = load(
        options["head"], engine=engine_of(options), prior=options["prior"], linking=None, **changes
    )
    pipeline = made.prepare()
    with frame_progress(options, clip.path, readings=1) as progress:
        seen = watch(pipeline, clip.path, start=clip.start, end=clip.end, progress=progress.watch)
    name = os.path.basename(os.path.normpath(clip.path))
    with open_again(clip.path, pipeline) as video:
        wanted = ClipPageOptions(not options["no_faces"], clip.start, clip.end)
        return clip_page(name, seen, pipeline, video, wanted)


def _classify(clips: list[Clip], options: dict[str, Any]) -> tuple[list[PredictedClip], int]:
    """Return what the head answers for the clips, and how many failed."""
    from videmo.cli.messages import say_pipeline
    from videmo.cli.run import Run
    from videmo.evaluate.pairs import predictions_in
    from videmo.evaluate.rows import Row

    pipeline = pipeline_of(options)
    _check_truth(clips, pipeline.labels, options)
    say_pipeline(pipeline, options)
    rows: list[Row] = []
    run = Run(clips, pipeline, options)
    failed = run.stream(
        lambda clip, result, record: rows.append(Row("the clips", 1 + len(rows), record))
    )
    return predictions_in(rows), failed


def _check_truth(clips: list[Clip], labels: Sequence[str], options: dict[str, Any]) -> None:
    """Refuse a truth of other labels before hours of work."""
    from videmo.errors import InputError
    from videmo.evaluate.pairs import read_truth

    if options["by_meaning"]:
        return
    true = {os.path.basename(os.path.dirname(c.path)): c.path for c in clips}
    if options["truth"]:
        true = {t.clip.label or "": options["truth"] for t in read_truth(options["truth"])}
    elif not options["folders"]:
        return
    if other := [label for label in true if label not in labels]:
        raise InputError(
            f"{true[other[0]]}: its true label {other[0]!r} is not among {', '.join(labels)}; "
            "choose another --head, or compare what labels mean: --by-meaning"
        )


def _of_records(name: str, found: list[PredictedClip], options: dict[str, Any]) -> str:
    """Return the page of many clips, with what the truth says where one is given."""
    from videmo.evaluate import EvaluationOptions, evaluate_labels
    from videmo.evaluate.listing import labels_of, listed, made_by
    from videmo.evaluate.pairs import match, read_truth, truth_in_folders
    from videmo.show.list_page import list_page

    labels, evaluation, notes, known = labels_of(found), None, [], {}
    truths = truth_in_folders(found) if options["folders"] else []
    truths = read_truth(options["truth"]) if options["truth"] else truths
    if truths:
        pairs = match(found, truths, by=options["match"], missing="wrong")
        evaluation = evaluate_labels(pairs, EvaluationOptions(by_meaning=options["by_meaning"]))
        place = {id(one): n for n, one in enumerate(found)}
        known = {place[id(pair.found)]: pair.truth for pair in pairs if pair.found}
        if missing := sum(pair.found is None for pair in pairs):
            notes.append(f"clips of the truth without a record, which count as wrong: {missing}")
    if notes and not options["quiet"]:
        say(f"videmo: note: {notes[0]}")
    return list_page(
        name, listed(found, known), labels,
        evaluation=evaluation, made_by=made_by(found), notes=notes,
    )  # fmt: skip
