"""evaluate: predictions against the truth, as a table, JSON, Markdown or LaTeX."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options import is_given
from videmo.cli.options.engine import engine_options, pipeline_of
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import out_option
from videmo.cli.options.recipe import budget_option, prior_option, recipe_options
from videmo.cli.outputs import OutputPath, check_outputs, overwrite_option
from videmo.cli.pairing import (
    bootstrap_options,
    figures_format_option,
    matching_options,
    truth_options,
)
from videmo.cli.streams import say

if TYPE_CHECKING:
    from videmo.evaluate import Evaluation
    from videmo.evaluate.pairs import ColumnNames, PredictedClip, Truth
    from videmo.pipeline import Pipeline
    from videmo.runs.inputs import Clip

EXAMPLES = """\b
Examples:
  videmo evaluate --predictions emotions.csv --truth clips.csv
  videmo evaluate --predictions emotions.csv --folders --confusion matrix.png
  videmo evaluate --predictions all.csv --truth-column label --pred-column pred --format markdown
  videmo evaluate --protocol afew --root AFEW/ --head afew7
"""

FIRST = (
    "predictions",
    "truth",
    "folders",
    "protocol",
    "root",
    "head",
    "confusion",
    "out",
    "format_",
)


@click.command(cls=Command, no_args_is_help=True, epilog=EXAMPLES, first=FIRST)
@click.option("--predictions", metavar="FILE", help="What classify wrote, or a CSV; - is stdin.")
@truth_options
@click.option("--dataset", metavar="NAME", help="The layout of --root, which holds the truth.")
@click.option("--root", metavar="DIR", help="A data set; without --predictions, classify it.")
@click.option("--fold", type=click.IntRange(1), metavar="N", help="The fold of the data set.")
@click.option("--protocol", metavar="NAME", help="Print first what is official for afew, vgaf, ...")
@click.option("--split", metavar="NAME", help="Only the clips of this split of the truth.")
@matching_options
@click.option("--missing", type=click.Choice(["error", "wrong"]), default="error",
              help="What a clip without a prediction is.")  # fmt: skip
@click.option("--kind", type=click.Choice(["labels", "numbers"]), default="labels",
              help="numbers: CCC, PCC, MAE, RMSE.")  # fmt: skip
@click.option("--train", "training", multiple=True, metavar="FILE|HEAD",
              help="What was trained on; a clip or person on both sides is an error.")  # fmt: skip
@click.option("--seen", type=click.Choice(["error", "allow"]), default="error",
              help="What a clip or person is that the head learned from, as its card "
              "tells.")  # fmt: skip
@bootstrap_options
@figures_format_option
@out_option(help="Write here; .json, .md, .tex or .txt chooses the format.")
@click.option("--confusion", type=OutputPath(), metavar="PICTURE",
              help="Draw the confusion matrix of all clips: .png, .svg or .pdf.")  # fmt: skip
@click.option("--records", type=OutputPath(), metavar="FILE",
              help="With --root, keep the predictions here.")  # fmt: skip
@overwrite_option
@recipe_options
@budget_option
@prior_option
@engine_options
@message_options
def evaluate(**options: Any) -> None:
    """Measure how well predictions agree with the truth.

    Clips are matched by name. Every figure has two denominators: the clips with a face, and all
    clips, of which those without an answer are wrong.
    """
    from videmo.show.evaluation import FORMATS
    from videmo.write.sink import open_sink

    _check_options(options)
    check_outputs()
    format_ = format_of(options["out"], options["format_"])
    _check_picture(options["confusion"])
    result = _evaluate_files(options)
    if options["confusion"]:
        _draw_confusion(result, options["confusion"])
    _note(result, options)
    sink = open_sink(options["out"])
    sink.write(FORMATS[format_](result))
    sink.close()
    failed = not options["predictions"] and result["error"]  # elsewhere another run has said so
    sys.exit(1 if failed else 0)


def _check_options(options: dict[str, Any]) -> None:
    """Refuse options that do not go together, before anything is read."""
    from videmo.train.datasets import protocol_of

    sources = [n for n in ("truth", "folders", "root") if options[n]]
    if options["protocol"]:
        protocol_of(options["protocol"])
    if len(sources) > 1:
        raise click.UsageError(f"--{' and --'.join(sources)} are two truths; give one")
    if not sources and not options["truth_column"]:
        raise click.UsageError("no truth; give --truth, --folders, --root or --truth-column")
    if not options["predictions"] and not options["root"]:
        raise click.UsageError("nothing to judge; give --predictions, or --root to classify")
    if options["root"] and not (options["dataset"] or options["protocol"]):
        raise click.UsageError("--root needs --dataset or --protocol, which tell its layout")
    if not sources and options["truth_column"] == options["pred_column"]:
        raise click.UsageError("the answers are no truth; name the other column: --pred-column")
    if options["kind"] == "numbers":
        names = ("protocol", "confusion", "folders", "root", "by_meaning", "labels")
        wrong = [name for name in names if options[name]]
        if wrong:
            raise click.UsageError(f"--kind numbers has no --{wrong[0].replace('_', '-')}")


def _evaluate_files(options: dict[str, Any]) -> Evaluation:
    """Return the figures that the options ask for."""
    from videmo.evaluate import EvaluationOptions, evaluate_labels, evaluate_numbers, with_protocol
    from videmo.evaluate.leaks import check_leaks as looked_up
    from videmo.evaluate.pairs import match, read_training, refuse_leaks
    from videmo.train.datasets import protocol_of

    columns = _columns(options)
    found, truths, labels = _read_sides(options, columns)
    split = _split(options, truths)
    pairs = match(found, truths, by=options["match"], split=split, missing=options["missing"])
    training = [t for name in options["training"] for t in read_training(name, columns)]
    checked = refuse_leaks(pairs, training, options["match"]) if training else None
    beside = Path(options["predictions"] or os.curdir).parent
    head = options["head"] if is_given("head") else None
    seen, unsure = ([], []) if training else looked_up(pairs, found, head, beside)
    for one in seen if options["seen"] == "error" else ():
        one.refuse(len(pairs))
    judging = EvaluationOptions(labels, options["by_meaning"], options["draws"], options["seed"])
    judged = evaluate_labels if options["kind"] == "labels" else evaluate_numbers
    result: Evaluation = {**_sources(options), **judged(pairs, judging)}
    if checked:
        result["training"] = checked
    result["seen"], result["unsure"] = [one.facts() for one in seen], unsure
    if not options["protocol"]:
        return result
    return with_protocol(result, protocol_of(options["protocol"]))


def _columns(options: dict[str, Any]) -> ColumnNames:
    from videmo.evaluate.pairs import ColumnNames

    truth = options["truth_column"] or "label"
    return ColumnNames(
        options["path_column"], options["pred_column"], truth, options["subject_column"]
    )


def _read_sides(
    options: dict[str, Any], columns: ColumnNames
) -> tuple[list[PredictedClip], list[Truth], tuple[str, ...]]:
    """Return answers, truth, and the set of labels as far as it is told."""
    from videmo.evaluate.pairs import read_predictions, read_truth, truth_in_folders, truth_of

    labels = tuple(name.strip() for name in (options["labels"] or "").split(",") if name.strip())
    scores = options["kind"] == "labels" and not options["no_scores"]
    if options["root"]:
        from videmo.train.datasets import read_dataset

        name = options["dataset"] or options["protocol"]
        dataset = read_dataset(name, options["root"], fold=options["fold"])
        for note in () if options["quiet"] else dataset.notes:
            say(f"videmo: note: {note}")
        labels, truths = labels or dataset.labels, truth_of(dataset.clips, name)
        if not options["predictions"]:
            return _classify(truths, labels, options), truths, labels
        return read_predictions(options["predictions"], columns, scores=scores), truths, labels
    found = read_predictions(options["predictions"], columns, scores=scores)
    if options["folders"]:
        return found, truth_in_folders(found), labels
    return found, read_truth(options["truth"] or options["predictions"], columns), labels


def _split(options: dict[str, Any], truths: Sequence[Truth]) -> str | None:
    """Return the split that is asked for, or the protocol's or fold's where there are splits."""
    from videmo.train.datasets import protocol_of

    split: str | None = options["split"]
    if split or not any(t.clip.split for t in truths):
        return split
    if options["fold"]:
        return "test"
    return protocol_of(options["protocol"]).split if options["protocol"] else None


def _classify(
    truths: Sequence[Truth], labels: Sequence[str], options: dict[str, Any]
) -> list[PredictedClip]:
    """Return what the head answers for the clips of the split; --records keeps it."""
    from videmo.cli.messages import say_device, say_pipeline, say_record, say_trace
    from videmo.cli.wording import reworded
    from videmo.errors import InputError
    from videmo.evaluate.pairs import predictions_in
    from videmo.evaluate.rows import Row
    from videmo.runs.batch import attempt
    from videmo.runs.batch import record as record_of
    from videmo.write import format_of, open_writer

    split = _split(options, truths)
    clips = [t.clip for t in truths if split in (None, t.clip.split)]
    if not clips:
        raise InputError(f"{options['root']}: no clip of the split {split!r}; give --split")
    check_outputs(clips)
    pipeline = pipeline_of(options)
    _same_labels(pipeline, labels, options)
    say_pipeline(pipeline, options)
    say_device(pipeline.provenance, options)
    out = options["records"] or os.devnull
    rows = []
    with open_writer(
        format_of(options["records"], False, files=True),
        out,
        labels=pipeline.labels,
        extra=[*pipeline.extra_keys, *_parts(clips)],
    ) as writer:
        for n, clip in enumerate(clips, 1):
            answer = attempt(clip, pipeline)
            line = record_of(clip, answer, pipeline.provenance, pipeline.extra_keys)
            record = reworded(line)
            writer.write(record)
            say_record(record, options)
            say_trace(answer, options)
            rows.append(Row("the predictions", n, record))
    return predictions_in(rows)


def _parts(clips: Sequence[Clip]) -> list[str]:
    return [k for k in ("start", "end") if any(getattr(clip, k) is not None for clip in clips)]


def _same_labels(pipeline: Pipeline, labels: Sequence[str], options: dict[str, Any]) -> None:
    """Refuse a head of other labels before hours of work."""
    from videmo.errors import InputError

    other = [label for label in pipeline.labels if label not in labels]
    if other and not options["by_meaning"]:
        raise InputError(
            f"{options['head']}: answers {', '.join(pipeline.labels)}, the data set has "
            f"{', '.join(labels)}; choose another --head, or --by-meaning"
        )


def _sources(options: dict[str, Any]) -> dict[str, str]:
    """Return what was judged and by what, as it was named."""
    truth = "folder names" if options["folders"] else options["truth"] or options["root"]
    given = "standard input" if options["predictions"] == "-" else options["predictions"]
    return {
        "predictions": given or f"--head {options['head']}",
        "truth": truth or f"its column {options['truth_column']}",
    }


def format_of(out: str | None, asked: str | None) -> str:
    """Return the format of figures for people: what is asked for, or the suffix of `out` says."""
    from videmo.write.names import kind_of

    if out is None or out == "-":
        return asked or ("table" if sys.stdout.isatty() else "json")
    formats = {".json": "json", ".md": "markdown", ".tex": "latex", ".txt": "table"}
    return kind_of(out, formats, asked=asked, option="--format")


def _check_picture(picture: str | None) -> None:
    """Refuse a picture that cannot be drawn or written before hours of work."""
    if picture:
        from videmo.files.extras import require
        from videmo.show.figure import PICTURES
        from videmo.write.names import kind_of

        kind_of(picture, PICTURES)
        require("matplotlib")


def _draw_confusion(result: Evaluation, picture: str) -> None:
    from videmo.show.confusion import draw_confusion

    figures = result["all"]
    title = f"accuracy {figures['accuracy']:.4f}, UAR {figures['uar']:.4f}, n {figures['n']}"
    draw_confusion(
        picture, figures["confusion"], result["labels"], no_answer=figures["no_answer"], title=title
    )


def _note(result: Evaluation, options: dict[str, Any]) -> None:
    """Say on stderr what makes the figures less than they seem."""
    notes = []
    expected = (result.get("protocol") or {}).get("clips")
    if expected and expected != result["clips"] and not options["fold"]:
        name = result["protocol"]["name"]
        notes.append(f"{name} has {expected} clips, here are {result['clips']}: not comparable")
    notes += result["unsure"]
    for seen in result["seen"]:
        if seen["met"]:
            met = f"{seen['met']} of {result['clips']} clips, or from their people"
            notes.append(f"{seen['head']} learned from {met}: the figures tell nothing of others")
    if "training" in result and result["training"]["subjects"] is None:
        notes.append("no subjects on one side: only clips were compared with the training data")
    if not options["quiet"]:
        for note in notes:
            say(f"videmo: note: {note}")
