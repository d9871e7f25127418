"""Pictures through Pillow and libheif: opened by list, upright, one or several in a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from videmo.data import U8, FrameBatch, VideoInfo
from videmo.errors import VideoError
from videmo.files.extras import missing_dependency
from videmo.stages.decode import (
    Decoder,
    Frame,
    Sampler,
    Sampling,
    batches,
    first_bytes,
    is_heic,
    scaled_size,
)
from videmo.stages.decode.formats import MAX_PIXELS, refuse_large
from videmo.stages.decode.heic import read_heic
from videmo.stages.decode.probe import DAMAGED, check_readable
from videmo.stages.image import resize

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")  # Pillow hands others to programs, as EPS
ANIMATED = ("PNG", "WEBP", "GIF")  # others keep thumbnails and depth beside their one picture
DEFAULT_DURATION = 0.1  # s that a picture is shown whose time is 0, as browsers have it
_OPENING = threading.Lock()  # Pillow's limit is one for all threads


class Still(NamedTuple):
    """The first picture of a file."""

    pixels: U8  # (H, W, 3), upright
    pictures: int  # that follow each other in the file
    notes: tuple[str, ...]  # what is to be known of it


def read_still(path: str, pixels: int) -> Still:
    """Return the first picture of a file; raises VideoError where it has none."""
    if is_heic(first_bytes(path)):
        picture, notes = read_heic(path, pixels)
        return Still(picture, 1, notes)
    with _open_picture(path, pixels) as picture:
        count = _count(picture)
        notes = (f"holds {count} pictures; the first is taken",) if count > 1 else ()
        return Still(_upright(picture), count, notes)


def is_animated(path: str) -> bool:
    """Return whether a file holds several pictures that follow each other."""
    try:
        with _open_picture(path, MAX_PIXELS) as picture:
            return _count(picture) > 1
    except VideoError:
        return False  # whoever reads it says why


class Animation(Decoder):
    """Reads the pictures of one WebP, PNG or GIF, each shown for as long as it says."""

    def __init__(
        self, path: str, *, batch_bytes: int = 64 << 20, threads: int = 1, pixels: int = MAX_PIXELS
    ) -> None:
        self.warnings: list[str] = []
        self._path, self._bytes, self._pixels = path, batch_bytes, pixels
        first, count, _ = read_still(path, pixels)
        height, width = first.shape[:2]
        self.info = VideoInfo(path, height, width, count, None, None, "images")

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        return batches(self._frames(sampling), self._bytes)

    def close(self) -> None:
        pass

    def _frames(self, sampling: Sampling) -> Iterator[Frame]:
        pick, time = Sampler(sampling), 0.0
        for number, (picture, lasts) in enumerate(self._shown()):
            if pick.past(time):
                return
            if pick(number, time):
                height, width, scale = scaled_size(
                    picture.shape[0], picture.shape[1], sampling.max_side
                )
                yield Frame(resize(picture, height, width) if scale < 1 else picture,
                            number, time, scale)  # fmt: skip
            time += lasts
        self.info = replace(self.info, duration=time, rate=(number + 1) / time)

    def _shown(self) -> Iterator[tuple[U8, float]]:
        """Yield each picture and for how many s it is shown, up to one that is damaged."""
        given, time, count = 0, 0.0, self.info.frames or 0
        try:
            with _open_picture(self._path, self._pixels) as picture:
                # one that stands before the animation is for programs that show no animations
                for place in range(picture.n_frames - count, picture.n_frames):
                    picture.seek(place)
                    upright = _upright(picture)
                    lasts = (picture.info.get("duration") or 0) / 1000 or DEFAULT_DURATION
                    given, time = given + 1, time + lasts
                    yield upright, lasts
        except VideoError:
            if not given:
                raise
            self._warn(
                f"gives {given} of {count} pictures, up to {time:.2f} s; the next is damaged"
            )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:  # a second read meets the same damage
            self.warnings.append(text)


def _count(picture: Any) -> int:
    """Return how many pictures follow each other in a file."""
    if picture.format not in ANIMATED:
        return 1
    return int(getattr(picture, "n_frames", 1)) - bool(getattr(picture, "default_image", False))


def _upright(picture: Any) -> U8:
    from PIL import ImageOps

    return np.array(ImageOps.exif_transpose(picture).convert("RGB"))


@contextmanager
def _open_picture(path: str, pixels: int) -> Iterator[Any]:
    """Yield a picture that is open; raises VideoError for what is none, damaged or too large."""
    check_readable(path)
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_dependency("PIL") from error
    try:
        with _any_size():
            picture = Image.open(path, formats=PICTURE_FORMATS)
        with picture:
            refuse_large(path, picture.height, picture.width, pixels)
            yield picture
    except DAMAGED as error:
        raise VideoError(path, "not a picture, or damaged; save it again") from error


@contextmanager
def _any_size() -> Iterator[None]:
    """Let Pillow open a picture of any size, for our own limit to be said in our own words."""
    from PIL import Image

    with _OPENING:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = most
