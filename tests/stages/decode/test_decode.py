"""Sampling, batches, prefetching, pictures, and what the decoders do each in their own way."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from videmo.data import I64
from videmo.errors import InputError, UnknownName, VideoError
from videmo.stages.decode import (
    Frame,
    ImageFolder,
    Sampling,
    Thinned,
    batches,
    open_video,
    prefetch,
    pyav,
    sampled_indices,
    scaled_size,
)

needs_decord = pytest.mark.skipif(
    importlib.util.find_spec("decord") is None, reason="decord has no wheel for this platform"
)
TIMES = st.lists(st.integers(1, 900), min_size=1, max_size=80).map(lambda ms: np.cumsum(ms) / 1000)


# sampling


def test_every_counts_from_the_first_frame_of_a_window() -> None:
    sampling = Sampling(every=5, start=0.3)
    assert sampled_indices(np.arange(20) / 10, sampling).tolist() == [3, 8, 13, 18]


def test_the_end_is_exclusive() -> None:
    assert sampled_indices(np.arange(5) / 10, Sampling(start=0.1, end=0.3)).tolist() == [1, 2]


def test_a_tick_takes_the_first_frame_at_or_after_it() -> None:
    times = np.array([0, 0.4, 0.9, 1.1, 1.2, 3.5, 3.6])  # ticks 0 1 2 3: the last two share 3.5
    assert sampled_indices(times, Sampling(fps=1)).tolist() == [0, 3, 5]


def test_times_rounded_to_milliseconds_are_sampled_evenly() -> None:
    times = np.round(np.arange(60) / 30, 3)  # as Matroska stores 30 frames a second
    assert sampled_indices(times, Sampling(fps=15)).tolist() == list(range(0, 60, 2))


@pytest.mark.parametrize("fps", [30, 60, 1000])
def test_a_rate_above_the_clips_own_takes_each_frame_once(fps: float) -> None:
    assert sampled_indices(np.arange(60) / 30, Sampling(fps=fps)).tolist() == list(range(60))


def test_a_thousand_frames_a_second_are_all_taken_when_asked_for() -> None:
    assert sampled_indices(np.arange(1000) / 1000, Sampling(fps=1000)).tolist() == list(range(1000))


@given(TIMES, st.floats(0.1, 100))
def test_between_ticks_there_is_never_more_than_one_frame(times: np.ndarray, fps: float) -> None:
    taken = sampled_indices(times, Sampling(fps=fps))
    assert taken[0] == 0
    assert (np.diff(taken) > 0).all()
    ticks = np.floor((times[taken] - times[0] + min(1e-3, 0.1 / fps)) * fps)
    assert (np.diff(ticks) > 0).all()


@given(TIMES, st.floats(0.1, 100), st.floats(0, 1000))
def test_a_later_clock_takes_the_same_frames(times: np.ndarray, fps: float, later: float) -> None:
    grid = np.round(times * fps * 7) / (fps * 7)  # no frame lies on a tick's edge, 0.1 before it
    assert (
        sampled_indices(grid, Sampling(fps=fps)).tolist()
        == sampled_indices(grid + later, Sampling(fps=fps)).tolist()
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"fps": 0},
        {"fps": float("nan")},
        {"every": 0},
        {"every": 1.5},
        {"max_side": 0},
        {"start": 2, "end": 2},
        {"start": -3},
        {"start": float("nan")},
        {"end": float("inf")},
        {"end": 0},
        {"start": "1"},
    ],
)
def test_a_sampling_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_the_scale_is_that_of_the_longer_side() -> None:
    assert scaled_size(1080, 1920, 640) == (360, 640, 1 / 3)
    assert scaled_size(1, 5000, 50) == (1, 50, 0.01)
    assert scaled_size(480, 640, None) == (480, 640, 1.0)


# batches


def some_frames(sizes: list[tuple[int, int]]) -> Iterator[Frame]:
    for i, size in enumerate(sizes):
        yield Frame(np.full((*size, 3), i, np.uint8), i, i / 10, 1.0)


def test_a_new_size_starts_a_new_batch() -> None:
    got = list(batches(some_frames([(4, 4), (4, 4), (2, 8), (4, 4)]), 1000))
    assert [b.index.tolist() for b in got] == [[0, 1], [2], [3]]
    assert [b.pixels[0, 0, 0, 0] for b in got] == [0, 2, 3]


def test_a_frame_larger_than_a_batch_comes_alone() -> None:
    assert [len(b) for b in batches(some_frames([(4, 4)] * 3), 1)] == [1, 1, 1]


def test_no_frames_are_no_batches() -> None:
    assert list(batches([], 1000)) == []


# prefetching


class Source:
    """Counts upwards, and remembers what was asked of it."""

    def __init__(self, end: int, error: BaseException | None = None) -> None:
        self.end, self.error, self.made, self.closed = end, error, 0, False

    def __iter__(self) -> Iterator[int]:
        try:
            while self.made < self.end:
                self.made += 1
                yield self.made
            if self.error:
                raise self.error
        finally:
            self.closed = True


def settled(source: Source) -> int:
    """Return how many items were made, once no more are."""
    made = -1
    while made != source.made:
        made = source.made
        time.sleep(0.05)
    return made


def test_prefetched_items_come_in_order() -> None:
    assert list(prefetch(Source(100))) == list(range(1, 101))


def test_no_more_than_depth_items_are_made_ahead() -> None:
    source = Source(100)
    items = prefetch(source, depth=3)
    next(items)
    assert settled(source) == 4
    items.close()


def test_what_the_source_raises_comes_after_the_items_before_it() -> None:
    got = []
    with pytest.raises(VideoError, match="no"):
        got.extend(prefetch(Source(3, VideoError("clip", "no"))))
    items = prefetch(Source(3, VideoError("clip", "no")))
    assert [next(items) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(VideoError):
        next(items)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_consumer_ends_the_thread_and_closes_the_source(
    error: type[BaseException],
) -> None:
    before, source = threading.active_count(), Source(10**9)
    items = prefetch(source)
    next(items)
    with pytest.raises(error):
        items.throw(error)
    assert threading.active_count() == before
    assert source.closed


def test_closing_early_ends_the_thread_and_closes_the_source() -> None:
    before, source = threading.active_count(), Source(10**9)
    items = prefetch(source)
    assert [next(items), next(items)] == [1, 2]
    items.close()
    assert threading.active_count() == before
    assert source.closed


def test_a_finished_source_leaves_no_thread() -> None:
    before = threading.active_count()
    list(prefetch(Source(5)))
    assert threading.active_count() == before


# pictures


def save(path: Path, shade: int, size: tuple[int, int] = (8, 6)) -> None:
    Image.new("RGB", size, (shade, shade, shade)).save(path)


def test_pictures_are_ordered_as_people_order_them(tmp_path: Path) -> None:
    for shade, name in enumerate(["a2.png", "a10.png", "b1.bmp"]):
        save(tmp_path / name, shade)
    (tmp_path / "notes.txt").write_text("no picture")
    with open_video(tmp_path) as video:
        (frames,) = video.read(Sampling())
    assert frames.pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert frames.time.tolist() == [0, 0.04, 0.08]
    assert (video.info.frames, video.info.height, video.info.width) == (3, 6, 8)


def test_pictures_may_be_shown_at_another_rate(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 0)
    save(tmp_path / "2.png", 0)
    (frames,) = ImageFolder(str(tmp_path), rate=2).read(Sampling())
    assert frames.time.tolist() == [0, 0.5]


def test_one_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    save(tmp_path / "face.PNG", 7, (40, 20))
    with open_video(tmp_path / "face.PNG") as video:
        (frames,) = video.read(Sampling(max_side=10))
    assert (frames.pixels.shape, frames.scale) == ((1, 5, 10, 3), 0.25)


def test_a_picture_is_turned_upright_by_its_tag(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 6))
    exif = picture.getexif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise
    picture.save(tmp_path / "face.jpg", exif=exif)
    (frames,) = open_video(tmp_path / "face.jpg").read(Sampling())
    assert frames.pixels.shape[1:3] == (8, 6)


def test_a_damaged_picture_in_a_folder_is_a_warning(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 1)
    (tmp_path / "2.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    save(tmp_path / "3.png", 3)
    video = open_video(tmp_path)
    (frames,) = video.read(Sampling())
    assert frames.index.tolist() == [0, 2]
    assert "2.png" in video.warnings[0]


def test_a_damaged_picture_alone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with pytest.raises(VideoError, match="not a picture"):
        open_video(tmp_path / "1.png")


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="without pictures"):
        open_video(tmp_path)


# files and decoders


def test_an_unknown_decoder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="there is auto, pyav, decord"):
        open_video(tmp_path / "clip.mp4", "opencv")


def test_a_file_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "clip.mp4").touch()
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(VideoError, match="permission denied"):
        open_video(tmp_path / "clip.mp4")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_name_that_is_no_utf8_is_opened(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")
    clips.make(tmp_path / "clip.mp4", 3).rename(name)
    assert sum(len(b) for b in open_video(name).read(Sampling())) == 3


def test_importing_decode_imports_no_decoder() -> None:
    code = (
        "import sys, videmo.stages.decode; print({'av', 'decord', 'cv2', 'PIL'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_mirrored_clips_are_mirrored_back(tmp_path: Path) -> None:
    (frames,) = open_video(clips.make(tmp_path / "clip.mp4", 5, mirror=True)).read(Sampling())
    assert [clips.number(picture[:, ::-1]) for picture in frames.pixels] == list(range(5))


@needs_decord
@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("clip.mp4", {"mirror": True}, "mirror"),
        ("clip.mkv", {"turn": 90}, "MP4 files only"),
        ("clip.ts", {}, "MP4 and Matroska"),
        ("clip.flv", {}, "MP4 and Matroska"),
        ("clip.mp4", {"size": (28, 48)}, "small"),
        ("clip.mp4", {"open_gop": True}, "open GOP"),
    ],
    ids=["mirror", "turn", "ts", "flv", "tiny", "open GOP"],
)
def test_what_decord_would_get_wrong_it_refuses_and_auto_reads(
    tmp_path: Path, name: str, options: dict[str, object], reason: str
) -> None:
    clip = clips.make(tmp_path / name, 101, **options)  # type: ignore[arg-type]
    with pytest.raises(VideoError, match=reason):
        list(open_video(clip, "decord").read(Sampling()))
    video = open_video(clip)
    got = [
        (i, p)
        for b in video.read(Sampling(fps=0.4))
        for i, p in zip(b.index, b.pixels, strict=True)
    ]
    assert [i for i, _ in got] == [0, 63]
    if "mirror" not in options and "turn" not in options:
        assert [clips.number(p) for _, p in got] == [0, 63]
    assert video.info.decoder == "pyav"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_auto_seeks_what_is_far_behind(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips.make(tmp_path / name, 700)
    sought: list[int] = []  # stamps of key frames

    def from_key(
        reading: pyav._Reader, key: int, shown: I64, few: frozenset[int] | None
    ) -> Iterator[tuple[int, object]]:
        sought.append(key)
        return found(reading, key, shown, few)

    found = pyav._Reader.from_key
    monkeypatch.setattr(pyav._Reader, "from_key", from_key)
    for sampling, seeks in (
        (Sampling(), 0),
        (Sampling(fps=0.5), 0),  # what is between may be damaged, and that is to be told
        (Sampling(start=26, end=27), 1),
        (Sampling(start=26, end=27.5, fps=3), 1),
        (Sampling(start=26, every=7), 1),
        (Sampling(start=2), 0),
        (Thinned(stride=18), 1),  # which frames are looked at is left to us
        (Thinned(stride=6, but=18), 1),
        (Thinned(stride=18, start=2, end=9), 1),
    ):
        sought.clear()
        with open_video(clip) as video:
            got = [clips.number(p) for b in video.read(sampling) for p in b.pixels]
        assert got == sampled_indices(np.arange(700) / 25, sampling).tolist()
        assert len(sought) == seeks, sampling


@pytest.mark.parametrize("threads", [1, 2])
def test_what_nobody_wants_and_no_frame_needs_is_not_decoded(tmp_path: Path, threads: int) -> None:
    clip = _with_pairs(tmp_path / "clip.mp4", 100)
    some = Thinned(stride=6)
    with open_video(clip, threads=threads) as video:
        whole, got = (
            [(int(n), p) for b in read for n, p in zip(b.index, b.pixels, strict=True)]
            for read in (video.read(Sampling()), video.read(some))
        )
    assert [number for number, _ in got] == [*range(0, 100, 6)] and some.tally.frames == 100
    assert all((whole[number][1] == pixels).all() for number, pixels in got)
    decoded = _decoded(clip, frozenset(range(0, 100, 6)))
    assert len(decoded) < 70, "between two that are needed lie two that are not"


def _with_pairs(path: Path, frames: int) -> Path:
    """Write a clip in which two frames in three are needed by no other."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames = 2
        rng = np.random.default_rng(0)
        for number in range(frames):
            pixels = rng.integers(0, 255, (48, 64, 3), np.uint8) // 4 + number
            frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _decoded(clip: Path, wanted: frozenset[int]) -> list[int]:
    """Return the stamps of what FFmpeg decodes where those of the wanted frames are 0, 1, 2, ..."""
    with av.open(str(clip)) as container:
        (stream,), found = container.streams.video, []
        tick = 1 / (stream.time_base * 25)
        for packet in container.demux(stream):
            needed = packet.pts is not None and packet.pts / tick in wanted
            stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
            found += [frame.pts for frame in stream.decode(packet)]
    return found


