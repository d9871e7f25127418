"""The formats of records: one table of their names and suffixes, and those that are plain text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videmo.write.record import RecordWriter, plain, tidy
from videmo.write.schema import SCORE_DIGITS

_TSV = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
# Escaped, though JSON lets them stand: controls and separators that some readers take for line
# ends, and halves of surrogate pairs, which no encoding takes.
_ESCAPE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Format:
    """How records may be written."""

    writer: str  # "module:class", a RecordWriter
    suffixes: tuple[str, ...]  # of files that are such, the usual one first
    text: bool = True  # whether it may go to the standard output
    single: bool = False  # whether a file of it is of one clip
    needs: str = ""  # a module of an extra
    by: str = ""  # what its rows are by default: segment for those of one clip, window for others


FORMATS = {
    "ndjson": Format("videmo.write.formats:Ndjson", (".ndjson", ".jsonl")),
    "json": Format("videmo.write.formats:Json", (".json",)),
    "csv": Format("videmo.write.formats:Csv", (".csv",)),
    "tsv": Format("videmo.write.formats:Tsv", (".tsv",)),
    "table": Format("videmo.write.table:Table", (".txt",)),
    "parquet": Format("videmo.write.parquet:Parquet", (".parquet",), text=False, needs="pyarrow"),
    "xlsx": Format("videmo.write.xlsx:Xlsx", (".xlsx",), text=False, needs="openpyxl"),
}


TIMELINES = {  # of the rows of one clip, for players and for those who annotate
    "srt": Format("videmo.write.cues:Srt", (".srt",), single=True),
    "vtt": Format("videmo.write.cues:Vtt", (".vtt",), single=True),
    "ass": Format("videmo.write.cues:Ass", (".ass",), single=True, by="frame"),
    "eaf": Format("videmo.write.tiers:Eaf", (".eaf",), single=True),
    "textgrid": Format("videmo.write.tiers:TextGrid", (".textgrid",), single=True),
    "bids": Format("videmo.write.events:Bids", ("_events.tsv",), single=True),
    "fex": Format("videmo.write.events:Fex", (".fex.csv",), by="frame"),
}
EVERY = FORMATS | TIMELINES


def suffixes(names: Iterable[str]) -> dict[str, str]:
    """Return which suffix stands for which of these formats."""
    return {suffix: name for name in names for suffix in EVERY[name].suffixes}


class Ndjson(RecordWriter):
    """One JSON object a line, flushed at once, so that a reader may follow a long run."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as one line."""
        self.sink.write(dumps(tidy(record, self.labels, self.top)) + "\n")


class Json(RecordWriter):
    """One JSON array, written as the records come; complete only when it is closed."""

    def begin(self) -> None:
        """Write nothing yet, for the first bracket depends on what follows."""
        self._before = "[\n"

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as an element of the array."""
        self.sink.write(self._before + dumps(tidy(record, self.labels, self.top)))
        self._before = ",\n"

    def finish(self) -> None:
        """Write the last bracket."""
        self.sink.write("[]\n" if self._before == "[\n" else "\n]\n")


class Csv(RecordWriter):
    r"""RFC 4180: UTF-8, commas, CRLF, quotes where needed, a header also over no rows.

    All scores are written, whatever `top` says, so that the columns never change. A number has
    a point and no exponent; what is not known is an empty cell. Cells that begin with = + - @
    stay as they are: a path must come back as it went. Who opens such a file in a spreadsheet
    imports it as text.
    """

    def begin(self) -> None:
        """Write the header."""
        self._line([column.name for column in self.columns])

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as one row."""
        self._line([cell(column.of(record), column.digits) for column in self.columns])

    def _line(self, cells: Sequence[str]) -> None:
        self.sink.write(csv_line(cells))


class Tsv(Csv):
    r"""The columns of CSV between tabs, a line feed after each row, never a quote.

    A tab, line feed, carriage return or backslash in a cell is \t, \n, \r or \\.
    """

    def _line(self, cells: Sequence[str]) -> None:
        self.sink.write(tsv_line(cells))


def csv_line(cells: Sequence[str]) -> str:
    """Return a row of CSV with its end."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def tsv_line(cells: Sequence[str]) -> str:
    """Return a row of TSV with its end."""
    return "\t".join(cell.translate(_TSV) for cell in cells) + "\n"


def dumps(record: Mapping[str, Any]) -> str:
    """Return JSON on one line, of which json.loads makes the same strings again."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    return _ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def cell(value: Any, digits: int = SCORE_DIGITS) -> str:
    """Return the text of one cell: "" for what is not known, `digits` decimals for a float."""
    value = plain(value, digits)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " | ".join(map(str, value))
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
