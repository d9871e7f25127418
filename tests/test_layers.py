"""Who may import whom, what each foreign library may be called from, and what importing costs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "videmo"

FLOORS = {  # a name is a wing, or a room of a wing whose rooms have floors of their own
    1: "errors",
    2: "data labels",
    3: "files",
    4: "stages stages.registry stages.image stages.boxes",
    5: "stages.decode stages.detect stages.follow stages.track stages.crop stages.embed "
    "stages.pool stages.heads stages.quality stages.budget",
    6: "recipe write",
    7: "store",
    8: "store.export store.zoo pipeline",
    9: "people show runs.csv_text runs.patterns runs.times",
    10: "runs runs.inputs show.trails",
    11: "runs.batch runs.board runs.executor runs.roots runs.shards runs.windows show.annotate "
    "show.clip_page",
    12: "runs.worker",
    13: "runs.cluster runs.journal runs.library runs.processes",
    14: "evaluate runs.resume",
    15: "train doctor",
    16: "cli __init__",
    17: "__main__",
}
FLOOR = {piece: floor for floor, pieces in FLOORS.items() for piece in pieces.split()}

# On the ground the array types of data may be named by its neighbours, nothing else of it.
ARRAYS = {f"videmo.data.{name}" for name in ("Array", "F32", "F64", "I64", "U8")}

ROOMS = {  # foreign library -> the modules, or packages, that may speak to it
    "pillow_heif": "stages.decode.heic",
    "PIL": "stages.decode train show.overlay show.film",
    "av": "stages.decode.pyav stages.decode.container doctor show.video",  # one reads, one writes
    "click": "cli",
    "cv2": "stages.image",
    "decord": "stages.decode.decord",
    "fsspec": "files.remote",
    "jinja2": "show.page",
    "lz4": "stages.detect.networks",
    "matplotlib": "show.figure",
    "mtcnn": "stages.detect.networks",
    "google": "store.zoo.graphs",
    "h5py": "store.zoo.keras",
    "onnx": "stages.embed.timm store.zoo.graphs",
    "onnxscript": "stages.embed.timm",
    "openpyxl": "write.xlsx",
    "openvino": "files.openvino",
    "pandas": "write.frame",
    "pebble": "runs.processes",
    "platformdirs": "files",
    "pyarrow": "train write",
    "ray": "runs.cluster",
    "rich": "cli write.table show.tables",
    "safetensors": "store stages.embed.timm train store.zoo.importer",
    "sklearn": "train.head train.classifiers evaluate.metrics",
    "timm": "stages.embed.timm",
    "tomli": "cli.config",
    "tomllib": "cli.config",
    "torch": "stages.embed.timm stages.embed.mobilefacenet stages.embed.dlib_resnet "
    "stages.detect.retinaface stages.detect.retina_network doctor train",
    "torchvision": "stages.detect.retina_network",
}
NOISY = ("openvino", "timm", "torchvision", "matplotlib")  # they report, or leave files behind
HEAVY = (
    "torch", "timm", "sklearn", "scipy", "cv2", "openvino", "av", "decord", "retinaface", "rich",
    "onnx", "pyarrow", "PIL", "ray", "h5py", "pandas",
)  # fmt: skip

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def source(module: str) -> str:
    path = PACKAGE.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")


def imports(text: str) -> Iterator[str]:
    """Yield the full name of everything that is imported, also inside functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loud(text: str) -> list[str]:
    """Return the noisy libraries that are imported outside of a `with quiet():`."""
    tree = ast.parse(text)
    spared = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and "quiet()" in [ast.unparse(item.context_expr) for item in node.items]
    ]
    spared += [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    quietly = [name for node in spared for name in imports(ast.unparse(node))]
    there = [*imports(text)]
    for name in quietly:
        there.remove(name)
    return sorted({name.partition(".")[0] for name in there} & set(NOISY))


def piece_of(module: str) -> str:
    """Return the room with a floor of its own that `module` belongs to: the longest such name."""
    rooms = [p for p in FLOOR if module == p or module.startswith(f"{p}.")]
    return max(rooms, key=len, default="__init__")


def upward(module: str, text: str) -> list[str]:
    """Return the imports, and the names in tables, that are not below `module`."""
    piece = piece_of(module)
    named = {
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    tables = {name.replace(":", ".") for name in named if re.fullmatch(r"videmo[\w.]+:\w+", name)}
    wrong = []
    for name in {*imports(text), *tables}:
        root, _, rest = name.partition(".")
        if root != "videmo" or rest in ("", "__version__"):
            continue
        if FLOOR[piece] == FLOOR["data"] and name in ARRAYS:
            continue
        there = piece_of(rest)
        if there != piece and FLOOR[there] >= FLOOR[piece]:
            wrong.append(name)
    return sorted(wrong)


def strangers(module: str, text: str) -> list[str]:
    """Return the foreign libraries that `module` has no business with."""
    found = {name.partition(".")[0] for name in imports(text)}
    foreign = found - set(sys.stdlib_module_names) - {"videmo", "numpy"}
    return sorted(library for library in foreign if not _may(module, library))


def _may(module: str, library: str) -> bool:
    rooms = ROOMS.get(library, "").split()
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_every_module_has_a_floor() -> None:
    assert [m for m in MODULES if piece_of(m) == "__init__" != m] == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downward_and_stages_are_strangers(module: str) -> None:
    assert upward(module, source(module)) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_foreign_library_is_spoken_to_in_its_room_alone(module: str) -> None:
    assert strangers(module, source(module)) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("stages.crop", "from videmo.stages.track import track"),
        ("errors", "import videmo.data"),
        ("stages.pool", "def f():\n    from videmo import store"),
        ("data", "from videmo import classify"),
        ("labels", "from videmo.data import Faces"),
        ("errors", "from videmo.data import Array"),
        ("stages.detect.mtcnn", "import videmo.stages.embed.timm"),
        ("stages.heads", "HEADS = {'x': 'videmo.stages.embed.timm:Timm'}"),
    ],
)
def test_an_import_that_does_not_run_downward_is_seen(module: str, text: str) -> None:
    assert upward(module, text)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("stages.crop", "import cv2"),
        ("stages.detect.mtcnn", "def f():\n    from torch.nn import functional"),
        ("stages.decode.decord_like", "import decord"),
        ("stages.pool", "import a_library_nobody_named"),
    ],
)
def test_a_foreign_library_in_another_room_is_seen(module: str, text: str) -> None:
    assert strangers(module, text)


@pytest.mark.parametrize("module", MODULES)
def test_a_library_that_reports_is_imported_quietly(module: str) -> None:
    assert loud(source(module)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import openvino",
        "def f():\n    with quiet():\n        import torch\n    from timm.models import registry",
        "with suppress(ImportError):\n    import matplotlib",
    ],
)
def test_a_loud_import_is_seen(text: str) -> None:
    assert loud(text)


def test_importing_any_module_imports_no_heavy_library() -> None:
    names = [f"videmo.{m}" if m != "__init__" else "videmo" for m in MODULES if m != "__main__"]
    program = (
        "import sys, importlib\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        f"    heavy = [x for x in {HEAVY} if x in sys.modules]\n"
        "    if heavy: sys.exit(f'{name} imports {heavy}')\n"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr


def test_help_answers_at_once() -> None:
    took = []
    for _ in range(5):
        begun = os.times()
        done = python("-m", "videmo", "--help")
        ended = os.times()  # of the processor, so that a busy machine fails nobody
        took.append(ended.children_user - begun.children_user)
        assert done.returncode == 0 and "Usage: videmo" in done.stdout, done.stderr
    assert median(took) < 1.0, took  # 0.3 s is the aim where nothing else runs
