"""A long clip, out of the packets of a short one."""

from __future__ import annotations

import math
from pathlib import Path

import av


def repeat(source: Path, path: Path, seconds: float) -> None:
    """Write the packets of `source` again and again until `path` is so long."""
    with av.open(str(source)) as once, av.open(str(path), "w") as out:
        stream = once.streams.video[0]
        target = out.add_stream_from_template(stream)
        packets = [packet for packet in once.demux(stream) if packet.dts is not None]
        length = max(packet.pts + packet.duration for packet in packets)
        for turn in range(math.ceil(seconds / float(length * stream.time_base))):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = packet.pts + turn * length, packet.dts + turn * length
                again.duration, again.time_base = packet.duration, packet.time_base
                again.is_keyframe, again.stream = packet.is_keyframe, target
                if float(again.pts * packet.time_base) < seconds:
                    out.mux(again)
