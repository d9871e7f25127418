"""Only files of real containers are opened; what names other files is refused by name."""

from __future__ import annotations

import os
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest
from lists import LISTS, listening, lists

from videmo.errors import VideoError
from videmo.stages.decode import Sampling, open_video
from videmo.stages.decode.cut import cut_off
from videmo.stages.decode.formats import CONTAINERS, kind_of_list


def frames(path: Path, **how: object) -> int:
    with open_video(path, **how) as video:  # type: ignore[arg-type]
        return sum(map(len, video.read(Sampling())))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return clips.make(tmp_path / "another.mp4", 5)


@pytest.mark.parametrize("decoder", ["auto", "decord"])
def test_a_list_is_refused_and_nobody_is_asked(tmp_path: Path, clip: Path, decoder: str) -> None:
    with listening() as heard:
        (tmp_path / "lists").mkdir()
        made = lists(tmp_path / "lists", clip, 2 * len(LISTS), heard.port, seed=1)
        for path in made:
            with pytest.raises(VideoError) as caught:
                frames(path, decoder=decoder)
            assert caught.value.reason.isprintable(), path.name
    assert heard.asked == []


def test_the_listener_hears_who_asks() -> None:
    import socket

    with listening() as heard, socket.socket(type=socket.SOCK_DGRAM) as udp:
        socket.create_connection(("127.0.0.1", heard.port)).close()
        udp.sendto(b"x", ("127.0.0.1", heard.port))
        for _ in range(50):
            if len(heard.asked) < 2:
                time.sleep(0.05)
    assert len(heard.asked) == 2


