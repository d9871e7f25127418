"""The way that fits: one pass of PyAV, or by way of key frames where few frames are wanted."""

from __future__ import annotations

from collections.abc import Iterator

from videmo.data import FrameBatch
from videmo.errors import VideoError
from videmo.stages.decode import Decoder, Sampling, batches
from videmo.stages.decode.pyav import PyAV

APART = 2.0  # s between frames, from which seeking is quicker than decoding all
AHEAD = 10  # how many times longer than the wanted part what lies before it must be


class Auto(Decoder):
    """Reads with PyAV, by way of the key frames where that is the quicker one and sure.

    Where a file is not made for seeking, or is damaged, one pass goes on with the next frame. The
    same file is read the same way each time, which decord's threads do not grant: whether the
    frames before some damage come before its error is chance there.
    """

    def __init__(self, path: str, *, batch_bytes: int = 64 << 20, threads: int = 2) -> None:
        self._bytes = batch_bytes
        self._pyav = PyAV(path, batch_bytes=batch_bytes, threads=threads)
        self.info, self.warnings = self._pyav.info, self._pyav.warnings

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        last = -1
        if _seeking_pays(sampling, self.info.duration, self.info.rate):
            try:
                for frames in batches(self._pyav.sought(sampling), self._bytes):
                    last = int(frames.index[-1])
                    yield frames
                return
            except VideoError:
                pass  # one pass reads it, and says what is wrong with it
        for frames in self._pyav.read(sampling):
            if left := _after(frames, last):
                yield left

    def close(self) -> None:
        self._pyav.close()


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
