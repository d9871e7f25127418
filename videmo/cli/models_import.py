"""models import: a file that somebody published in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options.engine import cache_options, use_cache
from videmo.cli.options.messages import debug_option, quiet_option
from videmo.cli.outputs import overwrite_option
from videmo.cli.streams import say

if TYPE_CHECKING:
    from videmo.stages.embed import BackboneSpec

Three = tuple[float, float, float]
EXAMPLES = """\b
Examples:
  videmo models import enet_b0_8_best_vgaf.pt --as enet_b0_8_best_vgaf
  videmo models import mine.pt --as mine --architecture tf_efficientnet_b0 \\
      --classes affectnet8 --size 224"""


@click.command("import", cls=Command, no_args_is_help=True, epilog=EXAMPLES)
@click.argument("file", type=click.Path(readable=False, path_type=Path))
@click.option("--as", "name", required=True, metavar="NAME", help="What the model is called here.")
@click.option(
    "--architecture",
    default="",
    metavar="NAME",
    help="Of an unknown file: its network in timm, or mobilefacenet.",
)
@click.option(
    "--classes",
    default="",
    metavar="SET|LABEL,...",
    help="Of an unknown file: affectnet8, affectnet7 ... or its labels in order; with +va behind "
    "them, valence and arousal follow. Without any it has features alone.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    default=224,
    metavar="PX",
    help="Of an unknown file: the side of its pictures.",
)
@click.option(
    "--mean",
    type=(float, float, float),
    default=(0.485, 0.456, 0.406),
    metavar="R G B",
    help="Of an unknown file: what it takes off from colours of 0..1.",
)
@click.option(
    "--std",
    type=(float, float, float),
    default=(0.229, 0.224, 0.225),
    metavar="R G B",
    help="Of an unknown file: what it then divides by.",
)
@click.option(
    "--backbone", default="", metavar="NAME", help="Of engagement: whose features it reads."
)
@click.option(
    "--max-mb",
    type=click.IntRange(1),
    default=1024,
    metavar="N",
    help="Refuse a file, or a tensor that it makes of a picture, of more than so many MiB.",
)
@overwrite_option
@cache_options
@quiet_option
@debug_option
def import_(
    file: Path,
    name: str,
    architecture: str,
    classes: str,
    size: int,
    mean: Three,
    std: Three,
    backbone: str,
    max_mb: int,
    overwrite: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Install a network from a file.

    Nothing in the file is run. FILE is a pickle of a whole timm network or its tensors (.pt),
    ONNX, safetensors, what Keras saved (.h5), or dlib's face recognition (.dat). A published file
    is known by NAME or its own name; of any other, say what it is. The folder of the model is
    printed.
    """
    from videmo.store.zoo.importer import import_model, published_for

    use_cache(options)
    unknown = bool(architecture or classes)
    spec = _spec(architecture, classes, size, mean, std) if unknown else None
    published = None if unknown else published_for(file, name)
    model = import_model(
        file, name, published, spec=spec, backbone=backbone, most=max_mb << 20, overwrite=overwrite
    )
    if (
        published
        and published.git_blob
        and not model.card["imported"]["as_published"]
        and not quiet
    ):
        say(f"videmo: {file}: not the bytes whose figures were published")
    if not quiet:
        say(f"videmo: {name}: imported")
    click.echo(str(model.folder))


def _spec(architecture: str, classes: str, size: int, mean: Three, std: Three) -> BackboneSpec:
    """Return the spec of an unknown file; how many features it has is found out."""
    from videmo.labels import label_set
    from videmo.stages.embed import BackboneSpec

    names, _, more = classes.partition("+")
    if more not in ("", "va"):
        raise click.UsageError(f"--classes {classes}: after + comes va, nothing else")
    labels = tuple(word.strip() for word in names.split(",")) if "," in names else ()
    outputs = {"emotion": labels or label_set(names)} if names else {}
    if len(set(labels)) != len(labels) or "" in labels:
        raise click.UsageError(f"--classes {classes}: a label is there twice, or empty")
    if more:
        outputs["valence_arousal"] = ("valence", "arousal")
    return BackboneSpec(architecture, size, mean, std, 0, outputs)
