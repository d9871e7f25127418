"""Rows of a timeline for other programs: BIDS events, and the table of py-feat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from videmo.errors import UnknownName
from videmo.labels import meaning
from videmo.write.cues import is_cue
from videmo.write.formats import cell, csv_line, tsv_line
from videmo.write.record import RecordWriter
from videmo.write.schema import AFFECT, TIME_DIGITS

FEX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_RECT = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")


class Bids(RecordWriter):
    """BIDS events: onset and duration in s, trial_type is the label; n/a is what is not known.

    One recording; rows of persons alone, in order of onset, as the standard wants.
    """

    def begin(self) -> None:
        """Write the header."""
        self._scores = [f"p_{label.lower()}" for label in self.labels]
        names = ["onset", "duration", "trial_type", "person", *self._scores, *AFFECT, "coverage"]
        self.sink.write(tsv_line([*names, "stim_file"]))

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one row, if it is of a person."""
        if not is_cue(record):
            return
        scores = record.get("scores") or {}
        length = cell(float(record["end"]) - float(record["start"]), TIME_DIGITS)
        known = [cell(float(record["start"]), TIME_DIGITS), length, cell(record.get("label"))]
        known.append(cell(record["person"]))
        known += [cell(scores.get(label)) for label in self.labels]
        known += [cell(record.get(name)) for name in (*AFFECT, "coverage", "path")]
        self.sink.write(tsv_line([text or "n/a" for text in known]))


class Fex(RecordWriter):
    """The columns of py-feat's Fex that videmo knows: a row a face, a row a clip without one.

    The emotions have the names of py-feat; what it does not know (contempt) is left out.
    """

    def begin(self) -> None:
        """Write the header."""
        self._columns_of = _emotions(self.labels)
        emotions = [name for name in FEX if name in self._columns_of]
        names = ["frame", *_RECT, "FaceScore", *emotions, "input", "approx_time", "Identity"]
        self.sink.write(csv_line([*names, "FrameHeight", "FrameWidth"]))

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one row."""
        scores, box = record.get("scores") or {}, record.get("box")
        known = [cell(record.get("frame"))]
        known += [cell(number, 2) for number in _rect(box)] if box else [""] * len(_RECT)
        known.append(cell(record.get("face_score"), 4))
        known += [cell(scores.get(self._columns_of[name])) for name in FEX
                  if name in self._columns_of]  # fmt: skip
        who = record.get("person")
        known += [cell(record.get("path")), cell(record.get("start"), TIME_DIGITS)]
        known.append("" if who is None else f"Person_{who}")
        known += [cell(record.get(name)) for name in ("height", "width")]
        self.sink.write(csv_line(known))


def _rect(box: Sequence[float]) -> list[float]:
    x0, y0, x1, y1 = (float(edge) for edge in box)
    return [x0, y0, x1 - x0, y1 - y0]


def _emotions(labels: Sequence[str]) -> dict[str, str]:
    """Return which label stands for which emotion."""
    found = {}
    for label in labels:
        try:
            found[meaning(label)] = label
        except UnknownName:
            continue
    return found
