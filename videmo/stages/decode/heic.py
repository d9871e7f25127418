"""Photographs of phones (HEIC): those in tiles through libheif, one image as a frame of video.

FFmpeg gives each tile as a video of its own, and PyAV does not tell how they lie.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from videmo.data import U8
from videmo.errors import VideoError
from videmo.files.extras import install_command
from videmo.stages.decode import Sampling, hdr
from videmo.stages.decode.formats import refuse_large
from videmo.stages.decode.probe import DAMAGED, boxes, check_readable
from videmo.stages.decode.pyav import PyAV

_META = 1 << 20  # bytes of the index that are looked at; a photograph of 300 tiles has 15 kB


def read_heic(path: str, pixels: int) -> tuple[U8, tuple[str, ...]]:
    """Return the picture of a HEIC (H, W, 3), upright, and what is to be known of it.

    Which of the two libraries reads it depends on the file alone, not on what is installed.
    Raises VideoError, in words that name the package where tiles want one that is not there.
    """
    check_readable(path)
    missing = max(at + length for _, at, length in boxes(path)) - os.path.getsize(path)
    if missing > 0:
        # libheif leaves tiles that are missing black
        raise VideoError(path, f"its last {missing} bytes are missing; copy it again")
    if _in_tiles(path):
        return _joined(path, pixels)
    with PyAV(path, threads=1, pixels=pixels) as video:
        for frames in video.read(Sampling()):
            return frames.pixels[0].copy(), tuple(video.warnings)
    raise VideoError(path, "holds no picture; save it again")


def _in_tiles(path: str) -> bool:
    """Return whether its index names an image that is a grid of others (ISO/IEC 23008-12)."""
    for name, at, length in boxes(path):
        if name == b"meta":
            with open(path, "rb") as file:
                file.seek(at)
                return b"grid" in file.read(min(length, _META))
    return False


def _joined(path: str, pixels: int) -> tuple[U8, tuple[str, ...]]:
    try:
        import pillow_heif
    except ImportError as error:
        step = install_command("pillow-heif", "heic")
        raise VideoError(path, f"a photograph in tiles; {step} brings what reads it") from error
    if os.path.getsize(path) > 4 * pixels:  # it is read whole
        raise VideoError(
            path, f"{os.path.getsize(path) >> 20} MB are too large for a photograph; save it again"
        )
    try:
        # Turned as the file says. In 16 bits, or its range would be cut off before it is known.
        picture = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
        width, height = picture.size
        refuse_large(path, height, width, pixels)
        values = np.asarray(picture)
    except DAMAGED as error:
        raise VideoError(path, f"not a HEIC, or damaged ({error}); save it again") from error
    refuse_large(path, values.shape[0], values.shape[1], pixels)  # the index may have lied
    return _standard(_coloured(values), picture.info)


def _coloured(values: Any) -> Any:
    """Return pictures of grey, or with transparency, as red, green and blue."""
    values = values.reshape(*values.shape[:2], -1)
    return values[..., :3] if values.shape[2] >= 3 else np.repeat(values[..., :1], 3, axis=2)


def _standard(values: Any, info: dict[str, Any]) -> tuple[U8, tuple[str, ...]]:
    """Return a picture in 8 bits, of high dynamic range as a screen of standard range shows it."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values), ()
    transfer = int((info.get("nclx_profile") or {}).get("transfer_characteristics") or 0)
    if transfer in hdr.TRANSFER_NAMES:
        return hdr.to_standard(values, transfer), (hdr.warning(transfer),)
    return (values >> 8).astype(np.uint8), ()
