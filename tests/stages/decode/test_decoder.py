"""What every decoder must do; a new one is tested by its name in DECODERS."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from videmo.data import FrameBatch
from videmo.errors import VideoError
from videmo.stages.decode import DECODERS, Decoder, Sampling, open_video

Open = Callable[..., Decoder]
REAL = (  # from cameras, phones and the web; the third has a variable frame rate
    "faces/single_face.mp4",
    "faces/signer_thanks.mkv",
    "odd/derived/vfr.mp4",
    "odd/derived/vp9.webm",
    "odd/decord__video_90.mov",
    "odd/decord__video_180.mov",
    "odd/derived/rot_meta_270.mp4",
)


@pytest.fixture(params=DECODERS)
def opened(request: pytest.FixtureRequest) -> Open:
    """Open a clip with each decoder in turn."""
    if request.param == "decord" and importlib.util.find_spec("decord") is None:
        pytest.skip("decord has no wheel for this platform")
    return lambda path, **options: open_video(path, request.param, **options)


def whole(video: Decoder, **sampling: object) -> FrameBatch:
    """Return all sampled frames as one batch."""
    with video:
        got = list(video.read(Sampling(**sampling)))  # type: ignore[arg-type]
    pixels = np.concatenate([b.pixels for b in got])
    index, time = (np.concatenate([getattr(b, name) for b in got]) for name in ("index", "time"))
    return FrameBatch(pixels, index, time, got[0].scale)


def shown(frames: FrameBatch) -> list[int]:
    return [clips.number(picture) for picture in frames.pixels]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_every_frame_comes_once_with_its_number_and_time(
    opened: Open, tmp_path: Path, name: str
) -> None:
    got = whole(opened(clips.make(tmp_path / name)))
    assert shown(got) == got.index.tolist() == list(range(30))
    assert got.time == pytest.approx(np.arange(30) / 25, abs=1e-3)


@pytest.mark.parametrize("every", [4, 25])
def test_every_nth_frame_is_the_one_whose_number_it_divides(
    opened: Open, tmp_path: Path, every: int
) -> None:
    got = whole(opened(clips.make(tmp_path / "clip.mp4", 101)), every=every)
    assert shown(got) == got.index.tolist() == list(range(0, 101, every))


@pytest.mark.parametrize("fps", [0.4, 10])
def test_frames_per_second_are_sampled_by_time(opened: Open, tmp_path: Path, fps: float) -> None:
    ticks = [i * 24 if i < 50 else 1200 + (i - 50) * 120 for i in range(75)]  # 25, then 5 a second
    got = whole(opened(clips.make(tmp_path / "clip.mp4", ticks=ticks)), fps=fps)
    assert shown(got) == got.index.tolist()
    first = np.searchsorted(np.array(ticks) / 600, np.arange(0, ticks[-1] / 600, 1 / fps) - 1e-3)
    assert got.index.tolist() == sorted(set(first.tolist()))


def test_variable_frame_rates_keep_their_presentation_times(opened: Open, tmp_path: Path) -> None:
    ticks = [0, 24, 30, 300, 310, 1200, 1201, 1500]
    got = whole(opened(clips.make(tmp_path / "clip.mp4", ticks=ticks)))
    assert got.time == pytest.approx(np.array(ticks) / 600, abs=1e-3)


def test_a_window_of_time_has_true_frame_numbers(opened: Open, tmp_path: Path) -> None:
    video = opened(clips.make(tmp_path / "clip.mp4", 600))
    got = whole(video, start=22.0, end=22.4)  # far behind the first key frames
    assert shown(got) == got.index.tolist() == list(range(550, 560))
    assert got.time[0] == pytest.approx(22.0, abs=1e-3)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_time_0_is_the_start_of_the_file_not_of_the_picture(
    opened: Open, tmp_path: Path, name: str
) -> None:
    ticks = [1200 + 24 * i for i in range(10)]
    clip = clips.make(tmp_path / name, ticks=ticks, sound=True)  # 2 s of sound come first
    assert whole(opened(clip)).time[0] == pytest.approx(2.0, abs=0.15)  # the codec's own delay


def test_a_clock_that_starts_late_is_set_to_0(opened: Open, tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "clip.mkv", ticks=[3000 + 24 * i for i in range(10)])
    assert whole(opened(clip)).time[0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("turn", "quarters"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_frames_are_upright(opened: Open, tmp_path: Path, turn: int, quarters: int) -> None:
    video = opened(clips.make(tmp_path / "clip.mp4", 5, turn=turn))
    upright = np.rot90(clips.draw(4), quarters)
    assert (video.info.height, video.info.width) == upright.shape[:2]
    difference = whole(video).pixels[4].astype(int) - upright
    assert np.abs(difference).mean() < 8  # compression; a wrong turn differs by more than 50


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(2), (96, 256)), (Fraction(1, 2), (192, 128))]
)
def test_pixels_are_square(
    opened: Open, tmp_path: Path, aspect: Fraction, size: tuple[int, int]
) -> None:
    video = opened(clips.make(tmp_path / "clip.mp4", 5, aspect=aspect))
    assert (video.info.height, video.info.width) == size
    got = whole(video)
    assert got.pixels.shape[1:3] == size
    assert shown(got) == list(range(5))


def test_the_longer_side_is_shrunk_and_the_scale_says_so(opened: Open, tmp_path: Path) -> None:
    got = whole(opened(clips.make(tmp_path / "clip.mp4", size=(192, 256))), max_side=160)
    assert got.pixels.shape == (30, 120, 160, 3)
    assert got.scale == 160 / 256
    assert shown(got) == list(range(30))


def test_no_frame_is_enlarged(opened: Open, tmp_path: Path) -> None:
    got = whole(opened(clips.make(tmp_path / "clip.mp4", 3)), max_side=4000)
    assert (got.pixels.shape[1:3], got.scale) == ((96, 128), 1.0)


def test_batches_hold_no_more_bytes_than_asked(opened: Open, tmp_path: Path) -> None:
    with opened(clips.make(tmp_path / "clip.mp4"), batch_bytes=7 * 96 * 128 * 3 + 1) as video:
        assert [len(frames) for frames in video.read(Sampling())] == [7, 7, 7, 7, 2]


def test_a_second_reading_gives_the_same(opened: Open, tmp_path: Path) -> None:
    with opened(clips.make(tmp_path / "clip.mp4", 9)) as video:
        first, second = ([b.index.tolist() for b in video.read(Sampling())] for _ in range(2))
    assert first == second == [list(range(9))]


def test_an_abandoned_reading_leaves_the_file_usable(opened: Open, tmp_path: Path) -> None:
    with opened(clips.make(tmp_path / "clip.mp4", 9), batch_bytes=1) as video:
        half = video.read(Sampling())
        next(half)
        del half
        assert sum(len(frames) for frames in video.read(Sampling())) == 9


def test_info_says_what_the_file_declares(opened: Open, tmp_path: Path) -> None:
    with opened(clips.make(tmp_path / "clip.mp4")) as video:
        info = video.info
    assert (info.height, info.width, info.frames) == (96, 128, 30)
    assert (info.duration, info.rate) == pytest.approx((1.2, 25), rel=0.05)


def test_a_whole_clip_gives_no_warning(opened: Open, tmp_path: Path) -> None:
    video = opened(clips.make(tmp_path / "clip.mp4"))
    whole(video)
    assert video.warnings == []


def test_damage_is_told_and_the_frames_before_it_are_true(opened: Open, tmp_path: Path) -> None:
    clips.make(tmp_path / "whole.mp4", 100)
    video = opened(clips.damage(tmp_path / "whole.mp4", tmp_path / "clip.mp4"))
    try:
        got = whole(video)
    except VideoError as error:  # decord's error may overtake the frames before it
        assert "damaged at frame" in error.reason
    else:
        before = min(30, len(got))
        assert got.index.tolist()[:before] == shown(got)[:before] == list(range(before))
        assert any(" s" in text for text in video.warnings), video.warnings


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"this is not a video", "text"),
        (bytes(range(256)) * 9, "not a video"),
        (b"\0\0\0\x10ftypisom\0\0\0\0\0\0\1\0mdat" + bytes(248), "moov"),
    ],
    ids=["empty", "pointer", "text", "noise", "cut off"],
)
def test_what_is_no_video_is_told_by_its_reason(
    opened: Open, tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=reason) as caught:
        opened(tmp_path / "clip.mp4")
    assert caught.value.path == str(tmp_path / "clip.mp4")


def test_a_missing_file_is_told(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no such file"):
        opened(tmp_path / "clip.mp4")


def test_a_name_with_a_colon_is_no_protocol(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clips.make(tmp_path / "clip.mp4", 3).rename(tmp_path / "http: näme 😀.mp4")
    assert shown(whole(opened("http: näme 😀.mp4"))) == [0, 1, 2]


def test_nothing_is_said_on_standard_error(
    opened: Open, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = clips.make(tmp_path / "whole.mkv", 100).read_bytes()
    (tmp_path / "clip.mkv").write_bytes(data[: len(data) // 2])
    whole(opened(tmp_path / "clip.mkv"))
    (tmp_path / "clip.mkv").write_bytes(data[:300])
    with pytest.raises(VideoError):
        opened(tmp_path / "clip.mkv")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("clip", REAL)
@pytest.mark.parametrize("every", [1, 7])
def test_real_clips_are_read_as_ffmpeg_reads_them(
    opened: Open, shared: Path, clip: str, every: int
) -> None:
    with av.open(str(shared / "clips" / clip)) as container:
        want = list(container.decode(video=0))
        start = container.start_time / 1_000_000
    got = whole(opened(shared / "clips" / clip), every=every)
    assert got.index.tolist() == list(range(0, len(want), every))
    for pixels, time, frame in list(zip(got.pixels, got.time, want[::every], strict=True))[::9]:
        assert time == pytest.approx(frame.time - start, abs=1e-3)
        upright = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
        assert np.abs(pixels.astype(np.int16) - upright).mean() < 0.5  # rounding of the colours
