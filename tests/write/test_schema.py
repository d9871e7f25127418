"""The schema of records: what is written is what it says, and what README says."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import OUTPUTS, clip, scene

from videmo.cli.schema import TABLE_NAMES
from videmo.data import Descriptor, Faces, Failure, Features
from videmo.errors import UnknownName
from videmo.people.persons import (
    Grouping,
    Scene,
    attribute_records,
    pair_records,
    person_records,
)
from videmo.runs.batch import record as record_of
from videmo.runs.inputs import Clip
from videmo.stages.heads.attributes import AttributeOptions
from videmo.write import open_features, open_writer
from videmo.write.columns import column_types, record_columns
from videmo.write.persons import COLUMNS, attribute_columns
from videmo.write.schema import TABLES, Key, json_schema, keys

jsonschema = pytest.importorskip("jsonschema")

README = Path(__file__).resolve().parents[2] / "examples" / "folder.md"


def errors(name: str, record: Any) -> list[str]:
    """Return what is wrong with a record, as it reads in JSON."""
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    record = json.loads(json.dumps(record))
    return [e.message for e in jsonschema.Draft202012Validator(schema).iter_errors(record)]


def unnamed(name: str, record: dict[str, Any]) -> set[str]:
    """Return the keys that the schema does not know."""
    return set(record) - {key.name for key in TABLES[name][1]}


# records


def test_the_records_of_a_run_are_valid(videmo_command: Any, demo: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "wall.gif")
    (tmp_path / "empty.mp4").touch()
    inputs = (demo, tmp_path / "wall.gif", tmp_path / "empty.mp4", "--end", "1", "--every", "25")
    records = videmo_command("classify", *inputs).records
    assert [record["status"] for record in records] == ["ok", "no_face", "error"]
    for record in records:
        assert errors("record", record) == [] and not unnamed("record", record)


@pytest.mark.parametrize("status", ["ok", "no_face", "error"])
@pytest.mark.parametrize("changes", [{}, {"start": 0, "end": 1.5}, {"duration": None}])
def test_a_record_of_each_status_is_valid(status: str, changes: dict[str, Any]) -> None:
    assert errors("record", clip(status, **changes)) == []


def test_a_label_may_be_left_out_where_scores_are_there() -> None:
    assert errors("record", clip(label=None)) == []


def test_keys_may_be_added_within_a_version() -> None:
    assert errors("record", clip(mood="new")) == []


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("ok", {"schema_version": 2}),
        ("ok", {"status": "fine"}),
        ("ok", {"path": None}),
        ("ok", {"scores": None}),
        ("ok", {"scores": {"Happy": 1.5}}),
        ("ok", {"frames": 1.5}),
        ("ok", {"faces": -1}),
        ("ok", {"coverage": 1.01}),
        ("ok", {"warnings": None}),
        ("ok", {"start": None}),
        ("ok", {"error": {"type": "VideoError", "message": "boom"}}),
        ("no_face", {"label": "Happy"}),
        ("error", {"error": None}),
        ("error", {"error": {"type": "VideoError"}}),
        ("error", {"provenance": {}}),
    ],
)
def test_a_record_that_is_none_is_refused(status: str, changes: dict[str, Any]) -> None:
    assert errors("record", {**clip(status), **changes})


@pytest.mark.parametrize("key", [key.name for key in keys("record") if not key.free])
def test_no_key_may_be_missing(key: str) -> None:
    record = clip()
    del record[key]
    assert errors("record", record)


# persons


@pytest.mark.parametrize("only", [["age"], ["gender", "ethnicity"], [*OUTPUTS]])
@pytest.mark.parametrize(
    "seen",
    [scene("a.mp4", 2), scene("a.jpg", 1, still=True), scene("b.mp4", 0, "no_face"),
     scene("c.mp4", 0, "error")],
    ids=["video", "picture", "no face", "error"],
)  # fmt: skip
def test_records_of_attributes_are_valid(only: list[str], seen: Scene) -> None:
    outputs = {name: OUTPUTS[name] for name in only}
    for record in attribute_records(seen, outputs, AttributeOptions()):
        assert errors("attributes", record) == [] and not unnamed("attributes", record)


def test_records_of_identify_are_valid() -> None:
    a, b, none = scene("a.mp4", 2), scene("b.jpg", 1, still=True), scene("c.mp4", 0, "no_face")
    records = [
        *pair_records(a, b, 0.5),
        *pair_records(a, none, 0.5),
        *person_records([a, b, none], Grouping(0.5)),
    ]
    assert len(records) == 2 + 1 + 4
    for record in records:
        assert errors("identify", record) == [] and not unnamed("identify", record)


@pytest.mark.parametrize("name", ["attributes", "identify"])
def test_a_person_that_is_seen_has_a_place(name: str) -> None:
    (record,) = attribute_records(scene("a.mp4", 1), OUTPUTS, AttributeOptions())
    for key in ("track", "box"):
        broken = copy.deepcopy(record)
        del broken[key]
        assert errors(name, broken)
    assert errors(name, {**record, "box": [1, 2, 3]})


# rows of Parquet


def test_rows_of_feature_files_are_valid(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    faces = Faces(
        np.zeros(2, np.int64), np.arange(2), np.zeros(2), np.ones((2, 4), np.float32),
        np.ones(2, np.float32), np.zeros((2, 5, 2), np.float32),
    )  # fmt: skip
    batch = Features(np.ones((2, 3), np.float32), faces, 2)
    with open_features(tmp_path / "f.parquet", names=["x"], meta={}, frames=True) as file:
        file.add("a", "ok", "", Descriptor(np.ones(1, np.float32), 2, 2, 2), 1.0, [batch], "Happy")
        file.add("b", "no_face", "", Descriptor(np.zeros(0, np.float32), 0, 0, 2), 1.0)
        file.add("c", "error", "boom")
    for name, out, count in (("features", "f", 3), ("faces", "f.frames", 2)):
        rows = pq.read_table(tmp_path / f"{out}.parquet").to_pylist()
        assert len(rows) == count
        for row in rows:
            assert errors(name, row) == [] and not unnamed(name, row)


def test_a_row_without_a_descriptor_is_refused_where_there_is_an_answer() -> None:
    row = dict.fromkeys(["message", "label", "split", "subject", "start", "end", "features"])
    row |= {"path": "a", "status": "ok", "frames": 1, "face_frames": 1, "faces": 1, "duration": 1.0}
    assert errors("features", row)
    assert errors("features", {**row, "features": [1.0]}) == []


# the table


def readme_rows() -> list[tuple[list[str], str]]:
    """Return the keys and the meaning of each row of the guide's table of a record."""
    section = README.read_text("utf-8").split("\n## A record\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", section, re.MULTILINE)
    return [(re.findall(r"`(\w+)`", keys), said.replace("`", "")) for keys, said in rows]


