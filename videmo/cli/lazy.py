"""Commands that are imported when they are called: one does not wait for the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


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


class LazyGroup(click.Group):
    """A group whose help lists its commands without importing them.

    brief: what each does, in the half of a line that a list has for it
    """

    brief: Mapping[str, str] = {}  # replaced, never changed

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.brief[name]) for name in self.list_commands(ctx)])
