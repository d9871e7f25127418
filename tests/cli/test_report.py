"""`videmo report` as a shell sees it."""

from __future__ import annotations

import json
import shutil

import pytest
from records import clip

from videmo.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, demo):
    monkeypatch.chdir(tmp_path)
    for name in ("Happy/a.mp4", "Sad/b.mp4"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(demo, name)
    records = [clip(path="c.mp4"), clip("error", path="d<i>.mp4"), clip("no_face", path="e.mp4")]
    (tmp_path / "r.ndjson").write_text("".join(json.dumps(r) + "\n" for r in records))

    def report(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["report", *arguments])
        return ended.value.code, *capsys.readouterr()

    return report


def test_a_clip_becomes_a_page(run, tmp_path):
    code, out, err = run("Happy/a.mp4", "-o", "a.html", "--end", "0.3")
    page = (tmp_path / "a.html").read_text()
    assert (code, out, err) == (0, "", "")
    assert "<h1>a.mp4</h1>" in page and "data:image/jpeg" in page
    assert run("Happy/a.mp4", "-o", "a.html", "--end", "0.3", "--no-faces", "--overwrite")[0] == 0
    assert "data:image" not in (tmp_path / "a.html").read_text()


def test_clips_of_a_folder_become_a_table_with_their_truth(run, tmp_path):
    code, _, err = run("Happy", "Sad", "--folders", "--end", "0.2", "-o", "all.html", "-q")
    page = (tmp_path / "all.html").read_text()
    assert (code, err) == (0, "")
    assert "Accuracy, all clips" in page and "50.0 % (9." in page
    assert page.index('data-key="Sad/b.mp4 ') < page.index('data-key="Happy/a.mp4 ')


def test_records_become_a_table_without_looking_at_any_clip(run, tmp_path):
    (tmp_path / "t.csv").write_text("path,label\nc.mp4,Happy\nd<i>.mp4,Sad\ne.mp4,Sad\nf.mp4,Sad\n")
    code, _, err = run("r.ndjson", "--truth", "t.csv", "-o", "r.html")
    page = (tmp_path / "r.html").read_text()
    assert code == 0
    assert err == "videmo: note: clips of the truth without a record, which count as wrong: 1\n"
    assert "<h1>r.ndjson</h1>" in page and "d&lt;i&gt;.mp4" in page and "no video stream" in page
    assert 'class="matrix"' in page and "no answer" in page


def test_records_with_nothing_in_them_that_is_an_answer_are_a_page_too(run, tmp_path):
    (tmp_path / "r.ndjson").write_text(json.dumps(clip("error", path="d.mp4")) + "\n")
    assert run("r.ndjson", "-o", "r.html")[0] == 0
    assert "1 failed" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("r.ndjson", "-o", "r.txt"), 2, "no output format is called '.txt'"),
        (("Happy", "Sad", "--folders", "--truth", "r.ndjson", "-o", "x.html"), 2, "two truths"),
        (("Happy", "Sad", "--folders", "--head", "vgaf3", "-o", "x.html"), 2,
         "its true label 'Happy' is not among Positive"),
        (("Happy/a.mp4", "-o", "none/x.html"), 1, "its folder is not there"),
        (("Happy/a.mp4", "--head", "vgaf3", "-o", "x.html"), 2, "reads whole clips"),
        (("none.mp4", "-o", "x.html"), 1, "none.mp4"),
    ],
)  # fmt: skip
def test_what_cannot_be_reported_is_said_in_a_line(run, tmp_path, arguments, code, said):
    before = sorted(tmp_path.rglob("*"))
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert said in err
    assert sorted(tmp_path.rglob("*")) == before
