"""What is installed here, and whether it works: facts for a bug report, and a test of one second.

Nothing personal is told: of the environment a few variables by name, and the home folder as ~.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from videmo import __version__, store
from videmo.errors import MissingDependency, VidemoError
from videmo.files import cache_dir, config_dir
from videmo.files.download import Download, files_dir
from videmo.files.extras import install_command, require
from videmo.files.fetch import fetch
from videmo.files.wheels import BUNDLED, PACKAGED, built_in, find_network, read_network
from videmo.pipeline import cpus, load
from videmo.stages.decode import DECODERS, Sampling, open_video
from videmo.stages.registry import resolve
from videmo.store.zoo.catalogue import DETECTOR_FILES

DEMO = Path(__file__).parent / "demo.mp4"  # a smiling face for 1 s; made by examples/make_demo.py
DEMO_FRAMES, DEMO_LABEL = 25, "Happy"  # what it holds, and what afew7 says of it
CODECS = ("h264", "hevc", "libdav1d", "vp8", "vp9", "mpeg4", "mpeg2video", "mjpeg", "prores")
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE", "OMP_NUM_THREADS")  # and VIDEMO_*
TIMEOUT = 30  # s for torch to say which devices it has

Check = tuple[str, Callable[[], str]]  # a name, and what finds out what is to be said of it


@dataclass(frozen=True)
class CheckResult:
    """One line of the report."""

    name: str
    value: str
    good: bool = True  # False: videmo does not work as it should


def run_checks() -> Iterator[CheckResult]:
    """Yield all that is to be said, in order; what fails is a finding, never an error.

    Wrong is what keeps the default path from its work: a model or a fetched file that is not what
    it was, or another answer than the right one for the demo. What is optional may be missing.
    """
    torch = _start_torch()
    groups: list[tuple[str, Callable[[], Iterator[Check]], bool]] = [
        ("libraries", _libraries, False),
        ("machine", lambda: _machine(torch), False),
        ("decoders", _decoders, False),
        ("detectors", _detectors, True),
        ("models", _models, True),
        ("surroundings", _places, False),
        ("self-test", lambda: iter([("self-test", _self_test)]), True),
    ]
    for group, parts, needed in groups:
        try:
            for name, tell in parts():
                yield _run_check(name, tell, needed)
        except Exception as error:  # the names themselves cannot be told
            yield CheckResult(group, _message(error), good=not needed)


def _run_check(name: str, tell: Callable[[], str], needed: bool) -> CheckResult:
    try:
        return CheckResult(name, _without_home(tell()))
    except Exception as error:  # whatever it is, it is what the report is for
        return CheckResult(name, _message(error), good=not needed)


def torch_devices() -> str:
    """Return the devices that torch can use here, by name."""
    try:
        require("torch")
    except MissingDependency as error:
        return f"none: {error}"
    import torch

    there = ["mps"] if torch.backends.mps.is_available() else []
    for i in range(torch.cuda.device_count()):
        there.append(f"cuda:{i} ({torch.cuda.get_device_name(i)})")
    return ", ".join([*there, "cpu"])


def _libraries() -> Iterator[Check]:
    """Name videmo, Python and what the package metadata asks for, with the version that is here."""
    yield "videmo", lambda: __version__
    yield "python", lambda: f"{platform.python_version()}, {platform.python_implementation()}"
    yield "platform", platform.platform
    extras: dict[str, str] = {}  # of each library; the empty one is always installed
    for line in sorted(metadata.requires("videmo") or [], key=lambda x: ("extra ==" in x, x)):
        named = re.search(r"extra == ['\"]([\w-]+)", line)
        extra = named[1] if named else ""
        if extra not in ("all", "test"):  # which hold the others
            extras.setdefault(re.split(r"[^\w.-]", line)[0], extra)
    for name, extra in extras.items():
        yield name, partial(_version, name, extra)


def _version(name: str, extra: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"missing; {install_command(name, extra)}"


def _machine(torch: subprocess.Popen[str] | None) -> Iterator[Check]:
    yield "cpus", lambda: f"{cpus()} may be used, of {os.cpu_count()}; so many are --threads 0"
    yield "memory", _memory
    yield "torch devices", lambda: _torch_devices(torch)


def _memory() -> str:
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return "not known"
    try:
        share = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        share = whole
    return f"{min(share, whole) / 1e9:.1f} GB"


def _start_torch() -> subprocess.Popen[str] | None:
    """Start asking torch: that takes 2 s, and where its CUDA is broken it may end the process."""
    program = "from videmo.doctor import torch_devices; print(torch_devices())"
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    try:
        return subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        )  # fmt: skip
    except OSError:
        return None


def _torch_devices(torch: subprocess.Popen[str] | None) -> str:
    if torch is None:
        return "not known: no other process can be started"
    try:
        said, trouble = torch.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        torch.kill()
        torch.communicate()
        return f"not known: torch does not answer within {TIMEOUT} s"
    if torch.returncode:
        last = trouble.strip().splitlines()[-1:] or [f"torch ended with code {torch.returncode}"]
        return f"none: {last[0]}"
    return said.strip()


def _decoders() -> Iterator[Check]:
    for name in DECODERS:
        if name != "auto":  # which chooses among the others
            yield f"decoder {name}", partial(_decoder, name)
    yield "codecs", lambda: f"{', '.join(_codecs())} by pyav"


def _decoder(name: str) -> str:
    with open_video(DEMO, name) as video:
        return f"read {sum(map(len, video.read(Sampling())))} of {DEMO_FRAMES} frames"


def _codecs() -> Iterator[str]:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    for name in CODECS:
        try:
            Codec(name, "r")
            yield {"libdav1d": "av1"}.get(name, name)
        except UnknownCodecError:
            pass


def _detectors() -> Iterator[Check]:
    yield "detector mtcnn", lambda: "weights in the package mtcnn; its O-Net follows faces"
    yield "detector whole", lambda: "has no weights"
    for name in DETECTOR_FILES:
        yield f"detector {name}", partial(_fetched, name)


def _fetched(name: str) -> str:
    for packed in PACKAGED:
        if packed.name == name and packed not in BUNDLED and find_network(packed) is None:
            return f"weights not fetched: videmo models pull {name}"
        if packed.name == name:
            read_network(packed)
            return f"weights in the {'package' if built_in(packed) else 'cache'}, verified"
    file: Download = resolve("detector", DETECTOR_FILES, name)
    if not (files_dir() / file.name).is_file():
        return "weights not fetched: that is done on first use"
    fetch(file)  # one that is there is not asked for again, but checked
    return "weights in the cache, verified"


def _models() -> Iterator[Check]:
    for name in dict.fromkeys(store.names()):
        yield f"model {name}", partial(_model, name)


def _model(name: str) -> str:
    model = store.load(name)
    return f"{model.card['kind']}, SHA-256 {model.sha256[:12]}, verified"


def _places() -> Iterator[Check]:
    yield "cache", _cache
    yield "defaults", lambda: str(os.environ.get("VIDEMO_CONFIG") or _own_defaults())
    yield "environment", _environment


def _own_defaults() -> str:
    own = config_dir() / "videmo.toml"
    return str(own) if own.is_file() and "VIDEMO_CONFIG" not in os.environ else f"none; {own}"


def _cache() -> str:
    folder = cache_dir()
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    said = f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB" if folder.is_dir() else "not there yet"
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free / 1e9
    return f"{folder}: {said}; {free:.1f} GB free" + (
        "" if os.access(there, os.W_OK) else "; cannot be written"
    )


def _environment() -> str:
    names = [n for n in sorted(os.environ) if n.startswith("VIDEMO_") or n in VARIABLES]
    return " ".join(f"{name}={os.environ[name]}" for name in names) or "nothing set"


def _self_test() -> str:
    """Classify the demo; raises VidemoError where the answer is not the right one."""
    start = time.perf_counter()
    answer = load(store.EMBEDDED / "afew7").answer(DEMO)
    spent, counts = time.perf_counter() - start, answer.descriptor
    if answer.prediction is None:
        raise VidemoError(f"failed: no face in {counts.seen} frames of a clip of a face")
    label, sure = answer.prediction.label, answer.prediction.scores.max()
    said = f"{label} {100 * sure:.0f} %, a face in {counts.frames} of {counts.seen} frames"
    if (label, counts.frames, counts.seen) != (DEMO_LABEL, DEMO_FRAMES, DEMO_FRAMES):
        raise VidemoError(f"failed: {said}, not {DEMO_LABEL} in {DEMO_FRAMES} of {DEMO_FRAMES}")
    return f"passed: {said}, {spent:.1f} s"


def _message(error: Exception) -> str:
    """Return what went wrong; videmo's own errors need no kind beside their words."""
    kind = "" if isinstance(error, VidemoError) else f"{type(error).__name__}: "
    return _without_home(f"{kind}{error}")


def _without_home(text: str) -> str:
    """Return the text in one line, with ~ for the home folder: its name is often a person's."""
    home, line = os.path.expanduser("~").rstrip("/\\"), " ".join(text.split())
    if not home:
        return line
    line = line.replace(f"'{home}/", "~/'")  # which a shell understands
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", line)
