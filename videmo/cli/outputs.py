"""Where a command writes: never over what it reads, and over nothing else unasked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.config import config_file
from videmo.cli.grouped import section

if TYPE_CHECKING:
    from videmo.runs.inputs import Clip


class OutputPath(click.ParamType):  # type: ignore[type-arg]  # generic in new versions only
    """A file, or a folder, that the command writes.

    kept: beside it lie a journal and a receipt, and perhaps the faces of its clips
    folder: it is a folder, which may be there already and be replaced whole
    """

    name = "path"

    def __init__(self, *, kept: bool = False, as_path: bool = False, folder: bool = False) -> None:
        self.kept, self.folder, self._type = kept, folder, Path if as_path else str

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the name."""
        return self._type(value)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> Any:
        """Return what a shell is to offer: files, or folders."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir" if self.folder else "file")]


overwrite_option = section(
    "Output",
    click.option(
        "--overwrite", is_flag=True, help="Replace what is there already; never what is read."
    ),
)


def check_outputs(clips: Iterable[Clip] = (), *, resume: bool = False) -> None:
    """Raise OutputError for an output that is a file which is read, or that is there unasked.

    clips: those of the command; what its other options name is known here
    resume: whether what is there may be gone on with
    """
    from videmo.write import frames_of
    from videmo.write.sink import check_place, refuse_existing, refuse_source

    context = click.get_current_context()
    overwrite = bool(context.params.get("overwrite"))
    outputs = [*_outputs(context)]
    if not outputs:
        return
    sources = [*_sources(context), *_inside(clips)]
    for name, parameter in outputs:
        if not (parameter.folder and os.path.isdir(name)):
            check_place(name)
        refuse_source(name, sources)
        if parameter.kept:
            for beside in (f"{name}.journal", f"{name}.receipt", frames_of(name)):
                refuse_source(beside, sources)
        elif not resume:
            refuse_existing(name, overwrite=overwrite)


def _outputs(context: click.Context) -> Iterator[tuple[str, OutputPath]]:
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if isinstance(parameter.type, OutputPath) and value not in (None, "-"):
            yield str(value), parameter.type


def _sources(context: click.Context) -> Iterator[str]:
    """Yield the file of defaults, and all that options other than outputs name, file or not."""
    if own := config_file():
        yield str(own)
    for parameter in context.command.params:
        if not isinstance(parameter.type, OutputPath):
            yield from _texts(context.params.get(str(parameter.name)))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in the value of an option, which may be nested."""
    if isinstance(value, (str, Path)):
        yield str(value)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _texts(one)
    elif isinstance(name := getattr(value, "name", None), str):  # an open file
        yield name


def _inside(clips: Iterable[Clip]) -> Iterator[str]:
    """Yield the paths of clips, and of the pictures in those that are folders."""
    for clip in clips:
        yield clip.path
        if (folder := Path(clip.path)).is_dir():
            yield from map(str, folder.iterdir())