def test_damage_is_told_where_few_frames_are_looked_at(tmp_path: Path) -> None:
    clips.make(tmp_path / "whole.mp4", 400, gop=50)
    clips.damage(tmp_path / "whole.mp4", tmp_path / "clip.mp4", 2000)
    told = []
    for sampling in (Sampling(), Thinned(stride=18)):
        with open_video(tmp_path / "clip.mp4") as video:
            list(video.read(sampling))
            told.append((video.warnings, video.info.duration))
    assert told[0] == told[1] and told[0][0]


def test_one_pass_goes_on_where_seeking_meets_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips.make(tmp_path / "whole.mp4", 400, gop=50)
    clips.damage(tmp_path / "whole.mp4", tmp_path / "clip.mp4", 2000)
    sampling = Sampling(start=4.0, end=15.0)
    with (
        open_video(tmp_path / "clip.mp4", "pyav") as video,
        pytest.raises(VideoError, match="damaged be"),  # or this test proves nothing
    ):
        assert isinstance(video, pyav.PyAV)
        list(video.read_by_seeking(sampling))
    monkeypatch.setattr("videmo.stages.decode.auto.AHEAD", 0.1)
    auto, whole = (_numbers(tmp_path / "clip.mp4", name, sampling) for name in ("auto", "pyav"))
    assert auto == whole


