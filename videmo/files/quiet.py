"""Foreign libraries imported so that they tell nobody and leave nothing behind."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import RLock

from videmo.files import cache_dir

# What openvino/__init__.py imports inside `try ... except ImportError`: a converter that we do not
# use, half of the time that importing takes, and what sends its makers a usage report each time.
ABSENT = ("openvino.tools.ovc", "openvino_telemetry")

_TURN = RLock()  # the environment is the whole process's


@contextmanager
def quiet() -> Iterator[None]:
    """Import a foreign library inside this `with`: no report, no lookup, no file but in the cache.

    So is called what imports more of it when it is first called.

    What was changed for it is put back afterwards, and what the user has set holds.
    """
    with _TURN:
        variables = {name: os.environ.get(name) for name in _variables()}
        modules = {name: sys.modules[name] for name in ABSENT if name in sys.modules}
        for name, value in _variables().items():
            os.environ.setdefault(name, value)
        for name in ABSENT:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None is "not there"
        try:
            yield
        finally:
            for name, before in variables.items():
                os.environ.pop(name, None)
                if before is not None:
                    os.environ[name] = before
            for name in ABSENT:
                if name not in modules:
                    sys.modules.pop(name, None)


def _variables() -> dict[str, str]:
    """Return what the libraries ask the environment for while they are imported."""
    folders = {}
    with suppress(FileNotFoundError):  # no folder for temporary files can be written
        # torch makes this folder for what it compiles; we have it compile nothing
        folders["TORCHINDUCTOR_CACHE_DIR"] = tempfile.gettempdir()
    return {
        **folders,
        "MPLCONFIGDIR": str(cache_dir() / "matplotlib"),  # or ~/.config and ~/.cache
        "NO_ALBUMENTATIONS_UPDATE": "1",  # or it asks PyPI for its newest version
    }
