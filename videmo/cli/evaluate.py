"""evaluate: predictions against the truth, as a table, JSON or Markdown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.options import engine_options, pipeline_of, recipe_options, word_options

if TYPE_CHECKING:
    from videmo.evaluate import Result
    from videmo.evaluate.pairs import Columns, Found, Truth
    from videmo.inputs import Clip
    from videmo.pipeline import Pipeline

    Lines = list[list[str]]  # of cells, the first the heads of the columns

EXAMPLES = """\b
Examples:
  videmo evaluate --predictions emotions.csv --truth clips.csv
  videmo evaluate --predictions emotions.csv --folders --confusion matrix.png
  videmo evaluate --predictions all.csv --truth-column label --pred-column pred --format markdown
  videmo evaluate --protocol afew --root AFEW/ --head afew7
"""
NAMES = {
    "accuracy": "accuracy (WAR)", "uar": "UAR",
    "macro_f1": "macro F1", "weighted_f1": "weighted F1",
    "ece": "ECE", "brier": "Brier", "ccc": "CCC", "pcc": "PCC", "mae": "MAE", "rmse": "RMSE",
}  # fmt: skip


@click.command(no_args_is_help=True, epilog=EXAMPLES)
@click.option("--predictions", metavar="FILE", help="What classify wrote, or a CSV; - is stdin.")
@click.option("--truth", metavar="FILE", help="A manifest or feature file with the true labels.")
@click.option("--folders", is_flag=True, help="The folder of a clip names its true label.")
@click.option("--dataset", metavar="NAME", help="The layout of --root, which holds the truth.")
@click.option("--root", metavar="DIR", help="A data set; without --predictions, classify it.")
@click.option("--fold", type=click.IntRange(1), metavar="N", help="The fold of the data set.")
@click.option("--protocol", metavar="NAME", help="Print first what is official for afew, vgaf, ...")
@click.option("--split", metavar="NAME", help="Only the clips of this split of the truth.")
@click.option("--path-column", default="path", show_default=True, metavar="NAME",
              help="The column that names the clip.")  # fmt: skip
@click.option("--pred-column", default="label", show_default=True, metavar="NAME",
              help="The column of the answers.")  # fmt: skip
@click.option("--truth-column", metavar="NAME",
              help="Of the truth; without --truth, in the file of the answers.")  # fmt: skip
@click.option("--subject-column", default="subject", show_default=True, metavar="NAME",
              help="The column of the truth that names the person.")  # fmt: skip
@click.option("--match", type=click.Choice(["path", "name", "stem"]), default="path",
              show_default=True, help="Clips are one if these are.")  # fmt: skip
@click.option("--missing", type=click.Choice(["error", "wrong"]), default="error",
              show_default=True, help="What a clip without a prediction is.")  # fmt: skip
@click.option("--labels", metavar="A,B,...", help="The whole set of labels.")
@click.option("--by-meaning", is_flag=True, help="Happy is happiness; read 8 labels as 7 or 3.")
@click.option("--no-scores", is_flag=True, help="Pass the probabilities over.")
@click.option("--kind", type=click.Choice(["labels", "numbers"]), default="labels",
              show_default=True, help="numbers: CCC, PCC, MAE, RMSE.")  # fmt: skip
@click.option("--train", "training", multiple=True, metavar="FILE|HEAD",
              help="What was trained on; a clip or person on both sides is an error.")  # fmt: skip
@click.option("--draws", type=click.IntRange(100), default=2000, show_default=True, metavar="N",
              help="Samples of the bootstrap.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N",
              help="Of the bootstrap.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["table", "json", "markdown"]),
              help="By default a table on a terminal, JSON elsewhere.")  # fmt: skip
@click.option("--out", metavar="FILE", help="Write here; .json, .md or .txt chooses the format.")
@click.option("--confusion", metavar="PNG", help="Draw the confusion matrix of all clips.")
@click.option("--records", metavar="FILE", help="With --root, keep the predictions here.")
@recipe_options
@engine_options
@word_options
def evaluate(**options: Any) -> None:
    """Measure how well predictions agree with the truth.

    Clips are matched by name. Every figure has two denominators: the clips with a face, and all
    clips, of which those without an answer are wrong.
    """
    from videmo.write.sink import open_sink

    _check(options)
    format_ = options["format_"] or _format_of(options["out"])
    _check_place(options["confusion"])
    result = _result(options)
    words: dict[str, Callable[[Result], str]] = {
        "table": _table, "markdown": _markdown, "json": _json
    }  # fmt: skip
    if options["confusion"]:
        _draw(result, options["confusion"])
    _note(result, options)
    sink = open_sink(options["out"])
    sink.write(words[format_](result))
    sink.close()
    failed = not options["predictions"] and result["error"]  # elsewhere another run has said so
    sys.exit(1 if failed else 0)


def _check(options: dict[str, Any]) -> None:
    """Refuse options that do not go together, before anything is read."""
    from videmo.errors import UnknownName
    from videmo.evaluate import PROTOCOLS

    sources = [n for n in ("truth", "folders", "root") if options[n]]
    if options["protocol"] and options["protocol"] not in PROTOCOLS:
        raise UnknownName("protocol", options["protocol"], PROTOCOLS)
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


def _result(options: dict[str, Any]) -> Result:
    """Return the figures that the options ask for."""
    from videmo.evaluate import Judging, judge, judge_numbers, with_protocol
    from videmo.evaluate.pairs import match, read_training, refuse_leaks

    columns = _columns(options)
    found, truths, labels = _sides(options, columns)
    split = _split(options, truths)
    pairs = match(found, truths, by=options["match"], split=split, missing=options["missing"])
    training = [t for name in options["training"] for t in read_training(name, columns)]
    checked = refuse_leaks(pairs, training, options["match"]) if training else None
    judging = Judging(labels, options["by_meaning"], options["draws"], options["seed"])
    judged = judge if options["kind"] == "labels" else judge_numbers
    result: Result = {**_sources(options), **judged(pairs, judging)}
    if checked:
        result["training"] = checked
    return with_protocol(result, options["protocol"]) if options["protocol"] else result


def _columns(options: dict[str, Any]) -> Columns:
    from videmo.evaluate.pairs import Columns

    truth = options["truth_column"] or "label"
    return Columns(options["path_column"], options["pred_column"], truth, options["subject_column"])


def _sides(
    options: dict[str, Any], columns: Columns
) -> tuple[list[Found], list[Truth], tuple[str, ...]]:
    """Return answers, truth, and the set of labels as far as it is told."""
    from videmo.evaluate.pairs import read_found, read_truth, truth_in_folders, truth_of

    labels = tuple(name.strip() for name in (options["labels"] or "").split(",") if name.strip())
    scores = options["kind"] == "labels" and not options["no_scores"]
    if options["root"]:
        from videmo.train.datasets import read_dataset

        name = options["dataset"] or options["protocol"]
        dataset = read_dataset(name, options["root"], fold=options["fold"])
        for note in () if options["quiet"] else dataset.notes:
            click.echo(f"videmo: note: {note}", err=True)
        labels, truths = labels or dataset.labels, truth_of(dataset.clips, name)
        if not options["predictions"]:
            return _classified(truths, labels, options), truths, labels
        return read_found(options["predictions"], columns, scores=scores), truths, labels
    found = read_found(options["predictions"], columns, scores=scores)
    if options["folders"]:
        return found, truth_in_folders(found), labels
    return found, read_truth(options["truth"] or options["predictions"], columns), labels


def _split(options: dict[str, Any], truths: Sequence[Truth]) -> str | None:
    """Return the split that is asked for, or the protocol's or fold's where there are splits."""
    from videmo.evaluate import PROTOCOLS

    split: str | None = options["split"]
    if split or not any(t.clip.split for t in truths):
        return split
    if options["fold"]:
        return "test"
    return PROTOCOLS[options["protocol"]].split if options["protocol"] else None


def _classified(
    truths: Sequence[Truth], labels: Sequence[str], options: dict[str, Any]
) -> list[Found]:
    """Return what the head answers for the clips of the split; --records keeps it."""
    from videmo.batch import classify
    from videmo.cli.words import say_pipeline, say_record
    from videmo.errors import InputError
    from videmo.evaluate.pairs import found_in
    from videmo.evaluate.rows import Row
    from videmo.write import format_of, open_writer

    split = _split(options, truths)
    clips = [t.clip for t in truths if split in (None, t.clip.split)]
    if not clips:
        raise InputError(f"{options['root']}: no clip of the split {split!r}; give --split")
    pipeline = pipeline_of(options)
    _same_labels(pipeline, labels, options)
    say_pipeline(pipeline, options)
    out = options["records"] or os.devnull
    rows = []
    with open_writer(
        format_of(options["records"], False), out, labels=pipeline.labels, extra=_parts(clips)
    ) as writer:
        for n, record in enumerate(classify(clips, pipeline), 1):
            writer.write(record)
            say_record(record, options)
            rows.append(Row("the predictions", n, record))
    return found_in(rows)


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


def _format_of(out: str | None) -> str:
    from videmo.errors import UnknownName

    if out is None or out == "-":
        return "table" if sys.stdout.isatty() else "json"
    formats = {".json": "json", ".md": "markdown", ".txt": "table"}
    suffix = os.path.splitext(out)[1].lower()
    if suffix not in formats:
        raise UnknownName("output format", suffix, formats)
    return formats[suffix]


def _check_place(png: str | None) -> None:
    """Refuse a picture that cannot be drawn or written before hours of work."""
    if png:
        import importlib.util

        from videmo.errors import MissingDependency, OutputError

        if importlib.util.find_spec("matplotlib") is None:
            raise MissingDependency("matplotlib", "plots")
        if not png.lower().endswith(".png"):
            raise OutputError(png, "is no name of a PNG; end it in .png")


def _draw(result: Result, png: str) -> None:
    from videmo.show.confusion import draw_confusion

    figures = result["all"]
    title = f"accuracy {figures['accuracy']:.4f}, UAR {figures['uar']:.4f}, n {figures['n']}"
    draw_confusion(
        png, figures["confusion"], result["labels"], no_answer=figures["no_answer"], title=title
    )


def _note(result: Result, options: dict[str, Any]) -> None:
    """Say on stderr what makes the figures less than they seem."""
    notes = []
    expected = (result.get("protocol") or {}).get("clips")
    if expected and expected != result["clips"] and not options["fold"]:
        name = result["protocol"]["name"]
        notes.append(f"{name} has {expected} clips, here are {result['clips']}: not comparable")
    if "training" in result and result["training"]["subjects"] is None:
        notes.append("no subjects on one side: only clips were compared with the training data")
    if not options["quiet"]:
        for note in notes:
            click.echo(f"videmo: note: {note}", err=True)


def _json(result: Result) -> str:
    return json.dumps(result, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _blocks(result: Result) -> list[tuple[str, Lines]]:
    """Return the tables of a result, each with the line above it: the official figures first."""
    whole = result.get("all")
    blocks = [("", _summary(result))]
    if "official" in result:
        blocks.insert(0, (_official_title(result), _official(result)))
    if whole:
        blocks.append(("each label, all clips", _each_label(whole)))
        blocks.append(
            ("confusion, all clips: a row a true label", _matrix(result["labels"], whole))
        )
    return blocks


def _official_title(result: Result) -> str:
    told = result["protocol"]
    return f"{told['name']}, official: all clips{', ' + told['split'] if told['split'] else ''}"


def _official(result: Result) -> Lines:
    n, m = result["all"]["n"], result["with_face"]["n"]
    heads = ["", f"all {n}", "95 %", f"with a face {m}"]
    return [heads] + [
        [NAMES[name], _figure(of["value"]), _range(of["interval"]), _figure(of["with_face"])]
        for name, of in result["official"].items()
    ]


def _summary(result: Result) -> Lines:
    """Return every figure over both denominators, with intervals."""
    sides = [result[name] for name in ("with_face", "all") if name in result]
    heads = [f"with a face {sides[0]['n']}", "95 %", f"all {sides[-1]['n']}", "95 %"]
    rows = [["", *heads[: 2 * len(sides)]]]
    for name in (name for name in NAMES if name in sides[0]):
        cells = [(_figure(s.get(name)), _range(s["intervals"].get(name))) for s in sides]
        rows.append([NAMES[name], *(cell for pair in cells for cell in pair)])
        if name == "accuracy":
            wilson = [("", _range(side["wilson"])) for side in sides]
            rows.append(["  after Wilson", *(cell for pair in wilson for cell in pair)])
    return rows


def _each_label(figures: Result) -> Lines:
    heads = ["label", "clips", "recall", "95 %", "found", "precision", "95 %", "F1"]
    return [heads] + [
        [
            label, str(of["n"]), _figure(of["recall"]), _range(of["recall_interval"]),
            str(of["found"]), _figure(of["precision"]), _range(of["precision_interval"]),
            _figure(of["f1"]),
        ]
        for label, of in figures["by_label"].items()
    ]  # fmt: skip


def _matrix(labels: Sequence[str], figures: Result) -> Lines:
    silent = any(figures["no_answer"])
    rows = [[str(n) for n in row] for row in figures["confusion"]]
    if silent:
        rows = [[*r, str(n)] for r, n in zip(rows, figures["no_answer"], strict=True)]
    heads = ["", *labels, *(["no answer"] if silent else [])]
    return [heads] + [[label, *row] for label, row in zip(labels, rows, strict=True)]


def _words(result: Result) -> list[str]:
    """Return the sentences that go with the tables: what was counted, and how sure one is."""
    counts = [f"{result[k]} {word}" for k, word in _STATES if result[k]]
    drawn = result["bootstrap"]
    units = result["subjects"] or result["with_face"]["n"]
    clips = f"{result['clips']} clip{'s' if result['clips'] > 1 else ''}"
    return [
        f"{result['predictions']} against {result['truth']}: {clips}, {', '.join(counts)}",
        f"95 %: bootstrap of {drawn['draws']} draws of {drawn['units']}"
        + (f" ({units})" if result["subjects"] else "")
        + ("; Wilson for recall and precision" if "all" in result else ""),
    ]


_STATES = (
    ("ok", "with an answer"), ("no_face", "without a face"), ("error", "failed"),
    ("missing", "missing"),
)  # fmt: skip


def _markdown(result: Result) -> str:
    first, last = map(_escaped, _words(result))
    parts = [first]
    for title, (heads, *rows) in _blocks(result):
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
        table = [f"| {' | '.join(_escaped(c) for c in line)} |" for line in lines]
        parts += [*([f"**{_escaped(title)}**"] if title else []), "\n".join(table)]
    return "\n\n".join([*parts, last]) + "\n"


def _escaped(cell: str) -> str:
    return cell.strip().replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _table(result: Result) -> str:
    import io

    from rich.console import Console
    from rich.table import Table

    console = Console(
        file=io.StringIO(), force_terminal=sys.stdout.isatty() or None, width=10_000,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    first, last = _words(result)
    with console.capture() as captured:
        console.print(first + "\n")
        for title, (heads, *rows) in _blocks(result):
            table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
            for n, head in enumerate(heads):
                table.add_column(head, justify="right" if n else "left", no_wrap=True)
            for row in rows:
                table.add_row(*row)
            console.print(table)
            console.print()
        console.print(last)
    return "\n".join(line.rstrip() for line in captured.get().split("\n"))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _range(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}"
