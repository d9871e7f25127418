"""Pictures and targets of a training, put together from tables of labels."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from videmo.data import F32, I64, U8, Array
from videmo.errors import InputError
from videmo.labels import LABELS, label_set
from videmo.stages.image import resize, to_grey, warp
from videmo.train.face_tables import PICTURE_FORMATS, TASKS, FaceTable

AGE_CLASSES = 100  # classes of the age task: one a year, from 0
AGE_SIGMA = 2.0  # years: how far a labelled age may be off (standard deviation)
GENDERS = ("female", "male")
CACHE_BYTES = (
    8 << 30
)  # bytes of pixels that are kept decoded; larger sets are read again every epoch


@dataclass(frozen=True, eq=False)
class FaceDataset:
    """Pictures with what is to be learned from them.

    A target is (K, C) float32, the share of each label, with NaN in a row of which nothing is
    known; of identity it is (K,) int64, the number of the person, -1 where not known.
    """

    source: str
    pictures: PictureLoader
    targets: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.pictures)


class PictureLoader:
    """Encoded pictures as squares of one size, decoded once where there is room for them."""

    def __init__(
        self, table: FaceTable, side: int, *, colour: bool, keep: int = CACHE_BYTES
    ) -> None:
        self.table, self.side, self.colour = table, side, colour
        size = len(table) * side * side * (3 if colour else 1)
        self._pixels = self._decode(range(len(table))) if size <= keep else None

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: Sequence[int] | I64) -> U8:
        """Return (B, S, S, 3) RGB, or (B, S, S, 1) grey, uint8."""
        if self._pixels is not None:
            return np.asarray(self._pixels[np.asarray(rows)], np.uint8)
        return self._decode(rows)

    def _decode(self, rows: Sequence[int] | I64 | range) -> U8:
        with ThreadPoolExecutor() as threads:
            found = list(threads.map(self._one, map(int, rows)))
        shape = (0, self.side, self.side, 3 if self.colour else 1)
        return np.stack(found) if found else np.zeros(shape, np.uint8)

    def _one(self, row: int) -> U8:
        pixels = open_picture(self.table, row)
        if self.table.boxes is not None:
            pixels = _crop_box(pixels, self.table.boxes[row], self.side)
        elif pixels.shape[:2] != (self.side, self.side):
            pixels = resize(pixels, self.side, self.side)
        return pixels if self.colour else to_grey(pixels)[..., :1]


def open_picture(table: FaceTable, row: int) -> U8:
    """Return the picture of a row, (H, W, 3) RGB; raises InputError naming the row."""
    from PIL import Image

    encoded = table.pictures[row]
    try:
        file = io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded
        with Image.open(file, formats=PICTURE_FORMATS) as image:
            return np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{table.source}: {table.names[row]}: not read as a picture ({error}); "
            "leave the row out"
        ) from error


def _crop_box(pixels: U8, box: F32, side: int) -> U8:
    """Return the part of a picture in the box, (side, side, 3); beyond its border it goes on."""
    x0, y0, x1, y1 = (float(v) for v in box)
    across, down = (x1 - x0) / side, (y1 - y0) / side
    matrix = [[across, 0, x0 + across / 2 - 0.5], [0, down, y0 + down / 2 - 0.5]]
    return warp(pixels, np.array(matrix), side)


def labels_of(tables: Sequence[FaceTable], emotions: str = "") -> dict[str, tuple[str, ...]]:
    """Return the labels of every task that the tables know, in the order of its numbers.

    emotions: the label set of the emotions; by default the one that the votes or names are of
    raises: InputError for a name that no label set has, naming its row
    """
    labels: dict[str, tuple[str, ...]] = {}
    names = {
        task: {label for t in tables for label in t.known.get(task, ()) if label is not None}
        for task in TASKS
    }
    voted = {t.voted for t in tables if t.voted}
    if names["emotion"] or voted:
        given = label_set(emotions) if emotions else None
        labels["emotion"] = given or next(iter(voted), None) or _matching_set(names["emotion"])
    if names["age"]:
        labels["age"] = tuple(str(year) for year in range(AGE_CLASSES))
    if names["gender"]:
        labels["gender"] = GENDERS
    if names["ethnicity"]:
        five = names["ethnicity"] <= set(label_set("utkface5"))
        labels["ethnicity"] = label_set("utkface5" if five else "fairface7")
    if names["identity"]:
        labels["identity"] = tuple(sorted(names["identity"]))
    return labels


def _matching_set(names: set[str]) -> tuple[str, ...]:
    """Return the published set of just these names, in its order, or the names sorted."""
    same = [labels for labels in LABELS.values() if set(labels) == names]
    return same[0] if same else tuple(sorted(names))


def decoded_side(table: FaceTable, input_size: int) -> int:
    """Return the side in px at which a table's pictures are kept: a quarter more than is shown.

    So that a closer view still has all its pixels; no more than the first picture has, either.
    """
    side = round(1.25 * input_size)
    return side if table.boxes is not None else min(side, max(open_picture(table, 0).shape[:2]))


def make_dataset(
    table: FaceTable,
    labels: Mapping[str, tuple[str, ...]],
    *,
    side: int,
    colour: bool,
    keep: int = CACHE_BYTES,
) -> FaceDataset:
    """Return the pictures and targets of a table.

    raises: InputError naming the row of an unknown label, or of a picture that cannot be read
    """
    targets: dict[str, Array] = {}
    for task, column in table.known.items():
        if task == "age":
            targets[task] = np.stack([_age_distribution(table, row) for row in range(len(table))])
            continue
        places = {label: number for number, label in enumerate(labels[task])}
        _check_labels(table, task, places)
        numbers = np.array([-1 if label is None else places[label] for label in column], np.int64)
        targets[task] = numbers if task == "identity" else _one_hot(numbers, len(places))
    if table.votes is not None:
        targets["emotion"] = _reorder_votes(table.votes, table.voted, labels["emotion"])
    return FaceDataset(table.source, PictureLoader(table, side, colour=colour, keep=keep), targets)


def _check_labels(table: FaceTable, task: str, places: Mapping[str, int]) -> None:
    for name, label in zip(table.names, table.known[task], strict=True):
        if label is not None and label not in places:
            there = ", ".join(list(places)[:8])
            raise InputError(f"{table.source}: {name}: no {task} {label!r}; there are {there}")


def _one_hot(numbers: I64, count: int) -> F32:
    """Return one-hot rows, NaN where the number is -1."""
    rows = np.eye(count, dtype=np.float32)[np.maximum(numbers, 0)]
    rows[numbers < 0] = np.nan
    return rows


def _reorder_votes(votes: F32, voted: Sequence[str], labels: Sequence[str]) -> F32:
    """Return the votes in another order of labels; NaN where none is for a label there is."""
    columns = [votes[:, voted.index(name)] if name in voted else 0 * votes[:, 0] for name in labels]
    chosen = np.stack(columns, 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(chosen / chosen.sum(1, keepdims=True), np.float32)


def _age_distribution(table: FaceTable, row: int) -> F32:
    """Return the shares of the years (YEARS,) that a label, 25 or 20-29, stands for.

    Every year of the label alike, blurred by a Gaussian of `SPREAD` years, so that neighbouring
    years share what they learn (label distribution learning; Geng et al. 2013).
    """
    label = table.known["age"][row]
    if label is None:
        return np.full(AGE_CLASSES, np.nan, np.float32)
    try:
        first, last = (float(part) for part in (label.split("-") * 2)[:2])
    except ValueError as error:
        raise InputError(
            f"{table.source}: {table.names[row]}: no age {label!r}; give years, 25 or 20-29"
        ) from error
    years, inside = (
        np.arange(AGE_CLASSES),
        np.arange(int(first), int(last) + 1).clip(0, AGE_CLASSES - 1),
    )
    spread = np.exp(-0.5 * ((years[:, None] - inside[None]) / AGE_SIGMA) ** 2).sum(1)
    return np.asarray(spread / spread.sum(), np.float32)
