"""`videmo plot` as a shell sees it."""

from __future__ import annotations

import json
import re

import pytest

from videmo.cli import main

HEAD = "path,status,person,start,end,label,p_happy,p_sad,coverage,duration"
ROWS = ["a.mp4,ok,1,0,1,Happy,0.9,0.1,1,4", "a.mp4,ok,1,2,3,Sad,0.3,0.7,1,4",
        "a.mp4,ok,2,0,4,Happy,0.8,0.2,1,4", "a.mp4,ok,,0,1,Sad,0.1,0.9,1,4"]  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("\n".join([HEAD, *ROWS]))

    def plot(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["plot", *arguments])
        return ended.value.code, *capsys.readouterr()

    return plot


def words(path):
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())


def test_each_person_has_a_panel_and_gaps_are_hatched(run, tmp_path):
    assert run("t.csv", "-o", "t.svg") == (0, "", "")
    told = words(tmp_path / "t.svg")
    assert {"person 1", "person 2", "Happy", "Sad", "a.mp4"} <= {*told}
    assert "others" not in told
    assert "<pattern" in (tmp_path / "t.svg").read_text()


def test_persons_may_be_chosen(run, tmp_path):
    assert run("t.csv", "-o", "t.svg", "--persons", "2")[0] == 0
    assert "person 1" not in words(tmp_path / "t.svg")
    assert "<pattern" not in (tmp_path / "t.svg").read_text()  # who is there all the time


def test_other_formats_of_a_timeline_will_do(run, tmp_path):
    record = {"path": "b.mp4", "person": None, "start": 0, "end": 1, "label": "<Ärger>",
              "scores": {"<Ärger>": 0.6, "froh": 0.4}}  # fmt: skip
    (tmp_path / "t.ndjson").write_text(json.dumps(record) + "\n")
    assert run("t.ndjson", "-o", "t.svg")[0] == 0
    assert {"others", "&lt;Ärger&gt;"} <= {*words(tmp_path / "t.svg")}


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_the_suffix_chooses_the_format(run, tmp_path, suffix):
    assert run("t.csv", "-o", f"t{suffix}")[0] == 0
    begins = (tmp_path / f"t{suffix}").read_bytes()[:5]
    assert begins == {".png": b"\x89PNG\r", ".pdf": b"%PDF-"}[suffix]


@pytest.mark.parametrize(
    ("rows", "arguments", "said"),
    [
        (ROWS, ("-o", "t.gif"), "no output format is called '.gif'"),
        (ROWS, ("-o", "t.png", "--persons", "7"), "person 7 is not seen; there is 1, 2"),
        (ROWS, ("-o", "t.png", "--clip", "z"), "has no clip 'z'; there is a.mp4"),
        ([*ROWS, "b.mp4,ok,1,0,1,Sad,0,1,1,4"], ("-o", "t.png"), "has 2 clips; choose one of"),
        (["a.mp4,no_face,,,,,,,,4"], ("-o", "t.png"), "a.mp4: no face in it"),
        (["a.mp4,ok,1,x,1,Sad,0,1,1,4"], ("-o", "t.png"), "t.csv:2: start is 'x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said_in_a_line(run, tmp_path, rows, arguments, said):
    (tmp_path / "t.csv").write_text("\n".join([HEAD, *rows]))
    code, out, err = run("t.csv", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_what_classify_wrote_is_no_timeline(run, tmp_path):
    (tmp_path / "t.csv").write_text("path,status,label,p_happy\na.mp4,ok,Happy,1\n")
    assert "has no column 'person', so is no timeline" in run("t.csv", "-o", "t.png")[2]


def test_a_workbook_of_a_timeline_is_drawn(run, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in (HEAD, *ROWS):
        book.active.append([float(c) if c.replace(".", "").isdigit() else c or None
                            for c in line.split(",")])  # fmt: skip
    book.create_sheet("notes").append(["not a row"])
    book.save(tmp_path / "t.xlsx")
    assert run("t.xlsx", "-o", "x.svg") == (0, "", "")
    assert run("t.csv", "-o", "c.svg") == (0, "", "")
    assert words(tmp_path / "x.svg") == words(tmp_path / "c.svg")
    whole = (tmp_path / "t.xlsx").read_bytes()
    for broken in (b"no workbook", whole[:2000], whole[:-30]):
        (tmp_path / "b.xlsx").write_bytes(broken)
        code, _, said = run("b.xlsx", "-o", "b.svg")
        assert code == 2 and "b.xlsx: no workbook, or damaged" in said
