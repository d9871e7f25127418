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
from videmo.files import cache_dir, sha256
from videmo.files.checksums import verify_file
from videmo.files.download import Download, files_dir
from videmo.files.extras import require
from videmo.files.fetch import LONGEST, OnProgress, fetch, output_errors
from videmo.files.http import MAX_BYTES
from videmo.files.lock import file_lock
from videmo.store.zoo import ZOO, needs
from videmo.store.zoo.catalogue import CatalogueEntry, download_of, entry

OnMessage = Callable[[str], None]


@dataclass(frozen=True)
class PullResult:
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
    install: bool = True,
    tell: OnProgress | None = None,
    say: OnMessage = lambda _: None,
    most: int = MAX_BYTES,
    longest: float = LONGEST,
    **how: Any,
) -> PullResult:
    """Fetch a published network or a detector's file, and make a model of it.

    url: fetch from there instead of where it was published; one that ends in / is a folder
    digest: the SHA-256 in hex that the file must have, instead of what is known
    install: whether the file becomes a model; a detector's is used as it is
    tell: hears how many bytes are here; say: hears what a person should know
    most, longest: bytes and s that a file may have and take
    how: passed on to whatever makes the model

    Raises what `fetch` raises, ModelNotFound for an unknown name, and what is wrong with a file
    that is no such network.
    """
    one = entry(name)
    if most != MAX_BYTES:
        how["most"] = most
    if (install or not one.published) and _is_sound(one, say):
        say(f"{name} is {one.state} already")
        return PullResult(name, None, "", one.folder)
    if install and one.published and one.published.kind == "engagement" and not how.get("backbone"):
        raise InputError(f"{name} reads the features of a network; name it with --backbone")
    if install and one.published:
        require(*needs(one.published.format, one.published.kind))
    row = _with_overrides(download_of(name), url, digest)
    _drop_if_corrupt(row, say)
    path = fetch(row, tell=tell, most=most, longest=longest)
    found = sha256(path)
    if not row.sha256:
        say(f"{row.name} has SHA-256 {found}; written down, and checked from now on")
    if not (one.published and install):
        return PullResult(name, path, found, None)
    folder = cache_dir() / "models" / name
    with output_errors(folder), _model_lock(folder):
        if not _installed(folder):  # by a process that was waited for
            from videmo.store.zoo import importer

            importer.import_model(path, name, ZOO[name], **how)
    return PullResult(name, path, found, folder)


def _installed(folder: Path) -> bool:
    return (folder / "card.json").is_file()


@contextmanager
def _model_lock(folder: Path) -> Iterator[None]:
    """Let no other process make the same model meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(folder.with_name(f".{folder.name}.lock")):
        yield


def _is_sound(one: CatalogueEntry, say: OnMessage) -> bool:
    """Return whether a model is here and sound; a published one that is not is removed."""
    if one.folder is None or one.state == "embedded" or not one.published:
        return one.state in ("embedded", "installed")
    state, why = store.verify(one.folder)
    if state != "ok":
        say(f"{why.partition(';')[0]}; it is made again")
        store.remove(one.name)
    return state == "ok"


def _with_overrides(row: Download, url: str | None, digest: str) -> Download:
    """Return what is wanted, with the source and the sum that the user gives."""
    if url:
        row = replace(row, urls=(f"{url}{row.name}" if url.endswith("/") else url,))
    if not digest:
        return row
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise InputError(f"{digest!r} is no SHA-256; give its 64 hexadecimal digits")
    return replace(row, sha256=digest.lower(), git_blob="", packed=False)


def _drop_if_corrupt(row: Download, say: OnMessage) -> None:
    """Remove a cached file that is not what it was, so that it is fetched again."""
    path = files_dir() / row.name
    state, why = verify_file(path)
    if state == "corrupt":
        say(f"{why}; it is fetched again")
        with output_errors(path):
            path.unlink(missing_ok=True)
