"""What is said on standard error, and how."""

from __future__ import annotations

import click

from videmo.cli.grouped import section

progress_option = section(
    "Messages",
    click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "lines", "json", "none"]),
        default="auto",
        help="On stderr; auto is a bar on a terminal, elsewhere a line every 30 s.",
    ),
)


def _paint(context: click.Context, parameter: click.Parameter, value: str) -> None:
    """Let this process, and those that it starts, keep to --color, in the words that rich reads."""
    import os

    wanted = {"always": ("FORCE_COLOR", "NO_COLOR"), "never": ("NO_COLOR", "FORCE_COLOR")}
    if value in wanted:
        told, other = wanted[value]
        os.environ[told] = "1"
        os.environ.pop(other, None)


debug_option = section(
    "Messages",
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        callback=_paint,
        expose_value=False,
        help="Of tables; auto is colour on a terminal, unless NO_COLOR is set. So is FORCE_COLOR "
        "for always.",
    ),
    click.option("--debug", is_flag=True, help="Show where an error comes from."),
)

quiet_option = section(
    "Messages",
    click.option(
        "-q", "--quiet", is_flag=True, help="Say nothing on stderr but what ends the run."
    ),
)

message_options = section(
    "Messages",
    quiet_option,
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        help="Say more on stderr: models, warnings, changes to the recipe.",
    ),
    debug_option,
)
