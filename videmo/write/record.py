"""What every writer of records shares: the order of keys, the roundings, the way to close."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from videmo.write.columns import Column, record_columns
from videmo.write.escape import escaped
from videmo.write.schema import PART, RECORDS, SCORE_DIGITS, keys
from videmo.write.sink import AtomicOutput, Sink

_ORDER = tuple(key.name for key in keys("record") if key.name not in PART)
_DIGITS = {key.name: key.digits for table in RECORDS for key in keys(table)}


class RecordWriter(AtomicOutput):
    """The part that the formats share: a subclass has `write`, and may have `begin` and `finish`.

    labels: the head's, in its order
    top: keep so many scores, highest first; None keeps all in the head's order
    extra: keys that may be missing and that a flat format gives a column
    columns: all that a flat format has, where they are not those of records of clips
    """

    def __init__(
        self,
        sink: Sink,
        labels: Sequence[str] = (),
        top: int | None = None,
        extra: Iterable[str] = (),
        columns: Sequence[Column] | None = None,
    ) -> None:
        if top is not None and top < 1:
            raise ValueError(f"top is {top}, expected 1 or more")
        self.sink, self.labels, self.top, self.extra = sink, tuple(labels), top, tuple(extra)
        self._columns = columns
        self.begin()

    @cached_property
    def columns(self) -> Sequence[Column]:
        """The columns of a flat format."""
        return record_columns(self.labels, self.extra) if self._columns is None else self._columns

    def begin(self) -> None:
        """Write what comes before the first record."""

    @abstractmethod
    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record."""

    def finish(self) -> None:
        """Write what comes after the last record."""

    def close(self) -> None:
        """Complete the output; a second time does nothing."""
        if self.sink.open:
            self.finish()
            self.sink.close()

    def discard(self) -> None:
        """Remove the unfinished output."""
        self.sink.discard()


def abstained(record: dict[str, Any], least: float | None) -> dict[str, Any]:
    """Return a record whose label is None where it is less probable than `least`; scores stay."""
    label, scores = record.get("label"), record.get("scores") or {}
    if least is None or label is None or scores[label] >= least:
        return record
    return {**record, "label": None}


def tidy(
    record: Mapping[str, Any], labels: Sequence[str] = (), top: int | None = None
) -> dict[str, Any]:
    """Return `record` in plain Python types, the schema's keys first and no key lost.

    Floats are rounded as the schema says: probabilities to 6 decimals, seconds to 4; NaN and
    infinity are None.
    """
    first = () if "by" in record else _ORDER  # a row of a timeline is in its own order
    names = [k for k in first if k in record] + [k for k in record if k not in first]
    return {
        k: order(record[k], labels, top) if k == "scores" and record[k] is not None
        else plain(record[k], _DIGITS.get(k))
        for k in names
    }  # fmt: skip


def order(
    scores: Mapping[str, Any], labels: Sequence[str], top: int | None = None
) -> dict[str, float | None]:
    """Return the rounded scores in the order of `labels`, or the `top` highest first."""
    names = [n for n in labels if n in scores] + [n for n in scores if n not in labels]
    found = {n: plain(scores[n], SCORE_DIGITS) for n in names}
    if top is None:
        return found
    exact = {n: float(scores[n]) for n in names if found[n] is not None}
    return {n: found[n] for n in sorted(names, key=lambda n: -exact.get(n, -math.inf))[:top]}


def plain(value: Any, digits: int | None = None) -> Any:
    """Return `value` as JSON has it: NumPy's scalars and arrays undone, no NaN, no infinity.

    Bytes of file names that are no UTF-8 are escaped, see `videmo.write.escape`.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return escaped(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): plain(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, digits) for v in value]
    if isinstance(value, float):
        return _round(value, digits)
    return value


def _round(value: float, digits: int | None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits) + 0.0  # + 0.0: no minus zero
