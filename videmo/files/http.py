"""Bytes of a URL: http, https and file, from the beginning or from where somebody stopped."""

from __future__ import annotations

import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request

from videmo.errors import InputError

MAX_BYTES = 1 << 30  # bytes that are fetched unless more is allowed
_BLOCK = 1 << 18  # bytes read at once
_SCHEMES = ("http", "https")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_HTML_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head)\b", re.IGNORECASE)


class URLRefused(Exception):
    """This URL does not give the file; another one may."""


class ConnectionLost(URLRefused):
    """The other side does not answer, or does not go on."""


class Slow(ConnectionLost):
    """The other side has taken all the time that there was."""


@dataclass(frozen=True)
class Patience:
    """How long a download may take, and how many bytes it may have."""

    timeout: float  # s without a byte after which it is given up
    longest: float  # s in all
    most: int  # bytes
    until: float  # of the clock that only goes forward

    @classmethod
    def of(cls, timeout: float, longest: float, most: int = MAX_BYTES) -> Patience:
        """Return the patience that begins now."""
        return cls(timeout, longest, most, time.monotonic() + longest)

    def check(self, url: str) -> None:
        """Raise Slow where it has come to its end."""
        if time.monotonic() > self.until:
            raise Slow(
                f"{url}: takes longer than {self.longest:g} s; give it more with "
                "videmo models pull --max-seconds, which goes on from here"
            )

    @contextmanager
    def watching(self, connections: list[HTTPConnection]) -> Iterator[None]:
        """Cut connections that are waited on at its end: headers may come byte by byte as well."""

        def cut() -> None:
            for connection in connections:
                with suppress(OSError):
                    if connection.sock:
                        connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, self.until - time.monotonic()), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@dataclass(frozen=True)
class Response:
    """What a URL has begun to give."""

    url: str
    start: int  # the byte of the file that it begins with: 0, or the one asked for
    total: int | None  # bytes of the whole file, where that is told
    validator: str  # what tells one version of the file from the next, "" for nothing
    file: IO[bytes]
    patience: Patience

    def blocks(self) -> Iterator[bytes]:
        """Yield all that comes; ConnectionLost where it ends early, URLRefused where it goes on."""
        size, most = self.start, self.patience.most if self.total is None else self.total
        while block := self._read():
            self.patience.check(self.url)
            if size == 0:
                _check_content(block, self.url)
            size += len(block)
            if size > most:
                raise URLRefused(f"{self.url}: is larger than {most} bytes{_more(self.total)}")
            yield block
        if self.total is not None and size < self.total:
            raise ConnectionLost(f"{self.url}: ended after {size} of {self.total} bytes")
        if not size:
            raise URLRefused(f"{self.url}: is empty")

    def _read(self) -> bytes:
        try:
            return self.file.read1(_BLOCK)  # type: ignore[attr-defined,no-any-return]
        except (OSError, ValueError, HTTPException) as error:
            raise ConnectionLost(f"{self.url}: {_reason(error)}") from error


@contextmanager
def open_url(url: str, start: int, validator: str, patience: Patience) -> Iterator[Response]:
    """Open `url`, at byte `start` if the server has the version `validator` still.

    Raises URLRefused, ConnectionLost.
    """
    if urlsplit(url).scheme == "file":
        with _open_local(url) as (file, size):
            yield Response(url, 0, _checked_size(size, url, patience.most), "", file, patience)
        return
    with _request(url, start, validator, patience) as answer:
        headers = answer.headers
        _check_headers(headers, url)
        begins = start if answer.status == 206 else 0
        total = _total(headers, begins, url, patience.most)
        yield Response(url, begins, total, _validator(headers), answer, patience)


