"""Still faces of FER+ as arrays, for the clips that are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videmo.data import F32, I64, U8
from videmo.errors import InputError
from videmo.labels import label_set
from videmo.train.face_dataset import PictureLoader
from videmo.train.face_tables import read_table

EMOTIONS = label_set("ferplus8")  # the order of FER+'s vote columns
SIDE = 48  # px of its pictures


@dataclass(frozen=True, eq=False)
class StillFaces:
    """K square grey faces with the share of the votes that each label got."""

    pixels: U8  # (K, S, S), grey
    votes: F32  # (K, C), rows sum to 1
    labels: tuple[str, ...]  # C names, in the order of the columns of `votes`

    def __post_init__(self) -> None:
        if self.votes.shape != (len(self.pixels), len(self.labels)):
            raise ValueError(f"{self.pixels.shape = } and {self.votes.shape = } do not agree")

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        return f"StillFaces(pixels{self.pixels.shape}, votes{self.votes.shape})"

    @property
    def majority(self) -> I64:
        """The label with the most votes of each face, (K,); the first of equals."""
        return np.asarray(self.votes.argmax(1), np.int64)


def read_ferplus(path: str | Path, split: str) -> StillFaces:
    """Return the usable faces of one split, with the eight emotions' votes renormalised.

    Left out: faces that most voters call unknown or no face, and repeats: in train those seen
    before in train, in val and test those that are also in train.

    path:    a Parquet file with encoded pictures in `image` and one column `v_<emotion>` a label
    split:   train, val or test
    returns: StillFaces; pixels (K, 48, 48)
    raises:  InputError if the file cannot be read or has no such rows
    """
    table = read_table("ferplus", path).of_split(split)
    if not len(table) or table.votes is None:
        raise InputError(f"{path}: no usable face in split {split!r}; there are train, val, test")
    pixels = PictureLoader(table, SIDE, colour=False)[range(len(table))]
    return StillFaces(pixels[..., 0], table.votes, table.voted)
