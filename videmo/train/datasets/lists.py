"""The lists of a data set: text goes in, rows with their lines come out."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

from videmo.errors import InputError, ManifestError


@dataclass(frozen=True)
class ListRow:
    """One row of a list: which clip is meant, and what is said of it."""

    key: object  # finds the clip among those on the disk
    name: str  # for people
    label: str
    split: str | None
    where: tuple[str, int]  # the list and the line
    subject: str | None = None


def table_rows(path: str, *columns: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV, each with its line; raises ManifestError for a missing column."""
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    absent = [name for name in columns if name not in (rows.fieldnames or ())]
    if absent:
        there = ", ".join(rows.fieldnames or ()) or "nothing"
        raise ManifestError(path, 1, f"no column is called {absent[0]!r}; there is {there}")
    try:
        for row in rows:
            yield rows.line_num, {name: (row[name] or "").strip() for name in columns}
    except csv.Error as error:
        raise ManifestError(path, rows.line_num, f"is no CSV ({error}); copy it again") from error


def read_text(path: str) -> str:
    """Return the text of a list; an odd byte in what somebody said costs no row."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            return file.read()
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: the list cannot be read ({said})") from error


def refuse_contradiction(before: ListRow, row: ListRow) -> None:
    """Raise ManifestError where two rows of a clip do not say the same."""
    if (before.label, before.split) != (row.label, row.split):
        was = " ".join(filter(None, (before.label, before.split)))
        at = f"{os.path.basename(before.where[0])}:{before.where[1]}"
        raise ManifestError(*row.where, f"{row.name} is {was} at {at}; one of the two is wrong")


def as_number(text: str) -> int | str:
    """Return what 1 and 00001 have in common."""
    return int(text) if text.isdecimal() else text
