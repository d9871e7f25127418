"""Video files through PyAV: streams, holds a few frames at a time, and reads most formats."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from videmo.data import F64, I64, U8, FrameBatch, VideoInfo
from videmo.errors import VideoError
from videmo.stages.decode import (
    SLACK,
    Decoder,
    Frame,
    Sampler,
    Sampling,
    Thinned,
    batches,
    hdr,
    sampled_indices,
    scaled_size,
)
from videmo.stages.decode.container import (
    Packets,
    clock_of,
    declared_of,
    major_version,
    misnumbered,
    open_container,
    orientation,
    pixel_aspect,
    read_errors,
    read_packets,
    set_threads,
    unread_streams,
)
from videmo.stages.decode.cut import cut_off
from videmo.stages.decode.formats import MAX_PIXELS, refuse_large
from videmo.stages.decode.joined import unread_recording

NEAR = 0.5  # s, at most, from the last frame to the end that a whole file declares
MAX_FAILURES = 100  # packets in a row that cannot be read before the file is taken to have ended


class TimedFrame(NamedTuple):
    """One frame as PyAV gave it, with its number and time."""

    frame: Any  # av.VideoFrame
    number: int
    time: float  # s


class PyAV(Decoder):
    """Reads a video file with FFmpeg, in one pass from its first frame.

    Frames are numbered in order of presentation, also behind damage that swallowed some.
    `start` decodes what lies before it without converting it, because after a seek the number
    of a frame could not be known; `read_by_seeking` reads the files where it is.
    """

    def __init__(
        self, path: str, *, batch_bytes: int = 64 << 20, threads: int = 2, pixels: int = MAX_PIXELS
    ) -> None:
        self.warnings: list[str] = []
        self._path, self._bytes, self._threads, self._pixels = path, batch_bytes, threads, pixels
        first = self._pass()  # raises where there is nothing to decode
        self._open: _Reader | None = first
        self.info = self._describe(first)
        self._origin, self._ticks = first.origin, first.first.frame.time_base
        self.turned, self.mirrored = any(first.turns), first.turns[3]
        self.deep = _transfer(first.first.frame) in hdr.TRANSFER_NAMES  # of high dynamic range
        self.container = first.container  # FFmpeg's name of the format, such as "mpegts"

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        return batches(self._frames(sampling), self._bytes)

    def read_by_seeking(self, sampling: Sampling) -> Iterator[Frame]:
        """Yield the frames of `read` from the key frame before the first that is wanted.

        That is the quicker way to a part that lies far in a long clip. Raises VideoError for a
        file whose packets do not tell which frame is which, and at damage, in the part or in the
        packets around it: one pass tells what is wrong.

        Of a Sampling that is thinned out, frames are not decoded that nobody wants and no other
        frame needs: a third to a half of the time. Damage in them is not met.
        """
        if not os.path.isfile(self._path):
            raise VideoError(self._path, "only a file can be sought in")
        packets = self.packets()
        if unsure := misnumbered(self.container, packets) or self._unsound(packets):
            raise VideoError(self._path, unsure)
        shown = np.sort(packets.stamps)
        times = self.seconds(shown)
        if isinstance(sampling, Thinned) and (odd := self._ends_oddly(float(times[-1]))):
            raise VideoError(self._path, odd)
        wanted = sampled_indices(times, sampling).tolist()
        if not wanted:
            return
        key = packets.stamps[packets.keys & (packets.stamps <= shown[wanted[0]])].max()
        with closing(self._pass()) as reader:
            ahead = iter(wanted)
            number = next(ahead)
            few = frozenset(shown[wanted].tolist()) if isinstance(sampling, Thinned) else None
            for here, frame in reader.from_key(int(key), shown, few):
                if here < number:
                    continue
                pixels, scale = reader.upright(frame, sampling.max_side)
                yield Frame(pixels, number, float(times[number]), scale)
                if (number := next(ahead, -1)) < 0:
                    return

    def close(self) -> None:
        if self._open:
            self._open.close()
            self._open = None

    def packets(self) -> Packets:
        """Return what the packets tell, in stored order; nothing is decoded."""
        return read_packets(self._path, self._pixels)

    def seconds(self, stamps: I64) -> F64:
        """Return stamps as the times that `read` gives."""
        times: F64 = stamps * self._ticks.numerator / self._ticks.denominator - self._origin
        return times

    def _unsound(self, packets: Packets) -> str | None:
        """Return why what lies between the wanted frames must be looked at as well."""
        if abs(self.seconds(np.sort(packets.stamps))[0] - self.info.begins) > 1e-6:
            return "its first packet is not its first frame"
        if not packets.sound or (self.info.frames or 0) > len(packets.stamps):
            return "is damaged or cut off"
        return None

    def _ends_oddly(self, last: float) -> str | None:
        """Return what one pass has to tell of a clip whose last frame is shown at this time."""
        if not SLACK <= (self.info.duration or 0) - last <= NEAR:
            return "does not say when its last frame ends"
        return unread_recording(self._path, self.container, 0)

    def _reader(self) -> _Reader:
        """Return the pass that is open at the first frame, or a new one."""
        reader, self._open = self._open, None
        return reader or self._pass()

    def _pass(self) -> _Reader:
        return _Reader(self._path, self._threads, self._warn, self._pixels)

    def _frames(self, sampling: Sampling) -> Iterator[Frame]:
        reader, pick, whole = self._reader(), Sampler(sampling), False
        try:
            for frame, number, time in reader:
                if pick.past(time):
                    break
                if pick(number, time):
                    pixels, scale = reader.upright(frame, sampling.max_side)
                    yield Frame(pixels, number, time, scale)
            else:
                whole = True
            reader.sum_up(whole)
            self.info = replace(self.info, duration=reader.lasts(self.info.duration, whole))
        finally:
            reader.close()

    def _describe(self, reader: _Reader) -> VideoInfo:
        height, width = _square_size(reader.first.frame, reader.aspect)
        if reader.turns[0]:
            height, width = width, height
        told = reader.declared
        begins = reader.first.time
        return VideoInfo(
            self._path, height, width, told.frames, told.end, told.rate, "pyav", begins
        )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:  # a second read meets the same damage
            self.warnings.append(text)


class _Reader:
    """One pass over one open file."""

    def __init__(self, path: str, threads: int, warn: Callable[[str], None], pixels: int) -> None:
        self._path, self._warn, self._most = path, warn, pixels
        self._container, self._stream = open_container(path, pixels)
        try:
            self._to_rgb = _to_rgb()
            set_threads(self._stream, threads)
            self.aspect, self.container = pixel_aspect(self._stream), self._container.format.name
            refuse_large(path, *_square_size(self._stream.codec_context, self.aspect), pixels)
            self.declared = declared_of(self._container, self._stream)
            if others := unread_streams(self._container, self._stream):
                warn(others)
            self._clock = clock_of(self._container, self.declared)
            self._given, self._lost, self._corrupt, self._torn = 0, 0, 0, 0
            self._end = 0  # bytes, of what was read
            self._lost_at, self._corrupt_at, self._torn_at = 0.0, 0.0, 0.0  # s, of the first
            self._first_error, self._last = "", -1
            self._sorted: I64 | None = None
            self._shown = self._numbered()
            first = next(self._shown, None)
            if first is None:
                raise VideoError(path, self._why_nothing())
            self.first = first
            # asked once: a frame whose side data was looked at is in a reference cycle and
            # keeps its memory until the garbage is collected
            self._rotation, self.turns = first.frame.rotation, orientation(first.frame)
        except BaseException:
            self.close()
            raise

    @property
    def origin(self) -> float:
        return self._clock.origin

    def __iter__(self) -> Iterator[TimedFrame]:
        return chain([self.first], self._shown)

    def close(self) -> None:
        self._container.close()

    def from_key(
        self, key: int, shown: I64, few: Collection[int] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Yield each frame with its number, from the key frame of this time stamp on.

        shown: the stamps of all frames, ascending
        few: stamps of the frames that are wanted; others may be left out, and are not yielded
        Raises VideoError where one is damaged or missing.
        """
        number = int(np.searchsorted(shown, key))
        try:
            self._container.seek(key, stream=self._stream)
            for frame in self._those(few):
                if few is not None:  # the next that is wanted, whatever was left out before it
                    number = next((n for n in range(number, len(shown)) if shown[n] in few), number)
                if frame.is_corrupt or frame.pts != shown[number]:
                    raise VideoError(self._path, f"damaged before stamp {shown[number]}")
                yield number, frame
                number += 1
        except read_errors() as error:
            raise VideoError(self._path, f"damaged behind stamp {key} ({error})") from error
        if number < len(shown):
            raise VideoError(self._path, f"damaged before stamp {shown[number]}")

    def _those(self, few: Collection[int] | None) -> Iterator[Any]:
        """Yield all frames from here on, or the wanted and whatever is damaged.

        What other frames need is decoded too. Which those are the decoder tells (NONREF).
        """
        if few is None:
            yield from self._container.decode(self._stream)
            return
        context = self._stream.codec_context
        for packet in self._container.demux(self._stream):
            context.skip_frame = "DEFAULT" if packet.pts in few else "NONREF"
            for frame in self._stream.decode(packet):
                if frame.is_corrupt or frame.pts in few:
                    yield frame

    def upright(self, frame: Any, max_side: int | None) -> tuple[U8, float]:
        """Return a frame as RGB (H, W, 3) with square pixels, and its scale.

        Bilinear, which without a change of size gives the very pixels that decord gives.
        """
        size = _square_size(frame, self.aspect)
        refuse_large(self._path, *size, self._most)  # it may change from frame to frame
        height, width, scale = scaled_size(*size, max_side)
        pixels = self._pixels(frame, width, height)
        if frame.rotation != self._rotation:
            self._rotation, self.turns = frame.rotation, orientation(frame)
        swap, flip_x, flip_y, _ = self.turns
        if swap:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1], scale

    def _pixels(self, frame: Any, width: int, height: int) -> U8:
        transfer = _transfer(frame)
        if transfer not in hdr.TRANSFER_NAMES:
            pixels: U8 = self._to_rgb(frame, width, height, "rgb24").to_ndarray()
            return pixels
        self._warn(hdr.warning(transfer))
        deep = self._to_rgb(frame, width, height, "rgb48le").to_ndarray()
        return hdr.to_standard(deep, transfer)

    def sum_up(self, whole: bool) -> None:
        """Warn of the damage that was met and, after the whole clip, of what is missing."""
        if self._lost:
            self._warn(f"damaged: {_count(self._lost, 'packet')} lost from {self._lost_at:.2f} s")
        if self._corrupt:
            self._warn(
                f"damaged: {_count(self._corrupt, 'frame')} marked as corrupt "
                f"from {self._corrupt_at:.2f} s"
            )
        torn = self._torn - self._clock.joined  # where recordings join, packets miscount once
        if torn > 0:
            self._warn(
                f"damaged: {_count(torn, 'packet')} marked as corrupt from {self._torn_at:.2f} s"
            )
        for text in self._clock.notes:
            self._warn(text)
        if whole:
            self._miss()
            if more := unread_recording(self._path, self.container, self._end):
                self._warn(more)
            if lost := cut_off(self._path, self.container):
                self._warn(lost)

    def lasts(self, declared: float | None, whole: bool) -> float | None:
        """Return the time at which the picture ends: as declared, but not before the last frame.

        Where clocks were joined a declared time is nonsense, so the end is known once it is read.
        """
        last, step = self._clock.last, self._clock.step
        if self._clock.joined or declared is None:
            return last + step if whole else None
        return last + step if declared < last + SLACK else declared

    def _miss(self) -> None:
        told, step, last = self.declared, self._step, self._clock.last
        if told.frames is not None:
            # an edit list may hide some of the frames, and shortens the duration
            expected = round(min(told.frames, (told.length or math.inf) / step))
            if expected - self._given > max(2, 0.02 * expected):
                self._warn(
                    f"gives {self._given} of about {expected} declared frames, up to {last:.2f} s"
                )
        elif told.end and not self._clock.joined and told.end - last > max(NEAR, 2 * step):
            self._warn(f"the picture ends at {last:.2f} s of the declared {told.end:.2f} s")

    @property
    def _step(self) -> float:
        """How far frames lie apart in s, as far as is declared."""
        return 1 / (self.declared.rate or 25.0)

    def _numbered(self) -> Iterator[TimedFrame]:
        for frame in self._decoded():
            number, time = self._number(frame), self._clock(frame)
            self._given, self._last = self._given + 1, number
            if frame.is_corrupt:
                self._corrupt += 1
                self._corrupt_at = self._corrupt_at if self._corrupt > 1 else time
            yield TimedFrame(frame, number, time)

    def _number(self, frame: Any) -> int:
        """Return the number of a frame; behind damage, from its place among all time stamps."""
        if not self._lost:
            return self._given
        if self._sorted is None:
            known = os.path.isfile(self._path)  # a pipe cannot be read twice
            stamps = read_packets(self._path, self._most).stamps if known else np.zeros(0, np.int64)
            self._sorted = np.sort(stamps[stamps >= 0])
        if frame.pts is None or frame.pts not in self._sorted:
            return self._last + 1
        return max(self._last + 1, int(np.searchsorted(self._sorted, frame.pts)))

    def _decoded(self) -> Iterator[Any]:
        """Yield frames, going on behind damage where the decoder can."""
        packets, failures = self._container.demux(self._stream), 0
        while failures < MAX_FAILURES:
            try:
                packet = next(packets)
                failures = 0
                self._end = (packet.pos or 0) + packet.size if packet.size else self._end
            except StopIteration:
                return
            except read_errors() as error:
                failures += 1
                self._note(error, 0)
                packets = self._container.demux(self._stream)  # the generator died of the error
                continue
            lost = self._lost
            yield from self._decode(packet)
            if packet.size and packet.is_corrupt and self._lost == lost:
                self._torn += 1
                self._torn_at = self._torn_at if self._torn > 1 else self._clock.last
        yield from self._decode(None)  # what the decoder still holds

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return list(self._stream.decode(packet))
        except read_errors() as error:
            self._note(error, 1 if packet and packet.size else 0)
            return []

    def _note(self, error: Exception, lost: int) -> None:
        if not self._first_error:
            self._first_error = str(getattr(error, "strerror", None) or error)
            self._lost_at = self._clock.last
        self._lost += lost

    def _why_nothing(self) -> str:
        if "enc_key_id" in self._stream.metadata or self._stream.codec_tag == "encv":
            return "encrypted; decrypt it first"
        if self._first_error and not self._stream.codec_context.width:
            return (
                f"no frame can be decoded ({self._first_error}): damaged, or of more than "
                f"{self._most / 1e6:.0f} million pixels, which megapixels= allows"
            )
        if self._first_error:
            return f"no frame can be decoded ({self._first_error}); copy or download it again"
        return "its video stream holds no frame"


def _transfer(frame: Any) -> int:
    """Return the transfer characteristic in ITU-T H.273; PyAV before 16 tells none."""
    return int(getattr(frame, "color_trc", None) or 0)


def _square_size(frame: Any, aspect: float) -> tuple[int, int]:
    """Return height and width as stored but with square pixels: the shorter way is widened."""
    height, width = frame.height, frame.width
    return round(height / min(aspect, 1.0)), round(width * max(aspect, 1.0))


def _count(number: int, what: str) -> str:
    return f"{number} {what} is" if number == 1 else f"{number} {what}s are"


def _to_rgb() -> Callable[[Any, int, int, str], Any]:
    """Return what makes a frame RGB at a width and a height; one a reader, not one a frame."""
    from av.video.reformatter import VideoReformatter

    one = {"threads": 1} if major_version() >= 18 else {}  # else as many as there are cores
    reformat: Any = VideoReformatter().reformat
    return partial(reformat, **one)
