"""attributes and identify: who is in clips and pictures, one record for each face seen."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options import option_group
from videmo.cli.options.engine import engine_of, engine_options
from videmo.cli.options.inputs import clips_of, input_options
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import format_option, out_option
from videmo.cli.options.recipe import changes_of, recipe_options
from videmo.cli.outputs import check_outputs, overwrite_option
from videmo.cli.streams import say
from videmo.cli.types import Number

if TYPE_CHECKING:
    from videmo.people.persons import Scene
    from videmo.pipeline import FeatureHook, Pipeline
    from videmo.runs.inputs import Clip
    from videmo.write import Writer
    from videmo.write.columns import Column

NAMES = ("age", "gender", "ethnicity")

ATTRIBUTES = """\b
Examples:
  videmo attributes photo.jpg
  videmo attributes clip.mp4 --only age,gender -o persons.csv
  videmo attributes photos/ --ext jpg --min-face 48
"""
IDENTIFY = """\b
Examples:
  videmo identify a.mp4 b.jpg
  videmo identify --group clips/ -o who_is_who.csv
"""


def _only(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    asked = [name.strip() for name in value.split(",")]
    if odd := [name for name in asked if name not in NAMES]:
        raise click.BadParameter(f"{odd[0]!r} is none of {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in asked)


person_options = option_group(  # what both commands share
    out_option(),
    overwrite_option,
    format_option,
    click.option(
        "--min-frames",
        type=click.IntRange(1),
        default=1,
        metavar="N",
        help="Leave out who is seen in fewer frames of a video.",
    ),
    click.option(
        "--backbone",
        metavar="NAME|DIR",
        help="The network that tells it, instead of the one of the head's recipe.",
    ),
)


@click.command(
    cls=Command, no_args_is_help=True, epilog=ATTRIBUTES, first=("out", "format_", "only")
)
@input_options
@recipe_options
@person_options
@click.option(
    "--only",
    default=",".join(NAMES),
    callback=_only,
    metavar="NAME,...",
    help="What is inferred: age, gender, ethnicity. By default all three.",
)
@click.option(
    "--age-rule",
    type=click.Choice(["mean", "top2"]),
    default="mean",
    help="Expectation over all years, or the published one over the two likeliest.",
)
@click.option(
    "--age-offset",
    type=Number(),
    default=0.0,
    metavar="YEARS",
    help="Years added; published with top2 are 1 and 0.5.",
)
@click.option(
    "--age-level",
    type=Number(0, 1, open=True),
    default=0.8,
    metavar="P",
    help="Probability inside the age's interval.",
)
@click.option(
    "--male-from",
    type=Number(0, 1),
    default=0.5,
    metavar="P",
    help="Least probability to say male; published is 0.6.",
)
@engine_options
@message_options
def attributes(**options: Any) -> None:
    """Tell the age, gender and ethnicity of each person seen.

    One record for each person of a video, as tracked, and for each face of a picture. PATHS are
    videos and pictures; folders are searched for videos, and with --ext jpg for pictures. All
    faces of 5 frames a second are looked at unless --fps, --every or --faces say otherwise; what
    is said of a person is the mean over the frames that show them.

    A face is biometric data, and age, gender and ethnicity read from it are sensitive: nothing
    infers them but this command, and only what --only names. Run it on people who have agreed to
    it; README.md says where it must not be used.
    """
    from videmo.people.persons import attribute_records
    from videmo.stages.heads.attributes import AttributeOptions
    from videmo.write.persons import attribute_columns

    reading = AttributeOptions(
        options["age_rule"], options["age_offset"], options["age_level"], options["male_from"]
    )
    clips = clips_of(options)
    check_outputs(clips)
    pipeline = _pipeline(options, options["only"])
    failed = 0
    shown = (*options["only"], "with face")
    with _writer(options, shown, attribute_columns(pipeline.outputs)) as out:
        for scene in _scenes(clips, pipeline, options):
            for record in attribute_records(scene, pipeline.outputs, reading):
                out.write(record)
            failed += scene.record["status"] == "error"
    sys.exit(1 if failed else 0)


@click.command(
    cls=Command, no_args_is_help=True, epilog=IDENTIFY, first=("out", "format_", "group")
)
@input_options
@click.option("--group", is_flag=True, help="Number the persons of all inputs.")
@click.option(
    "--threshold",
    type=Number(-1, 1),
    metavar="COSINE",
    help="Least similarity of one person; by default what the backbone's card measured.",
)
@click.option(
    "--linkage",
    type=click.Choice(["average", "complete"]),
    default="average",
    help="With --group: what must reach the threshold, the mean over "
    "the tracks of two persons that are joined, or each.",
)
@recipe_options
@person_options
@engine_options
@message_options
def identify(**options: Any) -> None:
    """Tell whether two clips show one person, or who is who in many.

    PATHS are two videos or pictures, and everyone seen in the first is compared with everyone
    seen in the second; or any number with --group, and each person gets a number. Two who are
    seen in one frame are never one person. Similarity is the cosine of mean embeddings, -1 to 1.
    All faces of 5 frames a second are looked at unless --fps, --every or --faces say otherwise.

    A face and its embedding are biometric data: nothing compares faces but this command, and no
    embedding is written anywhere. Run it on people who have agreed to it; README.md says where
    it must not be used.
    """
    from videmo.people.persons import Grouping, pair_records, person_records, threshold_of
    from videmo.stages.heads.attributes import IDENTITY
    from videmo.write.persons import COLUMNS

    if options["shard"]:
        raise click.UsageError("--shard would part those who are to be compared")
    clips = clips_of(options)
    if not options["group"] and len(clips) != 2:
        raise click.UsageError(
            f"identify compares two inputs, here are {len(clips)}; "
            "add --group to find who is who in any number"
        )
    check_outputs(clips)
    pipeline = _pipeline(options, (IDENTITY,))
    threshold = options["threshold"]
    if threshold is None:
        threshold = threshold_of(pipeline.backbone_model)
    grouping = Grouping(threshold, options["linkage"])
    with _writer(options, *COLUMNS["group" if options["group"] else "pair"]) as out:
        scenes = list(_scenes(clips, pipeline, options))
        if options["group"]:
            records = person_records(scenes, grouping)
        else:
            records = pair_records(scenes[0], scenes[1], threshold)
        for record in records:
            out.write(record)
    sys.exit(1 if any(scene.record["status"] == "error" for scene in scenes) else 0)


def _pipeline(options: dict[str, Any], outputs: Collection[str]) -> Pipeline:
    from videmo.cli.messages import say_device
    from videmo.people.persons import make_pipeline

    pipeline = make_pipeline(
        outputs,
        head=options["head"],
        backbone=options["backbone"],
        engine=engine_of(options),
        **changes_of(options),
    ).prepare()
    if options["verbose"] and not options["quiet"]:
        facts = {key: value for key, value in pipeline.provenance.items() if value}
        say("videmo: " + ", ".join(f"{k} {v}" for k, v in facts.items()))
    say_device(pipeline.provenance, options)
    return pipeline


def _scenes(clips: Sequence[Clip], pipeline: Pipeline, options: dict[str, Any]) -> Iterator[Scene]:
    """Look at every clip in turn, and say what is wrong with it after it was used."""
    from videmo.cli.messages import make_progress, say_record, say_trace
    from videmo.cli.wording import reworded
    from videmo.people.persons import TrackCollector
    from videmo.runs.batch import attempt, record

    with closing(make_progress("auto", len(clips), quiet=options["quiet"])) as bar:
        for clip in clips:
            watch = TrackCollector()
            bar.begin(clip.path)
            answer = attempt(clip, pipeline, _both(bar.watch, watch), bar.opened)
            line = record(clip, answer, pipeline.provenance)
            bar.end(line)
            scene = watch.scene(line, answer, options["min_frames"])
            scene = replace(scene, record=reworded(scene.record))
            yield scene
            say_record(scene.record, options)
            say_trace(answer, options)


def _both(one: FeatureHook, other: FeatureHook) -> FeatureHook:
    return lambda river: one(other(river))


def _writer(options: dict[str, Any], shown: Sequence[str], columns: Sequence[Column]) -> Writer:
    from videmo.write import format_of
    from videmo.write.persons import open_records

    format_ = format_of(options["out"], sys.stdout.isatty(), files=True, asked=options["format_"])
    return open_records(format_, options["out"], shown=shown, columns=columns)
