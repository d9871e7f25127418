"""A folder of inputs that went, or was replaced, while a run was on."""

from __future__ import annotations

from pathlib import Path

import pytest

from videmo.runs.inputs import Clip
from videmo.runs.roots import Roots


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clip:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    return Clip("clips/a.mp4")


def test_a_folder_that_is_as_it_was_is_not_gone(clip: Clip) -> None:
    roots = Roots([clip])
    Path("clips/new.mp4").touch()
    assert roots.gone(clip) is None


def test_a_folder_that_was_renamed_is_gone_until_it_is_back(clip: Clip) -> None:
    roots = Roots([clip])
    Path("clips").rename("away")
    assert roots.gone(clip) == "clips"
    Path("away").rename("clips")
    assert roots.gone(clip) is None


def test_another_folder_in_its_place_is_not_it(clip: Clip) -> None:
    roots = Roots([clip])
    Path("clips").rename("away")
    Path("clips").mkdir()  # as where a disk was mounted
    assert roots.gone(clip) == "clips"


@pytest.mark.parametrize("path", ["nowhere/a.mp4", "s3://bucket/a.mp4", "a.mp4", "a\0b/c.mp4"])
def test_what_was_never_there_cannot_go(clip: Clip, path: str) -> None:
    other = Clip(path)
    assert Roots([other]).gone(other) is None
