"""merge: what the shards of a run wrote goes in, the output of the whole run comes out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options.inputs import clips_of, search_options, span_options, window_option
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import out_option
from videmo.cli.outputs import check_outputs, overwrite_option
from videmo.cli.streams import say

if TYPE_CHECKING:
    from videmo.runs.inputs import Clip

EXAMPLES = """\b
Examples:
  videmo classify clips/ --shard 2/3 -o part-2.ndjson
  videmo merge part-*.ndjson -o emotions.ndjson --expect clips/
"""


@click.command(cls=Command, no_args_is_help=True, epilog=EXAMPLES)
@click.argument("parts", nargs=-1, required=True, type=click.Path(readable=False, path_type=str))
@out_option(help="Write here, in the format of the parts; by default to standard output.")
@overwrite_option
@click.option("--expect", multiple=True, metavar="CSV|DIR",
              help="The inputs of the whole run, which must all be there; their order is kept. "
              "A manifest (.csv, .tsv), folders, patterns, files.")  # fmt: skip
@search_options
@span_options
@window_option
@click.option("--partial", is_flag=True, help="Write what there is, where clips are missing.")
@message_options
def merge(parts: tuple[str, ...], **options: Any) -> None:
    """Put together what --shard wrote: the same bytes as one run over all clips.

    PARTS are NDJSON, JSON, CSV, TSV, Parquet or NPZ files of classify, extract-features or
    attributes. A clip that is missing or in two parts with different records, and parts of
    different models or recipes are errors (exit code 1), and nothing is written. Without --expect
    nobody can know what is missing; the order is then that of a folder. --ext, --include,
    --exclude, --start, --end and --window are to be given as they were to the shards.
    """
    from videmo.runs.shards.merge import merge as put_together

    check_outputs()
    expected = _expected(options) if options["expect"] else None
    merged = put_together(parts, options["out"], expected=expected, partial=options["partial"])
    if not options["quiet"]:
        for note in merged.notes:
            say(f"videmo: note: {note}")
        counts = {**merged.statuses, "missing": merged.missing}
        words = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        text = f"{merged.clips} clips from {len(parts)} files"
        say(f"videmo: {text}{f': {words}' if words else ''}")
    sys.exit(1 if merged.missing or merged.cut else 0)


def _expected(options: dict[str, Any]) -> list[Clip]:
    """Return the clips of the whole run, in its order."""
    lists = (".csv", ".tsv", ".xlsx")
    manifests = [name for name in options["expect"] if name.lower().endswith(lists)]
    if len(manifests) > 1:
        raise click.UsageError("--expect names two manifests, but a run has one; give one")
    paths = [name for name in options["expect"] if name not in manifests]
    given = {"paths": paths, "manifest": next(iter(manifests), None), "files0_from": None}
    return clips_of({**options, **given})
