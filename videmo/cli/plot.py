"""plot: a picture of a timeline, person by person."""

from __future__ import annotations

from typing import Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import out_option
from videmo.cli.outputs import check_outputs, overwrite_option
from videmo.cli.types import Persons

EXAMPLES = """\b
Examples:
  videmo timeline talk.mp4 -o t.csv && videmo plot t.csv -o t.png
  videmo plot t.parquet -o t.pdf --clip interviews/3.mp4 --persons 1,2
"""


@click.command(cls=Command, no_args_is_help=True, epilog=EXAMPLES)
@click.argument("timeline", type=click.Path(readable=False, path_type=str))
@out_option(help="Write here: .png, .svg or .pdf.", required=True)
@overwrite_option
@click.option("--clip", metavar="PATH", help="Which clip of the timeline, if it has several.")
@click.option("--persons", type=Persons(), metavar="N,...",
              help="Only these persons. By default everyone.")  # fmt: skip
@message_options
def plot(timeline: str, **options: Any) -> None:
    """Draw a timeline: for each person which label is how probable when.

    TIMELINE is what videmo timeline wrote, with rows by frame, window or segment: CSV, TSV, NDJSON,
    JSON, Parquet or Excel. Where a person is not seen the picture is hatched.
    """
    from videmo.evaluate.timelines import read_timeline
    from videmo.files.extras import require
    from videmo.show.figure import PICTURES
    from videmo.show.plot import draw_timeline
    from videmo.write.names import kind_of

    check_outputs()
    kind_of(options["out"], PICTURES)
    require("matplotlib")
    clip = read_timeline(timeline, options["clip"])
    strips = clip.strips(options["persons"] or ())
    draw_timeline(
        options["out"], strips, clip.labels, begin=clip.begin, end=clip.end, title=clip.path
    )
