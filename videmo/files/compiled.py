"""Networks that OpenVINO made of another library's, kept so that it is done once.

A kept network is three files of one name: the graph (.xml), its numbers (.bin) and the SHA-256
of both (.sha256, as `sha256sum -c` reads it). What does not agree with its sum is made again. The
name is the sum of all that the network is made of, its weights first. Whoever can write a file can
write its sum, so only files that nobody else may write are read; who may write as this user may
change videmo itself.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from videmo.files.openvino import import_openvino, to_bytes
from videmo.files.scratch import scratch

LAYOUT = "2"  # of what is kept; another number where another graph is to be made of the same
GRAPH, NUMBERS, SUMS = ".xml", ".bin", ".sha256"


def kept(folder: Path, facts: str, convert: Callable[[], Any]) -> Any:
    """Return the `openvino.Model` of a network: the kept one, or else what `convert` makes.

    What is made is kept in `folder`; where nothing can be written there, it is made at every
    start. Both are read from the same bytes, and so give the same numbers.

    facts: all that the network is made of, hashes of weights too; another text is another network
    """
    openvino = import_openvino()
    said = "\n".join((LAYOUT, openvino.__version__, facts))
    path = folder / hashlib.sha256(said.encode()).hexdigest()
    parts = _read(path)
    if parts is None:
        parts = to_bytes(convert())
        with suppress(OSError):  # it costs the time of the next start
            _write(path, *parts)
    return openvino.Core().read_model(*parts)


def _read(path: Path) -> tuple[bytes, bytes] | None:
    """Return graph and numbers, unless one of them is missing or is not what was written."""
    try:
        graph, numbers, sums = (_own(path.with_suffix(s)) for s in (GRAPH, NUMBERS, SUMS))
        whole = sums == _sums(path, graph, numbers)
    except OSError:
        return None
    return (graph, numbers) if whole else None


def _own(path: Path) -> bytes:
    """Return the bytes of a file of this user's, or the system's, that no other may write.

    Raises PermissionError for another's.
    """
    with path.open("rb") as file:
        if hasattr(os, "getuid"):
            found = os.fstat(file.fileno())
            if found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o022:
                raise PermissionError(f"{path} may be written by others")
        return file.read()


def _write(path: Path, graph: bytes, numbers: bytes) -> None:
    """Put the three files in place, the sums last; another process may do the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = {GRAPH: graph, NUMBERS: numbers, SUMS: _sums(path, graph, numbers)}
    with scratch(path.parent) as folder:
        for suffix, content in files.items():
            part = Path(folder, path.name)
            part.write_bytes(content)
            part.chmod(0o600)
            part.replace(path.with_suffix(suffix))


def _sums(path: Path, graph: bytes, numbers: bytes) -> bytes:
    pairs = ((graph, GRAPH), (numbers, NUMBERS))
    lines = [f"{hashlib.sha256(of).hexdigest()}  {path.name}{suffix}\n" for of, suffix in pairs]
    return "".join(lines).encode()
