"""`pip install .` alone: without torch, libGL and a home, and what it says where more is wanted.

Run in an environment that has the core alone, or in a whole one, where the rest is hidden.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from videmo import doctor
from videmo.files.extras import SOURCES

ROOT = Path(__file__).resolve().parents[1]
STARTUP = ROOT / "tests" / "support" / "startup"
EXTRA = [module for module, source in SOURCES.items() if source.extra]
ALWAYS = ("retinaface", "albumentations", "pandas")  # come with them, and are ours to do without
CORE = (
    "classify demo.mp4 --every 5",
    "classify demo.mp4 again.mp4 --every 5 -j 2 --out out.csv",
    "extract-features demo.mp4 --every 5 --frames --out f.npz",
    "attributes demo.mp4 --every 5",
    "identify demo.mp4 again.mp4 --every 9",
    "train head table.csv --columns x* --path-column path --out head",
    "evaluate --predictions table.csv --truth table.csv --path-column path --pred-column label "
    "--truth-column label --format table",
    "compare table.csv again.csv --format table",
    "dataset manifest list.csv --out m.csv",
    "report demo.mp4 --every 5 --out r.html",
    "annotate demo.mp4 --every 5 --end 0.5 --out a.mp4",
    "models list",
    "models verify",
    "schema",
    "doctor",
)
WANTING = {  # a command -> the package that is missing, its extra
    "classify demo.mp4 --engine torch": ("torch", "torch"),
    "classify demo.mp4 --device cuda": ("torch", "torch"),
    "classify demo.mp4 --detector retinaface-resnet50": ("torch", "torch"),
    "classify demo.mp4 --out o.parquet": ("pyarrow", "parquet"),
    "classify demo.mp4 --engine ray": ("ray", "ray"),
    "classify s3://bucket/demo.mp4": ("fsspec", "remote"),
    "extract-features demo.mp4 --out f.parquet": ("pyarrow", "parquet"),
    "train backbone --data folder=work --out net": ("torch", "torch"),
    "train head f.parquet --out head": ("pyarrow", "parquet"),
    "export lite0_faces --to onnx": ("torch", "torch"),
    "export lite0_faces --to openvino --out n.xml": ("torch", "torch"),
    "export lite0_faces --to torchscript": ("torch", "torch"),
    "models import net.pt --as net --architecture resnet18": ("torch", "torch"),
    "models import net.h5 --as net --architecture resnet18": ("h5py", "keras"),
    "models import net.onnx --as net --classes a,b": ("onnx", "torch"),
    "models pull enet_b0_8_best_afew": ("torch", "torch"),
    "evaluate --predictions table.csv --truth table.csv --path-column path --pred-column label "
    "--truth-column label --confusion m.png": ("matplotlib", "plots"),
    "plot table.csv --out t.png": ("matplotlib", "plots"),
    "evaluate --predictions f.parquet --truth table.csv": ("pyarrow", "parquet"),
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with clips, a table and files that begin as networks do."""
    for name in ("demo.mp4", "again.mp4"):
        shutil.copy(doctor.DEMO, tmp_path / name)
    with open(tmp_path / "table.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "x0", "x1"])
        rows.writerows([f"{i}.mp4", "ab"[i % 2], i % 2, i % 3] for i in range(40))
    shutil.copy(tmp_path / "table.csv", tmp_path / "again.csv")
    (tmp_path / "list.csv").write_text("path,label\ndemo.mp4,a\nagain.mp4,b\n")
    (tmp_path / "net.pt").write_bytes(b"PK\3\4" + bytes(60))
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(60))
    (tmp_path / "net.onnx").write_bytes(b"\x08\x08" + bytes(60))
    (tmp_path / "f.parquet").write_bytes(b"PAR1" + bytes(60))
    return tmp_path


def run(work: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python without the extras, where nothing can be written into a home."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": "/dev/null/home", "PYTHONPATH": f"{STARTUP}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1", "ABSENT": ",".join([*EXTRA, *ALWAYS]), **more,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=work, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("line", CORE)
def test_the_core_does_without_extras_and_without_a_home(work: Path, line: str) -> None:
    ran = run(work, "-m", "videmo", *line.split())
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_doctor_names_the_extra_of_what_is_missing(work: Path) -> None:
    facts = json.loads(run(work, "-m", "videmo", "doctor", "--format", "json").stdout)["facts"]
    if facts["torch"].startswith("missing"):  # its metadata are here where the rest is hidden
        assert facts["torch"].endswith("[torch]'") and facts["pyarrow"].endswith("[parquet]'")
    assert facts["torch devices"].startswith("none: torch is not installed; ")


@pytest.mark.parametrize("line", WANTING)
def test_what_is_wanted_and_missing_is_named_at_once(work: Path, line: str) -> None:
    package, extra = WANTING[line]
    before, log = sorted(work.iterdir()), work.parent / f"{work.name}.log"
    ran = run(work, "-m", "videmo", *line.split(), AUDIT_LOG=str(log))
    assert ran.returncode == 4, ran.stderr
    assert ran.stdout == "" and sorted(work.iterdir()) == before
    (said,) = ran.stderr.splitlines()
    assert said.startswith(f"videmo: error: {package} is not installed; ")
    assert "pip install " in said and said.endswith(f"[{extra}]'")
    assert "socket" not in log.read_text() and "urllib" not in log.read_text()


def test_a_module_that_nobody_asked_for_before_is_named_too(work: Path) -> None:
    program = (
        "import videmo.cli as cli\n"
        "cli.videmo.main = lambda *a, **k: __import__('timm.models')\n"
        "cli.main([])"
    )
    ran = run(work, "-c", program)
    assert ran.returncode == 4
    assert ran.stderr.startswith("videmo: error: timm is not installed; ")


@pytest.mark.skipif(sys.platform != "linux", reason="libraries are listed by Linux alone")
def test_no_library_wants_a_screen(work: Path) -> None:
    try:
        metadata.version("opencv-python")
        pytest.skip("the desktop build of OpenCV is here, which wants libGL")
    except metadata.PackageNotFoundError:
        pass
    program = (
        "import videmo\nvidemo.classify('demo.mp4')\n"
        "print([line for line in open('/proc/self/maps') if 'libGL' in line or 'libX11' in line])"
    )
    ran = run(work, "-c", program)
    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr


def test_the_image_of_the_examples_installs_the_core_and_runs_without_root() -> None:
    text = (ROOT / "examples" / "Dockerfile").read_text(encoding="utf-8")
    assert "pip install --no-cache-dir /src\n" in text and "apt-get" not in text
    last = text.rpartition("FROM ")[2]
    assert last.startswith("python:3.12-slim\n") and "USER videmo\n" in last
