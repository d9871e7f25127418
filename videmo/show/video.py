"""Frames with their times, and the sound of a clip, go in; a video file comes out.

The other room in which FFmpeg is spoken, through PyAV: stages.decode reads, this one writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from types import TracebackType
from typing import IO, Any

import numpy as np

from videmo.data import U8
from videmo.errors import VidemoError
from videmo.files.extras import missing_dependency
from videmo.stages.decode.formats import MAX_PIXELS, ffmpeg_options
from videmo.stages.image import resize

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}  # suffix -> format
TICKS = 90_000  # a second; Matroska has 1,000
_ENCODERS = ("libx264", "libopenh264", "mpeg4")  # the first that FFmpeg was built with
_OPTIONS = {"libx264": {"preset": "veryfast", "crf": "20", "bf": "0"}}
# What is copied as it is into any of the containers; other sound is encoded anew.
_COPIED = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")
_BT709 = 1  # H.273: of primaries, transfer and matrix


class Sound:
    """The sound of a clip, packet by packet; empty where it has none that can be read.

    start, end: s of presentation time; the part that is wanted, which then begins at 0
    """

    def __init__(self, path: str, start: float | None, end: float | None) -> None:
        self._start, self._end = start or 0.0, end
        self.container: Any = None
        self.stream: Any = None
        if os.path.isfile(path):
            self._open(path)

    def close(self) -> None:
        """Let go of the file."""
        if self.container:
            self.container.close()

    def packets(self) -> Iterator[Any]:
        """Yield the packets of the part, from where it begins."""
        for packet in self.container.demux(self.stream):
            time = self._time(packet)
            if time is None or time < -_BEFORE:
                continue
            if self._end is not None and time >= self._end - self._start:
                return
            yield packet

    def shift(self, packet: Any) -> float:
        """Set a packet, or a frame, to the time of the part, and return that in s."""
        ticks = round((self._origin + self._start) / packet.time_base)
        packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        return float(packet.pts * packet.time_base)

    def _time(self, packet: Any) -> float | None:
        if not packet.size or packet.pts is None:
            return None
        return float(packet.pts * packet.time_base) - self._origin - self._start

    def _open(self, path: str) -> None:
        import av

        with suppress(av.FFmpegError, OSError, ValueError):
            self.container = av.open(os.path.abspath(path), options=ffmpeg_options(MAX_PIXELS))
            self._origin = (self.container.start_time or 0) / 1_000_000  # AV_TIME_BASE
            best = self.container.streams.best("audio")
            if best is not None and best.codec_context is not None:
                self.stream = best


_BEFORE = 0.1  # s of sound before the picture that is kept: what a decoder needs to begin


class VideoWriter:
    """Writes frames at their times, H.264 where FFmpeg has it, and a clip's sound beside them.

    file: open for writing, binary, and seekable
    kind: a container in CONTAINERS
    sound: what is to be heard, which the writer closes

    Nothing of the source's own tags (places, names, dates) is written.
    """

    def __init__(self, file: IO[bytes], kind: str, sound: Sound | None = None) -> None:
        try:
            import av
        except ImportError as error:
            raise missing_dependency("av") from error
        self._stack, self._sound = ExitStack(), sound if sound and sound.stream else None
        if sound:
            self._stack.callback(sound.close)
        scales = ("movie_timescale", "video_track_timescale")  # when a track begins; its frames
        options = {} if kind == "matroska" else dict.fromkeys(scales, str(TICKS))
        self._container = av.open(file, "w", format=kind, options=options)
        self._video: Any = None
        self._last = -1
        self._heard: Iterator[tuple[float, Any]] = iter(())
        self._next: tuple[float, Any] | None = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with self._stack:
                _close(self._container, failed=kind is not None)

    def write(self, pixels: U8, time: float, rate: float) -> None:
        """Write a frame (H, W, 3) to be shown at `time` s; times rise.

        rate: frames/s, about; the first frame decides the size
        """
        import av

        if self._video is None:
            self._begin(pixels.shape[0], pixels.shape[1], rate)
        high, wide = self._video.height, self._video.width
        frame = av.VideoFrame.from_ndarray(_fitted(pixels, high, wide), format="rgb24")
        frame = frame.reformat(format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU709")
        self._last = max(self._last + 1, round(time * TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._hear(time)
        self._container.mux(self._video.encode(frame))

    def _begin(self, height: int, width: int, rate: float) -> None:
        """Open the streams; a side is even, as every player wants it."""
        name = _encoder()
        even = (height + height % 2, width + width % 2)
        pace = Fraction(rate or 25.0).limit_denominator(1001)
        self._video = self._container.add_stream(name, rate=pace, options=_OPTIONS.get(name, {}))
        self._video.height, self._video.width = even
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = Fraction(1, TICKS)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        if self._sound:
            self._heard = _sound_packets(self._container, self._sound)
            self._next = next(self._heard, None)

    def _hear(self, until: float | None) -> None:
        """Write the sound up to a time in s, or all of it."""
        while self._next and (until is None or self._next[0] <= until):
            self._container.mux(self._next[1])
            self._next = next(self._heard, None)

    def _finish(self) -> None:
        if self._video is None:
            raise VidemoError("no frame was written")
        self._container.mux(self._video.encode(None))
        self._hear(None)


def _sound_packets(container: Any, sound: Sound) -> Iterator[tuple[float, Any]]:
    """Return the packets of the sound for a container, each with its time in s."""
    codec = sound.stream.codec_context.codec.canonical_name  # mp3, whichever decoder reads it
    make = _copied if codec in _COPIED else _encoded
    stream = (
        container.add_stream_from_template(sound.stream)
        if make is _copied
        else container.add_stream("aac", rate=sound.stream.codec_context.sample_rate)
    )
    if make is _encoded:
        stream.layout = "mono" if sound.stream.codec_context.channels == 1 else "stereo"
    heard = make(sound, stream)
    if make is _copied and container.format.name == "matroska":
        # it has no time before 0 and would shift all, the picture too; what it encoded itself it
        # knows the delay of
        return (one for one in heard if one[1].pts >= 0)
    return heard


def _copied(sound: Sound, stream: Any) -> Iterator[tuple[float, Any]]:
    with suppress(*_errors()):  # damaged from here on: what came before is kept
        for packet in sound.packets():
            time = sound.shift(packet)
            packet.stream = stream
            yield time, packet


def _encoded(sound: Sound, stream: Any) -> Iterator[tuple[float, Any]]:
    from av.audio.resampler import AudioResampler

    resampler = AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    for frame in _audio_frames(sound):
        time = sound.shift(frame)
        for part in resampler.resample(frame):
            for packet in stream.encode(part):
                yield time, packet
    for part in resampler.resample(None):
        for packet in stream.encode(part):
            yield float("inf"), packet
    for packet in stream.encode(None):
        yield float("inf"), packet


def _audio_frames(sound: Sound) -> Iterator[Any]:
    """Yield what the packets hold; one that is damaged is passed over."""
    with suppress(*_errors()):
        for packet in sound.packets():
            with suppress(*_errors()):
                yield from (f for f in packet.decode() if f.pts is not None)


def _errors() -> tuple[type[Exception], ...]:
    from av.error import FFmpegError

    return (FFmpegError,)


def _encoder() -> str:
    import av

    for name in _ENCODERS:
        if name in av.codecs_available:
            return name
    raise VidemoError("PyAV was built without an encoder of H.264 or MPEG-4; pip install av")


def _fitted(pixels: U8, height: int, width: int) -> U8:
    """Return a frame at the size of the video: an odd side gains a pixel, others are fitted."""
    down, across = height - pixels.shape[0], width - pixels.shape[1]
    if (down, across) == (0, 0):
        return np.ascontiguousarray(pixels)
    if down in (0, 1) and across in (0, 1):
        return np.pad(pixels, ((0, down), (0, across), (0, 0)), mode="edge")
    return resize(np.ascontiguousarray(pixels), height, width)


def _close(container: Any, *, failed: bool) -> None:
    """Close a container; what it says of a video that is given up does not matter."""
    try:
        container.close()
    except Exception:
        if not failed:
            raise
