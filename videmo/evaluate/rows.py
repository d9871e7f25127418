"""Files of rows go in: CSV, TSV, NDJSON or JSON, ours and others'; each row with its place."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videmo.errors import InputError, ManifestError
from videmo.files.bounded import read_bounded, rest_of
from videmo.runs.csv_text import csv_rows, separator_of
from videmo.write.escape import unescaped


@dataclass(frozen=True)
class Row:
    """One row of a file, and where it stands."""

    file: str
    line: int  # of the file; of a JSON array, the number of the element
    cells: Mapping[str, Any]

    def text(self, column: str) -> str:
        """Return a cell as text, "" where it is empty or missing."""
        value = self.cells.get(column)
        return "" if value is None else str(value).strip()

    def wrong(self, reason: str) -> ManifestError:
        """Return the error that names this row."""
        return ManifestError(self.file, self.line, reason)

    def number(self, value: Any, what: str = "there is") -> float:
        """Return `value` as a finite number; raises ManifestError for anything else."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(f"{what} {value!r} where a number is expected")
        return number


def read_rows(file: str) -> list[Row]:
    """Return the rows of a CSV or TSV with a header, NDJSON, JSON, Parquet, an Excel workbook or a
    feature file.

    The first character tells which; separators are commas, semicolons or tabs, whichever the
    header has most of. Empty rows are passed over.
    file: "-" is the standard input

    Raises InputError for a file that cannot be read or is empty, ManifestError for a row.
    """
    if file.lower().endswith(".npz"):
        rows = _feature_rows(file)
    elif file.lower().endswith(".parquet"):
        rows = _parquet_rows(file)
    elif file.lower().endswith(".xlsx"):
        rows = _workbook_rows(file)
    else:
        text = _text(file)
        file = "standard input" if file == "-" else file
        read = {"{": _ndjson_rows, "[": _json_rows}.get(text.lstrip()[:1], _csv_rows)
        rows = list(read(file, text))
    if not rows:
        raise InputError(f"{file}: holds no row; one for each clip is expected")
    return rows


def _text(file: str) -> str:
    try:
        content = rest_of(sys.stdin.buffer) if file == "-" else read_bounded(file)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"{file}: cannot be read ({said}); name a CSV or JSON file") from error
    if b"\0" in content:
        raise InputError(f"{file}: holds a NUL, so is no text in UTF-8; save it as UTF-8")
    return content.decode("utf-8-sig", "surrogateescape")  # a path may have any bytes


def _csv_rows(file: str, text: str) -> Iterator[Row]:
    header, mark = text.partition("\n")[0], separator_of(text)
    ours = mark == "\t" and "schema_version" in header  # our TSV has escapes and no quotes
    names: list[str] = []
    for line, cells in csv_rows(file, text, mark, quoted=not ours):
        if not names:
            names = _header(file, line, cells)
            continue
        if len(cells) > len(names):
            reason = f"has {len(cells)} cells under {len(names)} columns; look at the quotes"
            raise ManifestError(file, line, reason)
        told = [_unescaped(cell) for cell in cells] if ours else cells
        yield Row(file, line, _named(dict(zip(names, told + [""] * len(names), strict=False))))


def _header(file: str, line: int, cells: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise ManifestError(file, line, f"two columns are called {twice!r}; remove one")
    return names


def _unescaped(cell: str) -> str:
    r"""Return the text of a cell of our TSV, where \t, \n, \r and \\ stand for themselves."""
    parts = cell.split("\\\\")
    for mark, meant in ((r"\t", "\t"), (r"\n", "\n"), (r"\r", "\r")):
        parts = [part.replace(mark, meant) for part in parts]
    return "\\".join(parts)


def _ndjson_rows(file: str, text: str) -> Iterator[Row]:
    for line, record in enumerate(text.split("\n"), 1):
        if record.strip():
            yield _json_row(file, line, _loads(file, line, record))


def _json_rows(file: str, text: str) -> Iterator[Row]:
    records = _loads(file, 1, text)
    return (_json_row(file, n, record) for n, record in enumerate(records, 1))


def _json_row(file: str, line: int, record: Any) -> Row:
    if not isinstance(record, dict):
        raise ManifestError(file, line, "is no JSON object; write one for each clip")
    return Row(file, line, _named(record))


def _named(cells: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a row, and the path of one of ours as it is on the disk."""
    if "schema_version" not in cells or not isinstance(cells.get("path"), str):
        return cells
    return {**cells, "path": unescaped(cells["path"])}


def _loads(file: str, line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        at = line + getattr(error, "lineno", 1) - 1
        reason = getattr(error, "msg", str(error)).lower()
        raise ManifestError(file, at, f"is no JSON ({reason}); write it again") from error


def _parquet_rows(file: str) -> list[Row]:
    from videmo.write.parquet_reader import rows

    return [Row(file, n, cells) for n, cells in enumerate(rows(file), 1)]


def _workbook_rows(file: str) -> list[Row]:
    from videmo.write.xlsx import rows

    found = (Row(file, n, _named(cells)) for n, cells in enumerate(rows(file), 2))
    return [row for row in found if any(value is not None for value in row.cells.values())]


def _feature_rows(file: str) -> list[Row]:
    from videmo.write.npz import load_features

    table = load_features(file, frames=False)
    columns = {
        name: values.tolist()
        for name in ("path", "status", "label", "split", "subject")
        if (values := getattr(table, name)) is not None
    }
    rows = zip(*columns.values(), strict=True)
    return [Row(file, n, dict(zip(columns, row, strict=True))) for n, row in enumerate(rows, 1)]
