"""Options that several commands share, written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from videmo.cli.grouped import section
from videmo.cli.outputs import OutputPath
from videmo.cli.streams import say
from videmo.cli.types import Jobs, ModelName, Number, NumberOrAuto, Quality, Time
from videmo.write.formats import FORMATS
from videmo.write.printable import printable

if TYPE_CHECKING:
    from videmo.pipeline import Engine, Pipeline
    from videmo.runs.inputs import Clip
    from videmo.runs.shards import Shard

Command = TypeVar("Command", bound=Callable[..., Any])


def option_group(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds these options, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


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
        help="A list with the columns path[,label][,split][,subject][,start][,end].",
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

cache_options = section(
    "Models",
    click.option(
        "--cache-dir",
        metavar="DIR",
        help="Where models are installed and fetched files kept; by default VIDEMO_CACHE, or the "
        "platform's place.",
    ),
    click.option(
        "--offline", is_flag=True, help="Fetch nothing; so do VIDEMO_OFFLINE and HF_HUB_OFFLINE."
    ),
)

engine_options = section(
    "Pace",
    click.option(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto (the CPU; with --engine torch the best there is), cpu, cuda, cuda:N or mps.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["auto", "openvino", "torch", "ray"]),
        default="auto",
        help="What runs the network; auto is openvino on the CPU, torch elsewhere. ray: clips go "
        "to the machines of a Ray cluster, where auto runs it, or torch with --gpus-per-worker.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        help="Of the network's arithmetic; auto is fp32 on the CPU, fp16 on a GPU.",
    ),
    click.option(
        "--decoder",
        type=click.Choice(["auto", "decord", "pyav"]),
        default="auto",
        help="What reads video files; auto is pyav.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="CPU threads; 0 is as many as this process may use.",
    ),
    section(
        "Models",
        click.option(
            "--detector-weights",
            type=click.Path(readable=False, exists=True, dir_okay=False),
            metavar="FILE",
            help="A copy of the detector's own weights, for a machine without network.",
        ),
    ),
    section(
        "Inputs",
        click.option(
            "--max-megapixels",
            type=Number(0, open=True),
            default=51,
            metavar="N",
            help="Refuse frames and pictures of more pixels; each million takes about 25 MB.",
        ),
    ),
    cache_options,
)

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

cluster_options = section(
    "Cluster",
    click.option(
        "--ray-address",
        metavar="HOST:PORT",
        help="With --engine ray, the cluster; by default RAY_ADDRESS, or one of this machine.",
    ),
    click.option(
        "--gpus-per-worker",
        type=Number(0),
        default=0.0,
        metavar="G",
        help="With --engine ray, GPUs that each worker holds, such as 1 or 0.25.",
    ),
)

worker_options = section(
    "Pace",
    click.option(
        "-j",
        "--jobs",
        type=Jobs(),
        metavar="N|auto",
        help="Read N clips at once, each in a process of its own; a clip that crashes it costs "
        "its own record. Records do not depend on N. With --engine ray, N workers. By default "
        "one after the other in this process.",
    ),
    click.option(
        "--clip-timeout",
        type=Number(0, open=True),
        metavar="S",
        help="With --jobs or --engine ray, give a clip up after S seconds. By default never.",
    ),
    cluster_options,
)

progress_option = section(
    "Messages",
    click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "lines", "json", "none"]),
        default="auto",
        help="On stderr; auto is a bar on a terminal, elsewhere a line every 30 s.",
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

        clips = windows(clips, length, options["frame_rate"] or 25.0)
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


def pipeline_of(options: dict[str, Any], *, features: bool = False) -> Pipeline:
    """Return the pipeline that the recipe and engine options describe, of --head or --backbone.

    Its models are loaded, unless --jobs or --engine ray leaves them to others.
    """
    from videmo.pipeline import load, load_backbone, load_features

    backbone, changes = options.get("backbone"), changes_of(options)
    budget = options.get("budget") or "exact"
    if backbone and is_given("head"):
        raise click.UsageError("--head and --backbone are two recipes; give one")
    engine = engine_of(options)
    if backbone:
        pipeline = load_backbone(backbone, engine=engine, **changes)
    elif features:
        pipeline = load_features(options["head"], engine=engine, **changes)
    else:
        pipeline = load(
            options["head"], engine=engine, prior=options.get("prior"), budget=budget, **changes
        )
    return pipeline if options.get("jobs") or options["engine"] == "ray" else pipeline.prepare()


def is_given(name: str) -> bool:
    """Return whether an option stands on the command line."""
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def is_chosen(name: str) -> bool:
    """Return whether an option is no default of videmo: from there, a file or the environment."""
    from click.core import ParameterSource

    source = click.get_current_context().get_parameter_source(name)
    return source not in (ParameterSource.DEFAULT, None)


def engine_of(options: dict[str, Any]) -> Engine:
    """Return the Engine that the options describe."""
    from videmo.pipeline import Engine

    use_cache(options)
    names = ("device", "engine", "precision", "decoder", "threads", "detector_weights")
    given = {name: options[name] for name in names} | {"megapixels": options["max_megapixels"]}
    return Engine(**given | _cluster_engine(options))


def use_cache(options: dict[str, Any]) -> None:
    """Let this process, and those that it starts, keep to --cache-dir and --offline."""
    import os

    from videmo.files.download import OFFLINE

    if options.get("cache_dir"):
        os.environ["VIDEMO_CACHE"] = os.path.abspath(options["cache_dir"])
    if options.get("offline"):
        os.environ["VIDEMO_OFFLINE"] = OFFLINE


def _cluster_engine(options: dict[str, Any]) -> dict[str, Any]:
    """Return what runs the network in a worker of a cluster, if it is one's to run."""
    wanted = [name for name in ("ray_address", "gpus_per_worker") if options.get(name)]
    if options["engine"] != "ray":
        if wanted:
            raise click.UsageError(f"--{wanted[0].replace('_', '-')} needs --engine ray")
        return {}
    if "ray_address" not in options:
        raise click.UsageError("--engine ray is for classify and extract-features")
    return {"engine": "torch" if options["gpus_per_worker"] else "auto"}


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
