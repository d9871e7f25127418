"""What changes a number: the head, which frames and which faces are looked at, what is answered."""

from __future__ import annotations

from typing import Any

import click

from videmo.cli.grouped import section
from videmo.cli.options import is_given
from videmo.cli.types import ModelName, Number, NumberOrAuto, Quality

head_option = click.option(
    "--head",
    type=ModelName(),
    default="afew7",
    metavar="NAME|DIR",
    help="Whose labels and recipe: a trained head (afew7, vgaf3), a network that names the "
    "emotion of each face, or the folder of one.",
)


def _of_head(value: str, other: str = "") -> str:
    """Return what stands for a default that is the head's: that of afew7, which a test compares."""
    return f"By default the head's: {value} for afew7{f'; {other}' if other else ''}."


recipe_options = section(
    "What is looked at",
    section("Answer", head_option),
    click.option(
        "--fps",
        type=Number(0, open=True),
        metavar="N",
        help="Look at N frames a second of presentation time. "
        + _of_head("every frame", "5 a second in attributes and identify"),
    ),
    click.option(
        "--every",
        type=click.IntRange(1),
        metavar="N",
        help="Look at every N-th frame, from the first or from --start.",
    ),
    click.option(
        "--max-side",
        type=click.IntRange(16),
        metavar="PX",
        help="Shrink frames whose longer side is longer. By default none.",
    ),
    click.option(
        "--detector",
        metavar="NAME",
        help="retinaface-mobilenet, mtcnn, centerface, retinaface-resnet50 or whole (the frame is "
        "the face). " + _of_head("retinaface-mobilenet"),
    ),
    click.option(
        "--detect-every",
        type=NumberOrAuto(),
        metavar="N|auto",
        help="Look at the whole of every N-th frame, and follow known faces in between; auto: "
        "twice a second, and wherever a face is lost. " + _of_head("auto"),
    ),
    click.option(
        "--score",
        type=Number(0, 1),
        metavar="P",
        help="Keep faces of at least this score. " + _of_head("0.9"),
    ),
    click.option(
        "--min-face",
        type=click.IntRange(12),
        metavar="PX",
        help="The smallest face to look for. " + _of_head("32"),
    ),
    click.option(
        "--faces",
        type=click.Choice(["all", "largest", "best"]),
        help="Which faces of a frame count. " + _of_head("largest", "all where persons are told"),
    ),
    click.option(
        "--min-quality",
        type=Quality(),
        multiple=True,
        metavar="NAME=VALUE",
        help="Leave faces out that have less: side (px), sharpness, brightness or frontal (0 to "
        "1), such as frontal=0.5; may be given again. The record counts them in left_out.",
    ),
)

prior_option = section(
    "Answer",
    click.option(
        "--prior",
        metavar="natural|balanced|FILE",
        help="How common each emotion is held to be, where a network answers for each face. "
        "natural: people as they are filmed all day; balanced: acted and chosen clips, such as "
        "AFEW's; or JSON with a share for each label. " + _of_head("balanced"),
    ),
)

budget_option = section(
    "What is looked at",
    click.option(
        "--budget",
        type=click.Choice(["exact", "fast"]),
        default="exact",
        help="exact: every frame that --fps or --every takes. fast: every 18th of them, then every "
        "6th, and all only while the answer is not as sure as the head's card says that it must "
        "be; the record tells in stride and frames_share how far it went.",
    ),
)

abstain_option = section(
    "Answer",
    click.option(
        "--abstain",
        type=Number(0, 1),
        metavar="P",
        help="Leave the label empty where it is less probable than P; scores stay.",
    ),
)

baseline_option = section(
    "Answer",
    click.option(
        "--baseline",
        metavar="auto|START-END|CLIP",
        help="Also tell which labels rise above a person's own usual face (log-odds): that of the "
        "label most of the person's faces have, of a part of the clip, or of a clip of one person.",
    ),
)


def changes_of(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the options of stages that the command line replaces in a head's recipe."""
    from videmo.recipe import OPTIONS, stage_changes

    given = {name: options.get(name) for name in OPTIONS}
    for one, other in (("fps", "every"), ("every", "fps")):  # before what is a default of somebody
        if is_given(one) and not is_given(other):
            given[other] = None
    if least := options.get("min_quality"):
        given["filtering"] = dict(least)
    return stage_changes(**given)
