"""A web server for tests: files that come whole, in part, slowly, packed in a page, or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY = bytes(range(256)) * 2000  # 512,000 bytes: more than one block
PAGE = b"<!DOCTYPE html>\n<html><body>Sign in to GitHub</body></html>"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@dataclass
class Site:
    """What the server has, and what it was asked for: path and Range."""

    address: str
    files: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, body: bytes = BODY, **how: Any) -> str:
        """Serve `body` under a name, and return its URL; `how` as `answer` has it."""
        self.files[name] = lambda request: answer(request, body, **how)
        return f"{self.address}/{name}"

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


def answer(
    request: Any,
    body: bytes,
    *,
    tag: str | None = '"v1"',
    ranges: bool = True,
    cut: int | None = None,
    declared: int | None = -1,
    headers: Mapping[str, str] = {},
    status: int | None = None,
) -> None:
    """Answer a request with a body.

    tag: the file's ETag; None gives none
    ranges: whether a Range is heeded
    cut: the connection ends after so many bytes of what was asked for
    declared: the Content-Length, None gives none; by default the true one
    """
    start = _start(request, tag) if ranges else 0
    if start > len(body):
        return request.send_error(416)
    part = body[start:]
    request.send_response(status or (206 if start else 200))
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    if declared is not None:
        request.send_header("Content-Length", str(len(part) if declared < 0 else declared))
    if tag:
        request.send_header("ETag", tag)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(part if cut is None else part[:cut])


def _start(request: Any, tag: str | None) -> int:
    asked = request.headers.get("Range")
    if not asked or request.headers.get("If-Range") != tag:
        return 0
    return int(asked.removeprefix("bytes=").rstrip("-"))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        name = self.path.strip("/")
        site.asked.append((name, self.headers.get("Range", "")))
        give = site.files.get(name)
        if give is None:
            self.send_error(404)
        else:
            give(self)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Site]:
    """Run a server in a thread, on a port of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        site = Site(f"http://127.0.0.1:{server.server_port}")
        server.site = site  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
