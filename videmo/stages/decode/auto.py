"""The way that fits: one pass of PyAV, or from a key frame on to a part that lies far in."""

from __future__ import annotations

from collections.abc import Iterator

from videmo.data import FrameBatch
from videmo.errors import VideoError
from videmo.stages.decode import Decoder, Sampling, Thinned, batches
from videmo.stages.decode.formats import MAX_PIXELS
from videmo.stages.decode.pyav import PyAV

AHEAD = 10  # how many times longer than the wanted part what lies before it must be


class Auto(Decoder):
    """Reads with PyAV, from the key frame before the wanted part where that is far in and sure.

    Where a file is not made for seeking, or is damaged, one pass goes on with the next frame. All
    frames of the part are decoded, few as may be wanted: what is between them may be damaged, and
    that is to be told. Only where it is left to us which frames are looked at (`Thinned`), those
    between them that no other needs are left alone.
    """

    def __init__(
        self, path: str, *, batch_bytes: int = 64 << 20, threads: int = 2, pixels: int = MAX_PIXELS
    ) -> None:
        self._bytes = batch_bytes
        self._pyav = PyAV(path, batch_bytes=batch_bytes, threads=threads, pixels=pixels)
        self.info, self.warnings = self._pyav.info, self._pyav.warnings

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        last = -1
        if isinstance(sampling, Thinned) or _is_far(sampling, self.info.duration):
            try:
                for frames in batches(self._pyav.read_by_seeking(sampling), self._bytes):
                    last = int(frames.index[-1])
                    yield frames
                return
            except VideoError:
                pass  # one pass reads it, and says what is wrong with it
        for frames in self._pyav.read(sampling):
            if left := _after(frames, last):
                yield left
        self.info = self._pyav.info  # now it knows when the picture ends

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


def _is_far(sampling: Sampling, duration: float | None) -> bool:
    """Return whether most of what would be decoded lies before what is wanted."""
    if not sampling.start or not duration:
        return False
    wanted = max(0.0, min(duration, sampling.end or duration) - sampling.start)
    return sampling.start > AHEAD * max(wanted, 1.0)
