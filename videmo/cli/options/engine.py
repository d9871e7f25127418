"""What changes only the pace: devices, decoders, jobs and clusters; and where models lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import section
from videmo.cli.options import is_given
from videmo.cli.options.recipe import changes_of
from videmo.cli.types import Jobs, Number

if TYPE_CHECKING:
    from videmo.pipeline import Engine, Pipeline


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
        help="Of the network's arithmetic; auto is fp32.",
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
