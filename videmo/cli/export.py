"""export: a backbone goes in, a file that other programs run comes out."""

from __future__ import annotations

from pathlib import Path

import click

from videmo.cli.grouped import Command
from videmo.cli.options.messages import debug_option, quiet_option
from videmo.cli.options.outputs import out_option
from videmo.cli.outputs import OutputPath, check_outputs, overwrite_option
from videmo.cli.streams import say
from videmo.cli.types import ModelName

EXAMPLES = """\b
Examples:
  videmo export lite0_faces --to onnx
  videmo export my_backbone/ --to openvino -o faces.xml
"""


@click.command(cls=Command, no_args_is_help=True, epilog=EXAMPLES)
@click.argument("model", type=ModelName())
@click.option(
    "--to",
    required=True,
    type=click.Choice(["onnx", "openvino", "torchscript"]),
    help="The form: openvino is two files, the others one.",
)
@out_option(
    OutputPath(as_path=True, folder=True),
    metavar="FILE|DIR",
    help="Write here, or into this folder; by default the model's name, in this folder.",
)
@overwrite_option
@quiet_option
@debug_option
def export(
    model: str, to: str, out: Path | None, overwrite: bool, quiet: bool, debug: bool
) -> None:
    """Write a backbone as ONNX, OpenVINO or TorchScript, with its card and labels inside.

    MODEL is a name or a folder. The file takes pixels (M, S, S, 3), uint8 RGB, for any number M
    of faces, and gives features and outputs before any softmax. It is kept only if it gives what
    the original gives.
    """
    from videmo.cli.messages import say_result
    from videmo.store.export import export as write
    from videmo.write.schema import VERSION

    check_outputs()
    done = write(model, to, out, overwrite=overwrite)
    if not quiet:
        say(
            f"videmo: {done.path}: as the original, cosine {done.cosine:.6f}, largest difference "
            f"{done.difference:.1e} over {done.pictures} pictures"
        )
    record = {
        "schema_version": VERSION, "name": done.name, "to": to, "path": str(done.path),
        "cosine": done.cosine, "difference": done.difference, "pictures": done.pictures,
    }  # fmt: skip
    say_result(record)
