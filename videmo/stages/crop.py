"""From a box or five points to a square picture of the face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from videmo.data import COUNT, F32, F64, FINITE, POSITIVE, U8, Array, Crops, Faces, FrameBatch
from videmo.errors import UnknownName
from videmo.stages.image import brightness, sharpness, to_grey, warp


@dataclass(frozen=True)
class Cropping:
    """How a face is cut out; x runs right and y down."""

    size: int = 224  # px, side of the result
    shape: Literal["box", "square", "five"] = "box"  # box: stretched; square: not; five: aligned
    scale: float = 1.0  # side of the cut as a multiple of the side of the box; five: of the square
    shift: tuple[float, float] = (0.0, 0.0)  # of the centre, x y, in sides of the box or square
    margin: tuple[float, float] = (0.0, 0.0)  # px of the source added on each side, x y
    colour: Literal["rgb", "grey"] = "rgb"  # grey: three equal channels

    def __post_init__(self) -> None:
        if self.shape not in ("box", "square", "five"):
            raise UnknownName("shape of a crop", str(self.shape), ("box", "square", "five"))
        if self.colour not in ("rgb", "grey"):
            raise UnknownName("colour of a crop", str(self.colour), ("rgb", "grey"))
        COUNT.check("size of a crop", self.size)
        POSITIVE.check("scale of a crop", self.scale)
        for name, pair in (("shift", self.shift), ("margin", self.margin)):
            for number in pair:
                FINITE.check(f"{name} of a crop", number)


# The ArcFace five points for 112 x 96 px, moved by 8 px in x and doubled: image-left eye,
# image-right eye, nose, image-left and image-right corner of the mouth, in a square of 224 px
# (HSEmotion AFEW_train.ipynb, cell 14).
FIVE_POINTS = np.array(
    [[76.59, 103.39], [147.06, 103.00], [112.05, 143.47], [83.10, 184.73], [141.46, 184.41]]
)


def crop(batches: Iterable[tuple[FrameBatch, Faces]], cropping: Cropping) -> Iterator[Crops]:
    """Yield the faces of each batch as (M, size, size, 3) uint8 RGB; pixels end here.

    Beyond the border of the frame its outermost pixels are repeated. With shape "five" a face
    without points is cut as "square".
    """
    for frames, faces in batches:
        pixels = _crop_faces(frames, faces, cropping)
        faces = faces.pictured(sharpness(pixels), brightness(pixels))
        yield Crops(pixels, faces, len(frames), frames.time, frames.cuts)


def _crop_faces(frames: FrameBatch, faces: Faces, cropping: Cropping) -> U8:
    side = cropping.size
    pixels = np.empty((len(faces), side, side, 3), np.uint8)
    for i in range(len(faces)):
        matrix = to_source(faces.box[i], faces.landmarks[i], cropping) * frames.scale
        pixels[i] = warp(frames.pixels[faces.row[i]], matrix + _centres(matrix), side)
    return to_grey(pixels) if cropping.colour == "grey" else pixels


def to_source(box: F32, landmarks: F32, cropping: Cropping) -> F64:
    """Return the (2, 3) matrix from px of the crop to px of the source.

    Coordinates are continuous: the first pixel covers 0 to 1.
    box: (4,) x0 y0 x1 y1; landmarks: (5, 2) or NaN
    """
    if cropping.shape == "five" and np.isfinite(landmarks).all():
        return _similarity(_five_points(cropping), landmarks.astype(np.float64))
    low, high = box[:2].astype(np.float64), box[2:].astype(np.float64)
    side = high - low
    centre = (low + high) / 2 + np.array(cropping.shift) * side
    if cropping.shape != "box":
        side = np.full(2, side.max())
    side = side * cropping.scale + 2 * np.array(cropping.margin)
    corner = centre - side / 2
    ratio = side / cropping.size
    return np.array([[ratio[0], 0, corner[0]], [0, ratio[1], corner[1]]])


def _five_points(cropping: Cropping) -> F64:
    """Return where the five points come to lie, px of the crop."""
    if cropping.scale == 1 and cropping.shift == (0, 0):
        return FIVE_POINTS * (cropping.size / 224)
    away = FIVE_POINTS / 224 - 0.5 - np.array(cropping.shift)  # from the centre, sides
    return np.asarray((away / cropping.scale + 0.5) * cropping.size, np.float64)


def _centres(matrix: Array) -> F64:
    """Return what turns `matrix` on continuous coordinates into one on pixel centres."""
    moved = matrix[:, :2] @ [0.5, 0.5] - 0.5
    return np.array([[0, 0, moved[0]], [0, 0, moved[1]]])


def _similarity(points: F64, target: F64) -> F64:
    """Return the turn, scale and shift that carries `points` nearest to `target` (least squares).

    A turn by t and a scale by s are the matrix [[a, -b], [b, a]], a = s cos t and b = s sin t.
    """
    p, q = points - points.mean(0), target - target.mean(0)
    a = (p * q).sum() / (p * p).sum()
    b = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / (p * p).sum()
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, target.mean(0) - turn @ points.mean(0)])
