"""How well a face can be seen: its size, its turn, and what its picture is like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, replace

import numpy as np

from videmo.data import F32, NOT_NEGATIVE, SHARE, Array, Crops, Faces

NAMES = ("side", "sharpness", "brightness", "frontal")  # the columns of `quality`


@dataclass(frozen=True)
class Filtering:
    """The least quality of a face that counts; what is not known of one passes."""

    side: float = 0.0  # px of the source
    sharpness: float = 0.0  # grey levels
    brightness: float = 0.0  # 0..1
    frontal: float = 0.0  # 0..1

    def __post_init__(self) -> None:
        for name in ("side", "sharpness"):
            NOT_NEGATIVE.check(name, getattr(self, name))
        for name in ("brightness", "frontal"):
            SHARE.check(name, getattr(self, name))

    @property
    def filters(self) -> bool:
        """Whether any face may be left out."""
        return any(astuple(self))


def sift(
    batches: Iterable[Crops], filtering: Filtering, left_out: Callable[[int], None]
) -> Iterator[Crops]:
    """Yield crops without the faces below the least quality; `left_out` hears how many they are."""
    least = np.array(astuple(filtering))
    for crops in batches:
        poor = np.asarray((quality(crops.faces) < least).any(1))  # NaN is less than nothing
        if poor.any():
            left_out(int(poor.sum()))
            good = np.flatnonzero(~poor)
            crops = replace(crops, pixels=crops.pixels[good], faces=crops.faces[good])
        yield crops


def quality(faces: Faces) -> F32:
    """Return what is known of each face (M, 4), in the order of NAMES; NaN where nothing is.

    side: px of the source, the geometric mean of the box's two
    sharpness: grey levels, `image.sharpness` of the picture that the network sees
    brightness: 0..1, the mean grey of that picture
    frontal: 0..1, see `frontal`
    """
    columns = (side(faces), faces.sharpness, faces.brightness, frontal(faces.landmarks))
    return np.column_stack(columns).astype(np.float32)


@dataclass(frozen=True)
class Seen:
    """How well the faces of a clip can be seen: medians, and None where nothing is known."""

    side: float | None = None
    sharpness: float | None = None
    brightness: float | None = None
    frontal: float | None = None
    tracks: int = 0  # unbroken runs of a face, by overlap alone


class QualityTally:
    """Keeps what `Seen` tells while faces flow past: 16 bytes a face."""

    def __init__(self) -> None:
        self._rows: list[F32] = []
        self._tracks: set[int] = set()

    def add(self, faces: Faces) -> None:
        """Take in the faces of one batch."""
        if len(faces):
            self._rows.append(quality(faces))
            self._tracks.update(faces.track.tolist())

    def seen(self) -> Seen:
        """Return what was seen."""
        if not self._rows:
            return Seen()
        middle = [_median(column) for column in np.concatenate(self._rows).T]
        return Seen(middle[0], middle[1], middle[2], middle[3], len(self._tracks - {-1}))


def _median(values: Array) -> float | None:
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return None
    middle = [(len(known) - 1) // 2, len(known) // 2]
    return float(known[middle].mean())  # np.median imports numpy.ma, which takes 20 ms


def side(faces: Faces) -> F32:
    """Return the side (M,) in px of a square as large as each box."""
    return np.asarray(np.sqrt((faces.box[:, 2:] - faces.box[:, :2]).prod(1)), np.float32)


def frontal(points: Array) -> F32:
    """Return how far faces look ahead (M,), from their five points (M, 5, 2): 1 ahead, 0 aside.

    The nose parts the line between the eyes; the shorter of the two pieces over the longer one
    is 1 where it stands in the middle, and 0 where it is level with an eye or beyond. A tilted
    head changes nothing; a nod is not seen.
    """
    left, right, nose = (points[:, place].astype(np.float64) for place in (0, 1, 2))
    axis = right - left
    length = (axis**2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        at = np.where(length > 0, ((nose - left) * axis).sum(1) / length, np.nan).clip(0, 1)
        return np.asarray(np.minimum(at, 1 - at) / np.maximum(at, 1 - at), np.float32)
