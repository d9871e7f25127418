"""compare: what differs between two runs over the same clips, and which is right more often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from videmo.cli.evaluate import format_of
from videmo.cli.grouped import Command
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import out_option
from videmo.cli.outputs import check_outputs, overwrite_option
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

EXAMPLES = """\b
Examples:
  videmo compare before.ndjson after.ndjson
  videmo compare published.csv mine.csv --truth clips.csv --by-meaning
  videmo compare a.parquet b.parquet --folders --match name -o compared.json
"""


@click.command(cls=Command, no_args_is_help=True, epilog=EXAMPLES)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@truth_options
@matching_options
@bootstrap_options
@figures_format_option
@out_option(help="Write here; .json, .md, .tex or .txt chooses the format.")
@overwrite_option
@message_options
def compare(a: str, b: str, **options: Any) -> None:
    """Tell what differs between two runs over the same clips.

    A and B are what classify wrote, in any format, or other predictions: a row a clip (and part,
    and person), matched by name. Told are the clips that one has and the other has not, those whose
    status or label differs, how far the labels agree (Cohen's kappa) and, with a truth, which run
    is right more often (McNemar's test; a bootstrap by subject where each clip has one).
    """
    from videmo.evaluate import EvaluationOptions
    from videmo.evaluate.compare import compare_runs, pair_runs
    from videmo.show.comparison import FORMATS
    from videmo.write.sink import open_sink

    _check_options(a, b, options)
    check_outputs()
    form = format_of(options["out"], options["format_"])
    first, second = _read(a, options), _read(b, options)
    clips = pair_runs(first, second, _truths(first, options), by=options["match"])
    labels = tuple(name.strip() for name in (options["labels"] or "").split(",") if name.strip())
    judging = EvaluationOptions(labels, options["by_meaning"], options["draws"], options["seed"])
    result = {"a": a, "b": b, **compare_runs(clips, judging)}
    if not options["quiet"]:
        _note(result)
    sink = open_sink(options["out"])
    sink.write(FORMATS[form](result))
    sink.close()


def _check_options(a: str, b: str, options: dict[str, Any]) -> None:
    """Refuse what does not go together, before anything is read."""
    if a == b:
        raise click.UsageError(f"{a} is named twice; name two runs")
    if options["truth"] and options["folders"]:
        raise click.UsageError("--truth and --folders are two truths; give one")
    if options["truth_column"] == options["pred_column"] and not options["truth"]:
        raise click.UsageError("the answers are no truth; name the other column: --pred-column")


def _columns(options: dict[str, Any]) -> ColumnNames:
    from videmo.evaluate.pairs import ColumnNames

    truth = options["truth_column"] or "label"
    return ColumnNames(
        options["path_column"], options["pred_column"], truth, options["subject_column"]
    )


def _read(name: str, options: dict[str, Any]) -> list[PredictedClip]:
    from videmo.evaluate.pairs import read_predictions

    return read_predictions(name, _columns(options), scores=not options["no_scores"])


def _truths(found: list[PredictedClip], options: dict[str, Any]) -> list[Truth]:
    """Return the truth that is asked for, if any."""
    from videmo.evaluate.pairs import read_truth, truth_in, truth_in_folders

    if options["folders"]:
        return truth_in_folders(found)
    if options["truth"]:
        return read_truth(options["truth"], _columns(options))
    return truth_in([f.row for f in found], _columns(options)) if options["truth_column"] else []


def _note(result: Evaluation) -> None:
    """Say on stderr what makes the comparison less than it seems."""
    for key, side in (("only_a", "a"), ("only_b", "b")):
        if result[key]:
            say(f"videmo: note: clips that are only in {result[side]}: {result[key]}")
