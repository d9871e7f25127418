"""`videmo compare` as a shell sees it."""

from __future__ import annotations

import json

import pytest

from videmo.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run `videmo compare` in a folder with two runs, and return its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("path,label,status\nc/x.mp4,Sad,ok\nc/y.mp4,Sad,ok\n")
    (tmp_path / "b.tsv").write_text("path\tlabel\tstatus\nc/x.mp4\tHappy\tok\n")
    (tmp_path / "truth.csv").write_text("path,label\nc/x.mp4,Happy\nc/y.mp4,Sad\n")

    def compare(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["compare", *arguments])
        return ended.value.code, *capsys.readouterr()

    return compare


def test_runs_of_other_formats_are_compared_and_what_is_missing_is_noted(run):
    code, out, err = run("a.csv", "b.tsv")
    assert (code, json.loads(out)["flips"][0]["b"]["label"]) == (0, "Happy")
    assert err == "videmo: note: clips that are only in a.csv: 1\n"


def test_the_table_tells_it_in_words(run):
    code, out, _ = run("a.csv", "b.tsv", "--truth", "truth.csv", "-f", "table")
    lines = out.splitlines()
    assert code == 0
    assert lines[:2] == ["A is a.csv, B is b.tsv", "1 clip in both, 1 only in a.csv"]
    assert any(line.split() == ["accuracy", "(WAR)", "0.0000", "0.000-0.793", "1.0000",
                                "0.206-1.000", "+1.0000"] for line in lines)  # fmt: skip
    assert "McNemar, exact" in out and "2 flips" in out


def test_the_suffix_of_the_output_chooses_the_format(run, tmp_path):
    assert run("a.csv", "b.tsv", "-q", "-o", "c.tex") == (0, "", "")
    assert r"\begin{tabular}" in (tmp_path / "c.tex").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.csv", "a.csv"), "a.csv is named twice"),
        (("a.csv", "b.tsv", "--truth", "truth.csv", "--folders"), "two truths; give one"),
        (("a.csv", "b.tsv", "--truth-column", "label"), "the answers are no truth"),
        (("a.csv", "none.csv"), "none.csv: cannot be read"),
        (("a.csv", "truth.csv", "-o", "a.csv", "--overwrite"), "is read as a.csv"),
    ],
)
def test_what_does_not_go_together_is_refused(run, arguments, said):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "") or "is read" in said
    assert said in err and err.count("\n") <= 4
