"""Files for spreadsheets: the columns that a person reads, in UTF-8 that Excel knows."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import toys


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    toys.clip(tmp_path / "clips" / "ä.gif", [(9, 9, 9)] * 3)
    (tmp_path / "clips" / "b.mp4").write_bytes(b"no video")
    return tmp_path / "clips"


def test_short_columns_with_a_mark_open_in_a_spreadsheet(
    videmo_command: Any, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "emotions.csv"
    ran = videmo_command("classify", clips, "-o", out, "--columns", "short", "--bom",
                         "--detector", "whole", "--resume")  # fmt: skip
    assert ran.code == 1 and out.read_bytes().startswith(b"\xef\xbb\xbfpath,")
    rows = [*csv.DictReader(out.read_text("utf-8-sig").splitlines())]
    assert [*rows[0]][:4] == ["path", "status", "label", "score"] and len(rows[0]) == 14
    assert rows[1]["path"].endswith("ä.gif") and float(rows[1]["p_happy"]) <= 1
    assert rows[0]["status"] == "error" and rows[0]["error_message"]
    again = videmo_command("classify", clips, "-o", out, "--columns", "short", "--resume")
    assert again.code == 2 and "makes a file to be read" in again.err
    inside = videmo_command("classify", clips, "-o", tmp_path)
    assert inside.code == 2 and f"such as {tmp_path / 'name.ndjson'}" in inside.err
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(out)
    assert frame.columns[0] == "path" and frame.p_happy.notna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--columns", "short", "-f", "ndjson"], "--columns short is of csv, tsv, parquet"),
        (["--bom", "-f", "parquet", "-o", "x.parquet"], "--bom is of csv, tsv, not of parquet"),
        (["--bom", "-f", "csv", "--shard", "1/2"], "such a part could not be merged"),
    ],
)
def test_what_has_no_such_columns_says_so(videmo_command: Any, words: list[str], said: str) -> None:
    ran = videmo_command("classify", "x.mp4", *words)
    assert ran.code == 2 and said in ran.err
