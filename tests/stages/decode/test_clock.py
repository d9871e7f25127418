"""Clocks that jump, stamps that are missing, pictures that begin late: times that hold."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import clips
import numpy as np
import pytest

from videmo.stages.decode import Sampling, open_video
from videmo.stages.decode.clock import Clock
from videmo.stages.decode.container import _is_tile

HOUR = 600 * 3600  # ticks of clips.make


def read(path: Path, **sampling: Any) -> tuple[list[float], list[str], float | None]:
    """Return the times of the frames that are taken, the warnings and the duration."""
    with open_video(path) as video:
        times = [t for frames in video.read(Sampling(**sampling)) for t in frames.time.tolist()]
        return times, video.warnings, video.info.duration


def joined(folder: Path, *begins: int, frames: int = 25) -> Path:
    """Write pieces of 25 frames/s whose clocks begin at these ticks, one behind the other."""
    pieces = []
    for n, begin in enumerate(begins):
        ticks = [begin + i * 600 // 25 for i in range(frames)]
        pieces.append(clips.make(folder / f"{n}.ts", frames, ticks=ticks).read_bytes())
    path = folder / "joined.ts"
    path.write_bytes(b"".join(pieces))
    return path


def test_joined_pieces_go_on_where_the_last_ended(tmp_path: Path) -> None:
    path = joined(tmp_path, 0, 0, 0)  # each of 1 s: the stamps jump back by less
    times, warnings, duration = read(path)
    assert times == pytest.approx(np.arange(75) / 25, abs=1e-3)
    assert warnings == [
        "the time stamps jump by -0.96 s at frame 25 (0.96 s) and 1 more time; joined on as "
        "players do"
    ]
    assert duration == pytest.approx(3.0, abs=1e-3)
    assert len(read(path, fps=5)[0]) == 15


@pytest.mark.parametrize("hours", [-3, 5])
def test_a_transport_stream_may_set_its_clock_by_hours(tmp_path: Path, hours: int) -> None:
    begins = (4 * HOUR, (4 + hours) * HOUR)
    times, warnings, duration = read(joined(tmp_path, *begins))
    assert times == pytest.approx(np.arange(50) / 25, abs=1e-3)
    assert "at frame 25 (0.96 s); joined on as players do" in warnings[0]
    assert duration == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_gap_of_hours_elsewhere_is_believed_and_told(tmp_path: Path, suffix: str) -> None:
    ticks = [i * 24 for i in range(30)] + [HOUR + i * 24 for i in range(30)]
    times, warnings, _ = read(clips.make(tmp_path / f"clip.{suffix}", 60, ticks=ticks))
    assert times[29:31] == pytest.approx([1.16, 3600], abs=1e-2)
    assert warnings == ["no picture for 3598.84 s before frame 30 (3600.00 s)"]


def test_frames_that_a_file_lost_are_told_though_it_counts_none(tmp_path: Path) -> None:
    whole = clips.make(tmp_path / "whole.mkv", 250)
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = b"\xff" * 1500
    (tmp_path / "clip.mkv").write_bytes(content)
    for sampling in ({}, {"fps": 5}, {"fps": 0.4}):
        _, warnings, _ = read(tmp_path / "clip.mkv", **sampling)
        assert any(text.startswith("no picture for ") for text in warnings), sampling


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_damage_is_told_however_few_frames_are_wanted(tmp_path: Path, suffix: str) -> None:
    whole = clips.make(tmp_path / f"whole.{suffix}", 250, gop=50)
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = b"\xff" * 600
    (tmp_path / f"clip.{suffix}").write_bytes(content)
    every = read(tmp_path / f"clip.{suffix}")[1]
    assert every
    for sampling in ({"fps": 5}, {"fps": 0.5}, {"fps": 0.2}, {"every": 100}):
        assert read(tmp_path / f"clip.{suffix}", **sampling)[1] == every, sampling


def test_the_part_of_a_truncated_file_that_is_left_is_told_with_few_frames(shared: Path) -> None:
    clip = shared / "clips/odd/derived/trunc.mkv"
    assert read(clip, fps=0.5)[1] == read(clip)[1] == [
        "the picture ends at 2.33 s of the declared 5.17 s"
    ]  # fmt: skip


def test_a_real_clock_that_wraps_is_joined_on(shared: Path) -> None:
    times, warnings, duration = read(shared / "clips/reported/back.ts")
    assert np.diff(times) == pytest.approx(np.full(97, 0.04), abs=1e-3)
    assert "by +95341.88 s at frame 49" in warnings[0]
    assert duration == pytest.approx(3.92)


# times of the picture within the file


def test_duration_covers_the_last_frame_where_the_picture_begins_late(tmp_path: Path) -> None:
    ticks = [300 + i * 24 for i in range(50)]
    clip = clips.make(tmp_path / "clip.mp4", 50, ticks=ticks, sound=True)
    with open_video(clip) as video:
        assert (video.info.begins, video.info.duration) == pytest.approx((0.5, 2.5), abs=1e-2)
    times, _, duration = read(clip)
    assert duration is not None and times[-1] < duration < times[-1] + 0.1


def test_duration_covers_the_last_frame_where_less_is_declared(shared: Path) -> None:
    times, _, duration = read(shared / "clips/odd/moviepy__clip1024.flv")
    assert duration == pytest.approx(times[-1] + 0.1)


def test_a_file_whose_clock_begins_at_5_s_lasts_as_long_as_its_picture(shared: Path) -> None:
    times, warnings, duration = read(shared / "clips/odd/derived/start_pts_5s.mkv")
    assert (times[0], duration) == (0.0, pytest.approx(5.166)) and not warnings


def test_a_stream_that_declares_no_duration_has_that_of_its_frames(shared: Path) -> None:
    times, _, duration = read(shared / "clips/reported/raw.h264")
    assert duration == pytest.approx(times[-1] + 0.04)
    assert read(shared / "clips/reported/raw.h264", end=0.5)[2] is None  # not read to its end


def test_an_avi_of_two_ticks_a_frame_lacks_none(shared: Path) -> None:
    times, warnings, duration = read(shared / "clips/reported/mjpeg_with_exif.avi")
    assert (len(times), duration, warnings) == (10, pytest.approx(1.0), [])


# the clock by itself


def frame(time: float | None, dts: int | None) -> Any:
    return SimpleNamespace(time=time, dts=dts, time_base=Fraction(1, 25))


def told(frames: list[Any], **options: Any) -> list[float]:
    clock = Clock(0.0, 0.04, **{"leaps": False, "counted": False, **options})
    return [clock(one) for one in frames]


def test_a_frame_behind_its_turn_is_no_new_clock() -> None:
    stamps = [(0.0, 0), (0.08, 1), (0.04, 2), (0.12, 3)]
    assert told([frame(*stamp) for stamp in stamps]) == [0.0, 0.08, 0.08, 0.12]


def test_without_decoding_stamps_a_second_back_is_a_new_clock_and_less_is_jitter() -> None:
    times = told([frame(time, None) for time in (0.0, 0.5, 1.0, 0.7, 1.5, 0.0)])
    assert times == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.5, 1.875])


def test_time_0_is_where_the_file_starts() -> None:
    for origin, first in ((1.5, 0.0), (1.0, 0.5)):
        clock = Clock(origin, 0.04, leaps=False, counted=False)
        assert [clock(frame(1.5, None)), clock(frame(1.54, None))] == pytest.approx(
            [first, first + 0.04]
        )


def test_a_picture_that_begins_before_the_file_begins_at_0() -> None:
    times = told([frame(time, None) for time in (-0.08, -0.04, 0.0)])
    assert times == pytest.approx([0.0, 0.04, 0.08])


def test_stamps_of_packets_stand_for_those_that_are_missing() -> None:
    assert told([frame(0.0, 0), frame(None, 1), frame(None, 2)]) == pytest.approx([0, 0.04, 0.08])


def test_missing_stamps_are_made_up() -> None:
    clock = Clock(0.0, 0.04, leaps=False, counted=False)
    assert [clock(frame(None, None)) for _ in range(3)] == pytest.approx([0.0, 0.04, 0.08])
    assert clock.notes == [
        "some frames have no time stamp; their times are made up from the frame rate"
    ]


# side data


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
@pytest.mark.parametrize("orientation", [1, 2, 6])
def test_motion_jpeg_with_exif_is_read_and_turned_upright(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    from io import BytesIO

    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Canon"
    with av.open(str(tmp_path / f"clip.{suffix}"), "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuvj420p"
        for n in range(5):
            content = BytesIO()
            Image.fromarray(clips.draw(n)).save(content, "jpeg", exif=exif, quality=95)
            packet = av.Packet(content.getvalue())
            packet.stream, packet.pts, packet.dts = stream, n, n
            packet.time_base = Fraction(1, 10)
            out.mux(packet)
    with open_video(tmp_path / f"clip.{suffix}") as video:
        (frames,) = video.read(Sampling())
    assert len(frames) == 5
    upright = {1: lambda p: p, 2: lambda p: p[:, ::-1], 6: lambda p: np.rot90(p)}[orientation]
    assert clips.number(upright(frames.pixels[3])) == 3


@pytest.mark.parametrize(("tiles", "refused"), [(1, False), (2, False), (12, True)])
def test_one_tile_of_a_photograph_is_not_taken_for_it(tiles: int, refused: bool) -> None:
    from av.stream import Disposition

    streams = [
        SimpleNamespace(disposition=Disposition.dependent, width=512, height=512)
        for _ in range(tiles)
    ]
    streams.append(SimpleNamespace(disposition=Disposition.default, width=320, height=240))
    assert _is_tile(streams[0], streams) is refused
    assert not _is_tile(streams[-1], streams)
