"""Synthetic still faces for the tests of training: files, tables, data sets."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from videmo.labels import label_set
from videmo.train.face_tables import FaceTable

EMOTIONS = label_set("ferplus8")


def face(kind: int, seed: int, side: int = 32) -> np.ndarray:
    """Return a picture (side, side, 3): kind 0 is light above, kind 1 light below."""
    pixels = np.random.default_rng(seed).integers(0, 80, (side, side, 1)).repeat(3, -1)
    half = slice(0, side // 2) if kind == 0 else slice(side // 2, side)
    pixels[half] += 150
    return pixels.astype(np.uint8)


def encoded(pixels: np.ndarray) -> bytes:
    """Return a picture as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def table(count: int = 64, split: str = "train", **known: list[str | None]) -> FaceTable:
    """Return a table of two kinds of faces: happiness and sadness, where nothing else is known."""
    pictures: list[bytes | Path] = [encoded(face(i % 2, i)) for i in range(count)]
    usual: dict[str, list[str | None]] = {
        "emotion": [("happiness", "sadness")[i % 2] for i in range(count)]
    }
    names = [f"row {i}" for i in range(count)]
    return FaceTable("synthetic", pictures, names, known or usual, [split] * count)


def folder(root: Path, each: int = 12) -> Path:
    """Write train/ and val/ with a folder for each of two emotions, and return `root`."""
    for split, count in (("train", each), ("val", each // 2)):
        for kind, name in enumerate(("happiness", "sadness")):
            place = root / split / name
            place.mkdir(parents=True)
            for i in range(count):
                (place / f"{i}.png").write_bytes(encoded(face(kind, 100 * kind + i)))
    return root


def stop_in_the_second_epoch(monkeypatch: Any) -> None:
    """Have the next training interrupted when its second epoch is almost done."""
    from videmo.train import backbone

    real, calls = backbone.validate, []

    def stop(*arguments: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(backbone, "validate", stop)


def parquet(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def ferplus(path: Path) -> Path:
    """Write a table like FER+'s: in each split four faces an emotion; val and test leak one."""
    rows: list[dict[str, object]] = []
    for split in ("train", "val", "test"):
        for number in range(4 * len(EMOTIONS)):
            kind = number // 4  # in runs, so that every other face still has each emotion
            noise = np.random.default_rng(number).integers(0, 20, (48, 48, 1)).repeat(3, -1)
            votes = {f"v_{name}": 8 * int(name == EMOTIONS[kind]) for name in EMOTIONS}
            flags = {"usable": 1, "repeat_in_train": 0, "leak_from_train": int(number == 0)}
            picture = encoded((25 * kind + noise).astype(np.uint8))
            rows.append({"split": split, "image": picture, **flags, **votes})
    return parquet(path, rows)
