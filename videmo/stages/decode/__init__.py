"""A clip goes in; batches of upright RGB frames with their true times come out.

    with open_video("clip.mp4") as video:
        for frames in video.read(Sampling(fps=10)):
            ...                                     # a FrameBatch; video.warnings grows meanwhile

Time 0 is where the file starts, as players count: the earliest time of any of its streams. So
a picture that begins after the sound begins later than 0, and a broadcast recording whose clock
stands at 10 h begins at 0. `Sampling.start` and `Sampling.end` are in these times.

    which files are opened       formats; why one is not, in words: probe
    which stream of a file       container, and what the file declares of it
    what one pass warns of       pyav: damage, what is missing, where a file was cut or joined
    times, and clocks that jump  clock
    pictures, and folders of them   pictures, heic; ImageFolder here
"""

from __future__ import annotations

import math
import os
import queue
import re
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from videmo.data import COUNT, F64, I64, NOT_NEGATIVE, POSITIVE, U8, FrameBatch, VideoInfo
from videmo.errors import InputError, VideoError
from videmo.files.remote import is_url
from videmo.stages.decode.buffers import Buffers
from videmo.stages.decode.formats import MAX_PIXELS
from videmo.stages.image import resize
from videmo.stages.registry import resolve

DECODERS = {
    "auto": "videmo.stages.decode.auto:Auto",
    "pyav": "videmo.stages.decode.pyav:PyAV",
    "decord": "videmo.stages.decode.decord:Decord",
}
PICTURE_SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".webp", ".bmp", ".heic", ".heif", ".hif")
SLACK = 1e-3  # s; Matroska and FLV store whole milliseconds, so a frame may lie this far before
ROUNDING = 1e-6  # s; times are sums of floats

T = TypeVar("T")
D = TypeVar("D", bound="Decoder")


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are looked at, and how large."""

    fps: float | None = None  # frames taken per second of presentation time; None: see `every`
    every: int = 1  # take every so many frames, from the first at or after `start` (without fps)
    start: float | None = None  # s, the first time taken; None: from the first frame
    end: float | None = None  # s, exclusive; None: to the last frame
    max_side: int | None = None  # px, the longer side is shrunk to this; None: as it is
    frame_rate: float = 25.0  # pictures/s of a folder of them

    def __post_init__(self) -> None:
        POSITIVE.check_given("fps", self.fps)
        COUNT.check("every", self.every)
        COUNT.check_given("max_side", self.max_side)
        POSITIVE.check("frame_rate", self.frame_rate)
        NOT_NEGATIVE.check_given("start", self.start)
        POSITIVE.check_given("end", self.end)
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise InputError(f"end ({self.end} s) is not after start ({self.start} s)")


@dataclass
class Tally:
    """How many frames a Sampling takes of a clip, as the latest pass over it has counted them."""

    frames: int = 0


@dataclass(frozen=True)
class Thinned(Sampling):
    """Of the frames that a Sampling takes, some: spread as evenly, and counted in its `tally`."""

    stride: int = 1  # each so many-th of them, from the first
    but: int | None = None  # ... without each so many-th of them, which were looked at before
    tally: Tally = field(default_factory=Tally, compare=False)  # of all of them

    def keeps(self, number: int) -> bool:
        """Return whether the frame of this number, among those that the Sampling takes, is one."""
        before = self.but is not None and number % self.but == 0
        return number % self.stride == 0 and not before


class Decoder(Protocol):
    """What reads one clip; `read` may be called more than once, each time from the start."""

    info: VideoInfo
    warnings: list[str]  # grows while reading: damage, truncation, times that had to be made up

    def __init__(self, path: str, *, batch_bytes: int, threads: int, pixels: int) -> None: ...

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        """Yield the sampled frames in order, each batch of one size and about `batch_bytes`."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...

    def __enter__(self: D) -> D:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_video(
    path: str | os.PathLike[str],
    decoder: str = "auto",
    batch_bytes: int = 64 << 20,
    threads: int = 2,
    pixels: int = MAX_PIXELS,
    scratch: str | None = None,
    frame_rate: float = 25.0,
) -> Decoder:
    """Open a video file, a picture, either of them at a URL, or a folder of pictures in order.

    path: may also be `Frames`, which are in memory

    decoder: a name in DECODERS; pictures are always read by ImageFolder, several of one file by
        Animation
    batch_bytes: about how large the pixels of one batch may be; at least one frame
    threads: decoding threads
    pixels: of a frame, that are read; a larger one is an error before it is decoded
    scratch: the folder for a copy of what lies at a URL; None is the one for temporary files
    frame_rate: pictures/s of a folder

    Raises VideoError where nothing can be decoded, UnknownName for an unknown decoder.
    """
    make = resolve("decoder", DECODERS, decoder)
    if not isinstance(path, (str, Path)):
        from videmo.stages.decode.arrays import FrameReader, Frames

        if isinstance(path, Frames):
            return FrameReader(path, batch_bytes=batch_bytes, pixels=pixels)
    path = os.fsdecode(path)
    if is_url(path):
        from videmo.stages.decode.remote import RemoteVideo

        def local(copy: str) -> Decoder:
            return open_video(copy, decoder, batch_bytes, threads, pixels)

        return RemoteVideo(path, local, scratch)
    if os.path.isdir(path):
        return ImageFolder(path, batch_bytes=batch_bytes, pixels=pixels, rate=frame_rate)
    if _is_picture(path):
        from videmo.stages.decode.pictures import Animation, is_animated

        make = Animation if is_animated(path) else ImageFolder
    video: Decoder = make(path, batch_bytes=batch_bytes, threads=threads, pixels=pixels)
    return video


