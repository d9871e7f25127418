"""models: what there is, what is here, and how the one becomes the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from videmo.cli.grouped import Group
from videmo.cli.models_import import import_
from videmo.cli.options.engine import cache_options, use_cache
from videmo.cli.options.messages import debug_option, progress_option, quiet_option
from videmo.cli.streams import say
from videmo.cli.types import ModelName, Number
from videmo.errors import InputError
from videmo.write.printable import printable

PULL = """\b
Examples:
  videmo models pull enet_b0_8_best_afew
  videmo models pull retinaface-mobilenet retinaface-resnet50
  videmo models pull enet_b2_8 --url https://mirror.example.org/zoo/"""
LIST = """\b
Examples:
  videmo models list
  videmo models list | jq -r 'select(.state=="installed").name'"""
SHOW = """\b
Examples:
  videmo models show enet_b0_8_va_mtl
  videmo models show afew7 --format json | jq .card.measured"""
VERIFY = """\b
Example:
  videmo models verify"""
PATH = """\b
Example:
  ls "$(videmo models path afew7)\""""
REMOVE = """\b
Example:
  videmo models remove enet_b0_8_best_afew"""

EXAMPLES = """\b
Examples:
  videmo models list
  videmo models show lite0_faces
  videmo models pull enet_b0_8_best_afew
"""


@click.group(cls=Group, epilog=EXAMPLES)
def models() -> None:
    """List, fetch, check and remove models.

    Models are embedded in the package or installed in the cache. Networks that others have
    published are known here by name, with their terms and figures; pull fetches them.
    """


models.add_command(import_)


@models.command("list", epilog=LIST)
@click.option("-f", "--format", "format_", type=click.Choice(["table", "json", "ndjson"]),
              help="By default a table on a terminal, NDJSON elsewhere.")  # fmt: skip
@cache_options
@debug_option
def list_(format_: str | None, **options: Any) -> None:
    """List all models, a line each.

    A model is embedded in the package, installed in the cache, cached (its file alone is here) or
    published, which pull fetches.
    """
    import json

    from videmo.cli.models_text import models_table
    from videmo.store.zoo.catalogue import describe, entries

    use_cache(options)
    rows = [describe(one) for one in entries()]
    format_ = format_ or ("table" if sys.stdout.isatty() else "ndjson")
    if format_ == "table":
        click.echo(models_table(rows), nl=False)
    elif format_ == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))


@models.command(no_args_is_help=True, epilog=SHOW)
@click.argument("name", type=ModelName(published=True))
@click.option("-f", "--format", "format_", type=click.Choice(["text", "json", "markdown"]),
              default="text", help="json has all of its card, markdown is its page.")  # fmt: skip
@cache_options
@debug_option
def show(name: str, format_: str, **options: Any) -> None:
    """Tell all that is known of one model.

    Its network, labels in their order, what its pictures must be like, its terms, what it was
    measured with and on which data; of a published network or a detector too.
    """
    import json

    from videmo.cli.models_text import model_text
    from videmo.store.zoo.catalogue import describe, entry_or_model

    use_cache(options)
    one = entry_or_model(name)
    if format_ == "text":
        click.echo(model_text(describe(one), one.card), nl=False)
    elif format_ == "markdown":
        from videmo.show.card import card_page

        if not one.card:
            raise InputError(f"{name}: has no card, for it is not installed; pull it first")
        click.echo(card_page(one.name, one.card), nl=False)
    else:
        whole = {**describe(one), "card": dict(one.card) or None}
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


@models.command(no_args_is_help=True, epilog=PULL)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=ModelName(published=True))
@click.option("--url", metavar="URL", help="Fetch from there: a file, or (ending in /) its folder.")
@click.option("--sha256", "digest", default="", metavar="HEX", help="The sum the file must have.")
@click.option("--no-import", "keep", is_flag=True, help="Only fetch the file; make no model of it.")
@click.option("--backbone", metavar="NAME", help="Of engagement: whose features it reads.")
@click.option("--max-mb", type=click.IntRange(1), default=1024, metavar="N",
              help="Refuse a file of more MiB.")  # fmt: skip
@click.option("--max-seconds", type=Number(0, open=True), default=3600,
              metavar="S", help="Give a file up that takes longer; the next "
              "pull goes on with it.")  # fmt: skip
@progress_option
@cache_options
@quiet_option
@debug_option
def pull(
    names: Sequence[str], url: str | None, digest: str, keep: bool, backbone: str | None,
    max_mb: int, max_seconds: float, progress: str, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Fetch published networks, and install them.

    A file is kept only if it has the sum that is known of it; where none is, that of the first
    download is printed, written down, and checked from then on. A download that was cut goes on
    where it stopped. Nothing in a file is run. Read the terms first: videmo models show NAME.
    """
    from videmo.cli.models_text import DownloadProgress
    from videmo.store.zoo.pull import pull as fetch

    if len(names) > 1 and (digest or (url and not url.endswith("/"))):
        raise click.UsageError("several names, one file; give one name, or a --url ending in /")
    use_cache(options)
    kind = "none" if quiet else progress
    for name in names:
        how = {"backbone": backbone} if backbone else {}
        with DownloadProgress.of(kind, name) as telling:
            done = fetch(
                name, url=url, digest=digest, install=not keep, tell=telling, say=_say(quiet),
                most=max_mb << 20, longest=max_seconds, **how,
            )  # fmt: skip
        click.echo(done.folder or done.file)


@models.command(epilog=VERIFY)
@click.argument("names", nargs=-1, metavar="[NAME...]", type=ModelName())
@click.option("-f", "--format", "format_", type=click.Choice(["table", "ndjson"]),
              help="By default a table on a terminal, NDJSON elsewhere.")  # fmt: skip
@cache_options
@debug_option
def verify(names: Sequence[str], format_: str | None, **options: Any) -> None:
    """Check whether every file is what it was.

    Every model and fetched file is read again. One row each: ok, corrupt or missing. The exit
    code is 1 if any is not ok.
    """
    import json

    from videmo.store.zoo.catalogue import verify as look

    use_cache(options)
    format_ = format_ or ("table" if sys.stdout.isatty() else "ndjson")
    wrong = False
    for row in look(names):
        wrong |= row["state"] != "ok"
        line = f"{row['state']:8}{row['name']}  {row['why'] or row['path']}"
        text = printable(line) if format_ == "table" else json.dumps(row, ensure_ascii=False)
        click.echo(text)
    sys.exit(1 if wrong else 0)


@models.command(no_args_is_help=True, epilog=PATH)
@click.argument("name", type=ModelName())
@cache_options
@debug_option
def path(name: str, **options: Any) -> None:
    """Print where a model lies.

    That is its folder; of a detector, its file.
    """
    from videmo.store.zoo.catalogue import path_of

    use_cache(options)
    click.echo(path_of(name))


@models.command(no_args_is_help=True, epilog=REMOVE)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=ModelName())
@cache_options
@quiet_option
@debug_option
def remove(names: Sequence[str], quiet: bool, **options: Any) -> None:
    """Remove models that pull or import installed.

    Their fetched files go too; where one is named as NAME.pt, the file alone.
    """
    from videmo.store.zoo.catalogue import remove as discard

    use_cache(options)
    for name in names:
        for gone in discard(name):
            _say(quiet)(f"removed {gone}")


def _say(quiet: bool) -> Any:
    """Return what tells a person something, on stderr."""
    return lambda said: None if quiet else say(f"videmo: {said}")
