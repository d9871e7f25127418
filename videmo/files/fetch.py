"""Files from the network: fetched once, whole, checked, and known again afterwards.

A file has its own name only once it is what it should be; its sum lies beside it. Until then its
bytes are in `.NAME.part`, from where a download that was cut goes on if the server says that the
file is the same still. Two processes that want one file take turns; the second finds it there.
"""

from __future__ import annotations

import errno
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from videmo.errors import CorruptModel, ModelError, OutputError
from videmo.files import sha256
from videmo.files.checksums import git_blob, member_sha256, read_sum, sum_path, write_sum
from videmo.files.download import Download, checked_name, files_dir, offline
from videmo.files.http import (
    MAX_BYTES,
    ConnectionLost,
    Patience,
    Slow,
    URLRefused,
    check_url,
    open_url,
)
from videmo.files.lock import file_lock

OnProgress = Callable[
    [int, "int | None"], None
]  # hears how many bytes are here, of how many if told

TIMEOUT = 30.0  # s without a byte after which a download is given up
LONGEST = 3600.0  # s that a download may take in all
ATTEMPTS = 3  # of one URL, as long as each brings the file further
_ELSEWHERE = "name another place with --cache-dir or VIDEMO_CACHE"
_REASONS = {
    errno.ENOSPC: f"the disk is full; free some space, or {_ELSEWHERE}",
    errno.EDQUOT: f"the disk quota is used up; free some space, or {_ELSEWHERE}",
    errno.EFBIG: f"the file would be larger than this disk allows; {_ELSEWHERE}",
    errno.EACCES: f"no permission to write there; {_ELSEWHERE}",
    errno.EPERM: f"no permission to write there; {_ELSEWHERE}",
    errno.EROFS: f"the disk is read-only; {_ELSEWHERE}",
    errno.ENOTDIR: f"a part of this path is a file, not a folder; {_ELSEWHERE}",
    errno.EEXIST: f"a part of this path is a file, not a folder; {_ELSEWHERE}",
    errno.ENAMETOOLONG: "the name is too long",
}


def fetch(
    wanted: Download,
    folder: Path | None = None,
    *,
    timeout: float = TIMEOUT,
    longest: float = LONGEST,
    most: int = MAX_BYTES,
    tell: OnProgress | None = None,
) -> Path:
    """Return the file in `folder`, by default the cache's, downloaded if it is not there yet.

    One that is there is checked before it is returned. Where no SHA-256 is known, that of the
    first download is written down and holds from then on.

    timeout: s without a byte after which a URL is given up
    longest: s that all of it may take; what has come by then is gone on with the next time
    most: bytes that it may have

    Raises CorruptModel where it is not the file that is wanted (a download is then removed),
    ModelError where no URL gives it or the environment forbids the network, InputError for a
    name or URL that is none, OutputError where it cannot be written.
    """
    folder = files_dir() if folder is None else folder
    path = folder / checked_name(wanted.name)
    if path.is_file():
        return _cached(path, wanted)
    for url in wanted.urls:
        check_url(url)
    if forbidden := offline():
        raise ModelError(_by_hand(wanted, folder, forbidden))
    with output_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / f".{path.name}.lock") as locked:
            if path.is_file():  # thanks to the process that was waited for
                return _cached(path, wanted)
            part = _PartialFile(
                folder / f".{path.name}{'' if locked else secrets.token_hex(4)}.part"
            )
            _download_from_any(wanted, part, path, Patience.of(timeout, longest, most), tell)
    return path


def remove_download(path: Path) -> list[Path]:
    """Remove a fetched file, its sum, and what a download left of it; return what was there."""
    part = _PartialFile(path.with_name(f".{path.name}.part"))
    there = [p for p in (path, sum_path(path), part.path, part.about) if p.is_file()]
    for one in there:
        with output_errors(one):
            one.unlink()
    return there


