"""Which clips a command looks at: paths, lists, folders, parts of them, and shares of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import section
from videmo.cli.streams import say
from videmo.cli.types import Number, Time
from videmo.write.printable import printable

if TYPE_CHECKING:
    from videmo.runs.inputs import Clip
    from videmo.runs.shards import Shard


search_options = section(
    "Inputs",
    click.option(
        "--ext",
        multiple=True,
        metavar="EXT",
        help="Also take files of this suffix from folders; '*' takes every file.",
    ),
    click.option(
        "--include", multiple=True, metavar="GLOB", help="From folders, take only what matches."
    ),
    click.option(
        "--exclude", multiple=True, metavar="GLOB", help="From folders, leave out what matches."
    ),
)

span_options = section(
    "What is looked at",
    click.option(
        "--start",
        type=Time(0),
        metavar="TIME",
        help="Begin at this presentation time: 90, 1:30 or 00:01:30.5.",
    ),
    click.option(
        "--end",
        type=Time(0, open=True),
        metavar="TIME",
        help="Stop before this presentation time.",
    ),
)

input_options = section(
    "Inputs",
    click.argument("paths", nargs=-1, type=click.Path(readable=False, path_type=str)),
    click.option(
        "--manifest",
        type=click.Path(readable=False),
        metavar="CSV",
        help="A list with the columns path[,label][,split][,subject][,start][,end]; CSV or .xlsx.",
    ),
    click.option(
        "--files0-from",
        type=click.Path(readable=False),
        metavar="FILE",
        help="A list of paths with a NUL after each; - is stdin.",
    ),
    click.option(
        "--frames-of",
        multiple=True,
        metavar="DIR",
        help="A folder of pictures that are the frames of one clip, in the order of the numbers "
        "in their names; again for more.",
    ),
    click.option(
        "--frame-rate",
        type=Number(0, open=True),
        metavar="N",
        help="How many of these pictures make a second. By default 25.",
    ),
    search_options,
    span_options,
    click.option(
        "--dry-run",
        is_flag=True,
        help="Only list the clips that would be looked at, one a line.",
    ),
    click.option(
        "--shard",
        metavar="K/N|auto",
        help="Only the K-th of N shares of the clips, the same on every machine; auto takes K "
        "and N from Slurm, Grid Engine, torchrun, Open MPI or Kubernetes. See videmo merge.",
    ),
)

window_option = section(
    "What is looked at",
    click.option(
        "--window",
        "window_",  # not that of a timeline, whose rows are made of one look at the clip
        type=Number(0, open=True),
        metavar="S",
        help="A record for each S seconds of a clip, in place of one: how a head that reads whole "
        "clips, such as vgaf3, is asked for parts of them. By default whole clips.",
    ),
)


def clips_of(options: dict[str, Any]) -> list[Clip]:
    """Return the clips that the input options name; raises NothingToDo, InputError.

    With --shard those of the shard, which may be none; stderr says how many of how many.
    """
    import logging
    import os

    from videmo.runs.inputs import find_clips
    from videmo.runs.shards import shard_of

    shard = shard_of(options["shard"], os.environ) if options.get("shard") else None
    level = logging.ERROR if options["quiet"] else logging.WARNING
    logging.getLogger("videmo").setLevel(level)
    clips = find_clips(
        options["paths"],
        ext=options["ext"],
        include=options["include"],
        exclude=options["exclude"],
        manifest=options["manifest"],
        files0_from=options["files0_from"],
        frames_of=options.get("frames_of") or (),
    )
    clips = [_with_span(clip, options) for clip in clips]
    clips = _take_shard(clips, shard, options) if shard else clips
    if length := options.get("window_"):
        from videmo.runs.windows import windows

        clips = windows(clips, length, options.get("frame_rate") or 25.0)
    if options.get("dry_run"):
        _list(clips)
    return clips


def _list(clips: list[Clip]) -> None:
    """Print the clips, with the part of each that is looked at, and end the command."""
    for clip in clips:
        times = zip(("from", "to"), (clip.start, clip.end), strict=True)
        part = [f"{word} {time:g} s" for word, time in times if time is not None]
        click.echo("  ".join([printable(clip.path), *part]))
    click.get_current_context().exit()


def _take_shard(clips: list[Clip], shard: Shard, options: dict[str, Any]) -> list[Clip]:
    """Return the clips of one shard, and say how many they are."""
    from videmo.runs.shards import deal

    mine = deal(clips, shard, named=options["paths"], manifest=options["manifest"])
    if not options["quiet"]:
        note = "" if mine else "; the output has no records"
        say(f"videmo: {shard}: {len(mine)} of {len(clips)} clips{note}")
    return mine


def _with_span(clip: Clip, options: dict[str, Any]) -> Clip:
    """Return the clip with the part that the command line asks for.

    Raises UsageError where a manifest names a part of it already: which is meant, nobody knows.
    """
    from dataclasses import replace

    start, end = options["start"], options["end"]
    if start is None and end is None:
        return clip
    if clip.start is not None or clip.end is not None:
        raise click.UsageError(
            f"{options['manifest']} says which part of {clip.path} is looked at, and so do --start "
            "and --end; leave out one of them"
        )
    if start is not None and end is not None and start >= end:
        raise click.UsageError(f"--start {start:g} s is not before --end {end:g} s")
    return replace(clip, start=start, end=end)
