"""Labelled faces of ../shared, and how many of them a detector finds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from videmo.data import F64, U8, Faces, FrameBatch
from videmo.stages.detect import Detection, Detector
from videmo.stages.detect.mtcnn import MTCNN

POINTS = ("eyeL", "eyeR", "nose", "mouthL", "mouthR")


def labelled(path: Path, n: int) -> list[tuple[U8, F64, F64]]:
    """Return n random pictures with the box (4,) and the five points (5, 2) in their own px."""
    if not path.is_file():
        pytest.skip(f"{path.name} is not in ../shared/data")
    from PIL import Image

    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [row for row in parquet.read_table(path).to_pylist() if np.isfinite(row["x1"] or np.nan)]
    pictures = []
    for i in np.random.default_rng(0).permutation(len(rows))[:n]:
        row = rows[i]
        pixels = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        unit = np.array([pixels.shape[1] / row["img_w"], pixels.shape[0] / row["img_h"]])
        box = np.array([row[key] for key in ("x1", "y1", "x2", "y2")]) * np.tile(unit, 2)
        points = np.array([[row[f"{name}_x"], row[f"{name}_y"]] for name in POINTS]) * unit
        pictures.append((pixels, box, points))
    return pictures


def measure(
    pictures: list[tuple[U8, F64, F64]], find: Detector | None = None
) -> tuple[float, float]:
    """Return the share found (intersection over union >= 0.4) and the mean error of the points."""
    find, errors = find or MTCNN(Detection(min_face=32), threads=2), []
    for pixels, box, points in pictures:
        faces = find(FrameBatch(pixels[None], np.zeros(1, np.int64), np.zeros(1)))
        if (error := match(faces, box, points)) is not None:
            errors.append(error)
    return len(errors) / len(pictures), float(np.mean(errors))


def match(faces: Faces, box: F64, points: F64) -> float | None:
    """Return the error of the points of the face that is the labelled one; None without one."""
    for got, marks in zip(faces.box, faces.landmarks, strict=True):
        side = np.minimum(got[2:], box[2:]) - np.maximum(got[:2], box[:2])
        shared = side.clip(0).prod()
        union = (got[2:] - got[:2]).prod() + (box[2:] - box[:2]).prod() - shared
        if shared >= 0.4 * union:
            eyes = np.linalg.norm(points[1] - points[0])
            return float(np.linalg.norm(marks - points, axis=1).mean() / eyes)
    return None
