"""Rows of one clip's timeline as subtitles: SubRip, WebVTT, and ASS with boxes.

Each row of a person is a cue; faces that are nobody's, and clips without a face, have none.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from videmo.write.record import RecordWriter

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_PALETTE = ("00D7FF", "FFB000", "7CFF6B", "FF7CF0", "4C9BFF", "FFFFFF")  # BGR, one a person
_ASS = """[Script Info]
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Label,Sans,{size},&H00FFFFFF,&H00FFFFFF,&H00000000,&H80000000,\
1,0,0,0,100,100,0,0,1,2,0,1,0,0,0,1
Style: Box,Sans,10,&HFF000000,&HFF000000,&H00FFFFFF,&HFF000000,\
0,0,0,0,100,100,0,0,1,2,0,7,0,0,0,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def is_cue(record: Mapping[str, Any]) -> bool:
    """Return whether a row tells of a person."""
    return record.get("person") is not None


def name_of(record: Mapping[str, Any]) -> str:
    """Return what a person is called."""
    return f"Person {record['person']}"


def answer_of(record: Mapping[str, Any]) -> str:
    """Return label and probability: Happy 86 %, on one line; without a label, ?."""
    label = record.get("label")
    if label is None:
        return "?"
    share = (record.get("scores") or {}).get(label)
    known = "" if share is None else f" {100 * share:.0f} %"
    return _CONTROLS.sub(" ", str(label)) + known


class _Cues(RecordWriter):
    """The part that formats of cues share."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one row, if it is of a person."""
        if is_cue(record):
            self._cue(record)

    @abstractmethod
    def _cue(self, record: Mapping[str, Any]) -> None:
        """Write one cue."""


class Srt(_Cues):
    """SubRip: a number, the times, and a line for each row."""

    def begin(self) -> None:
        """Write nothing: there is no head."""
        self._count = 0

    def _cue(self, record: Mapping[str, Any]) -> None:
        self._count += 1
        start, end = (_clock(record[key], ",", 3) for key in ("start", "end"))
        text = f"{name_of(record)}: {answer_of(record)}"
        self.sink.write(f"{self._count}\n{start} --> {end}\n{text}\n\n")


class Vtt(_Cues):
    """WebVTT: the person is the cue's voice."""

    def begin(self) -> None:
        """Write the head."""
        self.sink.write("WEBVTT\n\n")

    def _cue(self, record: Mapping[str, Any]) -> None:
        start, end = (_clock(record[key], ".", 3) for key in ("start", "end"))
        said = answer_of(record).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        self.sink.write(f"{start} --> {end}\n<v {name_of(record)}>{said}\n\n")


class Ass(_Cues):
    """Advanced SubStation Alpha, in px of the clip: a frame about each face, its label above."""

    def begin(self) -> None:
        """Write nothing yet, for the head tells the size of the picture."""
        self._headed = False

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one row, and the head before the first."""
        if not self._headed:
            self._head(record.get("width") or 0, record.get("height") or 0)
        super().write(record)

    def finish(self) -> None:
        """Write the head if there was no row."""
        if not self._headed:
            self._head(0, 0)

    def _head(self, width: int, height: int) -> None:
        self._headed, size = True, max(12, round(height / 24))
        self.sink.write(_ASS.format(width=width or 384, height=height or 288, size=size))

    def _cue(self, record: Mapping[str, Any]) -> None:
        x0, y0, x1, y1 = (round(float(edge)) for edge in record["box"])
        colour = _PALETTE[(record["person"] - 1) % len(_PALETTE)]
        said = re.sub(r"[{}\\]", " ", f"{record['person']}: {answer_of(record)}")
        box = f"{{\\pos({x0},{y0})\\3c&H{colour}&\\p1}}m 0 0 l {x1 - x0} 0 {x1 - x0} {y1 - y0} " \
              f"0 {y1 - y0}{{\\p0}}"  # fmt: skip
        self._line(record, 0, "Box", box)
        self._line(record, 1, "Label", f"{{\\pos({x0},{max(0, y0 - 4)})\\1c&H{colour}&}}{said}")

    def _line(self, record: Mapping[str, Any], layer: int, style: str, text: str) -> None:
        start, end = (_clock(record[key], ".", 2)[1:] for key in ("start", "end"))
        name = name_of(record)
        self.sink.write(f"Dialogue: {layer},{start},{end},{style},{name},0,0,0,,{text}\n")


def _clock(seconds: float, point: str, digits: int) -> str:
    """Return 3723.5 as 01:02:03,500."""
    ticks = round(max(0.0, float(seconds)) * 10**digits)
    whole, part = divmod(ticks, 10**digits)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours:02d}:{minutes:02d}:{whole % 60:02d}{point}{part:0{digits}d}"