@dataclass(frozen=True)
class _PartialFile:
    """An unfinished file, and beside it of which version of which URL it is a part."""

    path: Path

    @property
    def about(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def of(self, url: str) -> str:
        """Return the version of `url` that this is the beginning of, or nothing."""
        try:
            whose, validator = json.loads(self.about.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return ""
        return str(validator) if whose == url and self.size else ""

    def begin(self, url: str, validator: str) -> None:
        """Write down what this will be a part of."""
        self.path.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)
        if validator:
            self.about.write_text(json.dumps([url, validator]), encoding="utf-8")

    @contextmanager
    def kept_if_cut(self, url: str) -> Iterator[None]:
        """Keep what has come only if that is the beginning of the file, and is known to be."""
        try:
            yield
        except URLRefused as error:
            if not (isinstance(error, ConnectionLost) and self.of(url)):
                self.drop()
            raise

    def drop(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)


def _cached(path: Path, wanted: Download) -> Path:
    """Return a file that is there already, after it has been checked."""
    try:
        digest = sha256(path)
    except OSError as error:
        raise CorruptModel(str(path), "a file that can be read", str(error.strerror)) from error
    _verify(path, wanted, str(path), digest, read_sum(path))
    if not read_sum(path):  # somebody has put it there
        with suppress(OSError):  # what cannot be written can be read still
            write_sum(path, digest)
    return path


def _download_from_any(
    wanted: Download, part: _PartialFile, path: Path, patience: Patience, tell: OnProgress | None
) -> None:
    """Put the file at `path`, from the first URL that gives it."""
    failures: list[Exception] = []
    for url in wanted.urls:
        try:
            _download_with_retries(url, part, patience, tell)
            digest = sha256(part.path)
            _verify(part.path, wanted, url, digest, read_sum(path))
            write_sum(path, digest)
            part.path.replace(path)
            part.drop()
            return
        except URLRefused as error:
            failures.append(error)
        except (CorruptModel, OSError) as error:
            part.drop()
            if isinstance(error, OSError):
                raise
            failures.append(error)
    _raise_failures(wanted, path, failures)


def _raise_failures(wanted: Download, path: Path, failures: list[Exception]) -> None:
    """Raise what all URLs together have come to; a wrong file weighs more than none."""
    for error in failures:
        if isinstance(error, CorruptModel):
            raise error
    said = "; ".join(map(str, failures)) or "no URL of it is known"
    raise ModelError(
        f"{wanted.name}: cannot be fetched ({said}); fetch it yourself and put it at {path}"
    ) from (failures[-1] if failures else None)


def _download_with_retries(
    url: str, part: _PartialFile, patience: Patience, tell: OnProgress | None
) -> None:
    """Fill `part` from one URL, asking again where it is cut as long as that brings it further."""
    for left in reversed(range(ATTEMPTS)):
        before = part.size if part.of(url) else 0
        try:
            return _download(url, part, patience, tell)
        except ConnectionLost as error:
            if isinstance(error, Slow) or not left or not part.of(url) or part.size <= before:
                raise


def _download(url: str, part: _PartialFile, patience: Patience, tell: OnProgress | None) -> None:
    """Write what `url` holds, from where `part` ends if that is the beginning of it."""
    version = part.of(url)
    with open_url(url, part.size if version else 0, version, patience) as answer:
        if not answer.start:
            part.begin(url, answer.validator)
        size = answer.start
        with part.kept_if_cut(url), part.path.open("ab") as file:
            for block in answer.blocks():
                file.write(block)
                size += len(block)
                if tell:
                    tell(size, answer.total)


def _verify(path: Path, wanted: Download, name: str, digest: str, noted: str) -> None:
    """Raise CorruptModel unless the file has the sums that are known of it.

    name: what the error calls it
    digest: its SHA-256; noted: the one it had when it was first fetched, if it ever was
    """
    expected = wanted.sha256.lower()
    if noted and noted != digest:
        raise CorruptModel(name, f"SHA-256 {noted[:12]}", digest[:12])
    if expected and not digest.startswith(expected):
        inner = member_sha256(path) if wanted.packed else ""
        if not inner.startswith(expected):
            raise CorruptModel(name, f"SHA-256 {expected[:12]}", digest[:12])
    if wanted.git_blob and not (blob := git_blob(path)).startswith(wanted.git_blob.lower()):
        raise CorruptModel(name, f"git blob {wanted.git_blob}", blob[: len(wanted.git_blob)])


def _by_hand(wanted: Download, folder: Path, why: str) -> str:
    url = wanted.urls[0] if wanted.urls else "it"
    return (
        f"{wanted.name}: not in the cache, and {why}; fetch {url} ({wanted.sum}) yourself and "
        f"put it into {folder}"
    )


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the system says of the cache into an OutputError."""
    try:
        yield
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        reason = _REASONS.get(error.errno or 0, f"cannot be written ({said})")
        raise OutputError(str(path), reason) from error
