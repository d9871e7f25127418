"""What every writer of records shares: the order of keys, the roundings, the way to close."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from videmo.write.sink import Sink, Whole

KEYS = (
    "schema_version", "path", "status", "label", "scores", "frames", "face_frames", "faces",
    "coverage", "duration", "warnings", "error", "provenance",
)  # fmt: skip
PROVENANCE = (
    "videmo", "head", "head_sha256", "backbone", "backbone_sha256", "detector", "detector_sha256",
    "decoder", "device", "recipe",
)  # fmt: skip
SCORE_DIGITS = 6  # a float32 probability has no more
TIME_DIGITS = 4  # 0.1 ms
AFFECT = ("valence", "arousal")  # after the scores, of networks that tell them
DIGITS = {
    **dict.fromkeys(("coverage", "duration", "start", "end"), TIME_DIGITS),
    **dict.fromkeys(AFFECT, SCORE_DIGITS),
}
_ORDER = (*KEYS[:5], *AFFECT, *KEYS[5:])


class RecordWriter(Whole):
    """The part that the formats share: a subclass has `write`, and may have `begin` and `finish`.

    labels: the head's, in its order
    top: keep so many scores, highest first; None keeps all in the head's order
    extra: keys beyond the schema's that a flat format gives a column
    """

    def __init__(
        self, sink: Sink, labels: Sequence[str], top: int | None = None, extra: Iterable[str] = ()
    ) -> None:
        if top is not None and top < 1:
            raise ValueError(f"top is {top}, expected 1 or more")
        self.sink, self.labels, self.top, self.extra = sink, tuple(labels), top, tuple(extra)
        self.begin()

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


def tidy(
    record: Mapping[str, Any], labels: Sequence[str] = (), top: int | None = None
) -> dict[str, Any]:
    """Return `record` in plain Python types, the schema's keys first and no key lost.

    Probabilities, valence and arousal are rounded to 6 decimals, seconds and coverage to 4; NaN
    and infinity are None.
    """
    keys = [k for k in _ORDER if k in record] + [k for k in record if k not in _ORDER]
    return {
        k: order(record[k], labels, top) if k == "scores" and record[k] is not None
        else plain(record[k], DIGITS.get(k))
        for k in keys
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
    """Return `value` as JSON has it: NumPy's scalars and arrays undone, no NaN, no infinity."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): plain(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, digits) for v in value]
    if isinstance(value, float):
        return _round(value, digits)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _round(value: float, digits: int | None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits) + 0.0  # + 0.0: no minus zero
