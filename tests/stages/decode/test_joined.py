"""Two recordings in one file, byte after byte: what is not read is told."""

from __future__ import annotations

from pathlib import Path

import clips
import pytest

from videmo.stages.decode import Sampling, open_video


def read(path: Path) -> tuple[int, list[str]]:
    with open_video(path) as video:
        return sum(len(frames) for frames in video.read(Sampling())), video.warnings


@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("suffix", ["flv", "mp4", "mov"])
def test_a_recording_that_is_not_read_is_told(tmp_path: Path, suffix: str, sound: bool) -> None:
    parts = [clips.make(tmp_path / f"{n}.{suffix}", n, sound=sound and suffix != "flv")
             for n in (20, 30)]  # fmt: skip
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    count, warnings = read(joined)
    first, size = parts[0].stat().st_size, joined.stat().st_size
    assert count == 20
    assert f"another recording begins at byte {first} of {size} and is not read" in warnings[-1]
    assert read(parts[0]) == (20, [])


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_recordings_that_are_read_one_after_the_other_are_not(tmp_path: Path, suffix: str) -> None:
    parts = [clips.make(tmp_path / f"{n}.{suffix}", n) for n in (20, 30)]
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    count, warnings = read(joined)
    assert count == 50 and not any("another recording" in warning for warning in warnings)


def test_a_part_of_a_clip_tells_nothing_of_what_lies_behind(tmp_path: Path) -> None:
    part = clips.make(tmp_path / "a.flv", 20)
    part.write_bytes(2 * part.read_bytes())
    with open_video(part) as video:
        assert len([*video.read(Sampling(end=0.3))]) == 1 and not video.warnings
