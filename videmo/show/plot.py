"""The strips of a clip go in, a picture comes out: for each person what is shown when.

Each colour is as high as its label is probable; above lies a band of the most probable ones, and
where nothing is known of a person the picture is hatched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.show.figure import new_figure, save_figure
from videmo.show.strips import Strip, colours_of, name_of

if TYPE_CHECKING:
    from videmo.show.figure import Axes

_WIDE, _HIGH, _MARGIN = 9.0, 1.25, 0.9  # inches: a picture, a person, the rest
_BAND = 1.06, 1.16  # where the band of labels lies above 1


def draw_timeline(
    out: str | os.PathLike[str],
    strips: Sequence[Strip],
    labels: Sequence[str],
    *,
    begin: float,
    end: float,
    cuts: Sequence[float] = (),
    title: str = "",
) -> None:
    """Write the picture of a clip as PNG, SVG or PDF.

    begin, end: s, of the clip; cuts: s, which are marked

    Raises MissingDependency without matplotlib, OutputError.
    """
    figure = new_figure(_WIDE, _MARGIN + _HIGH * len(strips))
    panels = figure.subplots(len(strips), 1, sharex=True, squeeze=False)[:, 0]
    colours = colours_of(labels)
    for axes, strip in zip(panels, strips, strict=True):
        _draw(axes, strip, colours, begin, end)
        for cut in cuts:
            axes.axvline(cut, color="black", linewidth=0.8, linestyle=(0, (1, 2)))
    panels[-1].set_xlabel("s")
    panels[0].set_title(title, fontsize="medium", parse_math=False, loc="left")
    used = [n for n in range(len(labels)) if any((s.scores[:, n] >= 0.01).any() for s in strips)]
    handles = [_patch(panels[0], colours[n]) for n in used]
    figure.legend(handles, [labels[n] for n in used], loc="outside right upper", frameon=False)
    save_figure(figure, out)


def _draw(axes: Axes, strip: Strip, colours: Sequence[str], begin: float, end: float) -> None:
    """Draw one person."""
    for piece in strip.pieces():
        edges = np.append(strip.start[piece], strip.end[piece][-1])
        low = np.zeros(len(edges))
        for n, colour in enumerate(colours):
            share = strip.scores[piece, n]
            high = low + np.append(share, share[-1])
            axes.fill_between(edges, low, high, step="post", color=colour, linewidth=0)
            low = high
    for a, b, label in strip.runs():
        axes.fill_between([a, b], *_BAND, color=colours[label], linewidth=0)
    for a, b in strip.gaps(begin, end):
        axes.fill_between([a, b], 0, _BAND[1], facecolor="none", edgecolor="0.7", hatch="////",
                          linewidth=0)  # fmt: skip
    axes.set_xlim(begin, end)
    axes.set_ylim(0, _BAND[1])
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel(name_of(strip.person))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _patch(axes: Axes, colour: str) -> Any:
    """Return what a legend shows of a colour."""
    (bar,) = axes.bar([0], [0], color=colour)
    return bar
