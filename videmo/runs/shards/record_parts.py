"""What one shard wrote of records: places and summaries, and the bytes again when wanted."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

from videmo.errors import MergeError
from videmo.runs.shards.part import SETTINGS, TIMES, OpenFiles, Part, RowSummary, open_part
from videmo.write.escape import unescaped
from videmo.write.schema import STATUSES
from videmo.write.sink import Out, open_sink

_COUNTS = ("score", "frames", "face_frames", "faces", "coverage", "duration")
_BLOCK = 1 << 20  # characters written at once
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}


class _RawRow(NamedTuple):
    """One record as it was read."""

    line: int
    begin: int  # byte
    length: int  # bytes, without line end and comma
    record: Mapping[str, Any] | None  # flat; None is no record


class RecordPart(Part):
    """A part of records, of which only places are kept; their bytes are read when wanted."""

    def __init__(self, name: str, files: OpenFiles) -> None:
        super().__init__(name)
        self._files = files
        self._begin, self._length = array("Q"), array("L")

    def summaries(self, partial: bool) -> Iterator[RowSummary]:
        """Yield a summary of each record."""
        with open_part(self.name) as file:
            seen = self._read(file)
            for line, begin, length, record in seen:
                summary = _summary(line, record) if record else None
                if summary is None:
                    self._damaged(line, next(seen, None) is None, partial)
                    return
                self._begin.append(begin)
                self._length.append(length)
                yield summary

    def content(self, row: int) -> str:
        """Return a record as it stands there."""
        content = self._files.read(self.name, self._begin[row], self._length[row])
        return content.decode("utf-8", "surrogateescape")

    def place(self, row: int) -> str:
        """Return the file and line of a record."""
        before = self._files.read(self.name, 0, self._begin[row])
        return f"{self.name}:{before.count(10) + 1}"

    def write(self, out: Out, parts: Sequence[Part], order: Iterable[tuple[Part, int]]) -> None:
        """Write records, a block at a time."""
        sink, block = open_sink(out), io.StringIO(newline="")
        try:
            for text in self._joined(part.content(row) for part, row in order):
                block.write(text)
                if block.tell() > _BLOCK:
                    sink.write(block.getvalue())
                    block = io.StringIO(newline="")
            sink.write(block.getvalue())
            sink.close()
        except BaseException:
            sink.discard()
            raise

    @abstractmethod
    def _joined(self, contents: Iterable[str]) -> Iterator[str]:
        """Yield the text of a whole output of these records."""

    @abstractmethod
    def _read(self, file: IO[bytes]) -> Iterator[_RawRow]:
        """Yield all that the file holds, also after what is no record."""

    def _damaged(self, line: int, last: bool, partial: bool) -> None:
        if not last:
            raise MergeError(f"{self.name}:{line}: is no record of videmo; repair or remove it")
        said = f"{self.name}:{line}: the last record is cut off, for its writer was stopped"
        if not partial:
            raise MergeError(f"{said}; run that shard again, or leave it out with --partial")
        self.notes.append(f"{said}; it is left out")


class Ndjson(RecordPart):
    """One JSON object a line."""

    def _joined(self, contents: Iterable[str]) -> Iterator[str]:
        """Yield each record with its line end."""
        return (f"{content}\n" for content in contents)

    def _read(self, file: IO[bytes]) -> Iterator[_RawRow]:
        begin = 0
        for line, content in enumerate(file, 1):
            if text := content.rstrip():
                yield _RawRow(line, begin, len(text), _flat(text))
            begin += len(content)


class Json(RecordPart):
    """One array whose elements stand on lines of their own, as `videmo.write` has it."""

    def _joined(self, contents: Iterable[str]) -> Iterator[str]:
        """Yield the brackets, the commas and what is between."""
        before = "[\n"
        for content in contents:
            yield before + content
            before = ",\n"
        yield "[]\n" if before == "[\n" else "\n]\n"

    def _read(self, file: IO[bytes]) -> Iterator[_RawRow]:
        begin, line, text = 0, 0, b""
        for line, content in enumerate(file, 1):
            text = content.rstrip()
            if text not in (b"[", b"[]", b"]"):
                length = len(text.removesuffix(b","))
                yield _RawRow(line, begin, length, _flat(text[:length]))
            begin += len(content)
        if text not in (b"[]", b"]") and (not text.startswith(b"{") or _flat(text.rstrip(b","))):
            yield _RawRow(line + 1, begin, 0, None)


class Csv(RecordPart):
    """Rows under a header, with the columns start and end where a clip of the part has them."""

    end = "\r\n"

    def content(self, row: int) -> str:
        """Return a row without its end, in the columns that are wanted."""
        text = super().content(row)
        if self.columns == self.wanted:
            return text
        cells = next(self._reader(io.StringIO(text, newline="")))
        found = dict(zip(self.columns, cells, strict=True))
        return self._row([found.get(name, "") for name in self.wanted])

    def _joined(self, contents: Iterable[str]) -> Iterator[str]:
        """Yield the header and each row."""
        yield self._row(self.wanted) + self.end
        for content in contents:
            yield content + self.end

    def _read(self, file: IO[bytes]) -> Iterator[_RawRow]:
        for line, begin, length, cells in self._rows(file):
            if cells and not self.columns:
                if len({*cells}) < len(cells):
                    raise MergeError(f"{self.name}:{line}: two columns have one name; remove one")
                self.columns = cells
                continue
            fits = cells and len(cells) == len(self.columns)
            record = dict(zip(self.columns, map(self._plain, cells), strict=True)) if fits else None
            if record and "path" in record:
                record["path"] = unescaped(record["path"])
            yield _RawRow(line, begin, length, record)
        if not self.columns:
            yield _RawRow(1, 0, 0, None)

    def _rows(self, file: IO[bytes]) -> Iterator[tuple[int, int, int, list[str]]]:
        """Yield line, first byte, length and cells of each row; no cells if it has no end."""
        taken, last = 0, b""

        def lines() -> Iterator[str]:
            nonlocal taken, last
            for last in file:
                taken += len(last)
                yield last.decode("utf-8", "surrogateescape")

        rows = self._reader(lines())
        while True:
            line, begin = rows.line_num + 1, taken
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error:  # within quotes to the end of the file
                cells = []
            length = taken - begin - len(last) + len(last.rstrip(b"\r\n"))
            yield line, begin, length, cells if last.endswith(b"\n") else []

    def _reader(self, lines: Iterable[str]) -> Any:
        return csv.reader(lines, strict=True)

    def _row(self, cells: Sequence[str]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=self.end).writerow(cells)
        return text.getvalue().removesuffix(self.end)

    def _plain(self, cell: str) -> str:
        return cell


class Tsv(Csv):
    """The same between tabs, where escapes stand for what would part cells and rows."""

    end = "\n"

    def _reader(self, lines: Iterable[str]) -> Any:
        return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)

    def _row(self, cells: Sequence[str]) -> str:
        return "\t".join(cells)

    def _plain(self, cell: str) -> str:
        return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), cell)


class TablePart(Part):
    """Records as Parquet."""

    def __init__(self, name: str) -> None:
        from videmo.write.parquet_reader import RecordTable

        super().__init__(name)
        self._table = RecordTable(name)
        self.columns = self._table.columns

    def summaries(self, partial: bool) -> Iterator[RowSummary]:
        """Yield a summary of each record."""
        for line in range(1, len(self._table) + 1):
            summary = _summary(line, self._table[line - 1])
            if summary is None:
                raise MergeError(f"{self.place(line - 1)}: is no record of videmo; make it again")
            yield summary

    def content(self, row: int) -> Mapping[str, Any]:
        """Return the cells of a record by column."""
        return self._table[row]

    def place(self, row: int) -> str:
        """Return the file and the number of a record."""
        return f"{self.name} (record {row + 1})"

    def write(self, out: Out, parts: Sequence[Part], order: Iterable[tuple[Part, int]]) -> None:
        """Write records, a group at a time."""
        from videmo.write.parquet import write_records

        rows = (part.content(row) for part, row in order)
        write_records(str(out), self.wanted, self._table.meta, rows)


def _flat(text: bytes) -> Mapping[str, Any] | None:
    """Return a JSON record with its provenance beside the rest, None for what is none."""
    try:
        record = json.loads(
            text.decode("utf-8", "surrogateescape"),
            object_pairs_hook=_once, parse_constant=_no_number,
        )  # fmt: skip
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("provenance"), dict):
        return None
    path = record.get("path")
    named = {"path": unescaped(path)} if isinstance(path, str) else {}
    return {**record["provenance"], **record, **named}


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; raises ValueError for a key that is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} where a number is expected")


def _finite(record: Mapping[str, Any]) -> bool:
    """Return whether all probabilities and counts of a flat record are finite numbers from 0 on."""
    told = record.get("scores")
    numbers = [*told.values()] if isinstance(told, Mapping) else []
    numbers += [record.get(name) for name in _COUNTS]
    numbers += [value for name, value in record.items() if name.startswith("p_")]
    try:
        found = [float(number) for number in numbers if number not in (None, "")]
    except (TypeError, ValueError, OverflowError):
        return False
    return all(math.isfinite(number) and number >= 0 for number in found)


def _summary(line: int, record: Mapping[str, Any]) -> RowSummary | None:
    """Return what is to be known of a flat record, None if it is no record of a clip."""
    path, status = record.get("path"), record.get("status")
    if not isinstance(path, str) or not path or status not in STATUSES:
        return None
    span = "part_" if "by" in record else ""  # of a timeline start and end are the row's
    try:
        start, end = (float(t) if (t := record.get(span + name)) not in (None, "") else None
                      for name in TIMES)  # fmt: skip
    except (TypeError, ValueError, OverflowError):
        return None
    if not _finite(record):
        raise MergeError(
            f"{path}: the record in line {line} has probabilities or counts that are none; "
            "run that shard again"
        )
    if ("person" in record and "by" not in record) or "other_path" in record:
        raise MergeError(
            f"{path}: identify has numbered or compared persons in one part alone; "
            "run it on all clips at once"
        )
    settings = {name: "" if record.get(name) is None else str(record[name]) for name in SETTINGS}
    person, moment = "label" not in record, record.get("by")  # of attributes, of timeline
    whose = f"a timeline's ({moment})" if moment else "a person's" if person else "a clip's"
    place, kind = STATUSES.index(status), {"kind of record": whose}
    many = person or bool(moment)
    return RowSummary(line, path, start, end, place, person, many, settings | kind)