def _numbers(clip: Path, decoder: str, sampling: Sampling) -> list[int]:
    with open_video(clip, decoder, batch_bytes=1) as video:
        return [int(b.index[0]) for b in video.read(sampling)]


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_behind_damage_the_clip_goes_on(tmp_path: Path, decoder: str) -> None:
    clip = clips.make(tmp_path / "whole.mp4", 100)
    with open_video(clips.damage(clip, tmp_path / "clip.mp4"), decoder) as video:
        (frames,) = video.read(Sampling())
    shown = np.array([clips.number(picture) for picture in frames.pixels])
    assert shown[:30].tolist() == frames.index[:30].tolist() == list(range(30))
    assert shown[-16:].tolist() == frames.index[-16:].tolist() == list(range(84, 100))  # key frame
    assert frames.time == pytest.approx(frames.index / 25, abs=1e-3)
    assert len(frames) < 100
    assert "damaged" in video.warnings[0]


def test_a_change_of_size_in_mid_stream_starts_a_new_batch(shared: Path) -> None:
    with open_video(shared / "clips/odd/derived/resolution_change.ts") as video:
        got = list(video.read(Sampling()))
    assert {b.pixels.shape[1:3] for b in got} == {(180, 320), (270, 480)}
    assert np.concatenate([b.index for b in got]).tolist() == list(range(124))
    assert (np.diff(np.concatenate([b.time for b in got])) > 0).all()
    assert "joined on as players do" in video.warnings[0]


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        ("derived/audio_only.mp4", "no video stream"),
        ("derived/mp3_with_cover.mp3", "no video stream"),
        ("derived/zero_frames.mp4", "no frame"),
        ("derived/trunc_moov_at_end.mp4", "moov"),
        ("exo__subsample_encrypted_noaltref.webm", "encrypted"),
        ("exo__sample_fragmented_clearkey.mp4", "encrypted"),
        ("cremad__lfs_pointer.flv", "git lfs pull"),
    ],
)
def test_real_files_without_a_picture_are_told_by_their_reason(
    shared: Path, clip: str, reason: str
) -> None:
    with pytest.raises(VideoError, match=reason):
        open_video(shared / "clips/odd" / clip)


