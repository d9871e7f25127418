"""Tiny clips whose every frame carries its number, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 12
HEIGHT, WIDTH = 96, 128  # px; decord garbles frames much narrower than this


def draw(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return a picture of a number: its bits as black or white columns, under a red left corner."""
    picture = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        picture[height // 3 :, edges[bit] : edges[bit + 1]] = 255 * (number >> bit & 1)
    picture[: height // 4, : width // 2] = (255, 0, 0)
    return picture


def number(picture: np.ndarray) -> int:
    """Return the number that a picture shows."""
    height, width = picture.shape[:2]
    edges = np.linspace(0, width, BITS + 1)
    middles = ((edges[1:] + edges[:-1]) / 2).astype(int)
    bits = picture[height * 2 // 3, middles].mean(-1) > 127
    return int(sum(1 << bit for bit in range(BITS) if bits[bit]))


def make(
    path: Path,
    frames: int = 30,
    *,
    ticks: Sequence[int] | None = None,  # presentation times in 1/600 s; None: `rate`
    rate: int = 25,
    gop: int = 12,
    open_gop: bool = False,  # whether frames may lean on the key frame behind them
    size: tuple[int, int] = (HEIGHT, WIDTH),
    turn: int = 0,  # degrees, counterclockwise, that a player has to turn it
    mirror: bool = False,  # whether a player has to mirror it
    aspect: Fraction | None = None,  # of a pixel
    sound: bool = False,  # whether a silent sound track starts at 0
) -> Path:
    """Write `frames` numbered frames as H.264 with B-frames, and return the path."""
    height, width = size
    ticks = ticks if ticks is not None else [i * 600 // rate for i in range(frames)]
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "bf": "2", "crf": "18"}
        options["x264-params"] = f"open-gop={int(open_gop)}:scenecut=0"
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.thread_count = gop, 1
        stream.codec_context.time_base = Fraction(1, 600)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turn or mirror:
            stream.set_display_rotation(turn, hflip=mirror)
        if sound:
            _silence(container, container.add_stream("aac", rate=8000))
        for i, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(draw(i, height, width), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damage(whole: Path, path: Path, size: int = 600) -> Path:
    """Write a copy of an MP4 file in which some bytes in the middle are overwritten."""
    data = bytearray(whole.read_bytes())
    begin = data.index(b"mdat") + 4
    middle = begin + (len(data) - begin) // 2
    data[middle : middle + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def _silence(container: av.container.OutputContainer, stream: av.AudioStream) -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts = 8000, 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
