"""Records as an Excel workbook, one sheet: the columns of CSV, with their types."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from videmo.files.extras import missing_dependency
from videmo.write.record import RecordWriter, plain, tidy

ROWS = 1_048_575  # that a sheet takes under its header
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LONGEST = 32_767  # characters of a cell


def workbook() -> Any:
    """Return openpyxl; raises MissingDependency."""
    try:
        import openpyxl
    except ImportError as error:
        raise missing_dependency("openpyxl") from error
    return openpyxl


class Xlsx(RecordWriter):
    """Rows under a header that stays in sight, texts as texts: none is ever a formula.

    They are kept in a file until the workbook is closed; more than a sheet takes go into further
    sheets.
    """

    def begin(self) -> None:
        """Open the first sheet."""
        self._book = workbook().Workbook(write_only=True)
        self._sheets = self._rows = 0
        self._open_sheet()

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as one row."""
        if self._rows == ROWS:
            self._open_sheet()
        flat = tidy(record, self.labels)
        self._sheet.append([self._cell(column.of(flat), column.digits) for column in self.columns])
        self._rows += 1

    def finish(self) -> None:
        """Write the workbook."""
        content = io.BytesIO()
        self._book.save(content)
        with self.sink.guard():
            self.sink.file.write(content.getbuffer())

    def discard(self) -> None:
        """Remove the unfinished output, and what openpyxl keeps in a temporary file."""
        for sheet in self._book.worksheets:
            sheet.close()
            sheet._writer.cleanup()
        super().discard()

    def _open_sheet(self) -> None:
        self._sheets, self._rows = self._sheets + 1, 0
        self._sheet = self._book.create_sheet(f"videmo {self._sheets}")
        self._sheet.freeze_panes = "A2"
        self._sheet.append([self._text(column.name) for column in self.columns])

    def _cell(self, value: Any, digits: int) -> Any:
        value = plain(value, digits)
        if isinstance(value, list):
            value = " | ".join(map(str, value))
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> Any:
        """Return a cell that is a text, whatever it begins with."""
        from openpyxl.cell import WriteOnlyCell

        cell = WriteOnlyCell(self._sheet, _NO_XML.sub("?", text)[:_LONGEST])
        cell.data_type = "s"
        return cell
