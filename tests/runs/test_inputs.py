"""Finding clips: folders, patterns, lists and manifests."""

from __future__ import annotations

import datetime
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videmo.errors import InputError, ManifestError, NothingToDo
from videmo.runs.inputs import Clip, find_clips, read_manifest

posix = pytest.mark.skipif(os.name == "nt", reason="names that only POSIX allows")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def paths(*given: Any, **options: Any) -> list[str]:
    return [clip.path for clip in find_clips(given, **options)]


def reason(text: str | bytes, here: Path) -> tuple[int, str]:
    (here / "m.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ManifestError) as caught:
        read_manifest("m.csv")
    assert caught.value.path == "m.csv"
    return caught.value.line, caught.value.reason


# files and folders


def test_files_are_kept_as_given_in_their_order_even_when_missing(here: Path) -> None:
    make("b.txt")
    assert paths("b.txt", "./a.mp4", "no/such.mp4") == ["b.txt", "./a.mp4", "no/such.mp4"]


def test_one_path_may_be_given_alone(here: Path) -> None:
    make("clips/a.mp4")
    assert find_clips("clips") == [Clip(os.path.join("clips", "a.mp4"))]


def test_a_folder_is_searched_recursively_for_videos_in_the_order_of_names(here: Path) -> None:
    make("d/b.MP4", "d/a/z.mkv", "d/a/10.mov", "d/a/2.mov", "d/a.avi", "d/notes.txt", "d/f/1.jpg")
    assert paths("d") == ["d/a/10.mov", "d/a/2.mov", "d/a/z.mkv", "d/a.avi", "d/b.MP4"]


def test_clips_of_one_basename_in_two_folders_stay_apart(here: Path) -> None:
    make("train/dia0_utt0.mp4", "test/dia0_utt0.mp4")
    assert paths("train", "test/") == ["train/dia0_utt0.mp4", "test/dia0_utt0.mp4"]


def test_the_folder_stands_before_its_clips_as_it_was_given(here: Path) -> None:
    make("a.mp4")
    assert paths(".") == [os.path.join(".", "a.mp4")]
    assert paths(here) == [str(here / "a.mp4")]


def test_hidden_files_and_folders_are_passed_over(here: Path) -> None:
    make("d/.git/a.mp4", "d/._b.mp4", "d/.mp4", "d/c.mp4")
    assert paths("d") == ["d/c.mp4"]


@pytest.mark.parametrize("ext", [".dat", "dat", "DAT"])
def test_a_suffix_can_be_added(here: Path, ext: str) -> None:
    make("d/a.dat", "d/b.mp4", "d/xdat")
    assert paths("d", ext=[ext]) == ["d/a.dat", "d/b.mp4"]


def test_a_star_as_suffix_takes_every_file(here: Path) -> None:
    make("d/a.dat", "d/b", "d/.c")
    assert paths("d", ext=["*"]) == ["d/a.dat", "d/b"]


@pytest.mark.parametrize(
    ("include", "exclude", "want"),
    [
        (["a*"], [], ["a.mp4", "sub/a.mp4"]),
        (["sub"], [], ["sub/a.mp4", "sub/deep/c.mp4"]),
        (["sub/*"], [], ["sub/a.mp4", "sub/deep/c.mp4"]),
        (["*/c.mp4"], [], []),
        (["**/c.mp4"], [], ["sub/deep/c.mp4"]),
        (["/a.mp4"], [], ["a.mp4"]),
        (["[!a].mp4"], [], ["b.mp4", "sub/deep/c.mp4"]),
        (["?.mp4"], ["sub/"], ["a.mp4", "b.mp4"]),
        ([], ["**/deep/**"], ["a.mp4", "b.mp4", "sub/a.mp4"]),
        ([], ["a.mp4", "c.mp4"], ["b.mp4"]),
        (["b*", "c*"], [], ["b.mp4", "sub/deep/c.mp4"]),
    ],
)
def test_patterns_choose_among_what_a_folder_holds(
    here: Path, include: list[str], exclude: list[str], want: list[str]
) -> None:
    make("d/a.mp4", "d/b.mp4", "d/sub/a.mp4", "d/sub/deep/c.mp4", "x.mp4")
    got = paths("x.mp4", "d", include=include, exclude=exclude)
    assert got == ["x.mp4", *(f"d/{name}" for name in want)]  # x.mp4 was named: it stays


def test_a_pattern_that_cannot_be_read_is_refused(here: Path) -> None:
    make("d/a.mp4")
    with pytest.raises(InputError, match="pattern cannot be read"):
        find_clips(["d"], include=["[z-a]"])


@posix
def test_links_to_folders_are_followed_without_going_round(here: Path) -> None:
    make("d/a/x.mp4", "e/y.mp4")
    (here / "d/a/up").symlink_to(here / "d")
    (here / "d/e").symlink_to(here / "e")
    (here / "e/back").symlink_to(here / "d")
    assert paths("d") == ["d/a/x.mp4", "d/e/y.mp4"]
    assert paths("d/**/*.mp4") == ["d/a/x.mp4", "d/e/y.mp4"]


@posix
def test_a_link_to_a_missing_clip_is_kept_and_a_pipe_is_not(here: Path) -> None:
    make("d/a.mp4")
    (here / "d/gone.mp4").symlink_to("nowhere.mp4")
    (here / "d/self.mp4").symlink_to("self.mp4")
    os.mkfifo(here / "d/pipe.mp4")
    assert paths("d") == ["d/a.mp4", "d/gone.mp4", "d/self.mp4"]


def test_an_unreadable_folder_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("d/a.mp4", "d/locked/b.mp4")
    scandir = os.scandir

    def deny(path: str) -> Any:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(InputError, match=r"^d.locked: the folder cannot be read \(permission"):
        find_clips(["d"])
    with pytest.raises(InputError, match=r"^d.locked: the folder cannot be read \(permission"):
        find_clips(["d/locked/*.mp4"])
    assert paths("d", exclude=["locked"]) == ["d/a.mp4"]


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_names_that_are_not_utf8_or_hold_quotes_and_line_ends_work(here: Path) -> None:
    names = sorted(map(os.fsdecode, [b"d/\xff\xe9.mp4", b"d/a\nb.mp4", b"d/'\".mp4", b"d/[1].mp4"]))
    make(*names)
    assert paths("d") == names
    assert paths(*names) == names
    zeros = "\0".join(names).encode("utf-8", "surrogateescape")
    assert paths(files0_from="-", stdin=io.BytesIO(zeros)) == names


def test_many_files_are_looked_at_without_a_stat_each(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(*(f"d/{n // 100:03}/{n:05}.mp4" for n in range(400)))
    asked: list[Any] = []
    stat = os.stat

    def count(path: Any, **options: Any) -> os.stat_result:
        asked.append(path)
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", count)
    assert len(find_clips(["d"])) == 400
    assert len(asked) <= 10  # the folders, and what isdir asks of the first


# patterns


def test_a_quoted_pattern_is_expanded_in_order(here: Path) -> None:
    make("c/b.mp4", "c/a.mp4", "c/x/a.mp4", "c/.h/a.mp4", "c/n.txt")
    assert paths("c/*.mp4") == ["c/a.mp4", "c/b.mp4"]
    assert paths("c/**/*.mp4") == ["c/a.mp4", "c/b.mp4", "c/x/a.mp4"]
    assert paths("**/a.mp4") == ["c/a.mp4", "c/x/a.mp4"]
    assert paths("c/**") == ["c/a.mp4", "c/b.mp4", "c/x/a.mp4"]
    assert paths(str(here / "c/**/a.mp4")) == [str(here / "c/a.mp4"), str(here / "c/x/a.mp4")]


def test_a_pattern_takes_folders_too_and_only_videos_where_it_spells_no_suffix(here: Path) -> None:
    make("c/a.dat", "c/b.mp4", "c/x/d.mp4")
    assert paths("c/*") == ["c/b.mp4", "c/x/d.mp4"]
    assert paths("c/*.dat") == ["c/a.dat"]
    assert paths("c/*", exclude=["x"]) == ["c/b.mp4"]


@posix
def test_a_file_of_that_odd_name_wins_over_the_pattern(here: Path) -> None:
    make("*.mp4", "a.mp4")
    assert paths("*.mp4") == ["*.mp4"]


def test_a_missing_file_with_brackets_is_a_file(here: Path) -> None:
    assert paths("take[2].mp4") == ["take[2].mp4"]


def test_a_pattern_without_a_match_is_noted(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    make("a.mp4")
    with caplog.at_level(logging.WARNING):
        assert paths("a.mp4", "no/*.mp4", "no/**/*.mkv") == ["a.mp4"]
    assert [record.getMessage() for record in caplog.records] == [
        "no/*.mp4: the pattern matches no clip",
        "no/**/*.mkv: the pattern matches no clip",
    ]


# lists


def test_a_dash_reads_a_list_of_files_and_folders(here: Path) -> None:
    make("d/a.mp4")
    lines = io.BytesIO("\ufeffx y.mp4\r\n\r\n  \nd\né*.mp4".encode())
    assert paths("first.mp4", "-", "last.mp4", stdin=lines) == [
        "first.mp4", "x y.mp4", "d/a.mp4", "é*.mp4", "last.mp4",
    ]  # fmt: skip


def test_the_list_may_come_as_text(here: Path) -> None:
    assert paths("-", stdin=io.StringIO("a.mp4\n")) == ["a.mp4"]
    assert paths("-", stdin=io.TextIOWrapper(io.BytesIO(b"b.mp4\n"))) == ["b.mp4"]


def test_a_list_with_nuls_on_a_dash_says_which_option_reads_it() -> None:
    with pytest.raises(InputError, match="--files0-from -"):
        find_clips(["-"], stdin=io.BytesIO(b"a\0b\0"))


def test_standard_input_cannot_be_two_lists() -> None:
    with pytest.raises(InputError, match="two lists"):
        find_clips(["-"], files0_from="-", stdin=io.BytesIO(b""))


def test_a_nul_separated_list_keeps_line_ends_and_spaces(here: Path) -> None:
    Path("list").write_bytes(b"a\nb.mp4\0 c .mp4\0")
    assert paths(files0_from="list") == ["a\nb.mp4", " c .mp4"]


def test_a_missing_list_is_named(here: Path) -> None:
    with pytest.raises(InputError, match=r"^gone: the list cannot be read \(no such file"):
        find_clips([], files0_from="gone")


# what is one clip


def test_the_same_path_twice_is_one_clip_at_its_first_place(here: Path) -> None:
    make("d/a.mp4", "d/b.mp4")
    assert paths("d/b.mp4", "d", "./d//a.mp4") == ["d/b.mp4", "d/a.mp4"]


def test_dots_that_climb_are_not_folded_away(here: Path) -> None:
    assert paths("d/../a.mp4", "a.mp4") == ["d/../a.mp4", "a.mp4"]


def test_what_the_manifest_says_of_a_named_clip_counts(here: Path) -> None:
    Path("m.csv").write_text("path,label\nb.mp4,Happy\n")
    assert find_clips(["b.mp4", "a.mp4"], manifest="m.csv") == [
        Clip("b.mp4", label="Happy"),
        Clip("a.mp4"),
    ]


# nothing


def test_nothing_found_says_what_was_looked_for(here: Path) -> None:
    make("d/a.txt", "d/b.mp4")
    with pytest.raises(NothingToDo) as caught:
        find_clips(["d"], include=["z*"])
    text = str(caught.value)
    assert text.startswith("no clip in d: 2 files looked at for .264 ")
    assert "--include z*" in text and "--ext" in text and "\n" not in text


def test_no_input_at_all_says_what_to_give() -> None:
    with pytest.raises(NothingToDo, match="no input was given"):
        find_clips([])


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(InputError, match="empty text"):
        find_clips([""])


def test_a_manifest_without_rows_is_nothing_to_do(here: Path) -> None:
    Path("m.csv").write_text("path,label\n")
    with pytest.raises(NothingToDo, match=r"m\.csv: it lists none"):
        find_clips([], manifest="m.csv")


# manifests


def test_a_manifest_gives_path_label_split_subject_and_span(here: Path) -> None:
    make("set/x")
    Path("set/m.csv").write_text(
        'Path, Label ,split,subject,start,end,x\n"a, b.mp4",Happy,train,7,0.5,2,"x\ny"\n\nc.mp4\n'
    )
    assert find_clips([], manifest="set/m.csv") == [
        Clip(os.path.join("set", "a, b.mp4"), 0.5, 2.0, "Happy", "train", "7"),
        Clip(os.path.join("set", "c.mp4")),
    ]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_separators_and_line_ends_are_understood(
    here: Path, mark: str, separator: str, end: str
) -> None:
    lines = [f"label{separator}path", f"Überrascht{separator}é.mp4"]
    Path("m.csv").write_bytes((mark + end.join(lines) + end).encode())
    assert read_manifest("m.csv") == [Clip("é.mp4", label="Überrascht")]


def test_a_list_of_paths_alone_is_a_manifest_and_absolute_paths_stay(here: Path) -> None:
    absolute = str(here / "a.mp4")
    Path("m.csv").write_text(f"path\n{absolute}\nb;c.mp4\n")
    assert [clip.path for clip in read_manifest("m.csv")] == [absolute, "b;c.mp4"]


def test_spans_of_one_file_are_clips_of_their_own(here: Path) -> None:
    Path("m.csv").write_text("path,start,end\na.mp4,0,1\na.mp4,1,2\na.mp4,1.0,2\na.mp4,,\n")
    spans = [(clip.start, clip.end) for clip in read_manifest("m.csv")]
    assert spans == [(0.0, 1.0), (1.0, 2.0), (None, None)]


@pytest.mark.parametrize("cell", ["nan", "inf", "-1", "1,5", "1:75", "x", "1_0", "1e999"])
def test_a_time_that_is_no_number_of_seconds_names_its_line(here: Path, cell: str) -> None:
    line, why = reason(f"path;start\nok.mp4;1\n\nb.mp4;{cell}\n", here)
    assert line == 4 and why.startswith(f"start is {cell!r}")


@pytest.mark.parametrize("span", ["2,2", "3,2", ",0"])
def test_a_span_that_does_not_run_forward_is_refused(here: Path, span: str) -> None:
    line, why = reason(f"path,start,end\na.mp4,{span}\n", here)
    assert line == 2 and "is not before end" in why


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "there is no header"),
        ("file,label\na,b\n", 1, "no column is called 'path'"),
        ("path,label,path\n", 1, "two columns are called 'path'"),
        ("path,label\na.mp4,x\n,Happy\n", 3, "has no path"),
        ("path,label\na,b.mp4,Happy\n", 2, "3 cells under 2 columns"),
        ('path,label\n"a\nb.mp4",x\n"c"d,x\n', 4, "is no CSV"),
        ('path,label\n"a.mp4,x\n\n', 2, "is no CSV"),
        ("path,label\na.mp4,x\nb.mp4,y\n./a.mp4,y\n", 4, "than line 2"),
        ("path\na\0.mp4\n", 2, "NUL"),
        ("path,label\n".encode("utf-16"), 1, "is UTF-16"),
        (b"path,label\na.mp4,Fr\xf6hlich\n", 2, "label is not UTF-8"),
    ],
)
def test_a_bad_row_is_named_with_its_line(
    here: Path, text: str | bytes, line: int, words: str
) -> None:
    got, why = reason(text, here)
    assert got == line and words in why


