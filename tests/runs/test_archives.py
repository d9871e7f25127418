"""Archives and records from anybody: what is merged was looked at first."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videmo.data import Descriptor
from videmo.errors import InputError, MergeError, VidemoError
from videmo.runs.shards.merge import merge
from videmo.write import load_features, open_features

META = {"options": {}, "schema_version": "1.0", "videmo": "0"}


def archive(path: Path, *values: float) -> Path:
    with open_features(str(path), names=["x", "y"], meta=META) as file:
        for number, value in enumerate(values):
            found = Descriptor(np.array([value, 0], np.float32), 1, 1, 1)
            file.add(f"{path.stem}{number}.mp4", "ok", "", found, 1.0)
    return path


def repacked(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write the arrays of an archive again, after a change."""
    with np.load(path) as found:
        arrays = dict(found)
    change(arrays)
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_answer_that_is_no_number_is_refused(tmp_path: Path, suffix: str, value: float) -> None:
    bad, good = archive(tmp_path / f"b{suffix}", 1, value), archive(tmp_path / f"g{suffix}", 1)
    with pytest.raises(InputError, match=r"row 2 \(b1\.mp4\): x is no finite number"):
        load_features(bad)
    with pytest.raises(VidemoError, match="no finite number"):
        merge([str(bad), str(good)], tmp_path / f"out{suffix}")
    assert not (tmp_path / f"out{suffix}").exists()


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", 1)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as file:
        warnings.simplefilter("ignore")
        file.writestr("features.npy", file.read("features.npy"))
    with pytest.raises(InputError, match="holds 'features' twice"):
        load_features(path)


def test_what_merging_would_lose_is_refused(tmp_path: Path) -> None:
    path = repacked(archive(tmp_path / "a.npz", 1), lambda found: found.update(mine=np.zeros(1)))
    assert len(load_features(path)) == 1
    with pytest.raises(InputError, match="holds 'mine' which is nothing of videmo's"):
        merge([str(path)], tmp_path / "out.npz")
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = archive(tmp_path / "a.parquet", 1)
    pq.write_table(pq.read_table(path).append_column("mine", pa.array([1])), path)
    with pytest.raises(InputError, match="holds 'mine' which"):
        merge([str(path)], tmp_path / "out.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a.update(frames=a["frames"] - 9), "frames holds numbers below 0"),
        (lambda a: a.update(duration=a["duration"] * np.inf), "duration holds what is no time"),
        (lambda a: a.update(duration=-a["duration"]), "duration holds what is no time"),
        (lambda a: a.update(feature_names=np.array(["x", "x"])), "'x' twice"),
    ],
)
def test_counts_and_times_are_some(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        load_features(repacked(archive(tmp_path / "a.npz", 1), change))


def record(**changes: Any) -> dict[str, Any]:
    made = {"videmo": "0", "head": "h", "recipe": "r"}
    facts = {"schema_version": "1.0", "path": "a.mp4", "status": "ok", "label": "A",
             "scores": {"A": 1.0, "B": 0.0}, "frames": 1, "face_frames": 1, "faces": 1}  # fmt: skip
    return {**facts, "provenance": made, **changes}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(record(scores={"A": float("inf"), "B": 0.0})),
        json.dumps(record(scores={"A": float("nan"), "B": 0.0})),
        json.dumps(record(scores={"A": "much"})),
        json.dumps(record(scores={"A": -0.5, "B": 1.5})),
        json.dumps(record(frames=-1)),
        json.dumps(record())[:-1] + ', "label": "B"}',
    ],
)
def test_a_record_of_what_is_no_number_or_there_twice_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ndjson").write_text(f"{text}\n{json.dumps(record(path='b.mp4'))}\n")
    with pytest.raises(MergeError, match=r"a\.mp4|a\.ndjson:1"):
        merge([str(tmp_path / "a.ndjson")], tmp_path / "out.ndjson")


@pytest.mark.parametrize("value", ["inf", "nan", "much"])
def test_a_row_of_what_is_no_number_is_refused(tmp_path: Path, value: str) -> None:
    head = "schema_version,path,status,label,p_a,videmo,recipe"
    (tmp_path / "a.csv").write_bytes(f"{head}\r\n1.0,a.mp4,ok,A,{value},0,r\r\n".encode())
    with pytest.raises(MergeError, match="probabilities or counts that are none"):
        merge([str(tmp_path / "a.csv")], tmp_path / "out.csv")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    head = "schema_version,path,path,status,label,p_a,videmo,recipe"
    (tmp_path / "a.csv").write_bytes(f"{head}\r\n1.0,a.mp4,b.mp4,ok,A,1,0,r\r\n".encode())
    with pytest.raises(MergeError, match="two columns have one name"):
        merge([str(tmp_path / "a.csv")], tmp_path / "out.csv")


def test_sound_parts_are_merged(tmp_path: Path) -> None:
    parts = [archive(tmp_path / f"{name}.npz", 1) for name in "ab"]
    assert merge([str(part) for part in parts], tmp_path / "out.npz").clips == 2
    (tmp_path / "a.ndjson").write_text(json.dumps(record()) + "\n")
    assert merge([str(tmp_path / "a.ndjson")], tmp_path / "out.ndjson").clips == 1
