"""Rows of one clip's timeline as tiers, a tier a person: ELAN and Praat.

In a tier nothing overlaps, so that windows must stand side by side.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

from videmo.write.cues import is_cue, name_of
from videmo.write.escape import escaped
from videmo.write.record import RecordWriter

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"  # a name by which readers know the format
Interval = tuple[float, float, str]  # s, s, label


class _Tiers(RecordWriter):
    """Keeps the rows of a clip until all are there."""

    def begin(self) -> None:
        """Write nothing yet."""
        self.tiers: dict[str, list[Interval]] = {}
        self.path, self.end = "", 0.0

    def write(self, record: Mapping[str, Any]) -> None:
        """Keep one row, if it is of a person."""
        self.path = self.path or str(record.get("path") or "")
        self.end = max(self.end, float(record.get("duration") or 0), float(record.get("end") or 0))
        if is_cue(record):
            span = float(record["start"]), float(record["end"])
            self.tiers.setdefault(name_of(record), []).append((*span, str(record["label"] or "?")))


class Eaf(_Tiers):
    """ELAN's annotation format 3.0, in ms; the clip is linked as its media file."""

    def finish(self) -> None:
        """Write the document."""
        xml.indent(document := self._document())
        self.sink.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self.sink.write(xml.tostring(document, encoding="unicode") + "\n")

    def _document(self) -> xml.Element:
        root = xml.Element("ANNOTATION_DOCUMENT", {
            "AUTHOR": "videmo", "DATE": "1970-01-01T00:00:00+00:00", "FORMAT": "3.0",
            "VERSION": "3.0", f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        })  # fmt: skip
        head = xml.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
        if self.path:
            xml.SubElement(head, "MEDIA_DESCRIPTOR", _media(self.path, self.sink.folder))
        slots = xml.SubElement(root, "TIME_ORDER")
        self._slots = self._numbers = 0
        for name in sorted(self.tiers, key=_number):
            self._tier(root, slots, name, self.tiers[name])
        kind = {"LINGUISTIC_TYPE_ID": "emotion", "TIME_ALIGNABLE": "true"}
        xml.SubElement(root, "LINGUISTIC_TYPE", {**kind, "GRAPHIC_REFERENCES": "false"})
        return root

    def _tier(self, root: xml.Element, slots: xml.Element, name: str, rows: list[Interval]) -> None:
        about = {"LINGUISTIC_TYPE_REF": "emotion", "PARTICIPANT": name, "TIER_ID": name}
        tier = xml.SubElement(root, "TIER", about)
        for start, end, label in rows:
            self._numbers += 1
            ends = [self._slot(slots, time) for time in (start, end)]
            place = xml.SubElement(xml.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", {
                "ANNOTATION_ID": f"a{self._numbers}", "TIME_SLOT_REF1": ends[0],
                "TIME_SLOT_REF2": ends[1],
            })  # fmt: skip
            xml.SubElement(place, "ANNOTATION_VALUE").text = _NO_XML.sub(" ", label)

    def _slot(self, slots: xml.Element, time: float) -> str:
        self._slots += 1
        name = f"ts{self._slots}"
        value = {"TIME_SLOT_ID": name, "TIME_VALUE": str(round(time * 1000))}
        xml.SubElement(slots, "TIME_SLOT", value)
        return name


class TextGrid(_Tiers):
    """Praat's long text format: interval tiers, in which what has no label is empty."""

    def finish(self) -> None:
        """Write the whole grid."""
        self.sink.write("".join(f"{line}\n" for line in self._lines()))

    def _lines(self) -> Iterator[str]:
        end = max(self.end, 0.001)  # Praat wants a grid of some length
        names = sorted(self.tiers, key=_number)
        yield from ('File type = "ooTextFile"', 'Object class = "TextGrid"', "")
        yield from ("xmin = 0 ", f"xmax = {end:.6f} ", "tiers? <exists> ")
        yield f"size = {max(1, len(names))} "
        yield "item []: "
        for place, name in enumerate(names or ["no person"], 1):
            intervals = list(filled(self.tiers.get(name, []), end))
            yield from (f"    item [{place}]:", '        class = "IntervalTier" ')
            yield from (f'        name = "{name}" ', "        xmin = 0 ")
            yield from (
                f"        xmax = {end:.6f} ",
                f"        intervals: size = {len(intervals)} ",
            )
            for number, (low, high, label) in enumerate(intervals, 1):
                text = re.sub(r"\s+", " ", label).replace('"', '""')
                yield f"        intervals [{number}]:"
                yield from (f"            xmin = {low:.6f} ", f"            xmax = {high:.6f} ")
                yield f'            text = "{text}" '


def filled(intervals: list[Interval], end: float) -> Iterator[Interval]:
    """Yield intervals from 0 to the end without a hole: what has no label has an empty one."""
    at = 0.0
    for low, high, label in intervals:
        if low - at > 5e-7:  # what six decimals show
            yield at, low, ""
        yield max(at, low), high, label
        at = high
    if end - at > 5e-7 or not intervals:
        yield at, end, ""


def _media(path: str, folder: str) -> dict[str, str]:
    """Return how ELAN finds the clip: by its place, and from the folder of the annotation."""
    kind = mimetypes.guess_type(path)[0] or "video/*"
    if "://" in path:
        return {"MEDIA_URL": escaped(path), "MIME_TYPE": kind}
    place = Path(os.path.abspath(path))
    return {
        "MEDIA_URL": place.as_uri(),
        "MIME_TYPE": kind,
        "RELATIVE_MEDIA_URL": _NO_XML.sub("?", escaped(os.path.relpath(place, folder))),
    }


def _number(name: str) -> int:
    return int(name.rpartition(" ")[2])
