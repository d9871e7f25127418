"""Writing records and feature files."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import descriptor, features

from videmo.data import Descriptor, Features
from videmo.errors import InputError, OutputError, ReaderGone, UnknownName
from videmo.evaluate.rows import read_rows
from videmo.runs.shards.part import OpenFiles
from videmo.runs.shards.parts import PARTS as RECORDS
from videmo.write import format_of, open_writer
from videmo.write.escape import escaped, unescaped
from videmo.write.formats import FORMATS
from videmo.write.npz import FeatureFile, load_features

LABELS = ("Anger", "Happiness", "Neutral")
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")
TEXTS = [name for name, format in FORMATS.items() if format.text]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux devices")

# what os.fsdecode makes of any file name, and any text
names = st.binary(min_size=1, max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"_")))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def record(path: str = "a/b.mp4", **changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 1, "path": path, "status": "ok", "label": "Happiness",
        "scores": {"Anger": 0.1234567, "Happiness": 0.7765433, "Neutral": 0.1},
        "frames": 61, "face_frames": 58, "faces": 60, "tracks": 1,
        "frames_with_others": 0, "side": 120.44, "sharpness": 7.126, "brightness": 0.5,
        "frontal": 0.9, "coverage": 58 / 61, "duration": 2.440049,
        "warnings": [], "error": None,
        "provenance": {"videmo": "0.1", "head": "h", "head_sha256": "1f", "backbone": "b",
                       "backbone_sha256": "2f", "detector": "mtcnn",
                       "detector_sha256": "3d", "decoder": "pyav", "device": "cpu", "recipe": "r"},
        **changes,
    }  # fmt: skip


def failed(path: str = "bad.mp4", why: str = "no video stream") -> dict[str, Any]:
    error = {"type": "VideoError", "message": f"{path}: {why}"}
    return record(path, status="error", label=None, scores=None, frames=0, face_frames=0, faces=0,
                  coverage=0.0, duration=None, error=error)  # fmt: skip


def text(format: str, *records: dict[str, Any], **options: Any) -> str:
    stream = io.StringIO(newline="")
    with open_writer(format, None, labels=LABELS, stream=stream, **options) as writer:
        for each in records:
            writer.write(each)
    return stream.getvalue()


def cells(format: str, *records: dict[str, Any], **options: Any) -> list[dict[str, str]]:
    """Read a flat format back as its rules say."""
    got = text(format, *records, **options)
    if format == "csv":
        return list(csv.DictReader(io.StringIO(got, newline="")))
    head, *rows = [line.split("\t") for line in got.split("\n")[:-1]]
    return [dict(zip(head, map(unescape, row), strict=True)) for row in rows]


def unescape(cell: str) -> str:
    rest = iter(cell)
    return "".join(
        {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}[next(rest)] if c == "\\" else c for c in rest
    )


# every format


@pytest.mark.parametrize("format", TEXTS)
def test_each_record_is_there_for_a_reader_at_once(format: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    writer = open_writer(format, "-", labels=LABELS, stream=stream)
    writer.write(record("one.mp4"))
    assert b"one.mp4" in stream.buffer.getvalue()
    writer.close()
    assert not stream.closed


@pytest.mark.parametrize("format", TEXTS)
def test_the_default_is_the_standard_output_of_the_moment(
    format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_writer(format, None, labels=LABELS) as writer:
        writer.write(record("one.mp4"))
    assert "one.mp4" in capsys.readouterr().out


@pytest.mark.parametrize("format", TEXTS)
def test_a_file_appears_only_when_the_writer_is_left(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with open_writer(format, out, labels=LABELS) as writer:
        writer.write(record())
        assert out.read_text() == "old"
        (part,) = tmp_path.glob(".videmo-*.part")
        assert "b.mp4" in part.read_text("utf-8")  # what a killed run has is not lost in a buffer
    assert "b.mp4" in out.read_text("utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("format", TEXTS)
def test_an_exception_leaves_what_was_there(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_writer(format, out, labels=LABELS) as writer:
        writer.write(record())
        raise KeyboardInterrupt
    assert out.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("format", TEXTS)
def test_closing_twice_does_nothing_and_writing_then_is_a_mistake(
    format: str, tmp_path: Path
) -> None:
    writer = open_writer(format, tmp_path / "out", labels=LABELS)
    writer.close()
    before = (tmp_path / "out").read_bytes()
    writer.close()
    assert (tmp_path / "out").read_bytes() == before
    with pytest.raises(ValueError, match="closed"):
        writer.write(record())


@pytest.mark.parametrize("format", TEXTS)
def test_numpy_values_are_written_as_numbers(format: str) -> None:
    odd = record(scores={"Happiness": np.float32(0.75)}, frames=np.int64(61), coverage=np.nan)
    assert "0.75" in text(format, odd) or "75 %" in text(format, odd)


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="no format is called 'xml'; there is ndjson, json"):
        open_writer("xml", None, labels=LABELS)


def test_top_is_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="top is 0"):
        open_writer("json", tmp_path / "out", labels=LABELS, top=0)
    assert not list(tmp_path.iterdir())


# which format


@pytest.mark.parametrize(
    ("out", "tty", "want"),
    [
        (None, True, "table"),
        ("-", True, "table"),
        (None, False, "ndjson"),
        ("x.ndjson", True, "ndjson"),
        ("x.jsonl", True, "ndjson"),
        ("a.b/x.JSON", True, "json"),
        ("x.csv", False, "csv"),
        ("x.tsv", False, "tsv"),
        ("x.txt", False, "table"),
        ("/dev/stdout", True, "ndjson"),
    ],
)
def test_the_suffix_chooses_the_format(out: str | None, tty: bool, want: str) -> None:
    assert format_of(out, tty) == want


def test_a_suffix_that_says_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(UnknownName, match=r"'\.xlsx'; there is \.ndjson, \.jsonl"):
        format_of("x.xlsx", True)
    with pytest.raises(InputError, match=r"results: no suffix .* or give --format"):
        format_of("results", True)


# JSON


def test_ndjson_is_one_object_a_line_with_its_keys_in_order() -> None:
    odd = dict(reversed([*record().items(), ("track", 3), ("note", {"x": [math.nan, 1]})]))
    line, rest = text("ndjson", odd).split("\n")
    got = json.loads(line)
    assert rest == "" and list(got)[:3] == ["schema_version", "path", "status"]
    assert list(got)[-2:] == ["note", "track"]  # unknown keys stay, in their own order
    assert got["track"] == 3 and got["note"] == {"x": [None, 1]}
    assert list(got["scores"]) == list(LABELS)


def test_scores_have_6_decimals_and_times_4() -> None:
    got = json.loads(text("ndjson", record()))
    assert got["scores"] == {"Anger": 0.123457, "Happiness": 0.776543, "Neutral": 0.1}
    assert (got["coverage"], got["duration"]) == (0.9508, 2.44)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), None])
def test_what_is_not_finite_is_null_in_json_and_empty_in_columns(value: Any) -> None:
    odd = record(duration=value, scores={"Anger": value, "Happiness": 1.0, "Neutral": 0.0})
    got = json.loads(text("ndjson", odd), parse_constant=pytest.fail)
    assert got["duration"] is None and got["scores"]["Anger"] is None
    row = cells("csv", odd)[0]
    assert row["duration"] == row["p_anger"] == ""


def test_top_keeps_the_highest_first_in_json_and_all_in_columns() -> None:
    odd = record(scores={"Anger": 0.3, "Happiness": math.nan, "Neutral": 0.7})
    assert list(json.loads(text("ndjson", odd, top=2))["scores"]) == ["Neutral", "Anger"]
    assert len(json.loads(text("json", odd, top=9))[0]["scores"]) == 3
    assert cells("csv", odd, top=1)[0]["p_anger"] == "0.300000"


def test_text_beyond_ascii_stays_and_line_separators_are_escaped() -> None:
    got = text("ndjson", record("é\u2028\x85清\x7f.mp4"))
    assert "é\\u2028\\u0085清\\u007f.mp4" in got and len(got.splitlines()) == 1


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_array(count: int) -> None:
    got = json.loads(text("json", *[record(str(n)) for n in range(count)]))
    assert [each["path"] for each in got] == [str(n) for n in range(count)]


@given(path=names, warnings=st.lists(texts, max_size=3))
def test_any_path_and_warning_comes_back_from_json(path: str, warnings: list[str]) -> None:
    odd = record(path, warnings=warnings)
    line = text("ndjson", odd)
    line.encode("utf-8")  # no escaped byte is left that UTF-8 cannot hold
    assert len(line.splitlines()) == 1
    for got in (json.loads(line), json.loads(text("json", odd))[0]):
        assert (unescaped(got["path"]), [*map(unescaped, got["warnings"])]) == (path, warnings)


# columns

COLUMNS = """
    path status label score p_anger p_happiness p_neutral frames face_frames faces tracks
    frames_with_others side sharpness brightness frontal coverage duration warnings
    error_type error_message videmo head head_sha256 backbone backbone_sha256
    detector detector_sha256 decoder device recipe schema_version
