"""Options that several commands share, written once, and what the command line makes of them.

inputs      which clips: paths, lists, parts of them; shards
recipe      what changes a number: the head, which frames and faces, its answer
engine      what changes only the pace: devices, decoders, jobs, a cluster; where models lie
outputs     where it goes, in which format; runs that were stopped
messages    what is said on stderr
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def option_group(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds these options, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def is_given(name: str) -> bool:
    """Return whether an option stands on the command line."""
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def is_chosen(name: str) -> bool:
    """Return whether an option is no default of videmo: from there, a file or the environment."""
    from click.core import ParameterSource

    source = click.get_current_context().get_parameter_source(name)
    return source not in (ParameterSource.DEFAULT, None)
