"""Labelled still faces: in goes FER+ as a Parquet file, out come arrays."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videmo.errors import InputError, MissingDependency
from videmo.labels import label_set

EMOTIONS = label_set("ferplus8")  # the order of FER+'s vote columns


@dataclass(frozen=True, eq=False)
class StillFaces:
    """K square grey faces with the share of the votes that each label got."""

    pixels: NDArray[np.uint8]  # (K, S, S), grey
    votes: NDArray[np.float32]  # (K, C), rows sum to 1
    labels: tuple[str, ...]  # C names, in the order of the columns of `votes`

    def __post_init__(self) -> None:
        if self.votes.shape != (len(self.pixels), len(self.labels)):
            raise ValueError(f"{self.pixels.shape = } and {self.votes.shape = } do not agree")

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        return f"StillFaces(pixels{self.pixels.shape}, votes{self.votes.shape})"

    @property
    def majority(self) -> NDArray[np.int64]:
        """The label with the most votes of each face, (K,); the first of equals."""
        return np.asarray(self.votes.argmax(1), np.int64)


def read_ferplus(path: str | Path, split: str) -> StillFaces:
    """Return the usable faces of one split, with the eight emotions' votes renormalised.

    Left out: faces that most voters call unknown or no face, and repeats: in train those seen
    before in train, in val and test those that are also in train.

    path:    a Parquet file with WebP bytes in `image` and one column `v_<emotion>` a label
    split:   train, val or test
    returns: StillFaces; pixels (K, 48, 48)
    raises:  InputError if the file cannot be read or has no such rows
    """
    table = _read(Path(path))
    repeat = "repeat_in_train" if split == "train" else "leak_from_train"
    try:
        usable = (table["split"] == split) & (table["usable"] == 1) & (table[repeat] == 0)
        votes = np.stack([table[f"v_{name}"] for name in EMOTIONS], 1)[usable]
        pictures = table["image"][usable]
    except KeyError as error:
        raise InputError(f"{path}: no column {error}; it wants a FER+ table with votes") from error
    if not len(pictures):
        raise InputError(f"{path}: no usable face in split {split!r}; there are train, val, test")
    shares = votes.astype(np.float32) / votes.sum(1, keepdims=True, dtype=np.float32)
    return StillFaces(np.stack([_grey(picture) for picture in pictures]), shares, EMOTIONS)


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependency("pyarrow", "train") from error
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not read as Parquet ({error}); give a FER+ table") from error
    return {name: table[name].to_numpy() for name in table.column_names}


def _grey(picture: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image.convert("L"), np.uint8)