def test_declared_nonsense_is_not_believed(shared: Path) -> None:
    with open_video(shared / "clips/odd/exo__sample.flv") as video:  # declares 1000 frames/s
        assert (video.info.frames, video.info.rate) == (None, pytest.approx(60))
        assert sum(len(b) for b in video.read(Sampling())) == 30


def test_a_truncated_file_says_up_to_where_it_was_read(shared: Path) -> None:
    with open_video(shared / "clips/odd/derived/trunc.mkv") as video:
        list(video.read(Sampling()))
    assert video.warnings == ["the picture ends at 2.33 s of the declared 5.17 s"]


def test_frames_that_an_edit_list_hides_are_no_damage(shared: Path) -> None:
    with open_video(shared / "clips/odd/derived/edit_list_start.mp4") as video:
        assert sum(len(b) for b in video.read(Sampling())) == 49
    assert video.warnings == []


PEAK = """
import sys, time
from videmo.stages.decode import Sampling, open_video, prefetch
with open_video(sys.argv[1], sys.argv[2], batch_bytes=16 << 20) as video:
    for n, frames in enumerate(prefetch(video.read(Sampling()))):
        time.sleep(0.2 if n < 20 else 0)
# not ru_maxrss, which begins with what the parent held
print(next(int(x.split()[1]) >> 10 for x in open("/proc/self/status") if x.startswith("VmHWM")))
"""
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")


def peak(clip: Path, decoder: str) -> int:
    """Return the peak memory in MB of a process that reads a clip slowly."""
    return int(subprocess.check_output([sys.executable, "-c", PEAK, str(clip), decoder]))


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("decoder", ["auto", pytest.param("decord", marks=needs_decord)])
def test_memory_stays_flat_when_we_are_slow(tmp_path: Path, decoder: str) -> None:
    clip = clips.make(tmp_path / "clip.mp4", 240, size=(1080, 1920))
    # of 1.5 GB of pixels: four batches of 16 MB, the interpreter, and what decord has queued
    assert peak(clip, decoder) < (250 if decoder == "auto" else 700)


@pytest.mark.slow
@on_linux
def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    short = clips.make(tmp_path / "short.mp4", 100, rate=10, size=(360, 640))
    long = clips.make(tmp_path / "long.mp4", 6000, rate=10, size=(360, 640))  # 10 min
    assert peak(long, "auto") - peak(short, "auto") < 100
