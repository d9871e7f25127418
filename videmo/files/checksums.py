"""By what a file is known again: SHA-256, written down beside it, and its id in git."""

from __future__ import annotations

import hashlib
import re
import secrets
import zipfile
from contextlib import suppress
from pathlib import Path

from videmo.files import sha256

_BLOCK = 1 << 20  # bytes read at once
_MAX_MEMBER = 1 << 30  # bytes that a member of an archive may have


def git_blob(path: Path) -> str:
    """Return the id that git gives a file's content: SHA-1 of "blob SIZE", NUL, content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def member_sha256(path: Path) -> str:
    """Return the SHA-256 of the only member of an archive, or nothing for another file."""
    odd = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError)
    with suppress(*odd), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) == 1 and members[0].file_size <= _MAX_MEMBER:
            with archive.open(members[0]) as member:
                return sha256(member)
    return ""


def sum_path(path: Path) -> Path:
    """Return the file beside `path` that holds its sum, as `sha256sum -c` reads it."""
    return path.with_name(f"{path.name}.sha256")


def read_sum(path: Path) -> str:
    """Return the SHA-256 that was written down for `path`, or nothing."""
    try:
        words = sum_path(path).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return ""
    return words[0].lower() if words and re.fullmatch(r"[0-9a-fA-F]{64}", words[0]) else ""


def write_sum(path: Path, digest: str) -> None:
    """Write the SHA-256 of `path` down, whole or not at all."""
    part = path.with_name(f".{path.name}.sha256.{secrets.token_hex(4)}")
    try:
        part.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
        part.replace(sum_path(path))
    finally:
        part.unlink(missing_ok=True)


def verify_file(path: Path) -> tuple[str, str]:
    """Return "ok", "corrupt" or "missing" for a file that was fetched and, in words, why."""
    if not path.is_file():
        return "missing", f"{path}: no file"
    try:
        expected, got = read_sum(path), sha256(path)
    except OSError as error:
        return "corrupt", f"{path}: cannot be read ({error.strerror})"
    if not expected:
        return "ok", f"{path}: no sum was written down; its SHA-256 is {got}"
    if got != expected:
        return "corrupt", f"{path}: expected SHA-256 {expected[:12]}, got {got[:12]}"
    return "ok", ""