""".split()  # noqa: SIM905


@pytest.mark.parametrize(("format", "sep", "end"), [("csv", ",", "\r\n"), ("tsv", "\t", "\n")])
def test_the_header_is_there_without_rows(format: str, sep: str, end: str) -> None:
    assert text(format) == sep.join(COLUMNS) + end


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_each_column_holds_its_part(format: str) -> None:
    good, bad = cells(format, record(warnings=["late", "short"], track=3), failed())
    assert list(good.values()) == [
        "a/b.mp4", "ok", "Happiness", "0.776543", "0.123457", "0.776543", "0.100000",
        "61", "58", "60", "1", "0", "120.4", "7.13", "0.500", "0.900",
        "0.9508", "2.4400", "late | short", "", "",
        "0.1", "h", "1f", "b", "2f", "mtcnn", "3d", "pyav", "cpu", "r", "1",
    ]  # fmt: skip
    assert [bad[k] for k in ("status", "label", "score", "p_anger", "duration")] == [
        "error", "", "", "", "",
    ]  # fmt: skip
    assert (bad["error_type"], bad["error_message"]) == ("VideoError", "bad.mp4: no video stream")


def test_optional_keys_get_columns_at_the_end_when_asked() -> None:
    row = cells("csv", record(start=0.5, track=3), extra=("start", "end", "track"))[0]
    assert list(row.items())[-4:] == [
        ("schema_version", "1"), ("start", "0.5000"), ("end", ""), ("track", "3"),
    ]  # fmt: skip


def test_small_numbers_have_no_exponent_and_zero_no_sign() -> None:
    row = cells("csv", record(scores={"Anger": 1e-6, "Happiness": -1e-9, "Neutral": 0.0}))[0]
    assert (row["p_anger"], row["p_happiness"]) == ("0.000001", "0.000000")


def test_labels_that_differ_in_case_keep_two_columns() -> None:
    stream = io.StringIO()
    open_writer("tsv", None, labels=["a", "A"], stream=stream).close()
    assert "p_a\tp_A" in stream.getvalue()


def test_cells_that_look_like_formulas_stay_as_they_are() -> None:
    assert [row["path"] for row in cells("csv", record("=1+1.mp4"), record("@x"))] == [
        "=1+1.mp4", "@x",
    ]  # fmt: skip


def test_tsv_escapes_instead_of_quoting() -> None:
    assert text("tsv", record('a\t"b"\n\\c\r')).split("\n")[1].startswith('a\\t"b"\\n\\\\c\\r\tok')


@pytest.mark.parametrize("format", ["csv", "tsv"])
@given(path=names, warning=texts)
def test_any_path_and_warning_comes_back_from_columns(format: str, path: str, warning: str) -> None:
    row = cells(format, record(path, warnings=[warning]))[0]
    assert (unescaped(row["path"]), unescaped(row["warnings"])) == (path, warning)


@pytest.mark.parametrize("format", ["csv", "tsv", "ndjson", "json"])
@pytest.mark.parametrize(
    "path", [os.fsdecode(b"\xff\xe9.mp4"), "\ud800.mp4", r"\udcff.mp4", r"C:\up\a.mp4"]
)
def test_a_name_that_is_not_utf8_is_escaped_and_comes_back(
    format: str, path: str, tmp_path: Path
) -> None:
    out = tmp_path / f"out.{format}"
    with open_writer(format, out, labels=LABELS) as writer:
        writer.write(record(path))
    out.read_bytes().decode("utf-8")  # strictly, as pandas does
    (row,) = read_rows(str(out))
    assert row.cells["path"] == path
    (fact,) = RECORDS[format](str(out), OpenFiles()).summaries(False)
    assert fact.path == path


@given(names)
def test_escaping_is_undone_by_its_way_back(text: str) -> None:
    escaped(text).encode("utf-8")
    assert unescaped(escaped(text)) == text


# the table


def table(*records: dict[str, Any], **options: Any) -> list[str]:
    return text("table", *records, **options).splitlines()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_table_is_plain_text_elsewhere_than_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert table(
        record(), record("x.mp4", status="no_face", label=None, scores=None), failed()
    ) == [
        "clip                                     label                         with face",
        "─" * 80,
        "a/b.mp4                                  Happiness   78 %  ████████░░      58/61",
        "x.mp4                                    no face    in 61 frames looked at",
        "bad.mp4                                  error      no video stream",
    ]


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80, 100, 200])
@pytest.mark.parametrize("top", [None, 1, 2])
def test_no_row_on_a_terminal_is_wider_than_it(
    monkeypatch: pytest.MonkeyPatch, width: int, top: int | None
) -> None:
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with open_writer("table", None, labels=LABELS, top=top, stream=stream) as writer:
        for each in (record("清/" * 200 + "end.mp4", warnings=["w" * 300]), failed("x" * 300)):
            writer.write(each)
    head, rule, *rows = stream.getvalue().splitlines()
    assert cell_len(rule) == cell_len(rows[0]) <= max(width, 45)  # what a row must have takes 45
    assert all(cell_len(row) <= max(width, 45) for row in (head, *rows))
    assert "end.mp4" in rows[0] and rows[0].endswith("58/61")


def test_what_a_terminal_has_no_room_for_stands_below_the_row_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    stream, words = Terminal(), "a fact of some length, then another; and at its end what to do"
    with open_writer("table", None, labels=LABELS, stream=stream) as writer:
        for each in (record(warnings=[words]), failed(why=words), failed(why="short")):
            writer.write(each)
    shown = stream.getvalue()
    assert " ".join(shown.split()).count(words) == 2 and f"warning: {words[:30]}" in shown
    assert shown.splitlines()[-1].endswith("error      short")


@posix
def test_colour_is_for_terminals_and_only_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")

    def shown() -> str:
        stream = Terminal()
        with open_writer("table", None, labels=LABELS, stream=stream) as writer:
            writer.write(failed())
        return stream.getvalue()

    assert "\x1b[1;31merror" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in shown() and "error" in shown()


def test_control_characters_of_a_file_name_do_not_reach_the_terminal() -> None:
    row = table(record("a\x1b[31m\n\udcff.mp4"))[2]
    assert row.startswith("a\\x1b[31m\\n\\udcff.mp4")


def test_markup_in_a_file_name_is_only_text() -> None:
    assert table(record("[red]a:smile:[/red].mp4"))[2].startswith("[red]a:smile:[/red].mp4")


def test_warnings_stand_below_their_row() -> None:
    assert table(record(warnings=["cut short"]))[3] == "  warning: cut short"


def test_a_part_of_a_clip_says_which() -> None:
    assert table(record("a.mp4", start=1.0, end=2.5, track=2))[2].startswith("a.mp4 [1.0-2.5 s] #2")


def test_top_limits_the_labels_of_a_row() -> None:
    assert "Anger" in table(record(), top=2)[2] and "Anger" not in table(record(), top=1)[2]


def test_a_terminal_without_utf8_gets_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with open_writer("table", None, labels=LABELS, stream=stream) as writer:
        writer.write(record("é清.mp4"))
    head, rule, row = stream.buffer.getvalue().splitlines()
    assert row.startswith(b"\\xe9\\u6e05.mp4 ") and b"########.." in row
    assert len(head) == len(rule) == len(row)


def test_the_head_is_there_without_rows() -> None:
    assert len(table()) == 2


def test_importing_the_writers_does_not_import_rich() -> None:
    code = "import sys, videmo.write.formats, videmo.write.table; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# places


@pytest.fixture(params=["csv", "npz"])
def to(request: pytest.FixtureRequest) -> Callable[[str | Path], None]:
    """Write a little to a place."""

    def write(out: str | Path) -> None:
        if request.param == "csv":
            with open_writer("csv", out, labels=LABELS) as writer:
                writer.write(record())
        else:
            with FeatureFile(out, names=["x"], meta={}, frames=True) as file:
                file.add("a.mp4", "ok")

    return write


def test_a_folder_is_no_place_for_a_file(to: Callable[[str | Path], None], tmp_path: Path) -> None:
    for out in (tmp_path, f"{tmp_path / 'new'}{os.sep}"):
        with pytest.raises(OutputError, match="is a folder; name a file in it"):
            to(out)


def test_a_missing_folder_is_to_be_made_first(
    to: Callable[[str | Path], None], tmp_path: Path
) -> None:
    out = str(tmp_path / "no" / "x.csv")
    with pytest.raises(OutputError) as caught:
        to(out)
    assert caught.value.path == out and caught.value.reason.endswith("make it first")


def test_an_empty_name_is_refused(to: Callable[[str | Path], None]) -> None:
    with pytest.raises(OutputError, match="empty name"):
        to("")


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EACCES, "no permission"), (errno.EROFS, "read-only"), (5, "cannot")]
)
def test_a_place_that_cannot_be_written_says_why(
    to: Callable[[str | Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    words: str,
) -> None:
    def deny(*args: Any) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("videmo.write.sink.os.open", deny)
    with pytest.raises(OutputError, match=words):
        to(tmp_path / "x.csv")


def test_a_write_protected_file_is_not_replaced(
    to: Callable[[str | Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("mine")
    monkeypatch.setattr("videmo.write.sink.os.access", lambda path, mode: False)
    with pytest.raises(OutputError, match="no permission"):
        to(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_is_full_at_the_end_leaves_what_was_there(
    to: Callable[[str | Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "x").write_text("old")
    monkeypatch.setattr(f"videmo.write.sink.os.{step}", full)
    with pytest.raises(OutputError, match="the disk is full"):
        to(tmp_path / "x")
    assert [(e.name, e.read_text()) for e in tmp_path.iterdir()] == [("x", "old")]


@linux
@pytest.mark.parametrize("format", TEXTS)
def test_a_disk_that_fills_up_is_told_at_the_record(format: str) -> None:
    with (
        pytest.raises(OutputError, match="/dev/full: the disk is full"),
        open_writer(format, "/dev/full", labels=LABELS) as writer,
    ):
        writer.write(record())
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@linux
def test_standard_output_on_a_full_disk_is_told() -> None:
    stream = open("/dev/full", "w")  # noqa: SIM115
    writer = open_writer("ndjson", None, labels=LABELS, stream=stream)
    with pytest.raises(OutputError, match="standard output: the disk is full"):
        writer.write(record())
    writer.close()  # has nothing left to do
    with pytest.raises(OSError, match="No space"):  # its buffer still holds the line
        stream.close()


@linux
def test_features_on_a_full_disk_are_told() -> None:
    with (
        pytest.raises(OutputError, match="/dev/full: the disk is full"),
        FeatureFile("/dev/full", names=["x"], meta={}) as file,
    ):
        file.add("a.mp4", "ok")


@posix
def test_a_device_is_written_and_stays(to: Callable[[str | Path], None]) -> None:
    to(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@posix
@pytest.mark.parametrize("format", TEXTS)
def test_a_named_pipe_is_written_directly(format: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[str] = []
    reader = threading.Thread(
        target=lambda: got.append((tmp_path / "pipe").read_text("utf-8")), daemon=True
    )
    reader.start()
    with open_writer(format, tmp_path / "pipe", labels=LABELS) as writer:
        writer.write(record("one.mp4"))
    reader.join(10)
    assert "one.mp4" in got[0] and stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


@linux
def test_dev_stdout_adds_to_the_file_that_the_shell_opened(tmp_path: Path) -> None:
    code = (
        "from videmo.write import open_writer\n"
        "print('before', flush=True)\n"
        "with open_writer('tsv', '/dev/stdout', labels=[]): pass\n"
    )
    with open(tmp_path / "out", "a") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    first, second = (tmp_path / "out").read_text().splitlines()
    assert first == "before" and second.startswith("path\t")


@posix
def test_a_closed_pipe_is_left_to_the_caller() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = open(write, "w")  # noqa: SIM115
    with (
        pytest.raises(ReaderGone),
        open_writer("ndjson", None, labels=LABELS, stream=stream) as writer,
    ):
        writer.write(record())
    with pytest.raises(BrokenPipeError):
        stream.close()


@posix
def test_a_link_stays_and_its_target_is_replaced(
    to: Callable[[str | Path], None], tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    for _ in range(2):  # the target is made, then replaced
        to(tmp_path / "link")
        assert (tmp_path / "link").is_symlink() and (tmp_path / "there/file").stat().st_size
    assert len(list((tmp_path / "there").iterdir())) == 1


@posix
def test_a_new_file_follows_the_umask_and_a_replaced_one_keeps_its_mode(
    to: Callable[[str | Path], None], tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        to(tmp_path / "new")
        assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o640
        os.chmod(tmp_path / "new", 0o600)
        to(tmp_path / "new")
        assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o600
    finally:
        os.umask(before)


# features


def test_features_come_back_as_they_went(tmp_path: Path) -> None:
    out = tmp_path / "f.npz"
    odd = os.fsdecode(b"d/\xff\n.mp4")
    with FeatureFile(out, names=["mean_0", "mean_1"], meta={"tool": "é", "n": np.int64(2)}) as file:
        file.add(odd, "ok", descriptor=descriptor(1, 2), duration=2.5, label="Happy")
        file.add("b.mp4", "error", "b.mp4: boom")
        file.add("c.mp4", "no_face", descriptor=Descriptor(np.zeros(0, np.float32), 0, 0, 5))
    got = load_features(out)
    assert (len(got), got.path.tolist()) == (3, [odd, "b.mp4", "c.mp4"])
    assert got.status.tolist() == ["ok", "error", "no_face"]
    assert got.error.tolist() == ["", "b.mp4: boom", ""]
    assert got.features[0].tolist() == [1, 2] and np.isnan(got.features[1:]).all()
    assert got.features.dtype == np.float32 and got.feature_names.tolist() == ["mean_0", "mean_1"]
    assert [got.frames.tolist(), got.face_frames.tolist(), got.faces.tolist()] == [
        [8, 0, 5], [7, 0, 0], [9, 0, 0],
    ]  # fmt: skip
    assert got.duration[0] == 2.5 and np.isnan(got.duration[1:]).all()
    assert got.label is not None and got.label.tolist() == ["Happy", "", ""]
    assert (got.split, got.subject, got.frame_features) == (None, None, None)
    assert got.meta == {"tool": "é", "n": 2}
    assert repr(got).startswith("FeatureTable(path=<U")


def test_numpy_alone_reads_the_file_without_pickles(tmp_path: Path) -> None:
    with FeatureFile(tmp_path / "f.npz", names=["x"], meta={"a": 1}, frames=True) as file:
        file.add("a.mp4", "ok", descriptor=descriptor(1), features=[features(2)])
    with np.load(tmp_path / "f.npz", allow_pickle=False) as arrays:
        assert json.loads(arrays["meta"].item()) == {"a": 1}
        assert all(arrays[name].dtype.kind in "Uif" for name in arrays.files)
        assert arrays["frame_features"].flags.c_contiguous


def test_each_clip_owns_the_rows_of_its_faces(tmp_path: Path) -> None:
    first, second, third = features(2, 1), features(0, 2), features(3, 3)
    with FeatureFile(tmp_path / "f.npz", names=["x"], meta={}, frames=True) as file:
        file.add("none.mp4", "no_face")
        assert list(file.spool([first, second])) == [first, second]  # passed on unchanged
        file.add("a.mp4", "ok", descriptor=descriptor(1))
        file.add("b.mp4", "ok", descriptor=descriptor(1), features=iter([third]))
    got = load_features(tmp_path / "f.npz")
    assert got.frame_offsets is not None and got.frame_offsets.tolist() == [0, 0, 2, 5]
    for name in ("index", "time", "box", "score", "track"):
        want = np.concatenate([getattr(part.faces, name) for part in (first, third)])
        array = getattr(got, f"frame_{name}")
        assert array.dtype == want.dtype and np.array_equal(array, want)
    want = np.concatenate([first.values, third.values])
    assert got.frame_features is not None and np.array_equal(got.frame_features, want)
    assert load_features(tmp_path / "f.npz", frames=False).frame_features is None


def test_a_clip_that_fails_midway_leaves_no_rows(tmp_path: Path) -> None:
    def breaks() -> Iterator[Features]:
        yield features(4)
        raise RuntimeError("boom")

    with FeatureFile(tmp_path / "f.npz", names=["x"], meta={}, frames=True) as file:
        with pytest.raises(RuntimeError, match="boom"):
            file.add("a.mp4", "ok", descriptor=descriptor(1), features=breaks())
        file.add("a.mp4", "error", "boom")
        next(file.spool([features(4), features(4)]))  # abandoned
        file.add("b.mp4", "ok", descriptor=descriptor(1))
        list(file.spool([features(4)]))
        file.add("c.mp4", "error", "the head is not for this")
        file.add("d.mp4", "ok", descriptor=descriptor(1), features=[features(1, seed=5)])
        list(file.spool([features(4)]))  # of no clip at all
    got = load_features(tmp_path / "f.npz")
    assert got.frame_offsets is not None and got.frame_offsets.tolist() == [0, 0, 0, 0, 1]
    assert got.frame_features is not None
    assert np.array_equal(got.frame_features, features(1, seed=5).values)


def test_nothing_of_faces_that_were_dropped_is_in_the_file(tmp_path: Path) -> None:
    for name, lost in (("a", []), ("b", [features(4)])):
        with FeatureFile(tmp_path / name, names=["x"], meta={}, frames=True) as file:
            file.add("a.mp4", "ok", descriptor=descriptor(1), features=[features(2)])
            file.add("b.mp4", "error", "boom", features=lost)
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


def test_without_frames_the_faces_pass_by(tmp_path: Path) -> None:
    with FeatureFile(tmp_path / "f.npz", names=["x"], meta={}) as file:
        assert len(list(file.spool([features(2)]))) == 1
        file.add("a.mp4", "ok", descriptor=descriptor(1), features=[features(2)])
    assert load_features(tmp_path / "f.npz").frame_offsets is None


@pytest.mark.parametrize("frames", [False, True])
def test_a_file_of_no_clips_is_a_file(tmp_path: Path, frames: bool) -> None:
    FeatureFile(tmp_path / "f.npz", names=["x", "y"], meta={}, frames=frames).close()
    got = load_features(tmp_path / "f.npz")
    assert (len(got), got.features.shape) == (0, (0, 2))


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with FeatureFile(tmp_path / name, names=["x"], meta={"m": 1}, frames=True) as file:
            file.add("a.mp4", "ok", descriptor=descriptor(1), features=[features(2)], split="t")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_faces_wait_in_files_and_not_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    block = Features(np.zeros((1000, 500), np.float32), features(1000).faces, 1000)  # 2 MB
    tracemalloc.start()
    with FeatureFile(tmp_path / "f.npz", names=["x"], meta={}, frames=True) as file:
        file.add("a.mp4", "ok", descriptor=descriptor(1), features=(block for _ in range(15)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "f.npz").stat().st_size > 30e6 and peak < 10e6


def test_a_descriptor_of_another_length_is_a_mistake(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="2 values for 1 feature names"),
        FeatureFile(tmp_path / "f.npz", names=["x"], meta={}) as file,
    ):
        file.add("a.mp4", "ok", descriptor=descriptor(1, 2))
    assert not list(tmp_path.iterdir())


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    with FeatureFile(tmp_path / "f.npz", names=["x"], meta={}) as file:
        file.add("a.mp4", "error", "x" * 10_000)
    assert len(load_features(tmp_path / "f.npz").error[0]) == 500


# feature files that are none


def arrays() -> dict[str, Any]:
    n, rows = 2, 3
    return {
        "path": np.array(["a", "b"]), "status": np.array(["ok", "ok"]), "error": np.array(["", ""]),
        "features": np.zeros((n, 1), np.float32), "feature_names": np.array(["x"]),
        "frames": np.zeros(n, np.int64), "face_frames": np.zeros(n, np.int64),
        "faces": np.zeros(n, np.int64), "duration": np.zeros(n), "meta": np.array("{}"),
        "frame_offsets": np.array([0, 1, 3]), "frame_features": np.zeros((rows, 5), np.float32),
        "frame_index": np.zeros(rows, np.int64), "frame_time": np.zeros(rows),
        "frame_box": np.zeros((rows, 4), np.float32), "frame_score": np.zeros(rows, np.float32),
        "frame_track": np.zeros(rows, np.int64),
    }  # fmt: skip


def test_arrays_that_fit_are_loaded_whoever_wrote_them(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "f.npz", **arrays(), more=np.zeros(7))
    assert len(load_features(tmp_path / "f.npz")) == 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("status", None, "no array 'status'"),
        ("frame_box", None, "no array 'frame_box'"),
        ("frame_offsets", None, "no array 'frame_offsets'"),
        ("path", np.array(["a", None], object), "cannot be read .*[Oo]bject"),
        ("path", np.array("a"), "path is <U1 a single value"),
        ("status", np.array(["ok"]), "status is <U2 1, not 2 clips"),
        ("features", np.zeros((2, 9), np.float32), "features is float32 2x9, not 1 columns"),
        ("features", np.zeros(2, np.float32), "features is float32 2, not 2 dimensions"),
        ("faces", np.zeros(2), "faces is float64 2, not 1 dimensions of kind 'i'"),
        ("meta", np.array("{"), "meta is no JSON"),
        ("meta", np.array("[1]"), "meta is no JSON object"),
        ("frame_offsets", np.array([0, 2, 1]), "frame_offsets do not rise"),
        ("frame_offsets", np.array([0, 3]), "frame_offsets is int64 2, not 3 offsets"),
        ("frame_time", np.zeros(4), "frame_time is float64 4, not 3 rows"),
        ("frame_box", np.zeros((3, 2)), "frame_box is float64 3x2, not 4 columns"),
    ],
)
def test_a_file_with_wrong_arrays_is_refused(
    tmp_path: Path, name: str, value: Any, words: str
) -> None:
    changed = {k: v for k, v in {**arrays(), name: value}.items() if v is not None}
    np.savez(tmp_path / "f.npz", **changed)
    with pytest.raises(InputError, match=words) as caught:
        load_features(tmp_path / "f.npz")
    assert str(caught.value).startswith(str(tmp_path / "f.npz"))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is no .npz file"), (b"\x93NUMPY", "is no .npz file"), (None, "no such file")],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(InputError, match=f"(?i){words}"):
        load_features(tmp_path / "f.npz")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", **arrays())
    raw = bytearray((tmp_path / "f.npz").read_bytes())
    raw[raw.index(b"NUMPY") + 130] ^= 0xFF  # in the first array: its checksum no longer fits
    (tmp_path / "f.npz").write_bytes(raw)
    with pytest.raises(InputError, match="cannot be read"):
        load_features(tmp_path / "f.npz")
    (tmp_path / "f.npz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match=r"is no \.npz file"):
        load_features(tmp_path / "f.npz")
