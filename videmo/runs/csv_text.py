"""Lists that people made: bytes of a file in, lines and rows of cells out."""

from __future__ import annotations

import csv
import datetime
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import IO, Any

from videmo.errors import InputError, ManifestError
from videmo.files import remote
from videmo.files.bounded import LIST, read_bounded

_SEPARATOR = re.compile("\ufeff?sep=([,;\t])\r?\n", re.IGNORECASE)  # as Excel writes it
# bytes of videos and pictures; a list of paths has none of them, and one NUL behind each path
_BINARY = re.compile(rb"\0\0|[\x01-\x08\x0e-\x1a]")
_AS = "the first line is, for example, path,label"
_NO_PATH = f"no column is called 'path'; {_AS}"
_HEAD = 1 << 16  # bytes in which they are looked for


def read_standard_input(stream: IO[bytes] | IO[str] | None) -> bytes:
    """Return what comes in, from `stream` or from standard input; raises InputError."""
    source = sys.stdin if stream is None else stream
    if source is None:
        raise InputError("standard input is closed; give the list in a file with --files0-from")
    source = getattr(source, "buffer", source)
    content = _as_bytes(source.read(_HEAD))
    if _BINARY.search(content):
        raise InputError(
            "standard input is no list of paths; is it a video? Name its file, or /dev/stdin"
        )
    rest = source.read(LIST + 1)
    if len(rest) > LIST:
        raise InputError(f"standard input has more than {LIST >> 20} MB; give the list in parts")
    return content + _as_bytes(rest)


def _as_bytes(content: str | bytes) -> bytes:
    return os.fsencode(content) if isinstance(content, str) else bytes(content)


def lines_of(content: bytes) -> list[str]:
    """Return the lines of a list that hold something; raises InputError for one of NULs."""
    if b"\0" in content:
        raise InputError("the list on standard input is parted by NULs; give --files0-from -")
    lines = os.fsdecode(content).removeprefix("\ufeff").split("\n")
    return [line for line in (line.removesuffix("\r") for line in lines) if line.strip()]


def is_binary(content: bytes) -> bool:
    """Return whether these bytes are of a video, say, and no list."""
    return bool(_BINARY.search(content[:_HEAD]))


def read_bytes(path: str) -> bytes:
    """Return the bytes of a file or URL; raises InputError."""
    try:
        if remote.is_url(path):
            return remote.read_bytes(remote.checked_url(path))
        return read_bounded(path)
    except OSError as error:
        raise InputError(f"{path}: the list cannot be read ({os_reason(error)})") from error


def os_reason(error: OSError) -> str:
    """Return what the system says, for a message."""
    return (error.strerror or str(error)).lower()


def decoded(path: str, content: bytes) -> str:
    """Return the text of a manifest; a path may have bytes that are not UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError(path, 1, "is UTF-16; save it as UTF-8")
    if b"\0" in content:
        raise ManifestError(path, content[: content.index(b"\0")].count(b"\n") + 1, "holds a NUL")
    return content.decode("utf-8-sig", "surrogateescape")


def manifest_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line and cells of each row of a manifest, the header first: of CSV, or of a workbook.

    Raises ManifestError, InputError for a file that cannot be read, MissingDependency.
    """
    content = read_bytes(path)
    if path.lower().endswith(".xlsx"):
        yield from _sheet_rows(path, content)
        return
    text = decoded(path, content)
    yield from csv_rows(path, text, manifest_separator(path, text))


def _sheet_rows(path: str, content: bytes) -> Iterator[tuple[int, list[str]]]:
    from videmo.write.xlsx import lines

    line = 0
    for line, cells in lines(path, io.BytesIO(content)):
        texts = [_as_text(cell) for cell in cells]
        if line == 1 and "path" not in [text.strip().lower() for text in texts]:
            raise ManifestError(path, 1, _NO_PATH)
        while texts and not texts[-1].strip():  # cells that were merely formatted
            texts.pop()
        if texts:
            yield line, texts
    if not line:
        raise ManifestError(path, 1, f"there is no header; {_AS}")


def _as_text(cell: Any) -> str:
    """Return a cell as a manifest has it; a clock time is none, for in it 1:30 is 90 minutes."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (datetime.time, datetime.timedelta)):
        return f"{cell} (a clock time; write seconds, or make the cell a text)"
    return "" if cell is None else str(cell)


def manifest_separator(path: str, text: str) -> str:
    """Return the one of , ; and tab that makes "path" a column of the header."""
    told = _SEPARATOR.match(text)
    marks, text = (told[1], text[told.end() :]) if told else (",;\t", text)
    header = text.splitlines()[0] if text.strip() else ""
    columns = {sep: header.lower().replace('"', "").split(sep) for sep in marks}
    fitting = [sep for sep, names in columns.items() if "path" in map(str.strip, names)]
    if not fitting:
        raise ManifestError(path, 1, _NO_PATH if header.strip() else f"there is no header; {_AS}")
    return max(fitting, key=lambda sep: len(columns[sep]))


def separator_of(text: str) -> str:
    """Return what parts the cells of a CSV: as its first line says (sep=;), or what it has most."""
    told = _SEPARATOR.match(text)
    return told[1] if told else max(",;\t", key=text.partition("\n")[0].count)


def csv_rows(
    path: str, text: str, separator: str, *, quoted: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the line on which it begins.

    quoted: whether quotes hold a cell together, or are characters like others
    Raises ManifestError naming the line.
    """
    text = _SEPARATOR.sub("\n", text, count=1) if _SEPARATOR.match(text) else text
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=quoted,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )  # fmt: skip
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise ManifestError(path, line, f"is no CSV ({error}); look at the quotes") from error
        if any(cell.strip() for cell in cells):
            yield line, cells
