"""A folder of pictures is a clip, whose rate the command line says; a picture is a clip of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toys

from videmo.runs.inputs import Clip, find_clips


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    toys.clip(tmp_path / "take 1", [(40 * n, 90, 90) for n in range(6)])
    return tmp_path / "take 1"


def test_a_folder_of_frames_is_one_clip_at_the_rate_that_is_said(
    videmo_command: Any, pictures: Path
) -> None:
    ran = videmo_command("classify", "--frames-of", pictures, "--frame-rate", "2", "--fps", "1",
                         "--detector", "whole")  # fmt: skip
    (record,) = ran.records
    assert (ran.code, record["path"], record["status"]) == (0, str(pictures), "ok")
    assert (record["duration"], record["frames"]) == (3.0, 3)
    assert "another recipe" in ran.err, "of --fps and --detector"
    assert "frame_rate" not in ran.err, "the rate is the input's"


def test_folders_of_frames_come_behind_what_is_named(pictures: Path) -> None:
    found = find_clips(["a.mp4"], frames_of=[pictures, str(pictures) + "/"])
    assert found == [Clip("a.mp4"), Clip(str(pictures))]


def test_a_single_picture_gives_one_record(videmo_command: Any, pictures: Path) -> None:
    picture = sorted(pictures.iterdir())[0]
    (record,) = videmo_command("classify", picture, "--detector", "whole").records
    assert (record["status"], record["frames"], record["faces"]) == ("ok", 1, 1)
