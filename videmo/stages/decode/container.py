"""Files as PyAV opens them: their video stream, what they declare of it, and its packets."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from videmo.data import I64, Array
from videmo.errors import VideoError
from videmo.files.extras import missing_dependency
from videmo.stages.decode.clock import Clock
from videmo.stages.decode.formats import ffmpeg_options
from videmo.stages.decode.probe import check_readable, why_unreadable

LATER = 32  # kinds of side data that an FFmpeg may have beyond those that PyAV knows


class Packets(NamedTuple):
    """The packets of a video stream in stored order."""

    stamps: I64  # (N,) time stamps; negative where one is missing, or its frame is not shown
    keys: Array  # (N,) whether it is a key frame's
    sound: bool  # whether all could be read, and none is marked as corrupt


def misnumbered(container: str, packets: Packets) -> str | None:
    """Return why the packets of a file do not tell the number of the frame behind a key frame."""
    stamps, keys = packets.stamps, packets.keys
    if not ("mp4" in container or "matroska" in container):
        return "seeks truly in MP4 and Matroska files only"
    if not len(stamps) or (stamps < 0).any() or len(np.unique(stamps)) < len(stamps):
        return "misreads its edit list or time stamps"
    # A key frame's place in the file is its number if all that is stored before it is shown
    # before it, and all that is stored behind it is shown behind it.
    place = np.argsort(np.argsort(stamps))
    first_behind = np.minimum.accumulate(place[::-1])[::-1]
    whole = keys[0] and (place == np.arange(len(place)))[keys].all()
    if not whole or (first_behind < place)[keys].any():
        return "misnumbers frames where groups of pictures overlap (open GOP)"
    return None


def read_packets(path: str, pixels: int) -> Packets:
    """Return what the packets of a file tell, in stored order."""
    stamps, keys, sound = array("q"), array("b"), False
    container, stream = open_container(path, pixels)
    with container, suppress(*read_errors()):  # up to where the file can be read
        corrupt = False
        for packet in container.demux(stream):
            if packet.size:
                absent = packet.pts is None or packet.is_discard
                stamps.append(-1 if absent else packet.pts)
                keys.append(packet.is_keyframe)
                corrupt |= packet.is_corrupt
        sound = not corrupt
    return Packets(np.array(stamps, np.int64), np.array(keys, bool), sound)


def read_errors() -> tuple[type[Exception], ...]:
    """Return what PyAV raises on a file that is damaged."""
    from av.error import FFmpegError

    return FFmpegError, OSError


def open_container(path: str, pixels: int) -> tuple[Any, Any]:
    """Return the container and its best video stream, whose decoder takes frames of so many px."""
    check_readable(path)
    told = ffmpeg_options(pixels)
    try:
        import av
    except ImportError as error:
        raise missing_dependency("av") from error
    # tags that are not UTF-8 must not matter; from 19 on they never do
    tags: dict[str, Any] = {"metadata_errors": "replace"} if major_version() < 19 else {}
    try:
        # absolute, or FFmpeg takes what stands before a colon for a protocol
        container = av.open(os.path.abspath(path), options=told, **tags)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(path, why_unreadable(path)) from error
    try:
        stream = _video_stream(container, path)
        stream.codec_context.options = {"max_pixels": told["max_pixels"]}
        return container, stream
    except BaseException:
        container.close()
        raise


def _video_stream(container: Any, path: str) -> Any:
    streams = _pictures(container)
    best = container.streams.best("video")
    if not streams:
        raise VideoError(path, "no video stream; it holds sound or other data only")
    stream = best if best in streams else streams[0]
    if _is_tile(stream, streams):
        raise VideoError(
            path, "a photograph in tiles, of which one alone would be read; save it as JPEG"
        )
    if stream.codec_context is None:
        raise VideoError(path, "its video codec is unknown here; convert it to H.264")
    return stream


def _pictures(container: Any) -> list[Any]:
    return [stream for stream in container.streams.video if not _is_cover(stream)]


def unread_streams(container: Any, stream: Any) -> str | None:
    """Return what is to be told of other pictures in a file, as of a second camera or channel."""
    from av.stream import Disposition

    whole = [one for one in _pictures(container) if not one.disposition & Disposition.dependent]
    if len(whole) < 2 or stream not in whole:
        return None
    which = f"number {whole.index(stream) + 1} ({stream.width} x {stream.height} px)"
    return f"holds {len(whole)} video streams, of which {which} alone is looked at"


def _is_tile(stream: Any, streams: Sequence[Any]) -> bool:
    """Return whether a stream is one tile of a HEIC, as phones write it.

    FFmpeg tells how they lie, PyAV does not. An image and its alpha plane are two that depend on
    others; tiles are more.
    """
    from av.stream import Disposition

    tiles = [
        other for other in streams
        if other.disposition & Disposition.dependent
        and (other.width, other.height) == (stream.width, stream.height)
    ]  # fmt: skip
    return stream in tiles and len(tiles) > 2


def _is_cover(stream: Any) -> bool:
    """Return whether a stream is a picture that belongs to the file, such as an album cover."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def set_threads(stream: Any, threads: int) -> None:
    """Decode with so many threads."""
    stream.codec_context.thread_count = max(1, threads)
    stream.codec_context.thread_type = "AUTO" if threads > 1 else "NONE"


