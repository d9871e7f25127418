"""What is written as video is read back: times, sizes, colours and sound."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from clips import draw, number
from films import beeps_in, film

from videmo.show.video import Sound, VideoWriter
from videmo.stages.decode import Sampling, open_video

TIMES = [0.0, 0.04, 0.3, 0.311, 0.9, 1.4]


def write(path, pictures, times, sound=None):
    kind = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}[path.suffix]
    with open(path, "wb") as file, VideoWriter(file, kind, sound) as writer:
        for picture, time in zip(pictures, times, strict=True):
            writer.write(picture, time, 25.0)
    return path


def read(path):
    with open_video(path) as video:
        batches = list(video.read(Sampling()))
    return np.concatenate([b.time for b in batches]), np.concatenate([b.pixels for b in batches])


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_come_back_at_their_times_in_order(tmp_path, suffix):
    path = write(tmp_path / f"v{suffix}", [draw(n) for n in range(6)], TIMES)
    times, pixels = read(path)
    assert times == pytest.approx(TIMES, abs=1e-3)  # Matroska has whole milliseconds
    assert [number(picture) for picture in pixels] == list(range(6))


def test_a_picture_that_begins_late_still_does(tmp_path):
    film(tmp_path / "s.mp4", [draw(0)] * 3, [0.0, 0.5, 1.0], beeps=[0.2])
    sound = Sound(str(tmp_path / "s.mp4"), None, None)
    times, _ = read(write(tmp_path / "v.mp4", [draw(1)] * 2, [0.25, 0.75], sound))
    assert times == pytest.approx([0.25, 0.75], abs=1e-3)


def test_an_odd_side_gains_a_pixel_and_colours_stay(tmp_path):
    colour = np.array([200, 60, 30], np.uint8)
    picture = np.broadcast_to(colour, (95, 127, 3)).copy()
    _, pixels = read(write(tmp_path / "v.mp4", [picture] * 3, TIMES[:3]))
    assert pixels.shape[1:3] == (96, 128)
    with av.open(str(tmp_path / "v.mp4")) as container:
        frame = next(container.decode(video=0))
        seen = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert abs(seen.mean((0, 1)) - colour).max() < 6  # of 8 bits, through H.264 at CRF 20


def test_frames_of_another_size_are_fitted_to_the_first(tmp_path):
    times, pixels = read(write(tmp_path / "v.mp4", [draw(5), draw(6, 192, 256)], [0.0, 0.1]))
    assert (len(times), number(pixels[1])) == (2, 6)


@pytest.mark.parametrize(("name", "codec"), [("s.mp4", "aac"), ("s.mkv", "pcm_s16le")])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_is_in_step_whether_it_is_copied_or_encoded(tmp_path, name, codec, suffix):
    source = film(tmp_path / name, [draw(0)] * 4, [0.0, 0.5, 1.0, 1.5],
                  beeps=[0.3, 1.2], codec=codec)  # fmt: skip
    sound = Sound(str(source), None, None)
    path = write(tmp_path / f"v{suffix}", [draw(0)] * 4, [0.0, 0.5, 1.0, 1.5], sound)
    assert beeps_in(path) == pytest.approx(beeps_in(source), abs=0.005)
    assert read(path)[0] == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=1e-3)


def test_the_sound_of_a_part_begins_with_the_part(tmp_path):
    source = film(tmp_path / "s.mp4", [draw(0)] * 4, [0.0, 0.5, 1.0, 1.5], beeps=[0.2, 0.9, 1.4])
    sound = Sound(str(source), 0.5, 1.2)
    path = write(tmp_path / "v.mp4", [draw(0)] * 2, [0.0, 0.5], sound)
    assert beeps_in(path) == pytest.approx([0.4], abs=0.005)


def test_a_clip_without_sound_has_none(tmp_path):
    source = film(tmp_path / "s.mp4", [draw(0)] * 2, [0.0, 0.5])
    path = write(tmp_path / "v.mp4", [draw(0)], [0.0], Sound(str(source), None, None))
    with av.open(str(path)) as container:
        assert not container.streams.audio


def test_a_disk_that_is_full_is_an_error_and_not_a_crash():
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="space"), VideoWriter(Full(), "mp4") as writer:
        for n in range(200):
            writer.write(
                np.random.default_rng(n).integers(0, 255, (96, 128, 3), np.uint8), n / 25, 25
            )
