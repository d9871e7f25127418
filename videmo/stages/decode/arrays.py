"""Frames that are in memory already, as a clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from videmo.data import F64, U8, Array, FrameBatch, VideoInfo
from videmo.errors import InputError
from videmo.stages.decode import Decoder, Frame, Sampling, batches, sampled_indices, scaled_size
from videmo.stages.decode.formats import MAX_PIXELS, refuse_large
from videmo.stages.image import resize


@dataclass(frozen=True, eq=False, repr=False)
class Frames:
    """Frames in memory, which a pipeline reads as it reads a file.

    pixels: (N, H, W, 3) uint8 RGB; (N, H, W) is grey, (H, W, 3) one picture
    time: (N,) s, ascending; None: `rate` frames/s from 0
    """

    pixels: U8
    time: F64 | None = None
    rate: float = 25.0
    name: str = field(default="frames in memory")

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels)
        pixels = pixels[None] if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
        pixels = np.repeat(pixels[..., None], 3, -1) if pixels.ndim == 3 else pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise ValueError(
                f"frames are {pixels.dtype} {pixels.shape}, expected uint8 (N, H, W, 3), RGB"
            )
        if not len(pixels):
            raise InputError("frames in memory: there is none; give one or more")
        object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "time", self._times(len(pixels)))

    def _times(self, count: int) -> F64:
        if self.time is None:
            return np.arange(count) / self.rate
        time: F64 = np.asarray(self.time, np.float64)
        if time.shape != (count,):
            raise ValueError(f"times are {time.shape}, expected ({count},), one for each frame")
        if not np.isfinite(time).all() or (np.diff(time) < 0).any():
            raise InputError("times are no seconds that ascend; sort the frames by their times")
        return time

    def __str__(self) -> str:
        return self.name

    def __fspath__(self) -> str:
        return self.name


class FrameReader(Decoder):
    """Reads frames in memory."""

    def __init__(self, frames: Frames, *, batch_bytes: int, pixels: int = MAX_PIXELS) -> None:
        count, height, width = frames.pixels.shape[:3]
        refuse_large(str(frames), height, width, pixels)
        self._frames, self._bytes, self.warnings = frames, batch_bytes, []
        self._time: Array = np.asarray(frames.time)
        first, last = (self._time[[0, -1]].tolist()) if count else (0.0, 0.0)
        shown = (last - first) / (count - 1) if count > 1 else 1 / frames.rate
        rate = 1 / shown if shown else frames.rate
        self.info = VideoInfo(
            str(frames), height, width, count, last + shown, rate, "memory", first
        )

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        return batches(self._taken(sampling), self._bytes)

    def close(self) -> None:
        pass

    def _taken(self, sampling: Sampling) -> Iterator[Frame]:
        for index in sampled_indices(self._time, sampling).tolist():
            pixels = self._frames.pixels[index]
            height, width, scale = scaled_size(pixels.shape[0], pixels.shape[1], sampling.max_side)
            if scale < 1:
                pixels = resize(pixels, height, width)
            yield Frame(pixels, index, float(self._time[index]), scale)
