"""Patterns of names, as a shell and a .gitignore have them: text in, what tells a path out."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable

from videmo.errors import InputError

PathFilter = Callable[[str], bool]


def matches_any(patterns: Iterable[str]) -> PathFilter:
    """Return whether a path, relative to the folder searched, matches one of `patterns`."""
    parts = []
    for pattern in map(with_slashes, patterns):
        pattern = pattern.removeprefix("./").rstrip("/")
        anywhere = "" if "/" in pattern else "(?:.*/)?"
        parts.append(f"{anywhere}{regex_of(pattern.lstrip('/'))}(?:/.*)?")
    return compiled("|".join(parts)) if parts else lambda inner: False


def compiled(regex: str) -> PathFilter:
    """Return what tells whether the whole of a path matches; raises InputError."""
    flags = re.DOTALL | (re.IGNORECASE if os.name == "nt" else 0)
    try:
        match = re.compile(regex, flags).fullmatch
    except re.error as error:
        raise InputError(
            f"a pattern cannot be read ({error}); is a range in [] reversed?"
        ) from error
    return lambda inner: match(with_slashes(inner)) is not None


def regex_of(pattern: str) -> str:
    """Return `pattern` as a regular expression, in which only ** crosses a slash."""
    *folders, last = pattern.split("/")
    ways = ["(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in folders]
    return "".join(ways) + (".+" if last == "**" else _part(last))


def _part(part: str) -> str:
    """Return one part of a pattern as a regular expression."""
    found = re.findall(r"\*+|\?|\[!?\]?[^]]*\]|.", part, re.DOTALL)
    return "".join(map(_token, found))


def _token(token: str) -> str:
    if token[0] == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) < 3:
        return re.escape(token)
    negated, body = token[1] == "!", token[1:-1].removeprefix("!")
    body = re.sub(r"([][\\&~|^])", r"\\\1", body)
    body = body.replace("--", r"-\-")  # which re would take for a difference one day
    return f"[^/{body}]" if negated else f"[{body}]"


def fixed_part(pattern: str) -> tuple[str, str]:
    """Split `pattern` before its first part that has a wildcard."""
    parts = pattern.split("/")
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = "/".join(parts[:first])
    return base or ("/" if first else ""), "/".join(parts[first:])


def with_slashes(path: str) -> str:
    """Return a path with slashes, whatever the system parts folders by."""
    return path if os.sep == "/" else path.replace(os.sep, "/")
