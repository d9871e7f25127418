"""A folder of pictures is a clip, whose rate the command line says; a picture is a clip of one."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import toys

from videmo.runs.inputs import Clip, find_clips
from videmo.write.schema import json_schema


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


def test_rows_of_the_pictures_of_a_folder_tell_their_names(
    videmo_command: Any, pictures: Path
) -> None:
    (pictures / "0000.png").write_bytes(b"damaged")
    (pictures / "0001.png").rename(pictures / "a, second 1.png")
    given = ("--frames-of", pictures, "--by", "frame", "--detector", "whole", "-q", "--head",
             "lite0_faces")  # fmt: skip
    out = pictures.parent / "t.csv"
    assert videmo_command("timeline", *given, "-o", out).code == 0
    with out.open(newline="") as file:
        told = [(row["frame"], row["frame_name"]) for row in csv.DictReader(file)]
    assert told == [*((str(n), f"000{n + 2}.png") for n in range(4)), ("4", "a, second 1.png")]
    records = videmo_command("timeline", *given).records
    assert [(str(one["frame"]), one["frame_name"]) for one in records] == told
    jsonschema.Draft202012Validator(json_schema("timeline")).validate(records[0])
    assert "frame_name" not in videmo_command("timeline", *given, "--by", "window").records[0]
