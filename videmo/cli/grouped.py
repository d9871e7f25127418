"""Commands whose help comes in sections, those options first that most people need."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

FIRST = "Most used"
SECTIONS = (  # in their order; what no section was named for comes second
    FIRST, "Options", "Inputs", "What is looked at", "Answer", "Output", "Pace", "Cluster",
    "Stopped runs", "Models", "Messages",
)  # fmt: skip
_WIDEST = 60  # cells of an option with its choices
_QUIET_NAMES = ("--out",)  # taken as ever, but not shown beside their newer names

_ELSEWHERE = {  # options of whisper, yt-dlp, sqlite-utils, ffprobe, ruff, py-feat and others
    "--model": "--head",
    "--output-dir": "--out-dir",
    "--output-format": "--format",
    "--json": "--format json",
    "--csv": "--format csv",
    "--workers": "--jobs",
    "--num-workers": "--jobs",
    "--parallel": "--jobs",
    "--gpu": "--device cuda",
    "--cuda": "--device cuda",
    "--force": "--overwrite",
    "--continue": "--resume",
    "--no-progress": "--progress none",
    "--silent": "--quiet",
    "--input": "a path without an option",
    "--recursive": "nothing: folders are searched to their depth",
    "--config": "an option of videmo itself: videmo --config FILE, then the command",
}

Function = TypeVar("Function", bound=Callable[..., Any])


def section(name: str, *options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Return a decorator that adds these options, in their order, to a section of the help."""

    def decorate(function: Function) -> Function:
        before = len(vars(function).get("__click_params__", ()))
        for option in reversed(options):
            function = option(function)
        for added in vars(function)["__click_params__"][before:]:
            if not hasattr(added, "section"):  # one inside of the other says it first
                added.section = name
        return function

    return decorate


class Command(click.Command):
    """A command whose help has its options in sections.

    first: names of the parameters that are shown before all others
    """

    def __init__(self, *arguments: Any, first: Sequence[str] = (), **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.first = tuple(first)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **more: Any,
    ) -> click.Context:
        """Return the context of a call, in which a file of defaults has been read."""
        if parent is not None and "default_map" not in more:
            from videmo.cli.config import defaults_for

            words = [*parent.command_path.split()[1:], str(info_name)]
            more["default_map"] = defaults_for(self, words)
        return super().make_context(info_name, args, parent, **more)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an option of other tools is told what it is called here."""
        words = [*args]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            refuse_dashes(ctx, words)
            if not (said := self._explained(error)):
                raise
            raise click.UsageError(said, ctx) from error

    def _explained(self, error: click.NoSuchOption) -> str:
        """Return what an option is called here, or why it is not here; nothing for another."""
        fact = f"No option is called {error.option_name}"
        if error.option_name == "--budget" and "--fps" in _names(self):
            return f"{fact} here: {self.name} needs every frame; it is of classify and evaluate"
        here = _ELSEWHERE.get(error.option_name, "")
        known = not here.startswith("--") or here.split()[0] in _names(self)
        return f"{fact}; here it is {here}" if here and known else ""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        shown: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
        for parameter in self._in_order(ctx):
            if isinstance(parameter, click.Option) and (record := _shown(parameter, ctx)):
                shown[self._section(parameter)].append(record)
        rows = [row for records in shown.values() for row in records]
        width = min(28, max(len(names) for names, _ in rows))
        for name, records in shown.items():
            if records:
                with formatter.section(name):
                    padded = [(f"{names:{width}}", said) for names, said in records]
                    formatter.write_dl(padded, col_max=width)

    def _in_order(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, the first of them as they are named, then the others."""
        every = self.get_params(ctx)
        named = {str(one.name): one for one in every}
        first = [named[name] for name in self.first]
        return [*first, *(one for one in every if one not in first)]

    def _section(self, parameter: click.Parameter) -> str:
        if parameter.name in self.first:
            return FIRST
        if "--help" in parameter.opts and any(hasattr(one, "section") for one in self.params):
            return "Messages"
        return str(getattr(parameter, "section", "Options"))


def refuse_dashes(ctx: click.Context, words: Sequence[str]) -> None:
    """Say how to name a file whose name reads as options, if one of these words is such a file."""
    for word in words:
        if word.startswith("-") and word != "-" and os.path.lexists(word):
            raise click.UsageError(
                f"{word} is a file whose name begins as an option does; write "
                f"{shlex.quote(os.path.join(os.curdir, word))}, or put -- before it",
                ctx,
            )


def _names(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


def _shown(parameter: click.Option, ctx: click.Context) -> tuple[str, str] | None:
    """Return an option's names and words for its help."""
    record = parameter.get_help_record(ctx)
    if record is None:
        return None
    names, said = record
    for name in _QUIET_NAMES:
        names = names.replace(f", {name} ", " ")
    if len(names) > _WIDEST and isinstance(parameter.type, click.Choice):  # no line breaks in it
        said = f"{', '.join(map(str, parameter.type.choices))}. {said}"
        names = f"{names.partition(' [')[0]} NAME"
    return names, said


class Group(click.Group):
    """A group of such commands, which says how it is called where it is not called so."""

    command_class = Command
    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; a near miss is told what it missed."""
        normal = ctx.token_normalize_func or str
        name = normal(args[0])
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, self.list_commands(ctx))
            step = f"did you mean {' or '.join(near)}?" if near else f"see {ctx.command_path} -h"
            ctx.fail(f"No command is called {name!r}; {step}")
        return super().resolve_command(ctx, args)


def is_clip(word: str) -> bool:
    """Return whether a word can only be an input: a file, a path, a pattern, a URL, a list."""
    from videmo.runs.inputs import VIDEO_SUFFIXES

    suffix = os.path.splitext(word)[1].lower()
    signs = (os.sep, "/", "*", "?")
    named = word == "-" or suffix in VIDEO_SUFFIXES or os.path.lexists(word)
    return named or any(sign in word for sign in signs)
