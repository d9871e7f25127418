"""Records as columns: CSV and TSV, always the same columns in the same order."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from videmo.write.record import DIGITS, PROVENANCE, SCORE_DIGITS, TIME_DIGITS, RecordWriter, plain

_COUNTS = ("frames", "face_frames", "faces")
_TIMES = ("coverage", "duration")
_TSV = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Csv(RecordWriter):
    r"""RFC 4180: UTF-8, commas, CRLF, quotes where needed, a header also over no rows.

    All scores are written, whatever `top` says, so that the columns never change. A number has
    a point and no exponent; what is not known is an empty cell. Cells that begin with = + - @
    stay as they are: a path must come back as it went. Who opens such a file in a spreadsheet
    imports it as text.
    """

    def begin(self) -> None:
        """Write the header."""
        self._line(header(self.labels, self.extra))

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as one row."""
        self._line(row(record, self.labels, self.extra))

    def _line(self, cells: Sequence[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerow(cells)
        self.sink.write(text.getvalue())


class Tsv(Csv):
    r"""The columns of CSV between tabs, a line feed after each row, never a quote.

    A tab, line feed, carriage return or backslash in a cell is \t, \n, \r or \\.
    """

    def _line(self, cells: Sequence[str]) -> None:
        self.sink.write("\t".join(cell.translate(_TSV) for cell in cells) + "\n")


def header(labels: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """Return the names of the columns."""
    lower = [name.lower() for name in labels]
    names = lower if len(set(lower)) == len(lower) else labels  # A and a are two columns
    return [
        "path", "status", "label", "score", *(f"p_{name}" for name in names),
        *_COUNTS, *_TIMES, "warnings", "error_type", "error_message",
        *PROVENANCE, "schema_version", *extra,
    ]  # fmt: skip


def row(record: Mapping[str, Any], labels: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """Return the cells of `record`, one for each name of `header`."""
    scores, error = record.get("scores") or {}, record.get("error") or {}
    provenance, label = record.get("provenance") or {}, record.get("label")
    last = ("schema_version", *extra)
    return [
        *(cell(record.get(key)) for key in ("path", "status", "label")),
        *(cell(scores.get(name), SCORE_DIGITS) for name in (label, *labels)),
        *(cell(record.get(key)) for key in _COUNTS),
        *(cell(record.get(key), TIME_DIGITS) for key in _TIMES),
        " | ".join(map(str, record.get("warnings") or ())),
        *(cell(error.get(key)) for key in ("type", "message")),
        *(cell(provenance.get(key)) for key in PROVENANCE),
        *(cell(record.get(key), DIGITS.get(key, TIME_DIGITS)) for key in last),
    ]


def cell(value: Any, digits: int = SCORE_DIGITS) -> str:
    """Return the text of one cell: "" for what is not known, `digits` decimals for a float."""
    value = plain(value, digits)
    if value is None:
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
