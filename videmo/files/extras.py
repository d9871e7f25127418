"""What videmo imports of others: a module's name goes in, how to install it comes out."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from videmo.errors import MissingDependency, VidemoError, out_of_memory


class Requirement(NamedTuple):
    """Where a module comes from."""

    package: str  # its name for pip
    extra: str = ""  # of videmo, which brings it; none: every installation has it


SOURCES = {
    "PIL": Requirement("pillow"),
    "av": Requirement("av"),
    "cv2": Requirement("opencv-python-headless"),
    "decord": Requirement("decord"),
    "fsspec": Requirement("fsspec", "remote"),
    "h5py": Requirement("h5py", "keras"),
    "jinja2": Requirement("jinja2"),
    "lz4": Requirement("lz4"),
    "matplotlib": Requirement("matplotlib", "plots"),
    "mtcnn": Requirement("mtcnn"),
    "onnx": Requirement("onnx", "torch"),
    "onnxscript": Requirement("onnxscript", "torch"),
    "openpyxl": Requirement("openpyxl", "xlsx"),
    "openvino": Requirement("openvino"),
    "pandas": Requirement("pandas", "pandas"),
    "pebble": Requirement("pebble"),
    "pillow_heif": Requirement("pillow-heif", "heic"),
    "pyarrow": Requirement("pyarrow", "parquet"),
    "ray": Requirement("ray", "ray"),
    "sklearn": Requirement("scikit-learn"),
    "timm": Requirement("timm", "torch"),
    "torch": Requirement("torch", "torch"),
    "torchvision": Requirement("torchvision", "torch"),
}


_KNOWN_AS = {"cv2": "opencv", "PIL": "pillow"}


def require(*modules: str) -> None:
    """Raise MissingDependency for the first of these modules that is not installed.

    Before any work, for what would be missing after it; nothing is imported.
    """
    for module in modules:
        if not _is_there(module):
            raise missing_dependency(module)


def missing_dependency(module: str) -> VidemoError:
    """Return the error of a module that is not installed, with the command that installs it.

    Where it is told while an import has failed that is there, that says why.
    """
    package, extra = SOURCES.get(module, Requirement(module))
    error = sys.exc_info()[1]
    if isinstance(error, ImportError) and not _is_missing(error):
        return out_of_memory(error) or _not_loaded(package, error)
    return MissingDependency(package, extra or None, step=install_command(package, extra))


def _is_missing(error: ImportError) -> bool:
    """Return whether a module was not found; some libraries say so in words of their own."""
    return isinstance(error, ModuleNotFoundError) or isinstance(
        error.__cause__, ModuleNotFoundError
    )


def _not_loaded(package: str, error: ImportError) -> MissingDependency:
    again = f"{_pip()} --force-reinstall --no-deps {shlex.quote(package)}"
    return MissingDependency(package, reason=f"cannot be loaded ({error})", step=again)


def versions(*modules: str) -> dict[str, str]:
    """Return the versions of these modules, as they are known; those that are missing are not.

    As the modules say it: reading metadata loads what reads e-mail, and sockets with it.
    """
    from videmo.files.quiet import quiet

    found: dict[str, str] = {}
    for module in modules:
        with suppress(ImportError), quiet():
            version = str(getattr(import_module(module), "__version__", ""))
            found[_KNOWN_AS.get(module, module)] = version.partition("-")[0]  # without a build
    return found


def install_command(package: str, extra: str = "") -> str:
    """Return what installs a package, by the extra that brings it, into videmo as it is here."""
    return f"{_pip()} {_with_extra(extra) if extra else shlex.quote(package)}"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # somebody keeps it from being found
        return False


def _pip() -> str:
    """Return the pip of this Python; uv, which makes environments without one, for those."""
    python = Path(sys.executable)
    if find_spec("pip") is None:
        return f"uv pip install --python {shlex.quote(sys.executable)}"
    found = shutil.which("pip")
    if found and Path(found).parent == python.parent:
        return "pip install"
    return f"{shlex.quote(sys.executable)} -m pip install"


def _with_extra(extra: str) -> str:
    """Return videmo with an extra, from where it was installed: a folder, an archive, an index.

    Where that is gone, what the extra brings.
    """
    origin = _origin()
    url = str(origin.get("url", ""))
    if url.startswith("file:"):
        place = Path(unquote(urlsplit(url).path))
        if not place.exists():
            return _packages(extra)
        editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
        return editable + shlex.quote(f"{place}[{extra}]")
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return shlex.quote(f"videmo[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}")
    return shlex.quote(f"videmo[{extra}] @ {url}" if url else f"videmo[{extra}]")


def _origin() -> dict[str, Any]:
    """Return what the installation has written down of where it is from (PEP 610)."""
    from importlib import metadata  # half of the time in which `videmo --help` answers

    try:
        text = metadata.distribution("videmo").read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # run from its source
        return {"url": Path(__file__).resolve().parents[1].as_uri(), "dir_info": {}}
    origin: dict[str, Any] = json.loads(text) if text else {}
    return origin


def _packages(extra: str) -> str:
    """Return the packages that an extra brings, for pip."""
    return shlex.join(source.package for source in SOURCES.values() if source.extra == extra)
