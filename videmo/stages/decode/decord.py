"""Video files through decord, frame by frame at random access."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from videmo.data import U8, FrameBatch
from videmo.errors import VideoError
from videmo.files.extras import missing_dependency
from videmo.stages.decode import Decoder, Frame, Sampling, batches, sampled_indices, scaled_size
from videmo.stages.decode.container import misnumbered
from videmo.stages.decode.formats import MAX_PIXELS
from videmo.stages.decode.pyav import PyAV

FAULT_TOLERANCE = (
    1e-9  # decord's fault_tol: fail at the first frame that it would replace by its neighbour
)


class Decord(Decoder):
    """Reads a video file with decord, seeking to the key frame before each frame it wants.

    decord alone gives wrong frames in silence where it misreads a file. So PyAV reads the header,
    the first frame and the time stamps (without decoding), and a file that decord would get
    wrong is refused with a VideoError that says why. So is a damaged one: decord decodes ahead
    in a thread of its own, and chance decides how many frames come before its error.
    """

    def __init__(
        self, path: str, *, batch_bytes: int = 64 << 20, threads: int = 2, pixels: int = MAX_PIXELS
    ) -> None:
        self.warnings: list[str] = []
        self._path, self._bytes, self._threads = path, batch_bytes, threads
        self._reader: Any
        with PyAV(path, threads=1, pixels=pixels) as header:
            self.info = replace(header.info, decoder="decord")
            if refused := _unsupported(header):
                raise VideoError(path, f"{refused}; use decoder=pyav")
            packets = header.packets()
            self.warnings += header.warnings
        if refused := misnumbered(header.container, packets):
            raise VideoError(path, f"decord {refused}; use decoder=pyav")
        self._time = header.seconds(np.sort(packets.stamps))
        self._open(None)
        if len(self._reader) != len(self._time) or abs(self._time[0] - self.info.begins) > 1e-6:
            raise VideoError(path, "decord counts its frames otherwise; use decoder=pyav")

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        for frames in batches(self._frames(sampling), self._bytes):
            self._rest()
            yield frames

    def close(self) -> None:
        self._reader = None

    def _open(self, max_side: int | None) -> float:
        """Open the file at the wanted size and return the scale; decord shrinks as it decodes."""
        height, width, scale = scaled_size(self.info.height, self.info.width, max_side)
        decord = _decord()
        with _translated_errors(self._path, "decord cannot open it; use decoder=pyav"):
            self._reader = decord.VideoReader(
                os.path.abspath(self._path),  # or a colon in it makes FFmpeg look for a protocol
                width=width,
                height=height,
                num_threads=self._threads,
                fault_tol=FAULT_TOLERANCE,
            )
        self._shape = (height, width, 3)
        return scale

    def _frames(self, sampling: Sampling) -> Iterator[Frame]:
        scale = self._open(sampling.max_side)
        for number in sampled_indices(self._time, sampling).tolist():
            yield Frame(self._frame(number), number, float(self._time[number]), scale)

    def _frame(self, number: int) -> U8:
        with _translated_errors(
            self._path, "damaged at frames that decord cannot read; use decoder=pyav"
        ):
            self._reader.seek_accurate(number)
            pixels: U8 = self._reader.next().asnumpy()
        if pixels.shape != self._shape:  # small frames come out as another memory layout
            raise VideoError(self._path, "decord garbles frames this small; use decoder=pyav")
        return pixels

    def _rest(self) -> None:
        # or its thread decodes on towards the end of the file while we think (dmlc/decord#157)
        with _translated_errors(self._path, "decord cannot rewind"):
            self._reader.seek(0)


def _unsupported(header: PyAV) -> str | None:
    """Return what decord would get wrong about a file, going by its header."""
    if not os.path.isfile(header.info.path):
        return "decord needs a file that it can seek in"
    if header.mirrored:
        return "decord does not mirror pictures"
    if header.turned and "mp4" not in header.container:
        return "decord turns pictures upright in MP4 files only"  # its FFmpeg is of 2018
    if header.deep:
        return "decord does not bring high dynamic range to a screen's"
    if header.info.duration is None:
        return "decord needs a declared duration"
    return None


def _decord() -> Any:
    try:
        import decord
    except ImportError as error:
        raise missing_dependency("decord") from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord


@contextmanager
def _translated_errors(path: str, reason: str) -> Iterator[None]:
    """Turn decord's bare errors, which name a line of C++, into a VideoError."""
    try:
        yield
    except (RuntimeError, AssertionError, IndexError, StopIteration) as error:
        raise VideoError(path, reason) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "decord":
            raise
        raise VideoError(path, reason) from error