def can_read_again(path: str | os.PathLike[str]) -> bool:
    """Return whether a source may be read twice; a pipe may not."""
    if not isinstance(path, (str, Path)):
        from videmo.stages.decode.arrays import Frames

        if isinstance(path, Frames):
            return True
    path = os.fsdecode(path)
    return os.path.isfile(path) or os.path.isdir(path) or is_url(path)


def _is_picture(path: str) -> bool:
    """Return whether a file is one by its name or its first bytes.

    FFmpeg reads no animated WebP, and of a HEIC one tile.
    """
    if path.lower().endswith(PICTURE_SUFFIXES):
        return True
    head = first_bytes(path)
    return (head[:4] == b"RIFF" and head[8:] == b"WEBP") or is_heic(head)


def is_heic(head: bytes) -> bool:
    """Return whether a file that begins so is a HEIC: one image, no sequence (ISO/IEC 23008-12)."""
    return head[4:8] == b"ftyp" and head[8:] in (b"heic", b"heix", b"heim", b"heis", b"mif1")


def first_bytes(path: str) -> bytes:
    """Return the first 12 bytes of a file, or none where it cannot be read."""
    if not os.path.isfile(path):
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(12)
    except OSError:
        return b""


def import_decoder() -> None:
    """Import what decodes, beside other work: it takes 0.1 s. Who opens a clip hears what fails."""
    with suppress(Exception):
        import_module("av")


