"""Films made on the spot: pictures at times of their own, turned, with beeps to be heard."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SOUND = 16_000  # samples a second
BEEP = 0.1  # s


def film(
    path: Path,
    pictures: Sequence[np.ndarray],
    times: Sequence[float],
    *,
    turn: int = 0,
    beeps: Sequence[float] = (),
    codec: str = "aac",
) -> Path:
    """Write pictures (H, W, 3) at times in s, stored so that a player turns them by `turn`.

    turn: degrees, counterclockwise, a multiple of 90
    beeps: s at which a tone begins; none: no sound
    """
    stored = [np.ascontiguousarray(np.rot90(picture, -turn // 90)) for picture in pictures]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "12"})
        video.height, video.width = stored[0].shape[:2]
        video.pix_fmt, video.codec_context.time_base = "yuv420p", Fraction(1, 600)
        if turn:
            video.set_display_rotation(turn)
        sound = container.add_stream(codec, rate=SOUND) if beeps else None
        if sound:
            container.mux(_beeping(sound, beeps, times[-1] + 0.5))
        for picture, time in zip(stored, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * 600), Fraction(1, 600)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def beeps_in(path: Path) -> list[float]:
    """Return when tones begin, in s of the file's clock."""
    with av.open(str(path)) as container:
        origin = container.start_time / 1e6
        parts = [
            (float(frame.pts * frame.time_base) - origin, frame.to_ndarray(), frame.sample_rate)
            for frame in container.decode(audio=0)
        ]
    rate = parts[0][2]
    begins, wave = parts[0][0], np.concatenate([abs(part).max(0) for _, part, _ in parts])
    loud = wave > 0.3 * wave.max()
    last, found = -1.0, []
    for place in np.flatnonzero(loud).tolist():
        time = begins + place / rate
        if last < 0 or time - last > BEEP / 2:
            found.append(time)
        last = time
    return found


def _beeping(stream: av.AudioStream, beeps: Sequence[float], length: float) -> list[av.Packet]:
    clock = np.arange(round(length * SOUND)) / SOUND
    loud = sum((clock >= beep) & (clock < beep + BEEP) for beep in beeps)
    wave = (0.5 * loud * np.sin(2 * np.pi * 1000 * clock)).astype(np.float32)
    packets = []
    stream.layout = "mono"
    resampler = av.AudioResampler(format=stream.format, layout="mono", rate=SOUND)
    for begin in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND, begin, Fraction(1, SOUND)
        for part in resampler.resample(frame):
            packets += stream.encode(part)
    return [*packets, *stream.encode(None)]
