"""Heads that read faces through time: one answer for each window of so many."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from videmo.data import F32, F64, Array
from videmo.stages.heads import finite, softmax64

WINDOW = 128  # faces, one a frame


class Attention:
    """Single attention over the features of 128 faces that follow each other.

    Row t of a window holds the spread of each feature over the window (population standard
    deviation) and the features of face t: x_t = [s, f_t]. With e_t = attention . x_t + bias and
    a = softmax(e) over time, the context is the sum of a_t x_t; a dense layer with ReLU and one
    with softmax follow (EmotiEffLib, engagement_classification_model.py). As s is the same in
    every row of a window, it cancels in the softmax, and so does the bias: a = softmax(v . f_t)
    with v the second half of `attention`, and the context is [s, sum of a_t f_t].

    attention.weight: (2 D,); dense.weight: (2 D, H), dense.bias: (H,); out.weight: (H, C),
    out.bias: (C,); float32. attention.bias is not looked at.
    """

    def __init__(self, weights: Mapping[str, Array], labels: int) -> None:
        missing = [name for name in _SHAPES if name not in weights]
        if missing:
            raise ValueError(f"the head's weights lack {', '.join(missing)}")
        attention, self._dense, self._bias, self._out, self._last = (
            finite(name, weights[name]) for name in _SHAPES
        )
        hidden, self.columns, self.labels = len(self._bias), attention.size // 2, labels
        sizes = {"2 D": 2 * self.columns, "H": hidden, "C": labels}
        for name, shape in _SHAPES.items():
            _check_shape(name, weights[name], tuple(sizes[side] for side in shape))
        self._attention = attention[self.columns :]

    def __call__(self, rows: F32) -> F32:
        """Return the probabilities (N - 127, C) of the windows of rows (N, D), one a row later."""
        whole = [rows[i : i + WINDOW] for i in range(len(rows) - WINDOW + 1)]
        parts = [self.window(part.astype(np.float64)) for part in whole]
        return np.array(parts, np.float32).reshape(-1, self.labels)

    def window(self, rows: F64) -> F64:
        """Return the probabilities (C,) of one window (128, D), whose rows may be in any order."""
        a = softmax64(rows @ self._attention)
        context = np.concatenate([rows.std(0), a @ rows])
        hidden = np.maximum(context @ self._dense + self._bias, 0)
        return softmax64(hidden @ self._out + self._last)

    def windows(self) -> WindowMean:
        """Return what reads the windows of a clip as its faces come."""
        return WindowMean(self)


class WindowMean:
    """The mean answer over every window of rows that come one by one; the last one counts.

    Only the last 128 rows are kept, however many there are.
    """

    def __init__(self, head: Attention) -> None:
        self.rows = 0  # that came so far
        self.needed = WINDOW  # rows, before there is an answer
        self._head, self._ring = head, np.zeros((WINDOW, head.columns))
        self._sum: F64 = np.zeros(head.labels)

    def add(self, rows: Array) -> None:
        """Take in rows (M, D), M may be 0, in order of time."""
        if rows.shape[1:] != self._ring.shape[1:]:
            raise ValueError(f"{rows.shape[1]} columns, expected {self._ring.shape[1]}")
        for row in rows:
            self._ring[self.rows % WINDOW] = row  # in place of the oldest
            self.rows += 1
            if self.rows >= WINDOW:
                self._sum += self._head.window(self._ring)

    @property
    def scores(self) -> F32:
        """The probabilities (C,); raises ValueError where there were fewer than 128 rows."""
        if self.rows < WINDOW:
            raise ValueError(f"{self.rows} rows, a window has {WINDOW}")
        return np.asarray(self._sum / (self.rows - WINDOW + 1), np.float32)


_SHAPES = {
    "attention.weight": ("2 D",),
    "dense.weight": ("2 D", "H"),
    "dense.bias": ("H",),
    "out.weight": ("H", "C"),
    "out.bias": ("C",),
}


def _check_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} is {array.shape}, expected {shape}")