def test_readme_names_the_keys_of_a_record_and_no_other() -> None:
    keys = [key for row, _ in readme_rows() for key in row]
    assert sorted(keys) == sorted(key.name for key in TABLES["record"][1])


def test_readme_says_of_each_key_what_the_schema_says() -> None:
    meaning = {key.name: key.meaning for key in TABLES["record"][1]}
    for names, said in readme_rows():
        ours = ", ".join(meaning[name] for name in names)
        for phrase in said.split("; "):
            assert phrase in ours, names


def test_every_column_of_csv_has_a_type() -> None:
    columns = record_columns(["Happy"], ("start", "end", "track")) + attribute_columns(OUTPUTS)
    columns += [column for _, more in COLUMNS.values() for column in more]
    types = column_types(column.name for column in columns)
    assert types == {column.name: column.type for column in columns}
    assert set(types.values()) == {"string", "integer", "number", "boolean", "array"}
    assert (types["same"], types["p_happy"], types["schema_version"]) == (
        "boolean", "number", "integer",
    )  # fmt: skip
    with pytest.raises(KeyError):
        column_types(["mood"])


def test_a_key_that_is_added_to_the_table_is_in_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    title, before = TABLES["record"]
    mood = Key("mood", "text", "how it feels", of=lambda found: f"as in {found.clip.path}")
    monkeypatch.setitem(TABLES, "record", (title, (*before, mood)))
    made = record_of(Clip("a.mp4"), Failure("a.mp4", "VideoError", "boom"), clip()["provenance"])
    assert errors("record", made) == []
    assert json_schema("record")["properties"]["mood"]["description"] == "how it feels"
    texts = {}
    for name in ("csv", "ndjson", "parquet"):
        with open_writer(name, tmp_path / name, labels=["Happy"]) as out:
            out.write(made)
        texts[name] = (tmp_path / name).read_bytes()
    assert b",mood" in texts["csv"] and b",as in a.mp4" in texts["csv"]
    assert json.loads(texts["ndjson"])["mood"] == "as in a.mp4"
    assert pq.read_table(tmp_path / "parquet")["mood"].to_pylist() == ["as in a.mp4"]


# the command


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_the_command_prints_the_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from videmo.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["schema", name])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out) == json_schema(name)


def test_the_command_knows_every_schema_and_begins_with_a_record() -> None:
    assert tuple(TABLES) == TABLE_NAMES and TABLE_NAMES[0] == "record"


def test_another_name_lists_those_there_are() -> None:
    with pytest.raises(UnknownName, match="no schema is called 'recrod'; there is record"):
        json_schema("recrod")
