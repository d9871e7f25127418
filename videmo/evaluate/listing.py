"""Records of clips go in; rows of a page come out, with the truth and what made the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from videmo.evaluate.pairs import PredictedClip, Truth
from videmo.evaluate.rows import Row
from videmo.show.list_page import ListedClip

_MADE_BY = (
    "videmo", "head", "head_sha256", "backbone", "backbone_sha256", "detector", "detector_sha256",
    "device", "recipe", "libraries",
)  # fmt: skip


def listed(found: Sequence[PredictedClip], truths: Mapping[int, Truth]) -> list[ListedClip]:
    """Return the clips of a page.

    truths: by the number of the answer that they are of
    """
    return [_listed(one, truths.get(n)) for n, one in enumerate(found)]


def labels_of(found: Sequence[PredictedClip]) -> list[str]:
    """Return the labels of answers, those with a probability first."""
    scored = dict.fromkeys(label for one in found for label in one.scores)
    return [*scored, *sorted({one.label for one in found if one.label} - {*scored})]


def made_by(found: Sequence[PredictedClip]) -> dict[str, str]:
    """Return what made the answers, as the records tell it."""
    told: dict[str, dict[str, None]] = {}
    for one in found:
        cells = one.row.cells
        made = cells["provenance"] if isinstance(cells.get("provenance"), Mapping) else cells
        for name in _MADE_BY:
            if made.get(name) not in (None, ""):
                told.setdefault(name, {})[str(made[name])] = None
    return {name: ", ".join(values) for name, values in told.items()}


def _listed(one: PredictedClip, truth: Truth | None) -> ListedClip:
    row = one.row
    faces = _number(row, "faces")
    return ListedClip(
        one.path, one.status, one.label, one.scores,
        truth.clip.label if truth else None,
        _number(row, "coverage"), None if faces is None else int(faces),
        _words(row), _part(one),
    )  # fmt: skip


def _part(one: PredictedClip) -> str:
    span = f"{one.start or 0:g}-{'' if one.end is None else format(one.end, 'g')} s"
    person = one.row.text("person")
    parts = [span] if one.start is not None or one.end is not None else []
    return ", ".join([*parts, *([f"person {person}"] if person else [])])


def _number(row: Row, name: str) -> float | None:
    with suppress(ValueError):
        return float(row.text(name))
    return None


def _words(row: Row) -> str:
    """Return the error of a record, or its warnings."""
    error: Any = row.cells.get("error")
    told = error.get("message") if isinstance(error, Mapping) else row.text("error_message")
    warnings: Any = row.cells.get("warnings")
    listed_ = warnings if isinstance(warnings, (list, tuple)) else [row.text("warnings")]
    return str(told) if told else "; ".join(str(text) for text in listed_ if text)
