"""The decoder that fits: PyAV, or decord where so few frames are wanted that seeking pays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from videmo.data import FrameBatch
from videmo.decode import Decoder, Sampling
from videmo.decode.pyav import PyAV
from videmo.errors import MissingDependency, VideoError

APART = 2.0  # s between frames, from which seeking is quicker than decoding all
AHEAD = 10  # how many times longer than the wanted part what lies before it must be


class Auto(Decoder):
    """Reads with PyAV, and with decord where it is the quicker one and numbers frames truly.

    Processor time of decord over that of PyAV, two threads: for every frame 1.0 to 1.8 (and up
    to 1.8 times the memory), for every fifth 1.1 to 1.5, for every sixtieth or hundredth 0.35 to
    0.6 at 1080p and 0.8 to 1.1 on small clips.
    Where decord refuses a file or breaks off, PyAV goes on with the next frame.
    `info.decoder` says who read the clip, after it was read.
    """

    def __init__(self, path: str, *, batch_bytes: int = 64 << 20, threads: int = 2) -> None:
        self._path, self._bytes, self._threads = path, batch_bytes, threads
        self._pyav = PyAV(path, batch_bytes=batch_bytes, threads=threads)
        self.info, self.warnings = self._pyav.info, self._pyav.warnings

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        last = -1
        if _seeking_pays(sampling, self.info.duration, self.info.rate):
            for frames in self._by_decord(sampling):
                last = int(frames.index[-1])
                yield frames
            if self.info.decoder == "decord":
                return
        for frames in self._pyav.read(sampling):
            if left := _after(frames, last):
                yield left

    def close(self) -> None:
        self._pyav.close()

    def _by_decord(self, sampling: Sampling) -> Iterator[FrameBatch]:
        """Yield what decord reads; `info.decoder` is decord only if that is everything."""
        from videmo.decode.decord import Decord

        self.info = replace(self.info, decoder="pyav")
        try:
            with Decord(self._path, batch_bytes=self._bytes, threads=self._threads) as decord:
                yield from decord.read(sampling)
                self.info = replace(self.info, decoder="decord")
        except (VideoError, MissingDependency):
            return  # PyAV reads it, and says what is wrong with it


def _after(frames: FrameBatch, last: int) -> FrameBatch | None:
    """Return the frames whose number is above `last`, or None where there is none."""
    keep = frames.index > last
    if keep.all():
        return frames
    if not keep.any():
        return None
    return FrameBatch(frames.pixels[keep], frames.index[keep], frames.time[keep], frames.scale)


def _seeking_pays(sampling: Sampling, duration: float | None, rate: float | None) -> bool:
    """Return whether so little of a clip is wanted that decoding all of it is the slower way."""
    if not duration or not rate:
        return False
    start = sampling.start or 0.0
    wanted = max(0.0, min(duration, sampling.end or duration) - start)
    apart = 1 / sampling.fps if sampling.fps else sampling.every / rate
    return apart >= APART or start > AHEAD * max(wanted, 1.0)
