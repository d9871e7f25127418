"""How often whole frames are looked at, as a person says it and a record tells it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_record_tells_it_where_faces_are_followed(
    videmo_command: Callable[..., Any], demo: Path
) -> None:
    short = ("classify", demo, "--end", "1", "--format", "ndjson")
    ran = videmo_command(*short, "--detect-every", "auto")
    record = json.loads(ran.out)
    assert record["frames"] == record["face_frames"] == 25
    assert 2 <= record["frames_detected"] <= 4
    keys = list(record)
    assert keys[keys.index("faces") + 1] == "frames_detected"


def test_faces_are_followed_by_default(videmo_command: Callable[..., Any], demo: Path) -> None:
    short = ("classify", demo, "--end", "1", "--format", "ndjson")
    assert videmo_command(*short, "--detect-every", "auto").out == videmo_command(*short).out


@pytest.mark.parametrize("value", ["0", "-1", "often", "1.5"])
def test_what_is_no_number_of_frames_is_wrong_use(
    videmo_command: Callable[..., Any], value: str
) -> None:
    ran = videmo_command("classify", "x.mp4", "--detect-every", value)
    assert ran.code == 2 and "neither a number from 1 nor auto" in ran.err
