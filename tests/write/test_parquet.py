"""Records and features as Parquet: types, nulls, groups of rows, and the way back."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import descriptor, features

from videmo.cli import main
from videmo.data import Descriptor, Features
from videmo.errors import InputError, MissingDependency, OutputError, UnknownName
from videmo.write import format_of, load_features, open_features, open_writer, parquet_reader
from videmo.write import npz as npz_files
from videmo.write import parquet as parquet_files
from videmo.write.sink import Sink

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

LABELS = ("Anger", "Happiness", "Neutral")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux devices")


def record(path: str = "a/b.mp4", **changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 1, "path": path, "status": "ok", "label": "Happiness",
        "scores": {"Anger": 0.1234567, "Happiness": 0.7765433, "Neutral": np.float32(0.1)},
        "frames": np.int64(61), "face_frames": 58, "faces": 60, "tracks": 1,
        "frames_with_others": 0, "side": 120.44, "sharpness": 7.126, "brightness": 0.5,
        "frontal": 0.9, "coverage": 58 / 61,
        "duration": 2.440049, "warnings": ["cut short"], "error": None,
        "provenance": {"videmo": "0.1", "head": "h", "head_sha256": "1f", "backbone": "b",
                       "backbone_sha256": "2f", "detector": "mtcnn",
                       "detector_sha256": "3d", "decoder": "pyav", "device": "cpu", "recipe": "r"},
        **changes,
    }  # fmt: skip


def failed(path: str = "bad.mp4") -> dict[str, Any]:
    error = {"type": "VideoError", "message": "no video stream"}
    return record(path, status="error", label=None, scores=None, frames=0, face_frames=0, faces=0,
                  coverage=0.0, duration=None, warnings=[], error=error)  # fmt: skip


def written(out: Path, *records: dict[str, Any], **options: Any) -> Any:
    """Return the table of a file with these records."""
    with open_writer("parquet", out, labels=LABELS, **options) as writer:
        for each in records:
            writer.write(each)
    return pq.read_table(out)


# records


def test_a_record_is_a_row_of_the_columns_of_csv_with_types(tmp_path: Path) -> None:
    table = written(tmp_path / "r.parquet", record(start=0.5), extra=("start", "end"))
    assert {str(field.type) for field in table.schema} == {
        "string", "int64", "double", "list<element: string>",
    }  # fmt: skip
    (row,) = table.to_pylist()
    assert row == {
        "path": "a/b.mp4", "status": "ok", "label": "Happiness", "score": 0.776543,
        "p_anger": 0.123457, "p_happiness": 0.776543, "p_neutral": 0.1,
        "frames": 61, "face_frames": 58, "faces": 60, "tracks": 1, "frames_with_others": 0,
        "side": 120.4, "sharpness": 7.13, "brightness": 0.5, "frontal": 0.9,
        "coverage": 0.9508, "duration": 2.44,
        "warnings": ["cut short"], "error_type": None, "error_message": None,
        "videmo": "0.1", "head": "h", "head_sha256": "1f", "backbone": "b",
        "backbone_sha256": "2f", "detector": "mtcnn",
        "detector_sha256": "3d", "decoder": "pyav", "device": "cpu", "recipe": "r",
        "schema_version": 1, "start": 0.5, "end": None,
    }  # fmt: skip
    assert list(row) == table.column_names


def test_what_has_no_answer_is_null_and_no_number(tmp_path: Path) -> None:
    (row,) = written(tmp_path / "r.parquet", failed()).to_pylist()
    empty = ("label", "score", "p_anger", "p_happiness", "p_neutral", "duration")
    assert [row[name] for name in empty] == [None] * len(empty)
    assert (row["error_type"], row["error_message"]) == ("VideoError", "no video stream")
    assert (row["warnings"], row["frames"], row["coverage"]) == ([], 0, 0.0)


def test_all_scores_are_kept_whatever_top_says(tmp_path: Path) -> None:
    (row,) = written(tmp_path / "r.parquet", record(), top=1).to_pylist()
    assert row["p_anger"] == 0.123457


def test_a_file_of_no_records_has_its_columns(tmp_path: Path) -> None:
    table = written(tmp_path / "r.parquet")
    assert len(table) == 0 and "p_anger" in table.column_names
    assert json.loads(table.schema.metadata[b"videmo.meta"])["labels"] == list(LABELS)


def test_the_file_tells_its_schema_labels_and_what_made_it(tmp_path: Path) -> None:
    meta = json.loads(written(tmp_path / "r.parquet", record()).schema.metadata[b"videmo.meta"])
    assert (meta["schema_version"], meta["labels"]) == (1, list(LABELS))
    assert meta["provenance"] == {**record()["provenance"], "decoder": None}


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / name, record(), failed())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(raw=st.binary(min_size=1, max_size=20), warning=texts)
def test_any_name_and_warning_is_text_that_comes_back(raw: bytes, warning: str) -> None:
    path, file = os.fsdecode(raw.replace(b"\0", b"_")), io.BytesIO()
    writer = parquet_files.Parquet(Sink("memory", file), LABELS)
    writer.write(record(path, warnings=[warning]))
    writer.finish()
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table.validate(full=True) is None  # no byte that is not UTF-8
    assert parquet_reader.texts(table["path"]).tolist() == [path]
    assert table["warnings"].to_pylist() == [[warning]]


def test_rows_come_back_with_the_names_of_files_as_they_are(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff.mp4")
    table = written(tmp_path / "r.parquet", record(odd), failed())
    first, second = parquet_reader.rows(tmp_path / "r.parquet")
    assert first == {**table.to_pylist()[0], "path": odd} and second["label"] is None
    both(tmp_path)
    found = list(parquet_reader.rows(tmp_path / "f.parquet"))
    assert [row["status"] for row in found] == ["no_face", "ok", "error", "ok"]
    assert "features" not in found[0]
    with pytest.raises(InputError, match=r"f\.npz: cannot be read as Parquet"):
        list(parquet_reader.rows(tmp_path / "f.npz"))


def test_memory_holds_one_group_of_rows_however_many_records_there_are(tmp_path: Path) -> None:
    def peak(count: int) -> tuple[int, int]:
        """Return the most bytes in use, of Python and of Arrow, while `count` are written."""
        most, before = 0, pa.total_allocated_bytes()
        tracemalloc.start()
        with open_writer("parquet", tmp_path / f"{count}", labels=LABELS) as writer:
            for n in range(count):
                writer.write(record(f"folder/clip{n}.mp4"))
                most = max(most, pa.total_allocated_bytes() - before)
        python = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return python, most

    written(tmp_path / "warm", record())  # what is imported once
    group, many = peak(parquet_files.GROUP), peak(20_000)
    assert many[0] < 1.1 * group[0]  # what the file's own list of groups takes
    assert many[1] < 1e6  # between two records Arrow holds next to nothing
    file = pq.ParquetFile(tmp_path / "20000")
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]
    assert sum(sizes) == 20_000 and max(sizes) == parquet_files.GROUP
    assert file.read(["path"])["path"][19_999].as_py() == "folder/clip19999.mp4"


# places


def test_the_suffix_chooses_where_files_that_are_no_text_are_taken() -> None:
    assert format_of("a/x.PARQUET", True, files=True) == "parquet"
    with pytest.raises(UnknownName, match=r"\.parquet"):
        format_of("x.parquet", True)


@pytest.mark.parametrize("out", [None, "-"])
def test_parquet_is_not_for_the_standard_output(out: str | None) -> None:
    with pytest.raises(InputError, match="name a file with --out"):
        open_writer("parquet", out, labels=LABELS)


def test_a_file_appears_only_when_the_writer_is_left(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_text("old")
    with open_writer("parquet", out, labels=LABELS) as writer:
        for _ in range(parquet_files.GROUP + 1):  # more than a group
            writer.write(record())
        assert out.read_text() == "old"
    assert len(pq.read_table(out)) == parquet_files.GROUP + 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.parquet"]


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_writer("parquet", out, labels=LABELS) as writer:
        for _ in range(parquet_files.GROUP + 1):
            writer.write(record())
        raise KeyboardInterrupt
    del writer  # Arrow writes the end of the file now: nowhere
    assert out.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_closing_twice_does_nothing_and_writing_then_is_a_mistake(tmp_path: Path) -> None:
    writer = open_writer("parquet", tmp_path / "out", labels=LABELS)
    writer.close()
    before = (tmp_path / "out").read_bytes()
    writer.close()
    assert (tmp_path / "out").read_bytes() == before
    with pytest.raises(ValueError, match="closed"):
        writer.write(record())


@linux
def test_a_full_disk_is_told() -> None:
    with (
        pytest.raises(OutputError, match="/dev/full: the disk is full"),
        open_writer("parquet", "/dev/full", labels=LABELS) as writer,
    ):
        writer.write(record())
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@linux
def test_a_named_pipe_is_written_directly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(
        target=lambda: got.append((tmp_path / "pipe").read_bytes()), daemon=True
    )
    reader.start()
    with open_writer("parquet", tmp_path / "pipe", labels=LABELS) as writer:
        writer.write(record("one.mp4"))
    reader.join(10)
    (tmp_path / "copy").write_bytes(got[0])
    assert pq.read_table(tmp_path / "copy")["path"].to_pylist() == ["one.mp4"]


def test_without_pyarrow_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = r"^pyarrow is not installed; .*pip install .*\[parquet\]'$"
    for use in (
        lambda: open_writer("parquet", "x.parquet", labels=LABELS),
        lambda: open_features("x.parquet", names=["x"], meta={}),
        lambda: load_features("x.parquet"),
    ):
        with pytest.raises(MissingDependency, match=said):
            use()
    assert not Path("x.parquet").exists()


@pytest.mark.parametrize("command", ["classify", "extract-features"])
def test_without_pyarrow_no_clip_is_read(
    command: str,
    demo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def read(*_: object) -> None:
        pytest.fail("a clip was read")

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("videmo.cli.run.Run._each", read)
    with pytest.raises(SystemExit) as ended:
        main([command, str(demo), "--out", str(tmp_path / "x.parquet")])
    assert ended.value.code == 4
    assert capsys.readouterr().err.startswith("videmo: error: pyarrow is not installed")
    assert not list(tmp_path.iterdir())


def test_importing_the_writers_does_not_import_pyarrow() -> None:
    code = "import sys, videmo.write.parquet, videmo.write.schema; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# features


def both(tmp_path: Path, *, frames: bool = False) -> tuple[Any, Any]:
    """Write the same clips as .npz and as .parquet, and return what is loaded of each."""
    odd = os.fsdecode(b"d/\xff\n.mp4")
    tables = []
    for name in ("f.npz", "f.parquet"):
        with open_features(
            tmp_path / name, names=["mean_0", "mean_1"], meta={"tool": "é"}, frames=frames
        ) as file:
            file.add("none.mp4", "no_face", descriptor=Descriptor(np.zeros(0, np.float32), 0, 0, 5))
            file.add(odd, "ok", "", descriptor(1, 2), 2.5, [features(2), features(0)], "Happy")
            file.add("b.mp4", "error", "boom", None, None, [features(4)])
            file.add("c.mp4", "ok", "", descriptor(3, 4), np.nan, iter([features(3, 1)]), "Sad")
        tables.append(load_features(tmp_path / name))
    return tables[0], tables[1]


@pytest.mark.parametrize("frames", [False, True])
def test_features_come_back_as_from_an_npz(tmp_path: Path, frames: bool) -> None:
    want, got = both(tmp_path, frames=frames)
    for name, value in vars(want).items():
        same = getattr(got, name)
        if isinstance(value, np.ndarray):
            assert same.dtype.kind == value.dtype.kind, name
            assert same.dtype.itemsize == value.dtype.itemsize, name
            assert np.array_equal(same, value, equal_nan=value.dtype.kind == "f"), name
        else:
            assert same == value, name
    assert got.frame_offsets is None or got.frame_offsets.tolist() == [0, 0, 2, 2, 5]


def test_a_clip_is_a_row_with_its_descriptor_in_one_column(tmp_path: Path) -> None:
    both(tmp_path)
    table = pq.read_table(tmp_path / "f.parquet")
    assert str(table.schema.field("features").type) == "list<element: float>"
    rows = table.to_pylist()
    assert [row["features"] for row in rows] == [None, [1, 2], None, [3, 4]]
    assert [row["message"] for row in rows] == [None, None, "boom", None]
    assert [row["duration"] for row in rows] == [None, 2.5, None, None]
    assert rows[1]["path"] == "d/\\udcff\n.mp4" and rows[1]["subject"] is None
    assert json.loads(table.schema.metadata[b"videmo.feature_names"]) == ["mean_0", "mean_1"]
    assert json.loads(table.schema.metadata[b"videmo.meta"]) == {"tool": "é"}


def test_the_faces_are_a_second_file(tmp_path: Path) -> None:
    both(tmp_path, frames=True)
    table = pq.read_table(tmp_path / "f.frames.parquet")
    assert table["clip"].to_pylist() == [1, 1, 3, 3, 3]
    assert table["path"].to_pylist()[2:] == ["c.mp4"] * 3
    for name in ("box", "features"):
        assert str(table.schema.field(name).type).startswith("fixed_size_list<")
    whole = features(3, 1)
    assert np.array_equal(np.array(table["box"].to_pylist()[2:], np.float32), whole.faces.box)
    assert table["time"].to_pylist()[2:] == whole.faces.time.tolist()


def test_without_frames_there_is_one_file(tmp_path: Path) -> None:
    both(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["f.npz", "f.parquet"]


@pytest.mark.parametrize("frames", [False, True])
def test_a_file_of_no_clips_is_a_file(tmp_path: Path, frames: bool) -> None:
    open_features(tmp_path / "f.parquet", names=["x", "y"], meta={}, frames=frames).close()
    got = load_features(tmp_path / "f.parquet")
    assert (len(got), got.features.shape) == (0, (0, 2))
    assert (got.frame_offsets is None) == (not frames)


def test_faces_are_written_as_they_come(tmp_path: Path) -> None:
    block = Features(np.zeros((1000, 500), np.float32), features(1000).faces, 1000)  # 2 MB
    tracemalloc.start()
    with open_features(tmp_path / "f.parquet", names=["x"], meta={}, frames=True) as file:
        file.add("a.mp4", "ok", "", descriptor(1), 1.0, (block for _ in range(10)))
        one = tracemalloc.get_traced_memory()[1]
        file.add("b.mp4", "ok", "", descriptor(1), 1.0, (block for _ in range(40)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    groups = pq.ParquetFile(tmp_path / "f.frames.parquet").metadata
    assert groups.num_rows == 50_000 and groups.num_row_groups == 10  # of 5 batches: over 4,096
    assert peak < 1.1 * one


def test_a_run_that_breaks_leaves_neither_file(tmp_path: Path) -> None:
    def breaks() -> Iterator[Features]:
        yield features(4)
        raise RuntimeError("boom")

    with (
        pytest.raises(RuntimeError, match="boom"),
        open_features(tmp_path / "f.parquet", names=["x"], meta={}, frames=True) as file,
    ):
        file.add("a.mp4", "ok", "", descriptor(1), 1.0, breaks())
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_take_the_faces_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "f.frames.parquet").mkdir()
    with pytest.raises(OutputError, match=r"f\.frames\.parquet: is a folder"):
        open_features(tmp_path / "f.parquet", names=["x"], meta={}, frames=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.frames.parquet"]


def test_a_descriptor_of_another_length_is_a_mistake(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="2 values for 1 feature names"),
        open_features(tmp_path / "f.parquet", names=["x"], meta={}) as file,
    ):
        file.add("a.mp4", "ok", "", descriptor(1, 2))
    assert not list(tmp_path.iterdir())


# feature files that are none


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "f.parquet"
    with pytest.raises(InputError, match="no such file"):
        load_features(bad)
    bad.write_bytes(b"no parquet at all")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load_features(bad)
    written(bad, record())
    with pytest.raises(InputError, match="holds no column 'message'"):
        load_features(bad)


def test_a_table_without_our_words_about_it_is_refused(tmp_path: Path) -> None:
    both(tmp_path)
    table = pq.read_table(tmp_path / "f.parquet")
    pq.write_table(table.replace_schema_metadata({}), tmp_path / "f.parquet")
    with pytest.raises(InputError, match=r"holds no metadata videmo\.meta"):
        load_features(tmp_path / "f.parquet")


@pytest.mark.parametrize("wrong", [[1.0, 2.0, 3.0], [1.0]])
def test_a_descriptor_of_another_width_is_refused(tmp_path: Path, wrong: list[float]) -> None:
    both(tmp_path)
    table = pq.read_table(tmp_path / "f.parquet")
    cells = [None, wrong, None, [0.0] * (4 - len(wrong))]  # as many values in all
    columns = [cells if name == "features" else table[name] for name in table.column_names]
    pq.write_table(pa.table(columns, schema=table.schema), tmp_path / "f.parquet")
    with pytest.raises(InputError, match="a vector is not of 2 values"):
        load_features(tmp_path / "f.parquet")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    both(tmp_path)
    raw = (tmp_path / "f.parquet").read_bytes()
    (tmp_path / "f.parquet").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match=r"f\.parquet: cannot be read as Parquet"):
        load_features(tmp_path / "f.parquet")


def test_faces_of_other_clips_are_refused(tmp_path: Path) -> None:
    both(tmp_path, frames=True)
    with open_features(tmp_path / "g.parquet", names=["x"], meta={}, frames=True) as file:
        file.add("other.mp4", "ok", "", descriptor(1), 1.0, [features(2)])
    os.replace(tmp_path / "g.frames.parquet", tmp_path / "f.frames.parquet")
    with pytest.raises(InputError, match="its faces are not of the clips in"):
        load_features(tmp_path / "f.parquet")
    assert len(load_features(tmp_path / "f.parquet", frames=False)) == 4


def test_faces_that_were_left_behind_are_named(tmp_path: Path) -> None:
    both(tmp_path, frames=True)
    os.unlink(tmp_path / "f.frames.parquet")
    with pytest.raises(InputError, match=r"f\.frames\.parquet: .*no such file"):
        load_features(tmp_path / "f.parquet")


# commands


def test_classify_writes_parquet(videmo_command: Any, demo: Path, tmp_path: Path) -> None:
    out, clip = tmp_path / "r.parquet", ("--every", "25", "--end", "2")
    (want,) = videmo_command("classify", demo, *clip).records
    ran = videmo_command("classify", demo, tmp_path / "missing.mp4", "--out", out, *clip)
    assert (ran.code, ran.out) == (1, "")
    good, bad = pq.read_table(out).to_pylist()
    assert (good["label"], good["p_happy"]) == (want["label"], want["scores"]["Happy"])
    assert (bad["status"], bad["p_happy"], good["end"]) == ("error", None, 2.0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.parquet", "r.parquet.receipt"]


def test_parquet_needs_out(videmo_command: Any, demo: Path) -> None:
    ran = videmo_command("classify", demo, "--format", "parquet")
    assert (ran.code, ran.out) == (2, "") and "--out" in ran.err and "Traceback" not in ran.err


def test_a_head_learns_from_parquet_what_it_learns_from_npz(
    videmo_command: Any, tmp_path: Path
) -> None:
    from videmo.recipe import Recipe

    rng = np.random.default_rng(0)
    values = rng.normal(size=(24, 4)).astype(np.float32)
    values[::2] += 2
    said = []
    for name in ("f.npz", "f.parquet"):
        meta = {"options": Recipe("net", "0" * 64).to_dict()}
        with open_features(tmp_path / name, names=list("wxyz"), meta=meta) as file:
            for n, row in enumerate(values):
                some = Descriptor(row, 3, 3, 3)
                file.add(f"{n}.mp4", "ok", "", some, 1.0, label="ab"[n % 2], subject=f"s{n % 5}")
            file.add("none.mp4", "no_face", label="a", subject="s0")
        ran = videmo_command(
            "train", "head", tmp_path / name, "--out", tmp_path / f"{name}.head",
            "--folds", "3", "--strength", "1",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        said.append(ran.records[0]["measured"])
    assert said[0] == said[1]


def test_extract_features_writes_parquet(videmo_command: Any, demo: Path, tmp_path: Path) -> None:
    tables = []
    for name in ("f.npz", "f.parquet"):
        ran = videmo_command(
            "extract-features", demo, "--out", tmp_path / name, "--frames", "--every", "25"
        )
        assert ran.code == 0, ran.err
        tables.append(load_features(tmp_path / name))
    want, got = tables
    assert np.array_equal(got.features, want.features) and got.meta == want.meta
    assert np.array_equal(got.frame_features, want.frame_features)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "f.npz", "f.npz.receipt", "f.parquet", "f.parquet.receipt", "f.frames.parquet",
    }  # fmt: skip


def test_faces_that_are_there_already_are_not_replaced(
    videmo_command: Any, demo: Path, tmp_path: Path
) -> None:
    (tmp_path / "f.frames.parquet").write_text("mine")
    ran = videmo_command("extract-features", demo, "--out", tmp_path / "f.parquet", "--frames")
    assert ran.code == 1 and "f.frames.parquet: is there already" in ran.err
    assert (tmp_path / "f.frames.parquet").read_text() == "mine"


def test_both_kinds_of_file_are_opened_by_their_suffix(tmp_path: Path) -> None:
    for name, kind in (
        ("f.npz", npz_files.FeatureFile),
        ("F.PARQUET", parquet_files.FeatureParquet),
    ):
        with open_features(tmp_path / name, names=["x"], meta={}) as file:
            assert isinstance(file, kind)
