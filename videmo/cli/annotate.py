"""annotate: a clip with boxes, persons and what they show drawn on it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.frames import frame_progress
from videmo.cli.grouped import Command, section
from videmo.cli.messages import say_device, say_pipeline
from videmo.cli.options.engine import engine_of, engine_options
from videmo.cli.options.inputs import span_options
from videmo.cli.options.messages import message_options, progress_option
from videmo.cli.options.outputs import out_option
from videmo.cli.options.recipe import changes_of, prior_option, recipe_options
from videmo.cli.outputs import check_outputs, overwrite_option
from videmo.cli.streams import say
from videmo.cli.types import Persons

if TYPE_CHECKING:
    from videmo.pipeline import Pipeline

EXAMPLES = """\b
Examples:
  videmo annotate talk.mp4 -o seen.mp4
  videmo annotate talk.mp4 -o seen.mp4 --blur --persons 1,3 --start 1:00 --end 2:30
"""


@click.command(
    cls=Command, no_args_is_help=True, epilog=EXAMPLES,
    first=("out", "blur", "persons", "no_sound", "start", "end", "head", "overwrite"),
)  # fmt: skip
@click.argument("clip", type=click.Path(readable=False, path_type=str))
@out_option(help="Write here: .mp4, .mov or .mkv.", required=True)
@overwrite_option
@section(
    "Output",
    click.option("--blur", is_flag=True,
                 help="Hide every face that is found, smaller and less certain ones too; look "
                 "before you share it, for what no detector finds stays to be seen."),
    click.option("--persons", type=Persons(), metavar="N,...",
                 help="Mark only these: 1 is who appears first. By default everyone."),
    click.option("--no-sound", is_flag=True, help="Leave the sound out; by default it is kept."),
)  # fmt: skip
@span_options
@recipe_options
@prior_option
@engine_options
@progress_option
@message_options
def annotate(clip: str, **options: Any) -> None:
    """Draw on a clip what is seen in it: boxes, persons, scores, and the answer so far.

    Every frame is kept, upright and at its own time, and so is the sound; with a part of the clip,
    that part. Bars are means over a second. Persons are told apart by comparing faces, in memory
    alone. Nothing else of the source, such as the place where it was filmed, is written.
    """
    from videmo.people.moments import load
    from videmo.show.annotate import HIDING, AnnotateOptions
    from videmo.show.annotate import annotate as draw
    from videmo.show.video import CONTAINERS
    from videmo.stages.decode.probe import check_rereadable
    from videmo.write.names import kind_of

    check_outputs([_clip(clip)])
    check_rereadable(clip)
    kind_of(options["out"], CONTAINERS)
    changes = changes_of(options)
    looked = changes
    if options["blur"]:
        looked = {**changes, "detection": {**changes.get("detection", {}), **HIDING}}
    made = load(
        options["head"], engine=engine_of(options), prior=options["prior"], linking=None, **looked
    )
    pipeline = made.prepare()
    if changes or options["verbose"]:  # that all faces are looked at goes without saying
        say_pipeline(pipeline, options)
    say_device(pipeline.provenance, options)
    drawing = AnnotateOptions(
        blur=options["blur"],
        **(_floors(pipeline, changes) if options["blur"] else {}),
        persons=options["persons"] or (),
        sound=not options["no_sound"],
        start=options["start"],
        end=options["end"],
    )
    with frame_progress(options, clip) as progress:
        seen = draw(
            clip, options["out"], pipeline, drawing,
            progress=progress.watch, drawn=progress.drawn,
        )  # fmt: skip
    if not options["quiet"]:
        for warning in seen.answer.warnings:
            say(f"videmo: warning: {clip}: {warning}")
        if not len(seen.moments):
            say(f"videmo: note: {clip}: no face in {len(seen.moments.times)} frames")
    sys.exit(0)


_SIDE = 0.75  # of --min-face: how small the box of a face may be that is found by it


def _floors(pipeline: Pipeline, changes: Mapping[str, Any]) -> dict[str, float]:
    """Return the limits of the faces that are marked: as given, or the head's own."""
    from videmo.show.annotate import HIDING

    given, model = changes.get("detection", {}), pipeline.head_model
    own = model.recipe.detection if model else pipeline.recipe.detection
    floors = {name: given.get(name, getattr(own, name)) for name in HIDING}
    return floors | {"min_face": _SIDE * floors["min_face"]}


def _clip(path: str) -> Any:
    from videmo.runs.inputs import Clip

    return Clip(path)