def test_a_path_of_a_manifest_may_have_any_bytes(here: Path) -> None:
    Path("m.csv").write_bytes(b"path\n\xff.mp4\n")
    assert [os.fsencode(clip.path) for clip in read_manifest("m.csv")] == [b"\xff.mp4"]


@given(text=st.text(st.sampled_from('pathlbe,;\t"\n\r1.\ufeff\ud800 '), max_size=40))
def test_a_manifest_is_read_or_refused_but_never_breaks(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(("path,label,end\n" + text).encode("utf-8", "surrogatepass"))
    try:
        clips: Iterator[Clip] = iter(read_manifest(str(file)))
    except ManifestError as error:
        assert error.line >= 1
    else:
        assert all(clip.path for clip in clips)


# nothing is passed over in silence


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_what_cameras_write_is_taken_from_folders(here: Path) -> None:
    names = ["a.264", "b.265", "c.H264", "d.hevc", "e.mod", "f.TOD", "g.dav", "h.apng", "i.ivf"]
    make(*(f"d/{name}" for name in names))
    assert paths("d") == [f"d/{name}" for name in names]


def test_files_that_a_folder_passes_over_are_counted_by_suffix(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make("d/a.mp4", "d/b.dat", "d/s/c.DAT", "d/notes", "d/.hidden", "d/out.csv.journal")
    assert paths("d") == ["d/a.mp4"]
    assert warned(caplog) == [
        "3 files were passed over in folders (2 .dat, 1 without); --ext adds a suffix, --ext '*' "
        "takes all"
    ]
    caplog.clear()
    assert paths("d", ext=["dat", "csv"]) == ["d/a.mp4", "d/b.dat", "d/s/c.DAT"]
    assert "1 file was" in warned(caplog)[0]
    caplog.clear()
    assert paths("d", include=["*.mp4"]) == ["d/a.mp4"]
    assert warned(caplog) == []  # they were not asked for


def test_a_clip_that_is_named_twice_counts_once_and_that_is_said(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make("d/a.mp4", "d/b.mp4")
    assert paths("d/a.mp4", "d", "./d/b.mp4") == ["d/a.mp4", "d/b.mp4"]
    assert warned(caplog) == ["2 inputs are named more than once; each clip counts once"]


@pytest.mark.parametrize(
    "content", [b"\0\0\0\x18ftypmp42", b"\x1aE\xdf\xa3\x01\0\0\0", b"G@\0\x10\0\0\xb0\r"]
)
def test_a_video_on_standard_input_is_told_from_a_list(content: bytes) -> None:
    with pytest.raises(InputError, match="is it a video"):
        find_clips("-", stdin=io.BytesIO(content))
    with pytest.raises(InputError, match="is it a video"):
        find_clips((), files0_from="-", stdin=io.BytesIO(content))


# manifests as spreadsheets write them


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_first_line_may_name_the_separator(here: Path, mark: str) -> None:
    Path("m.csv").write_text(f"{mark}sep=;\npath;label\na,b.mp4;Happy\n", "utf-8")
    (clip,) = find_clips((), manifest="m.csv")
    assert (clip.path, clip.label) == ("a,b.mp4", "Happy")


def test_lines_count_the_one_that_names_the_separator(here: Path) -> None:
    Path("m.csv").write_text("sep=;\npath;start\na.mp4;soon\n", "utf-8")
    with pytest.raises(ManifestError, match=r"m\.csv:3: start is 'soon'"):
        find_clips((), manifest="m.csv")


def sheet(path: Path, *lines: tuple[object, ...]) -> str:
    book = pytest.importorskip("openpyxl").Workbook()
    for line in lines:
        book.active.append(line)
    book.create_sheet("notes").append(["not", "a", "clip"])
    book.save(path)
    return str(path)


def test_a_workbook_is_a_manifest(here: Path) -> None:
    path = sheet(
        here / "clips.xlsx",
        ("Path", "Label", "subject", "start", "end", None),
        ("a.mp4", "Happy", 12, 1.5, "1:30", None),
        (None, None),
        ("b c.mp4", None, 13.0),
    )
    assert read_manifest(path) == [
        Clip(str(here / "a.mp4"), 1.5, 90.0, label="Happy", subject="12"),
        Clip(str(here / "b c.mp4"), subject="13"),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([("path", "start"), ("a.mp4", datetime.time(1, 30))], "is '01:30:00 (a clock time; write"),
        ([("file", "label"), ("a.mp4", "Happy")], "no column is called 'path'"),
        ([("path", "label"), (None, "Happy")], "has no path"),
        ([], "there is no header"),
    ],
)
def test_a_workbook_that_is_no_manifest_says_why(
    here: Path, lines: list[tuple[object, ...]], said: str
) -> None:
    path = sheet(here / "clips.xlsx", *lines)
    with pytest.raises(ManifestError, match=re.escape(said)):
        read_manifest(path)


def test_what_is_no_workbook_is_told_as_a_manifest_too(here: Path) -> None:
    (here / "clips.xlsx").write_text("path\na.mp4\n")
    with pytest.raises(InputError, match="no workbook, or damaged"):
        read_manifest(str(here / "clips.xlsx"))
