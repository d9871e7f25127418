"""Networks that OpenVINO made of another library's, kept so that it is done once.

A kept network is three files of one name: the graph (.xml), its numbers (.bin) and the SHA-256
of both (.sha256, as `sha256sum -c` reads it). What does not agree with its sum is made again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from videmo.errors import ModelError

LAYOUT = "1"  # of what is kept; another number where another graph is to be made of the same
GRAPH, NUMBERS, SUMS = ".xml", ".bin", ".sha256"


def kept(folder: Path, facts: str, convert: Callable[[], Any]) -> Any:
    """Return the `openvino.Model` of a network: the kept one, or else what `convert` makes.

    What is made is kept in `folder`; where nothing can be written there, it is made at every
    start. Both are read from the same bytes, and so give the same numbers.

    facts: all that the network is made of, hashes of weights too; another text is another network
    """
    import openvino

    said = "\n".join((LAYOUT, openvino.__version__, facts))
    path = folder / hashlib.sha256(said.encode()).hexdigest()
    parts = _read(path)
    if parts is None:
        parts = to_bytes(convert())
        with suppress(OSError):  # it costs the time of the next start
            _write(path, *parts)
    return openvino.Core().read_model(*parts)


def from_torch(traced: Any, shape: Sequence[int]) -> Any:
    """Return the `openvino.Model` of a traced torch module of one input, of `shape` (-1 is any).

    Raises ModelError where OpenVINO does not know an operation of it.
    """
    from openvino import PartialShape, frontend
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    failures = (
        frontend.OpConversionFailure, frontend.OpValidationFailure,
        frontend.NotImplementedFailure, frontend.GeneralFailure, RuntimeError,
    )  # fmt: skip
    try:
        # not openvino.convert_model: that tells its makers over the network that it was called
        converter = frontend.FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced, shared_memory=False)  # named, or it is gone
        model = converter.convert(converter.load(decoder))
        model.reshape(PartialShape(list(shape)))
    except failures as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"OpenVINO cannot convert this network ({reason}); use --engine torch"
        ) from error
    return model


def to_bytes(model: Any) -> tuple[bytes, bytes]:
    """Return the graph and the numbers of an `openvino.Model`, in the precision they have."""
    import openvino

    with TemporaryDirectory(prefix="videmo-") as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(NUMBERS).read_bytes()


def _read(path: Path) -> tuple[bytes, bytes] | None:
    """Return graph and numbers, unless one of them is missing or is not what was written."""
    try:
        graph, numbers = (path.with_suffix(s).read_bytes() for s in (GRAPH, NUMBERS))
        whole = path.with_suffix(SUMS).read_bytes() == _sums(path, graph, numbers)
    except OSError:
        return None
    return (graph, numbers) if whole else None


def _write(path: Path, graph: bytes, numbers: bytes) -> None:
    """Put the three files in place, the sums last; another process may do the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {GRAPH: graph, NUMBERS: numbers, SUMS: _sums(path, graph, numbers)}
    for suffix, content in files.items():
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            part.write_bytes(content)
            part.replace(path.with_suffix(suffix))
        finally:
            part.unlink(missing_ok=True)


def _sums(path: Path, graph: bytes, numbers: bytes) -> bytes:
    pairs = ((graph, GRAPH), (numbers, NUMBERS))
    lines = [f"{hashlib.sha256(of).hexdigest()}  {path.name}{suffix}\n" for of, suffix in pairs]
    return "".join(lines).encode()
