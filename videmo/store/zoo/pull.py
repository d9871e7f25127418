"""From a published name to an installed model: fetched, checked, and taken over."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from videmo import store
from videmo.errors import InputError
from videmo.extras import require
from videmo.files import cache_dir, sha256
from videmo.files.fetch import LONGEST, Tell, fetch, told
from videmo.files.lock import alone
from videmo.files.source import LIMIT
from videmo.files.sums import check
from videmo.files.wanted import Wanted, files_dir
from videmo.store.zoo import ZOO, needs
from videmo.store.zoo.shelf import Entry, entry, wanted

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pulled:
    """What a pull has come to."""

    name: str
    file: Path | None  # as it was fetched; None for a model that was installed before
    sha256: str  # of that file
    folder: Path | None  # of the model, None where only the file was wanted


def pull(
    name: str,
    *,
    url: str | None = None,
    digest: str = "",
    adopt: bool = True,
    tell: Tell | None = None,
    say: Say = lambda _: None,
    most: int = LIMIT,
    longest: float = LONGEST,
    **how: Any,
) -> Pulled:
    """Fetch a published network or a detector's file, and make a model of it.

    url: fetch from there instead of where it was published; one that ends in / is a folder
    digest: the SHA-256 in hex that the file must have, instead of what is known
    adopt: whether the file becomes a model; a detector's is used as it is
    tell: hears how many bytes are here; say: hears what a person should know
    most, longest: bytes and s that a file may have and take
    how: passed on to whatever makes the model

    Raises what `fetch` raises, ModelNotFound for an unknown name, and what is wrong with a file
    that is no such network.
    """
    one = entry(name)
    if most != LIMIT:
        how["most"] = most
    if (adopt or not one.published) and _is_here(one, say):
        say(f"{name} is {one.state} already")
        return Pulled(name, None, "", one.folder)
    if adopt and one.published and one.published.kind == "engagement" and not how.get("backbone"):
        raise InputError(f"{name} reads the features of a network; name it with --backbone")
    if adopt and one.published:
        require(*needs(one.published.format, one.published.kind))
    row = _as_told(wanted(name), url, digest)
    _again_if_corrupt(row, say)
    path = fetch(row, tell=tell, most=most, longest=longest)
    found = sha256(path)
    if not row.sha256:
        say(f"{row.name} has SHA-256 {found}; written down, and checked from now on")
    if not (one.published and adopt):
        return Pulled(name, path, found, None)
    folder = cache_dir() / "models" / name
    with told(folder), _one_at_a_time(folder):
        if not _installed(folder):  # by a process that was waited for
            from videmo.store.zoo import adopt as room

            room.adopt(path, name, ZOO[name], **how)
    return Pulled(name, path, found, folder)


def _installed(folder: Path) -> bool:
    return (folder / "card.json").is_file()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let no other process make the same model meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder.with_name(f".{folder.name}.lock")):
        yield


def _is_here(one: Entry, say: Say) -> bool:
    """Return whether a model is here and sound; a published one that is not is removed."""
    if one.folder is None or one.state == "embedded" or not one.published:
        return one.state in ("embedded", "installed")
    state, why = store.verify(one.folder)
    if state != "ok":
        say(f"{why.partition(';')[0]}; it is made again")
        store.remove(one.name)
    return state == "ok"


def _as_told(row: Wanted, url: str | None, digest: str) -> Wanted:
    """Return what is wanted, with the source and the sum that the user gives."""
    if url:
        row = replace(row, urls=(f"{url}{row.name}" if url.endswith("/") else url,))
    if not digest:
        return row
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise InputError(f"{digest!r} is no SHA-256; give its 64 hexadecimal digits")
    return replace(row, sha256=digest.lower(), git_blob="", packed=False)


def _again_if_corrupt(row: Wanted, say: Say) -> None:
    """Remove a cached file that is not what it was, so that it is fetched again."""
    path = files_dir() / row.name
    state, why = check(path)
    if state == "corrupt":
        say(f"{why}; it is fetched again")
        with told(path):
            path.unlink(missing_ok=True)
