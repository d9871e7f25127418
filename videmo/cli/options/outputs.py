"""Where a command writes, in which format, and how it goes on with what was stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from videmo.cli.grouped import section
from videmo.cli.options import Command
from videmo.cli.options.messages import progress_option
from videmo.cli.outputs import OutputPath
from videmo.write.formats import FORMATS


def out_option(
    kind: OutputPath | None = None,
    *,
    metavar: str = "FILE",
    help: str = "Write here; the suffix chooses the format. By default, and with -, to standard "
    "output.",
    **more: Any,
) -> Callable[[Command], Command]:
    """Return -o/--output, which is also called --out; `options["out"]` holds it."""
    names = ("-o", "--output", "--out", "out")
    option = click.option(*names, type=kind or OutputPath(), metavar=metavar, help=help, **more)
    return section("Output", option)


format_option = section(
    "Output",
    click.option(
        "-f",
        "--format",
        "format_",
        type=click.Choice([*FORMATS]),
        help="By default as the suffix of the output says; without one, a table on a terminal, "
        "NDJSON elsewhere.",
    ),
)

resume_options = section(
    "Stopped runs",
    progress_option,
    click.option(
        "--resume",
        is_flag=True,
        help="Go on with a run that was stopped, or with an output that lacks clips; try what "
        "failed again.",
    ),
    click.option(
        "--fail-fast",
        is_flag=True,
        help="Stop at the first clip that cannot be read; --resume goes on. By default it costs "
        "its own record.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace an output that is there already."),
)