class Sampler:
    """Says of each frame in turn whether a Sampling takes it.

    With `fps` it takes the first frame at or after each tick, each frame at most once. Ticks
    are times, not frame numbers, so that a variable frame rate is sampled evenly; they count
    from `start`, or else from the first frame. `every` counts from the first frame at or after
    `start`, or else from frame 0.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._origin = sampling.start
        self._first = 0 if sampling.start is None else -1  # number that `every` counts from
        self._slack = min(SLACK, 0.1 / sampling.fps) if sampling.fps else 0.0
        self._tick = 0  # the next one
        self._thinned = sampling if isinstance(sampling, Thinned) else None
        self._taken = 0

    def __call__(self, index: int, time: float) -> bool:
        taken = self._takes(index, time)
        if self._thinned is None or not taken:
            return taken
        number, self._taken = self._taken, self._taken + 1
        self._thinned.tally.frames = self._taken
        return self._thinned.keeps(number)

    def _takes(self, index: int, time: float) -> bool:
        """Return whether the options take it, before they are thinned out."""
        s = self._sampling
        if (s.start is not None and time < s.start - ROUNDING) or self.past(time):
            return False
        if s.fps is None:
            self._first = index if self._first < 0 else self._first
            return (index - self._first) % s.every == 0
        if self._origin is None:
            self._origin = time
        passed = int((time - self._origin + self._slack) * s.fps)
        taken = passed >= self._tick
        if taken:
            self._tick = passed + 1
        return taken

    def past(self, time: float) -> bool:
        """Return whether this time and all later ones are not wanted."""
        return self._sampling.end is not None and time >= self._sampling.end - ROUNDING


def sampled_indices(time: F64, sampling: Sampling) -> I64:
    """Return the numbers of the frames that are taken, of a clip with these times.

    time: (N,) s, ascending
    """
    pick = Sampler(sampling)
    return np.array([i for i, t in enumerate(time.tolist()) if pick(i, t)], np.int64)


def expected_frames(info: VideoInfo, sampling: Sampling) -> float:
    """Return about how many frames are taken, as far as the clip says; infinite where it is mute.

    It is the file that says it, so that the same file is read in the same way everywhere.
    """
    rate, frames = info.rate or 0.0, float(info.frames or 0)
    length = info.duration or (frames / rate if rate else 0.0)
    if not length:
        return frames / sampling.every if frames and sampling.fps is None else math.inf
    first = max(info.begins, sampling.start or 0.0)
    span = max(0.0, min(length, sampling.end or length) - first)
    if sampling.fps:
        return span * min(sampling.fps, rate or math.inf)
    shown = length - info.begins
    frames = frames or shown * rate
    return frames * span / shown / sampling.every if frames > 0 and shown > 0 else math.inf


class Frame(NamedTuple):
    """One decoded frame."""

    pixels: U8  # (H, W, 3)
    number: int  # in the source, from 0
    time: float  # s
    scale: float  # px here per px of the source


def batches(frames: Iterable[Frame], batch_bytes: int) -> Iterator[FrameBatch]:
    """Group frames into batches of one size, each of at most `batch_bytes` or one frame.

    A frame that is a batch by itself is not copied: those of 4K have 25 MB each.
    """
    buffers, rows = Buffers(), list[tuple[int, float, float]]()
    room = buffers.take(0, 0, 0)
    for frame in frames:
        if rows and (frame.pixels.shape != room.shape[1:] or frame.scale != rows[0][2]):
            yield _stack(room, rows)
            rows = []
        if not rows:
            count = max(1, batch_bytes // max(1, frame.pixels.nbytes))
            if count == 1:
                yield _stack(np.ascontiguousarray(frame.pixels)[None], [frame[1:]])
                del frame  # or it lives on while the next one is made
                continue
            height, width = frame.pixels.shape[:2]
            room = buffers.take(count, height, width)
        room[len(rows)] = frame.pixels
        rows.append((frame.number, frame.time, frame.scale))
        if len(rows) == len(room):
            yield _stack(room, rows)
            rows = []
    if rows:
        yield _stack(room, rows)


def _stack(room: U8, rows: list[tuple[int, float, float]]) -> FrameBatch:
    index, time, scale = zip(*rows, strict=True)
    return FrameBatch(room[: len(rows)], np.array(index, np.int64), np.array(time), scale[0])


def scaled_size(height: int, width: int, max_side: int | None) -> tuple[int, int, float]:
    """Return the height, width and scale at which the longer side is at most `max_side`.

    The shorter side is rounded down, so that a box inside the smaller frame lies inside the
    source once it is divided by the scale.
    """
    scale = min(1.0, max_side / max(height, width)) if max_side else 1.0
    high, wide = (max(1, int(side * scale + 1e-6)) for side in (height, width))
    return high, wide, scale


def prefetch(source: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """Yield the items of `source`, made up to `depth` ahead in a thread of its own.

    What the source raises is raised here, after the items before it. When this generator ends
    or is closed, in whatever way, the thread has ended and the source is closed; that waits
    for the one item that is being made.
    """
    done, slots = threading.Event(), threading.Semaphore(max(1, depth))
    items: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()  # (is an item, what)
    thread = threading.Thread(target=_produce, args=(source, items, slots, done), daemon=True)
    thread.start()
    try:
        while True:
            more, item = items.get()
            if not more:
                break
            slots.release()
            yield item
            del item  # or its pixels live on while the next ones are awaited
        if item is not None:
            raise item
    finally:
        done.set()
        slots.release()
        thread.join()


def _produce(
    source: Iterable[T],
    items: queue.SimpleQueue[tuple[bool, Any]],
    slots: threading.Semaphore,
    done: threading.Event,
) -> None:
    failure = None
    iterator = iter(source)
    try:
        slots.acquire()
        while not done.is_set():
            items.put((True, next(iterator)))
            slots.acquire()
    except StopIteration:
        pass
    except BaseException as error:  # the consumer's to handle, whatever it is
        failure = error
    finally:
        try:
            if close := getattr(iterator, "close", None):
                close()  # a generator must be closed in the thread that runs it
        except BaseException as error:
            failure = failure or error
        items.put((False, failure))


class ImageFolder(Decoder):
    """The simplest decoder: a folder of pictures, or one picture, each shown for 1 / `rate` s.

    Pictures are ordered as people order them (2 before 10) and turned upright by their EXIF tag.
    """

    def __init__(
        self, path: str, *, batch_bytes: int = 64 << 20, threads: int = 1, pixels: int = MAX_PIXELS,
        rate: float = 25.0,
    ) -> None:  # fmt: skip
        from videmo.stages.decode.pictures import read_still

        self.warnings: list[str] = []
        self.rate, self._still = rate, read_still  # pictures/s
        self._path, self._bytes, self._pixels = path, batch_bytes, pixels
        self._files = _pictures(path)
        while self._files:  # the first that can be read gives the size
            try:
                height, width = read_still(str(self._files[0]), pixels).pixels.shape[:2]
                break
            except VideoError as error:
                if len(self._files) == 1:
                    raise
                self.warnings.append(str(error))
                self._files.pop(0)
        count = len(self._files)
        names = tuple(file.name for file in self._files)
        self.info = VideoInfo(
            path, height, width, count, count / self.rate, self.rate, "images", names=names
        )

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        return batches(self._frames(sampling), self._bytes)

    def close(self) -> None:
        pass

    def _frames(self, sampling: Sampling) -> Iterator[Frame]:
        for index in sampled_indices(np.arange(len(self._files)) / self.rate, sampling).tolist():
            try:
                pixels, _, notes = self._still(str(self._files[index]), self._pixels)
            except VideoError as error:
                self.warnings.append(str(error))
                continue
            self.warnings += (f"{self._files[index].name}: {note}" for note in notes)
            height, width, scale = scaled_size(pixels.shape[0], pixels.shape[1], sampling.max_side)
            if scale < 1:
                pixels = resize(pixels, height, width)
            yield Frame(pixels, index, index / self.rate, scale)


def _pictures(path: str) -> list[Path]:
    """Return the pictures of a folder in natural order, or the one picture."""
    if not os.path.isdir(path):
        return [Path(path)]
    files = [p for p in Path(path).iterdir() if p.suffix.lower() in PICTURE_SUFFIXES]
    if not files:
        raise VideoError(path, "a folder without pictures; name the videos in it")
    return sorted(files, key=lambda file: (_natural(file.name), file.name))


def _natural(name: str) -> list[int | str]:
    """Return a key that sorts as people do: text at even places, numbers at odd ones."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]
