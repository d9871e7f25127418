"""The one room that draws with matplotlib: an empty figure goes out, a file of it comes back."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from videmo.files.extras import missing_dependency
from videmo.files.quiet import quiet
from videmo.write.names import kind_of
from videmo.write.sink import open_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

PICTURES = {".png": "png", ".svg": "svg", ".pdf": "pdf"}  # suffix -> format

# Nothing in a file depends on the day, and text stays text where it can.
_PLAIN = {"svg.hashsalt": "videmo", "svg.fonttype": "none", "pdf.fonttype": 42}
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this many inches; raises MissingDependency without matplotlib."""
    try:
        with quiet():
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_dependency("matplotlib") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display
    return figure


def save_figure(figure: Figure, out: str | os.PathLike[str], *, dpi: int = 160) -> None:
    """Write a figure as PNG, SVG or PDF, whole or not at all; the same figure gives the same bytes.

    Raises UnknownName or InputError for another suffix, OutputError.
    """
    with quiet():
        from matplotlib import rc_context

    form = kind_of(out, PICTURES)
    content = io.BytesIO()
    with rc_context(_PLAIN):
        figure.savefig(content, format=form, dpi=dpi, metadata=_METADATA[form])
    sink = open_file(out)
    with sink.guard():
        sink.file.write(content.getvalue())
        sink.close()