def check_url(url: str) -> None:
    """Raise InputError for what is no URL that can be fetched."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) if parts.scheme in _SCHEMES else parts.scheme == "file"
        secret = parts.username is not None
    except ValueError:
        good = secret = False
    if secret:
        raise InputError("a URL with a name or password in it is not fetched; give one without")
    if not good or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise InputError(f"{url!r} is no URL to fetch from; give one of http, https or file")


def _request(url: str, start: int, validator: str, patience: Patience) -> Any:
    """Return the open answer of a server."""
    request = Request(url, headers={"User-Agent": "videmo", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", validator)
    connections: list[HTTPConnection] = []
    patience.check(url)
    try:
        with patience.watching(connections):
            answer = _opener(connections).open(request, timeout=patience.timeout)
        try:
            patience.check(url)
        except Slow:  # headers that were cut off look as if they were all
            answer.close()
            raise
        if answer.status != 206 or _is_the_rest(answer.headers, start, validator):
            return answer
        answer.close()
        if not start:
            raise URLRefused(f"{url}: gives a part of the file, which was not asked for")
        return _request(url, 0, "", patience)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:  # what is here is no part of what is there now
            return _request(url, 0, "", patience)
        raise URLRefused(f"{url}: {error.code} {_printable(error.reason)}") from error
    except (OSError, ValueError, HTTPException) as error:  # URLError and time-outs are OSErrors
        patience.check(url)
        raise ConnectionLost(f"{url}: {_reason(error)}") from error


def _opener(connections: list[HTTPConnection]) -> OpenerDirector:
    """Return what opens http and https, and nothing else that a server may point to.

    connections: gets those that it makes
    """
    from urllib import request

    class Noting(request.AbstractHTTPHandler):
        def do_open(self, http_class: Any, req: Any, **more: Any) -> Any:
            def noted(*args: Any, **how: Any) -> Any:
                connections.append(http_class(*args, **how))
                return connections[-1]

            return super().do_open(noted, req, **more)

    class Plain(Noting, request.HTTPHandler): ...

    class Secure(Noting, request.HTTPSHandler): ...

    opener = OpenerDirector()
    for handler in (
        request.ProxyHandler(), Plain(), Secure(), _Redirects(),
        request.HTTPDefaultErrorHandler(), request.HTTPErrorProcessor(), request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


class _Redirects(HTTPRedirectHandler):
    """Follows to http and https, and never from https to http."""

    def http_error_302(self, req: Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Look where it leads before anything is asked there; raises URLRefused."""
        target = headers.get("location") or headers.get("uri") or ""
        scheme = urlsplit(target).scheme.lower()
        if scheme not in (*_SCHEMES, "") or (req.type == "https" and scheme == "http"):
            fp.close()
            raise URLRefused(f"{req.full_url}: leads to {target!r}, which is not followed")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


@contextmanager
def _open_local(url: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open the file of a file:// URL and yield it and its size."""
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise URLRefused(f"{url}: is on another machine; give file:///PATH")
    path = url2pathname(parts.path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise URLRefused(f"{url}: is no file")
        file = open(path, "rb")  # noqa: SIM115
    except (OSError, ValueError) as error:
        raise URLRefused(f"{url}: {_reason(error)}") from error
    with file:
        yield file, os.fstat(file.fileno()).st_size


def _is_the_rest(headers: Mapping[str, str], start: int, validator: str) -> bool:
    """Return whether a part is the one that was asked for, of the same file."""
    begins = re.match(r"bytes (\d+)-", headers.get("Content-Range") or "")
    same = _validator(headers) in ("", validator)
    return bool(start and begins and int(begins[1]) == start and same)


def _check_headers(headers: Mapping[str, str], url: str) -> None:
    """Refuse what says of itself that it is not the file."""
    kind = headers.get("Content-Type") or ""
    if kind.partition(";")[0].strip().lower() == "text/html":
        raise URLRefused(f"{url}: is an HTML page, not a file")
    if (headers.get("Content-Encoding") or "identity").lower() != "identity":
        raise URLRefused(f"{url}: is packed on its way, which was not asked for")


def _total(headers: Mapping[str, str], start: int, url: str, most: int) -> int | None:
    """Return how many bytes the whole file has, or None where that is not told."""
    told = headers.get("Content-Length")
    if told is None:
        return None
    if not told.strip().isdecimal():
        raise URLRefused(f"{url}: says that it has {_printable(told)} bytes")
    return _checked_size(start + int(told), url, most)


def _checked_size(size: int, url: str, most: int) -> int:
    if size > most:
        raise URLRefused(
            f"{url}: has {size} bytes, and {most} are the most that is fetched{_more()}"
        )
    return size


def _more(told: int | None = None) -> str:
    return "" if told is not None else "; --max-mb of videmo models pull allows more"


def _validator(headers: Mapping[str, str]) -> str:
    """Return what tells whether the file has changed; a weak tag tells nothing of bytes."""
    tag = headers.get("ETag") or ""
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""


def _check_content(block: bytes, url: str) -> None:
    """Refuse what a server gives in place of a file."""
    if block.startswith(_LFS_POINTER):
        raise URLRefused(f"{url}: is a git-lfs pointer, not the file that it stands for")
    if _HTML_PAGE.match(block):
        raise URLRefused(f"{url}: is an HTML page, not a file")


def _reason(error: Exception) -> str:
    """Return what went wrong, without the wrapping of urllib."""
    inner = getattr(error, "reason", error)
    return _printable(getattr(inner, "strerror", None) or inner or type(inner).__name__)


def _printable(said: object) -> str:
    """Return a server's words so that they cannot break a line or a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(said))[:120]
