"""From a table of faces to a backbone and two heads, by the commands, on synthetic faces."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from videmo.errors import InputError
from videmo.labels import label_set
from videmo.train import backbone, stills
from videmo.train.faces import EMOTIONS, read_ferplus

SMALL = [
    "--architecture", "resnet10t", "--arguments", '{"channels": [8, 8, 16, 16]}',
    "--input-size", "32", "--epochs", "1", "--batch", "16", "--parts", "2",
]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a table like FER+'s: in each split four faces an emotion, of a grey of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rows = []
    for split in ("train", "val", "test"):
        for number, emotion in enumerate(EMOTIONS * 4):
            file = io.BytesIO()
            noise = np.random.default_rng(number).integers(0, 20, (48, 48))
            grey = (25 * (number % 8) + noise).astype(np.uint8)
            Image.fromarray(grey).save(file, "WEBP", lossless=True)
            votes = {f"v_{name}": 8 * int(name == emotion) for name in EMOTIONS}
            flags = {"usable": 1, "repeat_in_train": 0, "leak_from_train": int(number == 0)}
            rows.append({"split": split, "image": file.getvalue(), **flags, **votes})
    path = tmp_path_factory.mktemp("table") / "faces.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("backbone")
    backbone.main(["--data", str(table), "--out", str(out), "--test", *SMALL])
    return out


def test_a_face_that_is_in_train_too_is_left_out_of_val(table: Path) -> None:
    assert len(read_ferplus(table, "train")) == 32
    assert len(read_ferplus(table, "val")) == 31


def test_a_split_that_is_not_there_is_an_error(table: Path) -> None:
    with pytest.raises(InputError, match=r"no usable face in split 'all'"):
        read_ferplus(table, "all")


def test_the_command_writes_what_was_trained_and_measured(trained: Path) -> None:
    facts = json.loads((trained / "trained.json").read_text())
    measured = json.loads((trained / "measured.json").read_text())
    assert facts["n"] == 32 and facts["epochs"] == 1 and facts["parameters"] > 1000
    assert "--architecture resnet10t" in facts["command"]
    assert "--augmentation" not in facts["command"]  # the command line has no such option
    assert measured["test"]["n"] == 31
    assert measured["bytes"] == (trained / "weights.safetensors").stat().st_size
    assert set(measured["worsened"]) >= {"24 px and up", "JPEG quality 30"}


def test_the_heads_are_made_from_the_same_table(table: Path, trained: Path, tmp_path: Path) -> None:
    given = ["--data", str(table), "--backbone", str(trained), "--out", str(tmp_path)]
    stills.main([*given, "--each", "4", "--test"])
    for name in ("afew7", "vgaf3"):
        spec = json.loads((tmp_path / name / "spec.json").read_text())
        measured = json.loads((tmp_path / name / "measured.json").read_text())
        assert tuple(spec["labels"]) == label_set(name)
        assert 0 <= measured["test"]["ece"] <= 1
