"""Embeddings by which a teacher tells the faces of data sets apart, for identity to learn."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from videmo import store
from videmo.data import F32, F64, U8, Array, Faces, FrameBatch
from videmo.errors import InputError
from videmo.files.scratch import scratch
from videmo.stages.crop import Cropping, crop
from videmo.stages.detect.onet import ONet
from videmo.stages.embed import make_backbone
from videmo.stages.heads.attributes import IDENTITY
from videmo.train.face_dataset import open_picture
from videmo.train.face_tables import FaceTable

FILE = "likeness.npz"
CHUNK = 64  # pictures in memory at once
LOOKS, SURE = 2, 0.5  # how often O-Net looks for the five points, and how sure it must be


def likeness_file(likeness: str, tables: Sequence[FaceTable], folder: Path) -> Path:
    """Return an .npz of embeddings: `likeness` itself, or what the model of that name says.

    Of a model it is made once, in `folder`, so that a training that goes on finds it there.
    raises: InputError for a model without the output identity
    """
    if likeness.endswith(".npz"):
        return Path(likeness)
    path = folder / FILE
    if not path.exists():
        found = {Path(table.source).name: embeddings(table, likeness) for table in tables}
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, centred(found))
    return path


def embeddings(table: FaceTable, teacher: str) -> F32:
    """Return what a teacher says of who each face is, (K, E).

    The faces are cut as its own card says; where that wants the five points, O-Net of MTCNN looks
    for them in the part of the picture that is the face.
    """
    model = store.load(teacher)
    spec = model.backbone_spec()
    if IDENTITY not in spec.outputs:
        raise InputError(f"{teacher}: has no output identity; give another --likeness")
    engine = "openvino" if (model.folder / "graph.onnx").is_file() else "torch"
    network = make_backbone(spec, model.folder, engine=engine, device="cpu", outputs=(IDENTITY,))
    cropping, parts = replace(model.recipe.cropping, size=spec.input_size), []
    crops = face_crops(table, cropping)
    while chunk := [one for _, one in zip(range(CHUNK), crops, strict=False)]:
        parts.append(network(np.stack(chunk))[1][IDENTITY])
    return (
        np.concatenate(parts) if parts else np.zeros((0, len(spec.outputs[IDENTITY])), np.float32)
    )


def face_crops(table: FaceTable, cropping: Cropping) -> Iterator[U8]:
    """Yield each face of a table as `cropping` cuts it, (S, S, 3).

    A picture without a box is taken for the cut itself, unless it is to be aligned.
    """
    aligned = cropping.shape == "five"
    look = ONet.of_package(1) if aligned else None
    for row in range(len(table)):
        pixels = open_picture(table, row)
        height, width = pixels.shape[:2]
        whole = np.array([0, 0, width, height], np.float64)
        box = whole if table.boxes is None else table.boxes[row].astype(np.float64)
        points = find_points(look, pixels, box) if look else np.full((5, 2), np.nan)
        as_it_is = not np.isfinite(points).all()
        how = Cropping(cropping.size, "square", colour=cropping.colour) if as_it_is else cropping
        frames = FrameBatch(pixels[None], np.zeros(1, np.int64), np.zeros(1))
        found = Faces.on(frames, np.zeros(1), box[None], np.ones(1), points[None])
        (cut,) = crop([(frames, found)], how)
        yield cut.pixels[0]


def find_points(look: ONet, pixels: U8, box: Array) -> F64:
    """Return the five points (5, 2) of the face in a box, px; NaN where O-Net sees none."""
    for _ in range(LOOKS):
        (box,), (score,), (points,) = look(pixels, box[None])
        if score < SURE:
            return np.full((5, 2), np.nan)
    return np.asarray(points, np.float64)


def centred(found: Mapping[str, F32]) -> dict[str, F32]:
    """Return embeddings of length 1 less their mean, so that strangers are at right angles."""
    units = {
        name: rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9)
        for name, rows in found.items()
    }
    mean = np.concatenate([*units.values()]).mean(0)
    return {name: (rows - mean).astype(np.float32) for name, rows in units.items()}


def _write(path: Path, arrays: Mapping[str, F32]) -> None:
    with scratch(path.parent) as room:
        part = Path(room) / path.name
        np.savez(part, **arrays)  # type: ignore[arg-type]
        os.replace(part, path)
