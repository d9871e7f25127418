"""Records as an Excel workbook, one sheet: the columns of CSV, with their types."""

from __future__ import annotations

import io
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import IO, Any

from videmo.errors import InputError
from videmo.files.extras import missing_dependency
from videmo.write.record import RecordWriter, plain, tidy

_SHEET = "videmo "  # how the names of our sheets begin
_LARGEST = 4 << 30  # bytes unpacked; a full sheet of ours has 1 GB
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, LookupError,
            AttributeError, SyntaxError, NotImplementedError, OverflowError)  # fmt: skip
ROWS = 1_048_575  # that a sheet takes under its header
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_TIMES = re.compile("<dcterms:(created|modified).*?</dcterms:\\1>")
_LONGEST = 32_767  # characters of a cell


def workbook() -> Any:
    """Return openpyxl; raises MissingDependency."""
    try:
        import openpyxl
    except ImportError as error:
        raise missing_dependency("openpyxl") from error
    return openpyxl


def rows(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a workbook under its header; see `lines`."""
    names: list[str] = []
    for number, cells in lines(path):
        if number == 1:
            names = [str(cell or "").strip() for cell in cells]
            continue
        yield {name: cell for name, cell in zip(names, cells, strict=False) if name}


def lines(
    path: str | os.PathLike[str], content: IO[bytes] | None = None
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield number and cells of each line of a workbook's first sheet, and of all sheets of ours.

    Of a formula it is the value that was last saved. Lines that are empty are empty here too.
    content: the file, where it does not lie at `path`
    Raises InputError for a file that cannot be read, MissingDependency.
    """
    name, openpyxl = os.fspath(path), workbook()
    _check_size(name, content)
    try:
        book = openpyxl.load_workbook(content or name, read_only=True, data_only=True)
        with closing(book):
            ours = [s for s in book.worksheets if s.title.startswith(_SHEET)]
            for sheet in ours or book.worksheets[:1]:
                yield from enumerate(sheet.iter_rows(values_only=True), 1)
    except (*_DAMAGED, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise InputError(f"{name}: no workbook, or damaged; save it again as .xlsx") from error


def _check_size(name: str, content: IO[bytes] | None) -> None:
    """Raise InputError for what is no archive, or unpacks to more than any workbook of rows."""
    try:
        with zipfile.ZipFile(content or name) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"{name}: cannot be read ({said}); check the path") from error
    except _DAMAGED as error:
        raise InputError(f"{name}: no workbook, or damaged; save it again as .xlsx") from error
    if size > _LARGEST:
        raise InputError(f"{name}: unpacks to {size >> 20} MB, {_LARGEST >> 20} are read; "
                         "save it as CSV")  # fmt: skip


class _Timeless(zipfile.ZipFile):
    """An archive whose bytes do not tell when it was written, as openpyxl would have it.

    So a run that was stopped ends with the bytes of one that was not.
    """

    def writestr(self, name: Any, data: Any, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Add a part."""
        if name == "docProps/core.xml":
            data = _TIMES.sub("", data if isinstance(data, str) else data.decode())
        super().writestr(self._info(name), data)

    def write(self, filename: Any, arcname: Any = None, *_: Any, **__: Any) -> None:
        """Add a part that is in a file."""
        with open(filename, "rb") as source, self.open(self._info(arcname), "w") as part:
            shutil.copyfileobj(source, part)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name)  # of 1980
        info.compress_type = self.compression
        return info


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
        from openpyxl.writer.excel import ExcelWriter

        content = io.BytesIO()
        self._book.properties.creator = "videmo"
        ExcelWriter(self._book, _Timeless(content, "w", zipfile.ZIP_DEFLATED)).save()
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
        self._sheet = self._book.create_sheet(f"{_SHEET}{self._sheets}")
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
