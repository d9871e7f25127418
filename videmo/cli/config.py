"""Defaults of a person or project for the options of commands: a TOML file that was asked for.

Only two places count: the file that --config or VIDEMO_CONFIG names, and videmo.toml in the folder
for settings of the person's own. What lies beside clips or in the current folder is never read.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from videmo.errors import InputError

VARIABLE = "VIDEMO_CONFIG"
NOT_THERE = ("out", "overwrite", "resume", "manifest", "files0_from", "frames_of", "help")
Table = Mapping[str, Any]


def config_file() -> Path | None:
    """Return the file that counts: the one that is named, or that of the person, if it is there."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    from videmo.files import config_dir

    own = config_dir() / "videmo.toml"
    return own if own.is_file() else None


def read_config(path: Path) -> Table:
    """Return the tables of a file; of pyproject.toml those below [tool.videmo].

    Raises InputError where it cannot be read.
    """
    from videmo.files.bounded import SETTINGS, read_bounded

    try:
        text = read_bounded(path, SETTINGS).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "is no UTF-8"
        raise InputError(
            f"{path}: cannot be read ({said.lower()}); name another --config"
        ) from error
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is no TOML ({error})") from error
    if path.name == "pyproject.toml":
        found = found.get("tool", {}).get("videmo", {})
    return found


def defaults_for(command: click.Command, words: list[str]) -> dict[str, Any]:
    """Return what the file says for the options of a command, by parameter.

    words: of the command behind videmo, such as ["train", "head"]

    What stands above the tables is for every command that has such an option. Raises InputError
    for a name that no option has, and for what only a command line may say.
    """
    path = config_file()
    if path is None:
        return {}
    whole, known = read_config(path), _parameters(command)
    found = {known[name]: value for name, value in _plain(whole).items() if name in known}
    table: Any = whole
    for word in words:
        table = table.get(word, {}) if isinstance(table, Mapping) else {}
    for name, value in _plain(table).items():
        if name not in known:
            near = difflib.get_close_matches(name, known)
            step = f"did you mean {near[0]}?" if near else f"there is {', '.join(sorted(known))}"
            raise InputError(f"{path}: [{'.'.join(words)}] {name} is no option; {step}")
        found[known[name]] = value
    if wrong := [name for name in found if name in NOT_THERE]:
        raise InputError(f"{path}: {wrong[0]} is for a command line alone; take it out")
    return found


def _plain(table: Table) -> dict[str, Any]:
    """Return what is no table itself, names as the command line writes them."""
    return {
        name.replace("_", "-"): value for name, value in table.items()
        if not isinstance(value, Mapping)
    }  # fmt: skip


def _parameters(command: click.Command) -> dict[str, str]:
    """Return the long names of a command's options, without dashes -> its parameters."""
    return {
        name.removeprefix("--"): str(option.name)
        for option in command.params if isinstance(option, click.Option)
        for name in option.opts if name.startswith("--")
    }  # fmt: skip


def where_from(error: click.BadParameter) -> str:
    """Return the file, or the variable, that an option's wrong value is from, if it is from one."""
    from click.core import ParameterSource

    context, option = error.ctx, error.param
    if context is None or option is None:
        return ""
    source = context.get_parameter_source(str(option.name))
    if source is ParameterSource.DEFAULT_MAP:
        return f" (in {config_file()})"
    if source is ParameterSource.ENVIRONMENT:
        return f" (in {context.auto_envvar_prefix}_{str(option.name).upper()})"
    return ""
