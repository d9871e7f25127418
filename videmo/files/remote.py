"""Files at URLs, through fsspec: whatever there is a package for, from file:// to s3://.

A URL names a file or, where its service has folders or prefixes, a folder. What a service needs
to be let in is its own configuration's; a password in a URL is refused, for URLs stand in records.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from videmo.errors import InputError, MissingDependency
from videmo.files.download import offline
from videmo.files.extras import missing_dependency
from videmo.files.scratch import scratch

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/@]*:[^/]*@")
_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"}
)
_HERE = frozenset({"file", "local", "memory"})
# Stores of files. What else fsspec knows reads lists of files (reference), archives, repositories,
# caches or data in the URL itself: a manifest could name what nobody means by a clip.
_STORES = _OBJECT_STORES | _HERE | {"http", "https", "ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs",
                            "arrow_hdfs", "webdav", "hf", "dbfs"}  # fmt: skip
_STAMPS = (
    "ETag",
    "etag",
    "md5Hash",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "created",
)
_BLOCK = 1 << 20  # bytes read at once


def is_url(path: str) -> bool:
    """Return whether a path is a URL, such as s3://bucket/clip.mp4."""
    return _URL.match(path) is not None


def is_web(url: str) -> bool:
    """Return whether a URL is a page's: one file, whatever it looks like, in no folder."""
    return url.lower().startswith(("http://", "https://"))


def checked_url(url: str) -> str:
    """Return a URL that can be used here.

    Raises InputError for one with a password or of an unknown kind, MissingDependency.
    """
    if _PASSWORD.search(url):
        raise InputError(
            f"{_PASSWORD.sub('://', url)}: its password would stand in every record; let the "
            "service's own configuration or environment have it"
        )
    here = url.partition("://")[0].lower() in _HERE
    if not here and (forbidden := offline()):
        raise InputError(f"{url}: {forbidden}, so it is not fetched; copy it to this machine")
    _filesystem_class(url)
    return url


def is_remote_folder(url: str) -> bool:
    """Return whether a URL is a folder, or the beginning of names with a slash behind it."""
    if is_web(url):
        return False
    with _translated_errors(url, "cannot be looked at"):
        files, place = _resolve(url)
        return bool(files.isdir(place))


def walk(url: str) -> Iterator[str]:
    """Yield the way from a folder to each of its files, by name, depth first, hidden ones not."""
    with _translated_errors(url, "the folder cannot be read"):
        files, place = _resolve(url)
        base = place.rstrip("/") + "/"
        found = [
            path[len(base) :].split("/") for path in files.find(place) if len(path) > len(base)
        ]
    for parts in sorted(found):
        if not any(part.startswith(".") for part in parts):
            yield "/".join(parts)


def file_state(url: str) -> tuple[int, str]:
    """Return the size of a file and what changes with it: its tag, or its time; -1, '' for none."""
    try:
        with _translated_errors(url, "cannot be looked at"):
            files, place = _resolve(url)
            facts = files.info(place)
    except (OSError, InputError):
        return -1, ""
    stamp = next((facts[name] for name in _STAMPS if facts.get(name)), "")
    return int(facts.get("size") or -1), str(stamp)


def exists(url: str) -> bool:
    """Return whether something is there."""
    with _translated_errors(url, "cannot be looked at"):
        files, place = _resolve(url)
        return bool(files.exists(place))


def read_bytes(url: str) -> bytes:
    """Return the content of a file; raises OSError, InputError."""
    with _translated_errors(url, "cannot be read"):
        files, place = _resolve(url)
        return bytes(files.cat_file(place))


@contextmanager
def local_copy(url: str, where: str | None = None) -> Iterator[str]:
    """Yield the name of a file here with the content of one there, until the `with` is left.

    A whole copy: a demuxer jumps to and fro in a file, and a connection that breaks must not be
    taken for the end of a clip. A file:// is read in place.

    where: the folder in which it lies; None is the one for temporary files

    Raises FileNotFoundError, PermissionError or another OSError; InputError.
    """
    with _translated_errors(url, "cannot be fetched"):
        files, place = _resolve(url)
        local = "file" in _protocols(files)
    if local:
        yield place
        return
    with scratch(where) as folder:
        # the suffix tells pictures from videos
        path = os.path.join(folder, "clip" + os.path.splitext(place)[1][:12])
        with _translated_errors(url, "cannot be fetched"):
            _copy(files, place, path)
        yield path


def upload(path: str, url: str) -> None:
    """Put a file at a URL, where it appears whole or not at all; raises OSError, InputError."""
    with _translated_errors(url, "cannot be written"):
        files, place = _resolve(url)
        if not _OBJECT_STORES.isdisjoint(_protocols(files)):  # an object is there when all of it is
            files.put_file(path, place)
            return
        folder, _, name = place.rpartition("/")
        part = f"{folder}/.{name}.{secrets.token_hex(8)}.part"
        try:
            files.put_file(path, part)
            files.mv(part, place)
        except BaseException:
            if files.exists(part):
                files.rm_file(part)
            raise


def _copy(files: Any, place: str, path: str) -> None:
    """Copy a file from there to here; raises OSError where less comes than was announced."""
    with files.open(place, "rb", cache_type="readahead") as source, open(path, "wb") as target:
        announced, size = getattr(source, "size", None), 0
        while block := source.read(_BLOCK):
            target.write(block)
            size += len(block)
    if announced is not None and size != announced:
        raise OSError(errno.EIO, f"{size} of {announced} bytes came")


def _resolve(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    kind = _filesystem_class(url)
    place = str(kind._strip_protocol(url))
    return kind(**kind._get_kwargs_from_urls(url)), place


def _filesystem_class(url: str) -> Any:
    """Return the class of the file system that a URL is of."""
    try:
        import fsspec
    except ImportError as error:
        raise missing_dependency("fsspec") from error
    protocol = url.partition("://")[0].lower()
    if protocol not in _STORES and protocol in fsspec.available_protocols():
        raise InputError(
            f"{url}: {protocol}:// is no store of files that is read; there is "
            f"{', '.join(sorted(_STORES))}"
        )
    try:
        return fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        package = getattr(error.__cause__, "name", None) or protocol
        raise missing_dependency(str(package).partition(".")[0]) from error
    except ValueError as error:
        raise InputError(f"{url}: {protocol}:// is of no kind that fsspec knows") from error


def _protocols(files: Any) -> frozenset[str]:
    names = files.protocol
    return frozenset({names} if isinstance(names, str) else names)


@contextmanager
def _translated_errors(url: str, what: str) -> Iterator[None]:
    """Turn what a service's package raises into an OSError or InputError without secrets."""
    try:
        yield
    except (InputError, MissingDependency):
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
    except PermissionError as error:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error
    except OSError as error:
        raise OSError(error.errno or errno.EIO, _message(error.strerror or error)) from error
    except Exception as error:  # each package has its own
        text = f"{type(error).__name__}: {_message(error)}"
        raise InputError(f"{url}: {what} ({text})") from error


def _message(error: object) -> str:
    """Return the first line of what an error says, without addresses and what stands in them."""
    line = (str(error).strip().splitlines() or [""])[0]
    return re.sub(r"\S*://\S*", "...", line) or "no further words"
