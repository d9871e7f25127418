"""A frame and what is known of its faces go in; boxes, bars and words are drawn on it, or a veil.

Pillow draws, on parts of the frame alone where it can: a frame of 4K takes 25 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from videmo.data import U8, Array
from videmo.stages.image import resize

# Okabe and Ito 2008: eight colours that stay apart for colour-blind people, less black
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167),
    (0, 114, 178),
)  # fmt: skip
_NOBODY = (170, 170, 170)
_INK, _PAPER = (255, 255, 255), (0, 0, 0, 170)
_CELLS = (2, 2)  # of a veil: rows and columns, too few for a face
_BEYOND = 0.25  # of a box, that its veil reaches over each side


@dataclass(frozen=True, eq=False)
class Mark:
    """What is drawn of one face."""

    box: Array  # (4,) x0 y0 x1 y1, px of the frame
    person: int  # 1, 2, ...; 0: nobody who is told apart
    scores: Sequence[tuple[str, float]]  # labels and probabilities, the highest first


def colour_of(person: int) -> tuple[int, int, int]:
    """Return the colour of a person's box and bars, as red, green and blue of 0..255."""
    return COLOURS[(person - 1) % len(COLOURS)] if person else _NOBODY


def veil(pixels: U8, boxes: Iterable[Array]) -> None:
    """Hide what is in boxes (4,), and some way around: four colours are left of each."""
    height, width = pixels.shape[:2]
    for x0, y0, x1, y1 in boxes:
        across, down = _BEYOND * (x1 - x0), _BEYOND * (y1 - y0)
        left, right = (int(np.clip(x, 0, width)) for x in (x0 - across, x1 + across + 1))
        top, bottom = (int(np.clip(y, 0, height)) for y in (y0 - down, y1 + down + 1))
        if right > left and bottom > top:
            part = np.ascontiguousarray(pixels[top:bottom, left:right])
            few = resize(part, min(_CELLS[0], bottom - top), min(_CELLS[1], right - left))
            pixels[top:bottom, left:right] = resize(few, bottom - top, right - left)


class Overlay:
    """Draws on frames of one size."""

    def __init__(self, height: int, width: int) -> None:
        self._height, self._width = height, width
        side = min(height, width)
        self._line, self._size = max(2, round(side / 240)), max(10, round(side / 30))

    def draw(self, pixels: U8, marks: Sequence[Mark], caption: str) -> U8:
        """Return the frame with a box and bars for each mark, and a caption at its foot."""
        from PIL import Image, ImageDraw

        picture = Image.fromarray(pixels)
        pen = ImageDraw.Draw(picture, "RGBA")
        for mark in marks:
            self._box(pen, mark)
        foot = self._height - self._high(1) if caption else self._height
        for mark in marks:  # words lie over all boxes
            self._words(pen, mark, foot)
        if caption:
            self._plate(pen, (0, foot), [(caption, None)], _INK, self._height)
        return np.asarray(picture)

    @cached_property
    def _font(self) -> Any:
        from PIL import ImageFont

        return ImageFont.load_default(self._size)

    def _box(self, pen: Any, mark: Mark) -> None:
        x0, y0, x1, y1 = (float(edge) for edge in mark.box)
        grown = (x0 - self._line, y0 - self._line, x1 + self._line, y1 + self._line)
        if grown[2] > grown[0] and grown[3] > grown[1]:
            pen.rectangle(grown, outline=colour_of(mark.person), width=self._line)

    def _words(self, pen: Any, mark: Mark, foot: int) -> None:
        """Draw who it is, and a bar a label, below the box or where there is room."""
        name = [(str(mark.person), None)] if mark.person else []
        lines: list[tuple[str, float | None]] = [*name, *mark.scores]
        if lines:
            high, gap = self._high(len(lines)), 2 * self._line
            below, above = mark.box[3] + gap, mark.box[1] - gap - high
            y = below if below + high <= foot or above < 0 else above
            self._plate(pen, (mark.box[0], y), lines, colour_of(mark.person), foot)

    def _high(self, lines: int) -> int:
        """Return how high a plate of some lines is."""
        return lines * self._step + 2 * self._room

    @property
    def _step(self) -> int:
        return round(1.25 * self._size)

    @property
    def _room(self) -> int:
        return self._size // 4

    def _plate(
        self,
        pen: Any,
        at: tuple[float, float],
        lines: Sequence[tuple[str, float | None]],
        colour: tuple[int, int, int],
        foot: int,
    ) -> None:
        """Draw lines of words on a dark plate above `foot`, behind each a bar of its share."""
        words = [text if p is None else f"{text} {100 * p:.0f} %" for text, p in lines]
        wide = max(pen.textlength(text, font=self._font) for text in words) + 2 * self._room
        if len(lines) > 1:  # so that bars of several faces are comparable
            wide = max(wide, 7 * self._size)
        high = self._high(len(lines))
        x = float(np.clip(at[0], 0, max(0, self._width - wide)))
        y = float(np.clip(at[1], 0, max(0, foot - high)))
        pen.rectangle((x, y, x + wide, y + high), fill=_PAPER)
        for n, (text, (_, p)) in enumerate(zip(words, lines, strict=True)):
            top = y + self._room + n * self._step
            if p is not None:
                end = x + max(1.0, p * wide)
                pen.rectangle((x, top, end, top + self._step - 2), fill=(*colour, 150))
            pen.text((x + self._room, top), text, fill=_INK, font=self._font)
