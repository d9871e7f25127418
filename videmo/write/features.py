"""Features of clips as rows of CSV or TSV: a column a statistic, and what made them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from videmo.data import F32, Descriptor, Features
from videmo.write.formats import cell, csv_line, tsv_line
from videmo.write.schema import PART, PROVENANCE, TIME_DIGITS, VERSION, keys
from videmo.write.sink import AtomicOutput, open_file

_FACTS = tuple(key.name for key in keys("features") if key.name not in (*PART, "features"))


class FeatureRows(AtomicOutput):
    """Writes the features of clips as they come; the arguments are those of `npz.FeatureFile`.

    The columns are those of a Parquet file with one for each of `names` in place of the vector,
    what made them, and last start and end. A number has as many digits as tell it from its
    neighbours in float32; those of a clip without an answer are empty. Raises OutputError.
    """

    def __init__(
        self, out: str | os.PathLike[str], *, names: Sequence[str], meta: Mapping[str, Any]
    ) -> None:
        self._line = tsv_line if os.fspath(out).lower().endswith(".tsv") else csv_line
        self._width, self._sink = len(names), open_file(out)
        made = {name: meta.get(name) for name in PROVENANCE} | {"schema_version": VERSION}
        self._made = [cell(value) for value in made.values()]
        self._sink.write(self._line([*_FACTS, *names, *made, *PART]))

    def add(
        self,
        path: str,
        status: str,
        error: str = "",
        descriptor: Descriptor | None = None,
        duration: float | None = None,
        features: Iterable[Features] | None = None,
        label: str | None = None,
        split: str | None = None,
        subject: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> None:
        """Add one clip, as to an `npz.FeatureFile`; the features of its faces are not kept.

        Raises ValueError for a descriptor of another length, and what reading `features` raises.
        """
        for _ in features or ():
            pass
        values = np.zeros(0, np.float32) if descriptor is None else descriptor.values
        if len(values) not in (0, self._width):
            raise ValueError(f"{len(values)} values for {self._width} feature names")
        seen = (descriptor.seen, descriptor.frames, descriptor.faces) if descriptor else (0, 0, 0)
        facts = (path, status, error, label, split, subject, *seen, duration)
        self._sink.write(
            self._line([
                *(cell(fact, TIME_DIGITS) for fact in facts),
                *(_digits(values) if len(values) else [""] * self._width),
                *self._made,
                *(cell(time, TIME_DIGITS) for time in (start, end)),
            ])
        )  # fmt: skip

    def close(self) -> None:
        """Complete the file; a second time does nothing."""
        self._sink.close()

    def discard(self) -> None:
        """Remove the unfinished file."""
        self._sink.discard()


def _digits(values: F32) -> list[str]:
    return [
        np.format_float_positional(value, unique=True, trim="0") if np.isfinite(value) else ""
        for value in values
    ]
