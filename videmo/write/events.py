"""Rows of a timeline for other programs: BIDS events, and the table of py-feat."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from videmo.errors import UnknownName
from videmo.labels import meaning
from videmo.write.cues import is_cue
from videmo.write.formats import cell, csv_line, tsv_line
from videmo.write.record import RecordWriter
from videmo.write.schema import AFFECT, TIME_DIGITS
from videmo.write.sink import open_file

FEX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_RECT = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")


class Bids(RecordWriter):
    """BIDS events: onset and duration in s, trial_type is the label; n/a is what is not known.

    One recording; rows of persons alone, in order of onset, as the standard wants. Beside a file
    lies its sidecar, which describes the columns and says what made them.
    """

    def begin(self) -> None:
        """Write the header."""
        self._scores = [f"p_{label.lower()}" for label in self.labels]
        names = ["onset", "duration", "trial_type", "person", *self._scores, *AFFECT, "coverage"]
        self.sink.write(tsv_line([*names, "stim_file", "clip"]))
        self._made_by: Mapping[str, Any] = {}

    def finish(self) -> None:
        """Write the sidecar."""
        if place := sidecar_of(self.sink.name):
            sidecar = open_file(place)
            sidecar.write(json.dumps(self._described(), indent=2, ensure_ascii=False) + "\n")
            sidecar.close()

    def _described(self) -> dict[str, Any]:
        """Return what a sidecar holds (BIDS 1.10, tabular files, and GeneratedBy)."""
        scores = {
            name: {"Description": f"Probability of the label {label}, 0 to 1"}
            for name, label in zip(self._scores, self.labels, strict=True)
        }
        levels = {label: f"The expression {label} is the most probable" for label in self.labels}
        made_by = {key: value for key, value in self._made_by.items() if value and key != "videmo"}
        return {
            "onset": {"Description": "When it begins to be shown", "Units": "s"},
            "duration": {"Description": "How long it is shown", "Units": "s"},
            "trial_type": {
                "LongName": "Facial expression",
                "Description": "The label of the highest mean probability over the faces",
                "Levels": levels,
            },
            "person": {
                "Description": "Number of the person within the clip, as they first appear: 1, 2"
            },
            **scores,
            "valence": {"Description": "Pleasantness, -1 to 1; n/a where the network tells none"},
            "arousal": {"Description": "Excitement, -1 to 1; n/a where the network tells none"},
            "coverage": {"Description": "Share of the frames looked at that show the person"},
            "stim_file": {"Description": "The clip, where it lies in the folder stimuli"},
            "clip": {"Description": "The clip, as it was named"},
            "GeneratedBy": [
                {"Name": "videmo", "Version": self._made_by.get("videmo"), "Settings": made_by}
            ],
        }

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one row, if it is of a person."""
        self._made_by = self._made_by or record.get("provenance") or {}
        if not is_cue(record):
            return
        scores = record.get("scores") or {}
        length = cell(float(record["end"]) - float(record["start"]), TIME_DIGITS)
        known = [cell(float(record["start"]), TIME_DIGITS), length, cell(record.get("label"))]
        known.append(cell(record["person"]))
        known += [cell(scores.get(label)) for label in self.labels]
        known += [cell(record.get(name)) for name in (*AFFECT, "coverage")]
        known += [cell(_stimulus(str(record["path"]))), cell(record["path"])]
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


def _stimulus(path: str) -> str | None:
    """Return a clip's path as seen from the folder stimuli, in which alone BIDS looks for it."""
    parts = path.replace(os.sep, "/").split("/")
    places = [n for n, part in enumerate(parts[:-1]) if part == "stimuli"]
    return "/".join(parts[places[-1] + 1 :]) if places else None


def sidecar_of(out: str) -> str | None:
    """Return where the sidecar of an events file lies; None for what is no file of that kind."""
    stem, suffix = os.path.splitext(out)
    return f"{stem}.json" if suffix.lower() == ".tsv" else None


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
