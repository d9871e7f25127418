"""Features of clips: what every writer of them is given, and the one of CSV and TSV."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videmo.data import F32, Descriptor, Features
from videmo.write.formats import cell, csv_line, tsv_line
from videmo.write.schema import PART, PROVENANCE, TIME_DIGITS, VERSION, keys
from videmo.write.sink import AtomicOutput, open_file

_FACTS = tuple(key.name for key in keys("features") if key.name not in (*PART, "features"))


@dataclass(frozen=True, eq=False)
class FeatureRow:
    """One clip of a feature file."""

    path: str
    status: str
    error: str = ""
    descriptor: Descriptor | None = None  # values (X,), or none where there was no face
    duration: float | None = None  # s
    label: str | None = None
    split: str | None = None
    subject: str | None = None
    start: float | None = None  # s, the part of the clip that was asked for
    end: float | None = None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Frames looked at, those with a face, and faces."""
        found = self.descriptor
        return (found.seen, found.frames, found.faces) if found else (0, 0, 0)

    @property
    def values(self) -> F32 | None:
        """The features (X,), None without an answer."""
        return self.descriptor.values if self.descriptor and len(self.descriptor.values) else None


class FeatureWriter(AtomicOutput):
    """Writes the features of clips as they come; a subclass a format.

    out: the file, which appears or is replaced only on close
    names: of the X statistics
    meta: what made them (tool, version, model, sha256, recipe, ...)

    Raises OutputError.
    """

    def __init__(
        self, out: str | os.PathLike[str], *, names: Sequence[str], meta: Mapping[str, Any]
    ) -> None:
        self._names, self._meta, self._sink = tuple(names), meta, open_file(out)

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
        """Add one clip; see `FeatureRow`.

        features: its faces, where they are to be kept and were not taken before

        Raises ValueError for a descriptor of another length, and what reading `features`
        raises, in which case nothing is added.
        """
        row = FeatureRow(
            path, status, error, descriptor, duration, label, split, subject, start, end
        )
        if row.values is not None and len(row.values) != len(self._names):
            raise ValueError(f"{len(row.values)} values for {len(self._names)} feature names")
        self._add(row, features)

    @abstractmethod
    def _add(self, row: FeatureRow, features: Iterable[Features] | None) -> None: ...

    def discard(self) -> None:
        """Remove what is unfinished."""
        self._sink.discard()


class FeatureRows(FeatureWriter):
    """Writes a row of text a clip.

    The columns are those of a Parquet file with one for each of `names` in place of the vector,
    what made them, and last start and end. A number has as many digits as tell it from its
    neighbours in float32; those of a clip without an answer are empty. Of the faces nothing is
    kept.
    """

    def __init__(
        self, out: str | os.PathLike[str], *, names: Sequence[str], meta: Mapping[str, Any]
    ) -> None:
        super().__init__(out, names=names, meta=meta)
        self._line = tsv_line if os.fspath(out).lower().endswith(".tsv") else csv_line
        made = {name: meta.get(name) for name in PROVENANCE} | {"schema_version": VERSION}
        self._made = [cell(value) for value in made.values()]
        self._sink.write(self._line([*_FACTS, *names, *made, *PART]))

    def _add(self, row: FeatureRow, features: Iterable[Features] | None) -> None:
        for _ in features or ():
            pass
        facts = (row.path, row.status, row.error, row.label, row.split, row.subject, *row.counts)
        self._sink.write(
            self._line([
                *(cell(fact, TIME_DIGITS) for fact in (*facts, row.duration)),
                *([""] * len(self._names) if row.values is None else _digits(row.values)),
                *self._made,
                *(cell(time, TIME_DIGITS) for time in (row.start, row.end)),
            ])
        )  # fmt: skip

    def close(self) -> None:
        """Complete the file; a second time does nothing."""
        self._sink.close()


def _digits(values: F32) -> list[str]:
    return [
        np.format_float_positional(value, unique=True, trim="0") if np.isfinite(value) else ""
        for value in values
    ]
