"""train head: labelled clips, their features or numbers in, a head's folder out."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Group
from videmo.cli.options import is_chosen, is_given
from videmo.cli.options.engine import engine_of, engine_options
from videmo.cli.options.inputs import clips_of
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import out_option
from videmo.cli.options.recipe import changes_of, recipe_options
from videmo.cli.outputs import OutputPath, check_outputs, overwrite_option
from videmo.cli.streams import say
from videmo.cli.train_backbone import backbone
from videmo.cli.types import Number

if TYPE_CHECKING:
    from videmo.pipeline import Pipeline
    from videmo.recipe import Recipe
    from videmo.runs.inputs import Clip
    from videmo.train.clip_rows import ClipRows
    from videmo.train.head import HeadTraining

EXAMPLES = """\b
Examples:
  videmo train head feats.npz -o my_head
  videmo train head feats.npz --labels labels.csv --kind rbf --metric accuracy -o my_head
  videmo train head clips.csv -o my_head
  videmo train head --dataset afew --root AFEW/ --protocol afew -o my_afew
  videmo train head units.csv --columns 'AU*' --subject-column actor -o my_units
"""
FIRST = ("out", "labels", "kind", "metric", "protocol", "dataset", "root", "columns", "predictions")
TRAINING_PROTOCOLS: dict[str, dict[str, Any]] = {
    # Savchenko 2021 (HSEmotion, train_emotions-pytorch.ipynb, cells 43-45): every frame, its
    # best face, mean | std | min | max, L2, LinearSVC C=1.1
    "afew": {
        "head": "afew7",
        "C": 1.1,
        "recipe": {
            "sampling": {"fps": None, "every": 1},
            "detection": {"detector": "mtcnn", "faces": "best", "min_face": 32},
            "following": {"every": 1},
            "pooling": {
                "stats": ("mean", "std", "min", "max"),
                "within": (),
                "normalise": "l2",
                "of": "features",
                "prior": (),
            },
        },
    },
    # the same notebook, cells 52-54, and VGAF_train.ipynb, cell 10: all faces of 64 px and more,
    # mean and std over frames of mean and std over faces, L2, LinearSVC C=0.5
    "vgaf": {
        "head": "vgaf3",
        "C": 0.5,
        "recipe": {
            "sampling": {"fps": None, "every": 1},
            "detection": {"detector": "mtcnn", "faces": "all", "min_face": 64},
            "following": {"every": 1},
            "pooling": {
                "stats": ("mean", "std"),
                "within": ("mean", "std"),
                "normalise": "l2",
                "of": "features",
                "prior": (),
            },
        },
    },
}


@click.group(cls=Group, epilog="Example:  videmo train head feats.npz -o my_head")
def train() -> None:
    """Train models on data of your own."""


train.add_command(backbone)


@train.command(no_args_is_help=True, epilog=EXAMPLES, first=FIRST)
@click.argument("sources", nargs=-1, type=click.Path(readable=False, path_type=str))
@out_option(OutputPath(as_path=True, folder=True), required=True, metavar="DIR",
            help="The model folder to write.")  # fmt: skip
@overwrite_option
@click.option("--labels", metavar="CSV|folder",
              help="A list path,label[,split][,subject], or the word folder: a clip's folder names "
              "its label. By default what the source says.")  # fmt: skip
@click.option("--classes", metavar="A,B,...", help="The labels in their order; others are errors.")
@click.option("--dataset", metavar="NAME", help="The layout of --root, as in videmo dataset.")
@click.option("--root", metavar="DIR", help="A data set.")
@click.option("--fold", type=click.IntRange(1), metavar="K", help="The fold that is its test.")
@click.option("--protocol", type=click.Choice(list(TRAINING_PROTOCOLS)),
              help="The published recipe and classifier.")  # fmt: skip
@click.option("--columns", multiple=True, metavar="GLOB",
              help="SOURCES is a CSV of numbers, and these columns hold them.")  # fmt: skip
@click.option("--path-column", metavar="NAME", help="Of that CSV, in place of path.")
@click.option("--label-column", metavar="NAME", help="In place of label.")
@click.option("--split-column", metavar="NAME", help="In place of split.")
@click.option("--subject-column", metavar="NAME", help="In place of subject.")
@click.option("--kind", type=click.Choice(["logistic", "svm", "rbf", "forest", "mlp"]),
              default="logistic", help="What is fitted.")  # fmt: skip
@click.option("--strength", multiple=True, type=Number(0, open=True), metavar="C",
              help="Try this C; again for more. By default seven from weak to strong.")  # fmt: skip
@click.option("--try", "tried", multiple=True, metavar="NAME=V,...",
              help="Try these values of a parameter, as balanced=true or depth=5,9.")  # fmt: skip
@click.option("--metric", type=click.Choice(["uar", "accuracy"]), default="uar",
              help="What the chosen parameters are best in.")  # fmt: skip
@click.option("--folds", type=click.IntRange(2), default=5, metavar="N",
              help="Parts to measure on, where no clip is in the split val or test.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N",
              help="Of folds and fits.")  # fmt: skip
@click.option("--name", metavar="NAME", help="Of the head; by default that of its folder.")
@click.option("--about", default="", metavar="TEXT", help="For the card: what it tells.")
@click.option("--license", "license_", metavar="TEXT", help="For the card: the data's terms.")
@click.option("--predictions", type=OutputPath(as_path=True), metavar="FILE.csv",
              help="Keep what each clip was predicted by a head that was not fitted to it; "
              "videmo evaluate reads it.")  # fmt: skip
@click.option("-f", "--format", "format_", type=click.Choice(["table", "json"]),
              help="By default a table on a terminal, JSON elsewhere.")  # fmt: skip
@click.option("--features", type=OutputPath(kept=True), metavar="FILE.npz",
              help="Keep the features of clips here.")  # fmt: skip
@click.option("--backbone", metavar="NAME", help="Another network for the features of clips.")
@recipe_options
@engine_options
@message_options
def head(sources: tuple[str, ...], **options: Any) -> None:
    """Train a classifier on labelled clips.

    It becomes a folder that --head takes. SOURCES are feature files (.npz, .parquet), a manifest
    (.csv), videos or folders of videos. Parameters are chosen by cross-validation, in which no
    subject is parted. The figures are of the splits val and test where there are any, and of
    nested folds elsewhere: never of clips on which something was chosen. Clips without a face
    count as wrong under `all`.

    What was measured goes to stdout. Intervals draw subjects anew where clips have them, and
    clips of one video together.
    """
    from videmo.show.training import training_table
    from videmo.train.head_model import CardText, check_out, train_head
    from videmo.train.predictions import check_suffix

    out, say = options["out"], _message_printer(options)
    check_outputs()
    check_out(out, overwrite=options["overwrite"])
    if options["predictions"]:
        check_suffix(options["predictions"])
    training = _training_options(options)
    rows = _rows(sources, training, options)
    about = CardText(
        options["name"] or out.name,
        options["about"],
        _command(),
        {"license": options["license_"]} if options["license_"] else {},
        {"protocol": options["protocol"]} if options["protocol"] else {},
    )
    if not any(rows.subject):
        say(
            "note: no clip names its subject, so a person may be on both sides of a figure; add a "
            "column subject"
        )
    tell = say if options["verbose"] or sys.stderr.isatty() else None
    model = train_head(
        rows, out, training, about, tell, overwrite=options["overwrite"],
        predictions=options["predictions"],
    )  # fmt: skip
    if (options["format_"] or ("table" if sys.stdout.isatty() else "json")) == "table":
        click.echo(training_table(model.card, out), nl=False)
        return
    for line in _summary(model.card):
        say(line)
    _print_card(model.card, out)


def _message_printer(options: Mapping[str, Any]) -> Any:
    return lambda line: None if options["quiet"] else say(f"videmo: {line}")


def _training_options(options: Mapping[str, Any]) -> HeadTraining:
    """Return what is fitted; raises UsageError for options that do not go together."""
    from videmo.train.head import HeadTraining

    kind, grid = options["kind"], {}
    if options["protocol"]:
        if is_given("kind") and kind != "svm":
            raise click.UsageError(f"--protocol is a linear SVM, --kind {kind} is not; give one")
        kind = "svm"
        grid = {"C": (TRAINING_PROTOCOLS[options["protocol"]]["C"],), "balanced": (False,)}
    if options["strength"]:
        grid["C"] = options["strength"]
    for text in options["tried"]:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise click.UsageError(f"--try {text}: no NAME=V,..., such as balanced=true")
        grid[name] = tuple(_value(text, value) for value in values.split(","))
    training = HeadTraining(
        kind=kind, grid=grid, metric=options["metric"],
        folds=options["folds"], inner=min(3, max(2, options["folds"] - 1)),
        standardise=True if options["columns"] else None, seed=options["seed"],
    )  # fmt: skip
    training.candidates()
    return training


def _value(text: str, value: str) -> Any:
    import json

    try:
        return json.loads(value)
    except ValueError as error:
        message = f"--try {text}: {value!r} is no number, true, false or null"
        raise click.UsageError(message) from error


def _rows(sources: Sequence[str], training: HeadTraining, options: Mapping[str, Any]) -> ClipRows:
    """Return the rows that the sources hold or, of clips, that are read from them now."""
    from videmo.train.clip_rows import read_features, rows_of_clips

    if bool(options["dataset"]) != bool(options["root"]):
        raise click.UsageError("--dataset and --root belong together; give both")
    if options["dataset"]:
        return _of_dataset(sources, training, options)
    if not sources:
        raise click.UsageError("give feature files, a manifest, clips, or --dataset and --root")
    features = [source.lower().endswith((".npz", ".parquet")) for source in sources]
    if options["columns"]:
        _refuse_recipe(sources[0])
        return _labelled(_number_rows(sources, options), options)
    if all(features):
        _refuse_recipe(sources[0])
        return _labelled(_check_protocol(read_features(sources), options), options)
    if any(features):
        raise click.UsageError("give feature files or clips, not both at once")
    name, clips = _clips(sources, options)
    return _with_features(_labelled(rows_of_clips(name, clips), options), clips, training, options)


def _labelled(rows: ClipRows, options: Mapping[str, Any]) -> ClipRows:
    """Return the rows with the labels, and their order, that the options name."""
    from dataclasses import replace

    from videmo.train.clip_rows import with_labels

    rows = with_labels(rows, options["labels"]) if options["labels"] else rows
    classes = (name.strip() for name in (options["classes"] or "").split(","))
    return replace(rows, classes=tuple(filter(None, classes)) or rows.classes)


def _number_rows(sources: Sequence[str], options: Mapping[str, Any]) -> ClipRows:
    from videmo.train.clip_rows import read_numbers

    if len(sources) != 1:
        raise click.UsageError("--columns reads one CSV; give one")
    facts = ("path", "label", "split", "subject")
    names = {fact: options[f"{fact}_column"] for fact in facts if options[f"{fact}_column"]}
    return read_numbers(sources[0], options["columns"], names)


def _clips(sources: Sequence[str], options: Mapping[str, Any]) -> tuple[str, list[Clip]]:
    """Return the clips that are meant, and the name of what lists them."""
    from videmo.runs.inputs import read_manifest

    lists = [source for source in sources if source.lower().endswith(".csv")]
    if lists and len(sources) > 1:
        raise click.UsageError("give one manifest, or videos and folders")
    if lists:
        return lists[0], read_manifest(lists[0])
    search: dict[str, Any] = dict.fromkeys(("ext", "include", "exclude"), ())
    search |= dict.fromkeys(("manifest", "files0_from", "start", "end"))
    return sources[0], clips_of({**options, **search, "paths": sources})


def _of_dataset(
    sources: Sequence[str], training: HeadTraining, options: Mapping[str, Any]
) -> ClipRows:
    from dataclasses import replace

    from videmo.train.clip_rows import rows_of_clips
    from videmo.train.datasets import read_dataset

    if sources:
        raise click.UsageError("--root names the clips, so no SOURCES beside it")
    found, say = (
        read_dataset(options["dataset"], options["root"], options["fold"]),
        _message_printer(options),
    )
    for note in found.notes:
        say(f"note: {note}")
    clips = list(found.clips)
    rows = rows_of_clips(options["root"], clips)
    rows = replace(rows, classes=found.labels, shared=bool(found.shared))
    return _with_features(_labelled(rows, options), clips, training, options)


def _with_features(
    rows: ClipRows, clips: Sequence[Clip], training: HeadTraining, options: Mapping[str, Any]
) -> ClipRows:
    """Return the rows with the features of their clips, read once the labels are found sound."""
    from dataclasses import replace

    from videmo.cli.classify import write_features
    from videmo.files.scratch import scratch
    from videmo.train.clip_rows import read_features
    from videmo.train.head_model import check_rows

    check_rows(rows, training)
    check_outputs(clips)
    with scratch(os.path.dirname(os.path.abspath(options["out"]))) as folder:
        path = options["features"] or os.path.join(folder, "features.npz")
        write_features(clips, _pipeline(dict(options)), dict(options), path)
        found = read_features([path])
    facts = {name: getattr(found, name) for name in ("values", "answered", "columns", "recipe")}
    return replace(rows, **facts)


def _pipeline(options: dict[str, Any]) -> Pipeline:
    """Return the river of the head's recipe, or the protocol's, without a head at its end."""
    from dataclasses import replace

    from videmo import store
    from videmo.pipeline import Pipeline

    engine = engine_of(options)  # first, for it tells where models lie
    published = TRAINING_PROTOCOLS.get(options["protocol"] or "", {})
    head = options["head"] if is_given("head") else published.get("head", options["head"])
    recipe = store.load(head).recipe.for_features().with_changes(**published.get("recipe", {}))
    if options["backbone"] not in (None, recipe.backbone):
        model = store.load(options["backbone"])
        own = model.recipe
        recipe = replace(
            recipe, backbone=own.backbone, backbone_sha256=model.sha256, cropping=own.cropping
        )
    recipe = recipe.with_changes(**changes_of(options))
    return Pipeline(recipe, None, engine).prepare()


def _check_protocol(rows: ClipRows, options: Mapping[str, Any]) -> ClipRows:
    """Return the rows; raises InputError if they were not made as the protocol asks."""
    from videmo.errors import InputError
    from videmo.recipe import Recipe

    if not options["protocol"]:
        return rows
    recipe: Recipe = Recipe.from_dict(rows.recipe or {})
    wanted = recipe.with_changes(**TRAINING_PROTOCOLS[options["protocol"]]["recipe"])
    if different := recipe.differences(wanted):
        raise InputError(
            f"{rows.files[0]}: was not made as protocol {options['protocol']} asks "
            f"({'; '.join(different)}); give the clips in place of it"
        )
    return rows


def _refuse_recipe(source: str) -> None:
    """Raise UsageError for options that change how clips are read, where none is read."""
    names = ("head", "fps", "every", "max_side", "detector", "score", "min_face", "faces",
             "backbone", "features")  # fmt: skip
    for name in filter(is_given, names):
        option = "--" + name.replace("_", "-")
        raise click.UsageError(f"{option} is for clips, and {source} holds numbers already")


def _command() -> str:
    """Return the command for the card: files by their names alone."""
    import shlex

    context, words = click.get_current_context(), ["videmo", "train", "head"]
    for parameter in context.command.params:
        name, value = str(parameter.name), context.params.get(str(parameter.name))
        if not is_chosen(name) or name in ("about", "license_", "quiet", "verbose", "debug"):
            continue
        option = [parameter.opts[-1]] if isinstance(parameter, click.Option) else []
        for one in value if isinstance(value, tuple) else (value,):
            words += [*option, os.path.basename(os.path.normpath(str(one)))]
    return shlex.join(words)


def _summary(card: Mapping[str, Any]) -> list[str]:
    """Return the lines for people."""
    from videmo.show.training import budget_lines

    trained = card["trained"]
    people = f" of {len(trained['subjects'])} subjects" if trained["subjects"] else ""
    chosen = ", ".join(f"{key} {value}" for key, value in trained["chosen"].items())
    lines = [
        f"{card['name']}: {trained['kind']} on {trained['n']} clips{people}, "
        f"{len(trained['classes'])} labels; chosen {chosen}"
    ]
    lines += budget_lines(card)
    for split, facts in card["measured"].items():
        low, high = facts["interval"]
        lines.append(
            f"{split.replace('_', ' ')}: "
            f"accuracy {facts['accuracy']:.1%} ({low:.1%} to {high:.1%}) "
            f"of {facts['n']} clips with a face, {facts['all']['accuracy']:.1%} of all "
            f"{facts['all']['n']}; UAR {facts['uar']:.3f}, ECE {facts['ece']:.3f}"
        )
    return lines


def _print_card(card: Mapping[str, Any], out: Path) -> None:
    from videmo.cli.messages import say_result
    from videmo.write.schema import VERSION

    record = {
        "schema_version": VERSION, "name": card["name"], "path": str(out),
        "chosen": card["trained"]["chosen"], "measured": card["measured"],
    }  # fmt: skip
    say_result(record)
