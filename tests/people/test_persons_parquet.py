"""Records of persons as Parquet, and predictions read from it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet as pq
from records import OUTPUTS, clip, scene

from videmo.evaluate.pairs import predictions_in
from videmo.evaluate.rows import read_rows
from videmo.people.persons import Grouping, attribute_records, pair_records, person_records
from videmo.stages.heads.attributes import AttributeOptions
from videmo.write import open_writer
from videmo.write.persons import COLUMNS, attribute_columns, open_records

ONE, STILL = scene("a.mp4", 2), scene("b.jpg", 1, still=True)
NOBODY = scene("c.mp4", 0, "no_face")


def table(path: Path, records: list, columns: tuple[str, ...]) -> list[dict]:
    with open_records("parquet", path, shown=(), columns=columns) as out:
        for record in records:
            out.write(record)
    return pq.read_table(path).to_pylist()


def test_attributes_keep_their_types_and_nulls(tmp_path: Path) -> None:
    scenes = (ONE, STILL, NOBODY)
    records = [r for of in scenes for r in attribute_records(of, OUTPUTS, AttributeOptions())]
    rows = table(tmp_path / "x.parquet", records, attribute_columns(OUTPUTS))
    assert [row["age"] for row in rows] == [r.get("age") for r in records]
    assert rows[0]["p_white"] == records[0]["ethnicity_scores"]["white"]
    assert rows[0]["box_x0"] == 1.0 and rows[-1]["age"] is None


def test_pairs_and_groups_are_rows_too(tmp_path: Path) -> None:
    pairs = table(tmp_path / "p.parquet", pair_records(ONE, STILL, 0.5), COLUMNS["pair"][1])
    assert len(pairs) == 2 and {row["same"] for row in pairs} <= {True, False}
    found = person_records([ONE, STILL, NOBODY], Grouping(0.5))
    people = table(tmp_path / "g.parquet", found, COLUMNS["group"][1])
    assert [row["person"] for row in people] == [record.get("person") for record in found]


def test_predictions_are_read_from_parquet(tmp_path: Path) -> None:
    with open_writer("parquet", tmp_path / "r.parquet", labels=("Happy", "Sad")) as out:
        out.write(clip())
        out.write(clip("error"))
    ok, failed = predictions_in(read_rows(str(tmp_path / "r.parquet")))
    assert ok.scores == {"Happy": 0.75, "Sad": 0.25} and failed.status == "error"
