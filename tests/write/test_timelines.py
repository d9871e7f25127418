"""What players, annotation programs and statisticians read of a timeline: read by their tools."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from videmo.errors import InputError
from videmo.write import format_of, open_writer
from videmo.write.columns import timeline_columns
from videmo.write.formats import EVERY, TIMELINES
from videmo.write.tiers import filled

LABELS = ("Angry", "Happy", "contempt")
ODD = 'a "b" & <c> {\\d}\n.mp4'


def row(
    person: int | None = 1, start: float = 0.0, end: float = 1.5, **more: Any
) -> dict[str, Any]:
    known = {
        "schema_version": 1, "path": "a/clip.mp4", "status": "ok", "person": person,
        "start": start, "end": end, "label": "Happy",
        "scores": {"Angry": 0.1, "Happy": 0.86, "contempt": 0.04}, "faces": 3, "frames": 4,
        "coverage": 0.75, "box": [10.0, 20.0, 60.0, 90.0], "side": 59.2, "sharpness": 5.0,
        "brightness": 0.5, "frontal": None, "frame": 7, "track": 0, "face_score": 0.99,
        "by": "segment", "part_start": None, "part_end": None, "persons": 2, "width": 640,
        "height": 360, "duration": 4.0, "warnings": [], "error": None, "provenance": {},
    }  # fmt: skip
    return known | more


ROWS = (row(), row(2, 0.5, 3723.25, label="Angry"), row(1, 2.0, 3.0))
NONE = row(None, None, None, status="no_face", label=None, scores=None, box=None, faces=0)  # type: ignore[arg-type]


def written(folder: Path, format_: str, *rows: dict[str, Any]) -> Path:
    out = folder / f"clip{EVERY[format_].suffixes[0]}"
    columns = timeline_columns(LABELS)
    with open_writer(format_, out, labels=LABELS, columns=columns) as writer:
        for one in rows:
            writer.write(one)
    return out


def test_every_suffix_is_one_format():
    for name, form in EVERY.items():
        for suffix in form.suffixes:
            assert format_of(f"x{suffix}", False, files=True, formats=EVERY) == name
    assert format_of("sub-1_events.tsv", False, formats=EVERY) == "bids"
    assert format_of("events.tsv", False, formats=EVERY) == "tsv"
    with pytest.raises(InputError, match="no output format"):
        format_of("x.srt", False)  # of classify


def test_subrip_is_read_by_pysubs2(tmp_path):
    pysubs2 = pytest.importorskip("pysubs2")
    cues = pysubs2.load(str(written(tmp_path, "srt", *ROWS)))
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [
        (0, 1500, "Person 1: Happy 86 %"), (500, 3723250, "Person 2: Angry 10 %"),
        (2000, 3000, "Person 1: Happy 86 %"),
    ]  # fmt: skip


def test_webvtt_is_read_by_webvtt(tmp_path):
    webvtt = pytest.importorskip("webvtt")
    first, second, _ = webvtt.read(written(tmp_path, "vtt", row(label="a<b>"), *ROWS[1:]))
    assert (first.start, first.end, first.voice) == ("00:00:00.000", "00:00:01.500", "Person 1")
    assert second.text == "Angry 10 %" and "<b>" not in first.raw_text
    none = written(tmp_path, "vtt", NONE)
    assert not list(webvtt.read(none))


def test_ass_frames_each_face_in_px_of_the_clip(tmp_path):
    pysubs2 = pytest.importorskip("pysubs2")
    script = pysubs2.load(str(written(tmp_path, "ass", row(label="x{\\p1}"))))
    assert (script.info["PlayResX"], script.info["PlayResY"]) == ("640", "360")
    box, label = script
    assert box.is_drawing and r"\pos(10,20)" in box.text
    assert "m 0 0 l 50 0 50 70 0 70" in box.text
    assert label.plaintext.startswith("1: x") and label.text.count("{") == 1


def test_eaf_is_read_by_pympi(tmp_path):
    pympi = pytest.importorskip("pympi")
    eaf = pympi.Elan.Eaf(str(written(tmp_path, "eaf", *ROWS, row(None))))
    assert [*eaf.get_tier_names()] == ["Person 1", "Person 2"]
    told = sorted(eaf.get_annotation_data_for_tier("Person 1"))
    assert [one[:3] for one in told] == [(0, 1500, "Happy"), (2000, 3000, "Happy")]
    (linked,) = eaf.get_linked_files()
    assert linked["MEDIA_URL"].startswith("file:///") and linked["MIME_TYPE"] == "video/mp4"


def test_an_eaf_of_an_odd_name_and_label_is_read(tmp_path):
    pympi = pytest.importorskip("pympi")
    odd = row(path=ODD + "\udcff", label="\x01<&>\ud800")
    eaf = pympi.Elan.Eaf(str(written(tmp_path, "eaf", odd)))
    assert eaf.get_annotation_data_for_tier("Person 1")[0][2] == " <&> "


def test_textgrid_is_read_by_praatio(tmp_path):
    pytest.importorskip("praatio")
    from praatio import textgrid

    grid = textgrid.openTextgrid(
        str(written(tmp_path, "textgrid", *ROWS, row(2, 3800, 3801, label='say "no"'))),
        includeEmptyIntervals=True,
    )
    assert grid.tierNames == ("Person 1", "Person 2")
    told = [tuple(entry) for entry in grid.getTier("Person 1").entries]
    assert told == [(0, 1.5, "Happy"), (1.5, 2, ""), (2, 3, "Happy"), (3, 3801, "")]
    assert grid.getTier("Person 2").entries[-1].label == 'say "no"'


def test_a_textgrid_without_a_person_has_one_empty_tier(tmp_path):
    pytest.importorskip("praatio")
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(written(tmp_path, "textgrid", NONE)), True)
    assert [entry.label for entry in grid.getTier("no person").entries] == [""]


def test_tiers_have_no_holes():
    assert [*filled([(1, 2, "a")], 3)] == [(0, 1, ""), (1, 2, "a"), (2, 3, "")]
    assert [*filled([], 3)] == [(0, 3, "")]


def test_bids_events_have_onset_duration_and_trial_type(tmp_path):
    text = written(tmp_path, "bids", *ROWS, row(None)).read_text()
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    assert [*rows[0]][:3] == ["onset", "duration", "trial_type"] and len(rows) == 3
    assert (rows[0]["onset"], rows[0]["duration"], rows[0]["trial_type"]) == (
        "0.0000", "1.5000", "Happy",
    )  # fmt: skip
    assert rows[0]["valence"] == "n/a" and rows[0]["p_happy"] == "0.860000"
    assert (rows[0]["stim_file"], rows[0]["clip"]) == ("n/a", "a/clip.mp4")


def test_a_clip_of_the_stimuli_is_named_as_bids_looks_for_it(tmp_path):
    text = written(tmp_path, "bids", row(path="/data/set/stimuli/films/1.mp4")).read_text()
    (told,) = csv.DictReader(io.StringIO(text), delimiter="\t")
    assert told["stim_file"] == "films/1.mp4" and told["clip"].startswith("/data/set/")


def test_a_sidecar_describes_every_column_of_bids_events_and_says_what_made_them(tmp_path):
    made_by = {"videmo": "1.2", "head": "afew7", "recipe": "8d8a", "decoder": None}
    out = written(tmp_path, "bids", *(one | {"provenance": made_by} for one in ROWS))
    told = json.loads(out.with_suffix(".json").read_text())
    assert told.pop("GeneratedBy") == [
        {"Name": "videmo", "Version": "1.2", "Settings": {"head": "afew7", "recipe": "8d8a"}}
    ]
    assert [*told] == out.read_text().splitlines()[0].split("\t")
    assert all(column["Description"] for column in told.values())
    assert [*told["trial_type"]["Levels"]] == [*LABELS] and told["onset"]["Units"] == "s"


def test_events_on_the_standard_output_have_no_sidecar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stream = io.StringIO()
    with open_writer("bids", None, labels=LABELS, stream=stream) as writer:
        writer.write(ROWS[0])
    assert stream.getvalue().startswith("onset") and not [*tmp_path.iterdir()]


def test_fex_has_the_columns_of_py_feat(tmp_path):
    text = written(tmp_path, "fex", row(), NONE).read_text()
    face, none = csv.DictReader(io.StringIO(text))
    want = {"FaceRectX": 10, "FaceRectY": 20, "FaceRectWidth": 50, "FaceRectHeight": 70,
            "happiness": 0.86, "frame": 7, "approx_time": 0}  # fmt: skip
    assert {name: float(face[name]) for name in want} == want
    assert face["Identity"] == "Person_1" and "contempt" not in face
    assert none["input"] == "a/clip.mp4" and none["FaceRectX"] == ""


def test_pandas_reads_the_table_with_its_types(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(written(tmp_path, "csv", *ROWS, NONE))
    assert frame["end"].dtype == float and frame["p_happy"].tolist()[:3] == [0.86] * 3
    assert frame["status"].tolist() == ["ok"] * 3 + ["no_face"]
    assert frame["person"].isna().tolist() == [False] * 3 + [True]


def test_parquet_has_the_columns_of_the_table(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(written(tmp_path, "parquet", *ROWS, NONE))
    assert table.column_names == [column.name for column in timeline_columns(LABELS)]
    assert table["person"].to_pylist() == [1, 2, 1, None]


def test_an_excel_workbook_has_numbers_and_texts_that_are_no_formula(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    odd = row(path="=1+1\x01.mp4", warnings=["a", "b"])
    with open_writer(
        "xlsx", tmp_path / "x.xlsx", labels=LABELS, columns=timeline_columns(LABELS)
    ) as f:
        f.write(odd)
        f.write(NONE)
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    header, first, none = book.active.iter_rows()
    names = [cell.value for cell in header]
    assert names == [column.name for column in timeline_columns(LABELS)]
    told = dict(zip(names, first, strict=True))
    assert (told["path"].value, told["path"].data_type) == ("=1+1?.mp4", "s")
    assert (told["end"].value, told["p_happy"].data_type, told["warnings"].value) == (
        1.5, "n", "a | b",
    )  # fmt: skip
    assert dict(zip(names, none, strict=True))["person"].value is None
    assert book.active.freeze_panes == "A2"


def test_a_sheet_that_is_full_is_followed_by_another(tmp_path, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    monkeypatch.setattr("videmo.write.xlsx.ROWS", 2)
    out = written(tmp_path, "xlsx", *ROWS)
    assert [sheet.max_row for sheet in openpyxl.load_workbook(out)] == [3, 2]


def test_a_workbook_does_not_tell_when_it_was_written(tmp_path):
    """So --resume ends with the same bytes."""
    pytest.importorskip("openpyxl")
    with zipfile.ZipFile(written(tmp_path, "xlsx", *ROWS)) as archive:
        assert {part.date_time[0] for part in archive.infolist()} == {1980}
        assert b"dcterms:" not in archive.read("docProps/core.xml").replace(b"xmlns:dcterms", b"")


def test_a_workbook_that_was_given_up_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(KeyError),
        open_writer(
            "xlsx", tmp_path / "x.xlsx", labels=LABELS, columns=timeline_columns(LABELS)
        ) as f,
    ):
        f.write(row())
        raise KeyError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format_", TIMELINES)
def test_a_clip_without_a_face_is_a_whole_file(tmp_path, format_):
    assert written(tmp_path, format_, NONE).exists()
    assert written(tmp_path, format_).exists(), "no row at all"


def test_our_workbooks_are_read_over_all_their_sheets(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    from videmo.write.xlsx import rows

    monkeypatch.setattr("videmo.write.xlsx.ROWS", 2)
    found = [*rows(written(tmp_path, "xlsx", *ROWS, NONE))]
    assert [one["person"] for one in found] == [1, 2, 1, None]
    assert [one["path"] for one in found] == ["a/clip.mp4"] * 4
    assert found[1]["end"] == 3723.25 and found[0]["p_happy"] == 0.86
    monkeypatch.setattr("videmo.write.xlsx._LARGEST", 100)
    with pytest.raises(InputError, match="save it as CSV"):
        next(rows(tmp_path / "clip.xlsx"))