def major_version() -> int:
    """Return the major version of PyAV."""
    import av

    return int(av.__version__.partition(".")[0])


def pixel_aspect(stream: Any) -> float:
    """Return the width of a stored pixel over its height; 1 where it is unknown or nonsense."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.1 <= aspect <= 10 else 1.0


class Declared(NamedTuple):
    """What a file says of its picture; None where it does not say, or talks nonsense."""

    frames: int | None
    length: float | None  # s
    end: float | None  # s
    rate: float | None  # frames/s, mean


def declared_of(container: Any, stream: Any) -> Declared:
    """Return what a file says of its picture."""
    origin, begin = _seconds(container.start_time), 0.0
    if stream.duration and stream.time_base:
        length = stream.duration * float(stream.time_base)
        if stream.start_time is not None:
            begin = stream.start_time * float(stream.time_base) - origin
    else:
        length = _seconds(container.duration)
        if "matroska" in container.format.name:  # which says when it ends
            length -= max(0.0, origin)
    sane = 0 < length < 1e7 and math.isfinite(length)
    rates = [float(r) for r in (stream.average_rate, stream.guessed_rate) if r]
    rate = next((r for r in rates if 0 < r < 1000), None)
    counts = container.format.name != "avi"  # there it is the length in ticks
    frames = stream.frames if counts and 0 < stream.frames < 1e8 else None
    if frames and sane and rate and not 0.5 < frames / (length * rate) < 2:
        frames = None
    end = max(0.0, begin) + length if sane and begin < 1e7 else None
    return Declared(frames, length if sane else None, end, rate)


def _seconds(ticks: int | None) -> float:
    return (ticks or 0) / 1_000_000  # FFmpeg's AV_TIME_BASE


def clock_of(container: Any, declared: Declared) -> Clock:
    """Return what makes times of the stamps of a file."""
    from av.format import Flags

    leaps = bool(container.format.flags & Flags.ts_discont.value)
    step = 1 / (declared.rate or 25.0)
    counted = declared.frames is not None
    return Clock(_seconds(container.start_time), step, leaps=leaps, counted=counted)


def orientation(frame: Any) -> tuple[bool, bool, bool, bool]:
    """Return whether to swap x and y, then to flip x, then y; and whether that is a mirror.

    Read from FFmpeg's display matrix (libavutil/display.h): x' = a x + c y, y' = b x + d y.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        matrix = _named(frame).side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    swap = abs(a) + abs(d) < abs(b) + abs(c)
    along_x, along_y = (c, b) if swap else (a, d)
    return swap, along_x < 0, along_y < 0, swap != ((along_x < 0) != (along_y < 0))


def _named(frame: Any) -> Any:
    """Return a frame without the side data that PyAV has no name for, or it lists none at all.

    So it is with the EXIF of Motion-JPEG and HEIC, which FFmpeg keeps from version 8 on.
    """
    from av.filter import Graph
    from av.sidedata.sidedata import Type

    kinds: Any = Type
    graph, unnamed = Graph(), 1 + max(kind.value for kind in kinds)
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    filters = [
        graph.add("sidedata", f"mode=delete:type={number}")
        for number in range(unnamed, unnamed + LATER)
    ]
    graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()
