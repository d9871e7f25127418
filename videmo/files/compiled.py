"""Networks that OpenVINO made of another library's, or compiled, kept so that it is done once.

What is kept is some files of one name, and the SHA-256 of each (.sha256, as `sha256sum -c` reads
it): a graph (.xml) and its numbers (.bin), or what was compiled of one (.blob). What does not agree
with its sum is made again. The name is the sum of all that the network is made of, its weights
first. Whoever can write a file can write its sum, so only files that nobody else may write are
read; who may write as this user may change videmo itself. What was used longest ago goes where more
than `MOST` bytes are kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from videmo.files import cache_dir
from videmo.files.openvino import compile_network, cpu_settings, import_openvino, to_bytes
from videmo.files.scratch import scratch

CACHE_VERSION = "2"  # of what is kept; another number where another graph is to be made of the same
MOST = 1 << 29  # bytes; a network has some 15 million, and each version of OpenVINO wants its own
GRAPH, WEIGHTS, BLOB, SUMS = ".xml", ".bin", ".blob", ".sha256"


def load_or_convert(folder: Path, facts: str, convert: Callable[[], Any]) -> Any:
    """Return the `openvino.Model` of a network: the kept one, or else what `convert` makes.

    What is made is kept in `folder`; where nothing can be written there, it is made at every
    start. Both are read from the same bytes, and so give the same numbers.

    facts: all that the network is made of, hashes of weights too; another text is another network
    """
    openvino = import_openvino()
    said = "\n".join((CACHE_VERSION, openvino.__version__, facts))
    path = folder / hashlib.sha256(said.encode()).hexdigest()
    there = _read(path, (GRAPH, WEIGHTS))
    if not there:
        there = dict(zip((GRAPH, WEIGHTS), to_bytes(convert()), strict=True))
        with suppress(OSError):  # it costs the time of the next start
            _write(path, there)
    return openvino.Core().read_model(*there.values())


def compiled(
    facts: str, make: Callable[[], Any], *, threads: int, streams: int = 1, precision: str = "f32"
) -> Any:
    """Return the `openvino.CompiledModel` of what `make` gives: the one kept for this CPU, or new.

    Reading it takes a quarter of the time of compiling, and it gives the same bits. It is kept in
    the cache; where nothing can be written there, it is made at every start.

    facts: as in `load_or_convert`; the rest: as in `files.openvino.compile_network`
    """
    openvino = import_openvino()
    core, settings = openvino.Core(), cpu_settings(threads, streams, precision)
    cpu = core.get_property("CPU", "FULL_DEVICE_NAME")
    said = "\n".join((CACHE_VERSION, openvino.__version__, cpu, precision, facts))
    path = cache_dir() / "compiled" / hashlib.sha256(said.encode()).hexdigest()
    if there := _read(path, (BLOB,)):
        with suppress(RuntimeError):  # of an OpenVINO that was built in another way
            return core.import_model(there[BLOB], "CPU", settings)
    made = compile_network(make(), threads=threads, streams=streams, precision=precision)
    with suppress(OSError), BytesIO() as stream:  # it costs the time of the next start
        made.export_model(stream)
        _write(path, {BLOB: stream.getvalue()})
    return made


def _read(path: Path, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """Return the content of each file, or nothing if one is missing or is not what was written."""
    try:
        there = {suffix: _own(path.with_suffix(suffix)) for suffix in suffixes}
        whole = _own(path.with_suffix(SUMS)) == _sums(path, there)
    except OSError:
        return {}
    if not whole:
        return {}
    with suppress(OSError):  # a cache that may only be read
        path.with_suffix(SUMS).touch()
    return there


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


def _write(path: Path, content: Mapping[str, bytes]) -> None:
    """Put the files in place, their sums last; another process may do the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = {**content, SUMS: _sums(path, content)}
    with scratch(path.parent) as folder:
        for suffix, of in files.items():
            part = Path(folder, path.name)
            part.write_bytes(of)
            part.chmod(0o600)
            part.replace(path.with_suffix(suffix))
    _tidy(path.parent)


def _tidy(folder: Path) -> None:
    """Remove what was used longest ago beyond `MOST` bytes; who is reading it has it open."""
    kept = 0
    for sums in sorted(folder.glob(f"*{SUMS}"), key=lambda one: one.stat().st_mtime, reverse=True):
        files = list(folder.glob(f"{sums.stem}.*"))
        kept += sum(file.stat().st_size for file in files)
        if kept > MOST:
            for file in files:
                file.unlink()


def _sums(path: Path, content: Mapping[str, bytes]) -> bytes:
    lines = [f"{hashlib.sha256(of).hexdigest()}  {path.name}{s}\n" for s, of in content.items()]
    return "".join(lines).encode()
