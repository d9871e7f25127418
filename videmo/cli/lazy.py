"""Commands that are imported when they are called: one does not wait for the others."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module

import click

from videmo.cli.grouped import Group, is_clip, refuse_dashes


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name; one is imported when it is asked for.

    places: the module and the name in it, "videmo.cli.classify:classify"
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self._there: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._there:
            module, _, command = self._places[name].partition(":")
            self._there[name] = getattr(import_module(module), command)
        return self._there[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places.setdefault(name, "")
        self._there[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._there.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class LazyGroup(Group):
    """A group whose help lists its commands without importing them.

    brief: what each does, in the half of a line that a list has for it
    groups: the commands that are of one kind, by what that is
    direct: the command that is meant where a clip stands in the place of a command
    """

    brief: Mapping[str, str] = {}  # replaced, never changed
    groups: Mapping[str, Sequence[str]] = {}  # replaced, never changed
    direct = ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, those together that are of one kind."""
        names = self.list_commands(ctx)
        grouped = {name for group in self.groups.values() for name in group}
        rest = [name for name in names if name not in grouped]
        width = max(map(len, names))
        for title, some in {**self.groups, "More": rest}.items():
            if some:
                with formatter.section(title):
                    formatter.write_dl([(f"{name:{width}}", self.brief[name]) for name in some])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an option that a command has is told where it belongs."""
        words = shlex.join(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            refuse_dashes(ctx, shlex.split(words))
            fact = f"No option of videmo itself is called {error.option_name}"
            step = f"options stand behind a command: videmo {self.direct} {words}"
            raise click.UsageError(f"{fact}; {step}", ctx) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant: `videmo clip.mp4` is `videmo classify clip.mp4`."""
        if args[0] == "help" and not args[1:]:
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        if args[0] == "help":
            args = [*args[1:], "--help"]
        elif self.get_command(ctx, args[0]) is None and is_clip(args[0]):
            behind = ["--"] if args[0].startswith("-") and args[0] != "-" else []  # as it stood
            args = [self.direct, *behind, *args]
        return super().resolve_command(ctx, args)