@pytest.mark.parametrize("decoder", ["auto", "decord"])
def test_a_second_picture_in_a_file_is_told_of(tmp_path: Path, clip: Path, decoder: str) -> None:
    import av

    path = tmp_path / "two cameras.mkv"
    with av.open(str(clip)) as source, av.open(str(path), "w") as both:
        picture = source.streams.video[0]
        streams = [both.add_stream_from_template(picture) for _ in range(2)]
        for packet in source.demux(picture):
            if packet.dts is None:
                continue
            content, times = bytes(packet), (packet.pts, packet.dts, packet.time_base)
            for stream in streams:
                copy = av.Packet(content)
                copy.pts, copy.dts, copy.time_base = times
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                both.mux(copy)
    with open_video(path, decoder) as video, open_video(clip, decoder) as one:
        assert [len(each) for each in video.read(Sampling())] == [5]
        (told,) = video.warnings
        assert "holds 2 video streams, of which number 1" in told and not one.warnings


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ffconcat", "ffconcat"), ("concat", "ffconcat"), ("m3u8", "M3U"), ("m3u", "M3U"),
        ("dash", "DASH"), ("imf", "IMF"), ("sdp", "SDP"), ("rtsp", "RTSP"), ("pls", "PLS"),
        ("smil", "XML"), ("ram", "of addresses"), ("text", ""),
    ],
)  # fmt: skip
def test_a_list_is_called_by_its_name(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "list.mp4"
    path.write_text(LISTS[name].format(file="x", itself="y", port=1))
    assert kind_of_list(str(path)) == kind
    if kind:
        with pytest.raises(VideoError, match="that names other files, not a video"):
            frames(path)


def test_a_pattern_of_names_is_one_name(tmp_path: Path, clip: Path) -> None:
    for number in range(3):
        (tmp_path / f"part{number:03}.mp4").write_bytes(clip.read_bytes())
    with pytest.raises(VideoError, match="no such file"):
        frames(tmp_path / "part%03d.mp4")


def test_a_movie_that_points_outside_is_not_followed(tmp_path: Path, clip: Path) -> None:
    content = clip.read_bytes()
    at = content.index(b"url \0\0\0\1")  # the data are in this file, it says
    outside = tmp_path / "outside.mp4"
    outside.write_bytes(content[: at + 7] + b"\0" + content[at + 8 :])
    try:
        count = frames(outside)
    except VideoError:
        count = 0
    assert count in (0, 5)  # nothing, or its own


@pytest.mark.parametrize(
    "name",
    [
        "concat", "hls", "dash", "sdp", "image2", "lavfi", "tty", "imf", "avisynth", "vapoursynth",
        "rtsp", "svg_pipe", "ffmetadata",
    ],
)  # fmt: skip
def test_no_reader_of_lists_scripts_or_patterns_is_on_the_list(name: str) -> None:
    assert name not in CONTAINERS


def test_every_reader_on_the_list_is_ffmpegs() -> None:
    import av

    known = {part for name in av.formats_available for part in name.split(",")}
    there = [name for name in CONTAINERS if name in known]
    assert len(there) > 40  # builds differ by some


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return clips.make(tmp_path / "large.mp4", 3, size=(480, 640))


@pytest.mark.parametrize("decoder", ["auto", "pyav", "decord"])
def test_a_frame_of_too_many_pixels_is_an_error_that_says_how_to_read_it(
    large: Path, decoder: str
) -> None:
    with pytest.raises(VideoError, match=r"640 x 480 px.*megapixels=1 reads") as caught:
        open_video(large, decoder, pixels=640 * 480 - 1)
    assert caught.value.path == str(large)
    assert frames(large, decoder=decoder, pixels=640 * 480) == 3


def test_a_pixel_counts_as_it_is_shown(tmp_path: Path) -> None:
    wide = clips.make(tmp_path / "wide.mp4", 3, aspect=Fraction(4))
    with pytest.raises(VideoError, match=rf"{4 * clips.WIDTH} x {clips.HEIGHT} px"):
        open_video(wide, pixels=2 * clips.WIDTH * clips.HEIGHT)


def test_a_picture_of_too_many_pixels_is_an_error(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "large.png"
    Image.new("1", (30_000, 30_000)).save(path)  # 900 megapixels in 0.1 MB
    with pytest.raises(VideoError, match=r"30000 x 30000 px.*megapixels=900"):
        open_video(path)
    assert Image.MAX_IMAGE_PIXELS


def test_a_picture_is_not_handed_to_a_program(tmp_path: Path, monkeypatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", run)
    path = tmp_path / "a.png"
    path.write_text(LISTS["eps"])
    with pytest.raises(VideoError, match="not a picture"):
        open_video(path)


def test_memory_is_not_taken_before_a_frame_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.gif"
    side = (16_000).to_bytes(2, "little")
    dot = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    path.write_bytes(b"GIF89a" + 2 * side + b"\x80\0\0" + bytes(3) + b"\xff" * 3 + 3 * dot + b";")
    before = _peak()
    with pytest.raises(VideoError, match="of more than 51 million pixels, which megapixels="):
        open_video(path)
    assert _peak() - before < 200 << 20  # bytes; one such frame has a gigabyte


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_the_pixels_of_a_small_clip_are_the_same_with_any_limit(clip: Path) -> None:
    seen = []
    for pixels in (1 << 20, 1 << 30):
        with open_video(clip, pixels=pixels) as video:
            seen.append(np.concatenate([batch.pixels for batch in video.read(Sampling())]))
    assert (seen[0] == seen[1]).all()


def test_a_file_that_lacks_its_end_is_told_so(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.gif"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb8"
        for number in range(12):
            pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode(None))
    told = []
    for keep in (1.0, 0.6):
        os.truncate(path, int(keep * path.stat().st_size))
        with open_video(path) as video:
            assert sum(map(len, video.read(Sampling()))) > 0
            told.append([w for w in video.warnings if "does not end as its format does" in w])
    assert [len(each) for each in told] == [0, 1]


@pytest.mark.parametrize(("flags", "whole"), [(4, True), (5, True), (0, False)])
def test_the_last_page_of_an_ogg_tells_whether_it_is_whole(
    tmp_path: Path, flags: int, whole: bool
) -> None:
    (tmp_path / "a.ogv").write_bytes(b"OggS\0\x02" + bytes(99) + b"OggS\0" + bytes([flags, 1, 2]))
    assert (cut_off(str(tmp_path / "a.ogv"), "ogg") is None) == whole
