"""A confusion matrix goes in, a picture comes out: shades are shares of a row, figures clips."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.show.figure import new_figure, save_figure

if TYPE_CHECKING:
    from videmo.show.figure import Axes

_CELL, _MARGIN = 0.62, 2.6  # inches
_DARK = 0.55  # the share of a row from which its figure is white


def draw_confusion(
    out: str | os.PathLike[str],
    counts: Sequence[Sequence[int]],
    labels: Sequence[str],
    *,
    no_answer: Sequence[int] | None = None,
    title: str = "",
) -> None:
    """Write the picture of counts (C, C), a row a true label, as PNG, SVG or PDF.

    no_answer: clips of each true label without an answer; a column of its own where there are any

    Raises MissingDependency without matplotlib, OutputError.
    """
    table, columns = np.asarray(counts, np.int64), list(labels)
    if no_answer is not None and any(no_answer):
        table, columns = np.column_stack([table, no_answer]), [*columns, "no answer"]
    figure = new_figure(_MARGIN + _CELL * len(columns), _MARGIN - 0.6 + _CELL * len(labels))
    axes = figure.add_subplot()
    _draw(axes, table, [f"{label}  ({n})" for label, n in zip(labels, table.sum(1), strict=True)])
    _name(axes, columns, title)
    save_figure(figure, out)


def _draw(axes: Axes, table: Any, rows: Sequence[str]) -> None:
    """Draw shades and figures, and name the rows."""
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if share[row, column] > _DARK else "black" if count else "0.7"
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(count), ha="center", va="center", color=colour, weight=weight)
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.set_ylabel("true (clips)")


def _name(axes: Axes, columns: Sequence[str], title: str) -> None:
    """Name the columns, and part that of no answer from the others."""
    axes.set_xticks(
        range(len(columns)), columns, parse_math=False,
        rotation=45, ha="right", rotation_mode="anchor",
    )  # fmt: skip
    axes.set_xlabel("found")
    axes.set_title(title, fontsize="medium", parse_math=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xticks(np.arange(0.5, len(columns) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, axes.get_ylim()[0] - 0.5), minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    if columns[-1] == "no answer":
        axes.axvline(len(columns) - 1.5, color="0.4", linewidth=1)
