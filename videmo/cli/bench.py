"""bench: how fast clips are read here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options.engine import engine_of, engine_options
from videmo.cli.options.messages import debug_option
from videmo.cli.options.recipe import budget_option, changes_of, recipe_options

EXAMPLES = """\b
Examples:
  videmo bench clip.mp4
  videmo bench clip.mp4 --compare "--detect-every 1" "--detect-every auto"
  videmo bench clip.mp4 --compare "--budget exact" "--budget fast"
"""


@click.command(cls=Command, epilog=EXAMPLES)
@click.argument("clip", required=False, type=click.Path(readable=False))
@recipe_options
@budget_option
@engine_options
@click.option(
    "--compare",
    nargs=2,
    metavar="A B",
    help="Two sets of options, each in quotes, that take turns.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, help="How often.")
@click.option(
    "-f",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Lines for a person, or one JSON object.",
)
@click.option("--once", type=click.Choice(["decode", "answer", "stages"]), hidden=True)
@debug_option
def bench(**options: Any) -> None:
    """Measure how fast a clip is read here, beside decoding it alone.

    Every reading is a process of its own, and all kinds take turns. CLIP is by default the one
    of a second that doctor reads. Figures are medians, with the least and the most.
    """
    from videmo.doctor import DEMO
    from videmo.doctor.bench import compare_variants
    from videmo.stages.decode.probe import check_readable, check_rereadable

    clip = options["clip"] or str(DEMO)
    check_readable(clip)
    check_rereadable(clip)
    if options["once"]:
        click.echo(json.dumps(_once(options["once"], clip, options)))
        return
    variants = [[*_options_given(), *shlex.split(more)] for more in options["compare"] or ("",)]
    found = compare_variants(clip, variants, options["rounds"])
    if options["format_"] == "json":
        click.echo(json.dumps({"clip": clip, "rounds": options["rounds"], "variants": found}))
        return
    click.echo("\n\n".join(variant_text(one) for one in found))


def _once(kind: str, clip: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what this process measures, which another has begun."""
    from videmo.doctor.bench import measure_answer, measure_decoding, measure_stages
    from videmo.pipeline import load

    engine = engine_of(options)
    if kind == "decode":
        return measure_decoding(clip, engine)
    pipeline = load(
        options["head"], engine=engine, prior=None, budget=options["budget"], **changes_of(options)
    )
    return measure_stages(clip, pipeline) if kind == "stages" else measure_answer(clip, pipeline)


def variant_text(found: dict[str, Any]) -> str:
    """Return what one variant comes to, a fact a line."""
    lines = [
        found["options"] or "as the recipe is",
        f"whole process     {_range(found['whole_s'], 's')}, "
        f"{_range(found['to_decode'])} times decoding alone ({_range(found['decode_s'], 's')})",
        f"start             {_range(found['start_s'], 's')}",
        f"running           {_range(found['frames_per_s'], 'frames/s', 0)}, "
        f"{_range(found['faces_per_s'], 'faces/s', 0)}",
        f"looked at whole   {found['frames_detected']} of {found['frames']} frames",
        f"to the first      {_range(found['to_first'])}",
        *_looked_at(found),
    ]
    if found["peak_mb"]:
        lines.append(f"memory            {found['peak_mb']:.0f} MB at most")
    total = sum(found["stages"].values()) or 1.0
    lines += [
        f"  {stage:16}{spent:.3f} s {100 * spent / total:5.1f} %"
        for stage, spent in found["stages"].items()
    ]
    return "\n".join(lines)


def _looked_at(found: dict[str, Any]) -> list[str]:
    """Return how many frames an answer rests on, where they are not all."""
    if found["looked"] == found["frames"]:
        return []
    return [f"looked at         {found['looked']} of {found['frames']} frames"]


def _range(of: dict[str, float], unit: str = "", digits: int = 2) -> str:
    low, middle, high = (f"{of[key]:.{digits}f}" for key in ("least", "median", "most"))
    return f"{middle}{' ' if unit else ''}{unit} ({low}-{high})"


def _options_given() -> Sequence[str]:
    """Return the options of the command line that the processes are to have as well."""
    context = click.get_current_context()
    own = ("clip", "compare", "rounds", "format_", "once", "debug")
    words: list[str] = []
    for one in context.command.params:
        name = str(one.name)
        source = context.get_parameter_source(name)
        if name in own or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        words += [one.opts[-1]] if value is True else [one.opts[-1], str(value)]
    return words
