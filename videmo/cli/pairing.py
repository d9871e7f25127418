"""Options of what puts answers and truth side by side: evaluate and compare share them."""

from __future__ import annotations

import click

from videmo.cli.grouped import section

truth_options = section(
    "Options",
    click.option(
        "--truth", metavar="FILE", help="A manifest or feature file with the true labels."
    ),
    click.option("--folders", is_flag=True, help="The folder of a clip names its true label."),
)

matching_options = section(
    "Options",
    click.option(
        "--path-column", default="path", metavar="NAME", help="The column that names the clip."
    ),
    click.option(
        "--pred-column", default="label", metavar="NAME", help="The column of the answers."
    ),
    click.option(
        "--truth-column",
        metavar="NAME",
        help="Of the truth; without --truth, in the (first) file of the answers.",
    ),
    click.option(
        "--subject-column",
        default="subject",
        metavar="NAME",
        help="The column of the truth that names the person.",
    ),
    click.option(
        "--match",
        type=click.Choice(["path", "name", "stem"]),
        default="path",
        help="Clips are one if these are.",
    ),
    click.option("--labels", metavar="A,B,...", help="The whole set of labels."),
    click.option("--by-meaning", is_flag=True, help="Happy is happiness; read 8 labels as 7 or 3."),
    click.option("--no-scores", is_flag=True, help="Pass the probabilities over."),
)

bootstrap_options = section(
    "Options",
    click.option(
        "--draws",
        type=click.IntRange(100),
        default=2000,
        metavar="N",
        help="Samples of the bootstrap.",
    ),
    click.option(
        "--seed", type=click.IntRange(0), default=0, metavar="N", help="Of the bootstrap."
    ),
)

figures_format_option = section(
    "Options",
    click.option(
        "-f",
        "--format",
        "format_",
        type=click.Choice(["table", "json", "markdown", "latex"]),
        help="By default a table on a terminal, JSON elsewhere.",
    ),
)
