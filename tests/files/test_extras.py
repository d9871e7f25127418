"""What is missing is named with a command that brings it, however videmo was installed."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from videmo.errors import MissingDependency
from videmo.files import extras
from videmo.files.extras import (
    SOURCES,
    install_command,
    missing_dependency,
    require,
    versions,
)

GIT = {"url": "https://example.org/videmo.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}


@pytest.fixture(autouse=True)
def pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_pip", lambda: "pip install")


def from_(origin: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the command for the extra torch where videmo was installed from `origin`."""
    monkeypatch.setattr(extras, "_origin", lambda: origin)
    return install_command("timm", "torch")


def test_every_source_is_a_dependency_of_videmo_in_that_extra() -> None:
    asked = {}
    for line in metadata.requires("videmo") or []:
        extra = re.search(r"extra == ['\"](\w+)", line)
        asked.setdefault(re.split(r"[^\w.-]", line)[0].lower(), set()).add(
            extra[1] if extra else ""
        )
    for module, source in SOURCES.items():
        assert source.extra in asked[source.package], module


def test_an_installation_from_a_folder_is_added_to_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my videmo"
    folder.mkdir()
    origin = {"url": folder.as_uri(), "dir_info": {}}
    assert from_(origin, monkeypatch) == f"pip install '{folder}[torch]'"
    origin["dir_info"] = {"editable": True}
    assert from_(origin, monkeypatch) == f"pip install -e '{folder}[torch]'"


def test_an_installation_from_an_archive_is_added_to_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "videmo-0.1.0-py3-none-any.whl"
    wheel.touch()
    origin = {"url": wheel.as_uri(), "archive_info": {}}
    assert from_(origin, monkeypatch) == f"pip install '{wheel}[torch]'"


def test_where_the_origin_is_gone_the_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = {"url": (tmp_path / "gone").as_uri(), "dir_info": {}}
    said = "pip install onnx onnxscript timm torch torchvision"
    assert from_(origin, monkeypatch) == said


def test_an_installation_from_an_index_or_git_is_added_to_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert from_({}, monkeypatch) == "pip install 'videmo[torch]'"
    said = "pip install 'videmo[torch] @ git+https://example.org/videmo.git@abc'"
    assert from_(GIT, monkeypatch) == said


def test_the_origin_is_what_the_installation_has_written_down() -> None:
    origin = extras._origin()
    assert origin == {} or origin["url"]


def test_the_pip_is_that_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(extras.shutil, "which", lambda _: "/elsewhere/bin/pip")
    assert extras._pip() == f"{sys.executable} -m pip install"
    monkeypatch.setattr(extras.shutil, "which", lambda _: str(Path(sys.executable).parent / "pip"))
    assert extras._pip() == "pip install"
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    assert extras._pip() == f"uv pip install --python {sys.executable}"


def test_what_is_there_is_not_missing_and_what_is_not_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require("click", "numpy")
    with pytest.raises(MissingDependency, match="no_such is not installed; pip install no_such"):
        require("click", "no_such")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependency, match=r"pyarrow is not installed; .*\[parquet\]") as told:
        require("pyarrow")
    assert (told.value.package, told.value.extra) == ("pyarrow", "parquet")


def test_a_package_that_videmo_always_brings_is_installed_by_its_own_name() -> None:
    assert missing_dependency("PIL").step == "pip install pillow"


def test_versions_are_as_the_modules_say_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # not there
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(__version__="2026.4.1-123-abc"))
    found = versions("cv2", "openvino", "torch", "av", "PIL")
    assert [*found] == ["opencv", "openvino", "av", "pillow"]
    assert found["openvino"] == "2026.4.1" and found["av"] == metadata.version("av")
