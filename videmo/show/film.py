"""A frame and a box go in, a small picture of the face comes out, as it stands in a page."""

from __future__ import annotations

import base64
import io

import numpy as np

from videmo.data import U8, Array
from videmo.stages.image import resize

SIDE = 96  # px of a picture
_BEYOND = 0.15  # of a box, that is shown around it


def face_picture(pixels: U8, box: Array) -> str:
    """Return the face in a box (4,) of a frame (H, W, 3) as a JPEG in a data: URL."""
    from PIL import Image

    part = np.ascontiguousarray(_square(pixels, box))
    content = io.BytesIO()
    Image.fromarray(resize(part, SIDE, SIDE)).save(content, "JPEG", quality=78)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _square(pixels: U8, box: Array) -> U8:
    """Return the square around a box; beyond the frame the outermost pixels are repeated."""
    x0, y0, x1, y1 = (float(edge) for edge in box)
    half = max(1.0, (0.5 + _BEYOND) * max(x1 - x0, y1 - y0))
    middle = (y0 + y1) / 2, (x0 + x1) / 2
    rows, columns = (
        np.clip(np.arange(round(at - half), round(at + half)), 0, side - 1)
        for at, side in zip(middle, pixels.shape[:2], strict=True)
    )
    return pixels[np.ix_(rows, columns)]
