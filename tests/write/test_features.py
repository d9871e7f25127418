"""Features as rows of CSV and TSV, and names that say what a file is."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videmo.data import Descriptor
from videmo.errors import InputError, UnknownName
from videmo.runs.shards.merge import merge
from videmo.write import feature_format, format_of, open_features
from videmo.write.names import kind_of
from videmo.write.schema import PROVENANCE

NAMES = ["mean_0", "mean_1"]
META = dict.fromkeys(PROVENANCE, "x") | {"head": None}


def write(out: Path, *clips: str, **more: Any) -> Path:
    values = np.array([0.1, -1e-9], np.float32)
    with open_features(out, names=NAMES, meta=META) as file:
        for clip in clips:
            file.add(clip, "ok", "", Descriptor(values, 3, 2, 4), 1.25, None, "Happy", **more)
        file.add("none.mp4", "no_face", "", Descriptor(np.zeros(0, np.float32), 0, 0, 4), 2.0)
        file.add("bad.mp4", "error", "no\tvideo")
    return out


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_row_a_clip_with_the_columns_of_the_descriptor(tmp_path: Path, suffix: str) -> None:
    ok, none, bad = read(write(tmp_path / f"f{suffix}", "a,b.mp4", start=0.5))
    assert list(ok)[:3] == ["path", "status", "message"] and list(ok)[10:12] == NAMES
    assert (ok["path"], ok["status"], ok["label"]) == ("a,b.mp4", "ok", "Happy")
    assert (ok["frames"], ok["face_frames"], ok["faces"]) == ("4", "2", "3")
    assert np.float32(ok["mean_0"]) == np.float32(0.1) and ok["mean_1"] == "-0.000000001"
    assert (ok["duration"], ok["start"], ok["end"]) == ("1.2500", "0.5000", "")
    assert (ok["recipe"], ok["head"], ok["schema_version"]) == ("x", "", "1")
    assert none["mean_0"] == bad["mean_0"] == ""
    assert bad["message"] == ("no\tvideo" if suffix == ".csv" else "no\\tvideo")


def test_parts_of_a_run_are_merged(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.csv", "a.mp4"), write(tmp_path / "2.csv", "b.mp4")
    whole = write(tmp_path / "w.csv", "a.mp4", "b.mp4")
    merge([str(one), str(two)], str(tmp_path / "m.csv"))
    assert sorted((tmp_path / "m.csv").read_text().split()) == sorted(whole.read_text().split())


def test_faces_are_not_kept_in_rows_of_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"f\.csv: holds clips alone; --frames wants \.npz or"):
        open_features(tmp_path / "f.csv", names=NAMES, meta=META, frames=True)
    assert not [*tmp_path.iterdir()]


# names


@pytest.mark.parametrize("name", ["f.h5", "f.npy", "f.zip", "f.parquetx"])
def test_features_have_no_other_suffix(name: str) -> None:
    with pytest.raises(UnknownName, match=r"there is \.npz, \.parquet, \.csv, \.tsv"):
        feature_format(name)


def test_a_name_without_a_suffix_says_nothing() -> None:
    with pytest.raises(InputError, match=r"f: no suffix says the format; end it in \.npz"):
        feature_format("f")
    with pytest.raises(InputError, match="or give --format"):
        format_of("out", False)
    assert format_of("out", False, asked="csv") == "csv"
    assert format_of("out.log", False, asked="csv") == "csv"


def test_a_name_and_an_option_say_the_same() -> None:
    assert format_of("x.jsonl", False, asked="ndjson") == "ndjson"
    with pytest.raises(InputError, match=r"x\.csv: its name says csv, json is asked for"):
        format_of("x.csv", False, asked="json")


def test_other_kinds_of_files_go_by_their_names_too(tmp_path: Path) -> None:
    assert kind_of("m.PNG", {".png": "png"}) == "png"
    with pytest.raises(UnknownName):
        kind_of("m.jpg", {".png": "png"})
    part = write(tmp_path / "1.csv", "a.mp4")
    for wrong in ("m.txt", "m.xlsx", "m"):
        with pytest.raises(InputError):
            merge([str(part)], str(tmp_path / wrong))
        assert not (tmp_path / wrong).exists()
