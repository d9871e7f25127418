"""A record as a row: the columns that its keys become, in CSV, TSV and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from videmo.write.schema import PARTS, RECORDS, SCORE_DIGITS, TYPES, Key, keys

_VERSION = "schema_version"  # its column stands behind those of the other keys
_SHORT = (
    "path", "start", "end", "status", "label", "score", "valence", "arousal", "coverage",
    "warnings", "error_message",
)  # fmt: skip
_EDGES = ("x0", "y0", "x1", "y1")

Record = Mapping[str, Any]


class Column(NamedTuple):
    """One column of a file of rows."""

    name: str
    type: str  # string, integer, number, boolean or array (of texts)
    digits: int  # decimals of a float
    of: Callable[[Record], Any]  # the cell of a record; None where it is not known


def record_columns(labels: Sequence[str] = (), extra: Iterable[str] = ()) -> list[Column]:
    """Return the columns of records of clips: for one head always the same.

    labels: the head's, in its order
    extra: keys that may be missing, whose columns stand at the end
    """
    asked = [_known()[name] for name in extra]
    return [c for key in (*_sure("record"), *asked) for c in _columns(key, labels)]


def short_columns(labels: Sequence[str] = (), extra: Iterable[str] = ()) -> list[Column]:
    """Return those of `record_columns` that a person reads, the probabilities among them."""
    return [c for c in record_columns(labels, extra) if c.name in _SHORT or c.name[:2] == "p_"]


def person_columns(
    table: str, names: Iterable[str], labels: Mapping[str, Sequence[str]] | None = None
) -> list[Column]:
    """Return the columns of records of persons: path and status, what is asked for, the rest.

    table: attributes or identify
    names: of keys that may be missing
    labels: of a key of probabilities, in order
    """
    # a person has one face a frame: that is told by face_frames
    path, status, *rest = (key for key in _sure(table) if key.name != "faces")
    asked = [_known()[name] for name in names]
    ordered = (path, status, *asked, *rest)
    return [c for key in ordered for c in _columns(key, (labels or {}).get(key.name, ()))]


def columns_of(
    names: Iterable[str], labels: Mapping[str, Sequence[str]] | None = None
) -> list[Column]:
    """Return the columns of keys of any record, as these name them; the version stands last.

    labels: of a key of probabilities, in order
    """
    ordered = sorted(names, key=lambda name: name == _VERSION)
    keys_ = [_known().get(name) or Key(name, "text", "") for name in ordered]
    return [c for key in keys_ for c in _columns(key, (labels or {}).get(key.name, ()))]


def timeline_columns(labels: Sequence[str], extra: Collection[str] = ()) -> list[Column]:
    """Return the columns of the rows of a timeline, in their order.

    labels: the head's; extra: keys that may be missing and are there
    """
    there = [key for key in keys("timeline") if key.name in extra or not key.free]
    ordered = sorted(there, key=lambda key: key.name == _VERSION)
    return [c for key in ordered for c in _columns(key, labels)]


def column_types(names: Iterable[str]) -> dict[str, str]:
    """Return what columns of these names hold, in the words of Column.type.

    One that is called p_... is a probability. Raises KeyError for one that no record has.
    """
    known = _types()
    return {name: "number" if name[:2] in ("p_", "r_") else known[name] for name in names}


@cache
def _types() -> dict[str, str]:
    return {c.name: c.type for table in RECORDS for key in keys(table) for c in _columns(key)}


@cache
def _known() -> dict[str, Key]:
    """Return the keys of all records by name."""
    return {key.name: key for table in reversed(RECORDS) for key in keys(table)}


def _sure(table: str) -> list[Key]:
    """Return the keys that every record of a table has, the version last."""
    always = [key for key in keys(table) if not key.free]
    return sorted(always, key=lambda key: key.name == _VERSION)


def _columns(key: Key, labels: Sequence[str] = ()) -> list[Column]:
    """Return the columns of a key: one, or those of what it holds."""
    if key.type in PARTS:
        before = "error_" if key.type == "error" else ""
        return [_inner(key, part, before + part.name) for part in PARTS[key.type] if not part.free]
    if key.type == "shares":
        return _shares(key, labels)
    if key.type == "changes":
        return [_share(key, f"r_{label.lower()}", label) for label in labels]
    if key.type == "box":
        return [_place(key, n, f"{key.name}_{edge}") for n, edge in enumerate(_EDGES)]
    if key.type == "pair":
        stem = key.name.removesuffix("interval")
        return [_place(key, n, stem + end) for n, end in enumerate(("low", "high"))]
    return [Column(key.name, TYPES[key.type]["type"], _digits(key), lambda r: r.get(key.name))]


def _inner(key: Key, part: Key, name: str) -> Column:
    return Column(name, TYPES[part.type]["type"], _digits(part),
                  lambda r: (r.get(key.name) or {}).get(part.name))  # fmt: skip


def _place(key: Key, n: int, name: str) -> Column:
    return Column(name, "number", _digits(key),
                  lambda r: r[key.name][n] if r.get(key.name) else None)  # fmt: skip


def _shares(key: Key, labels: Sequence[str]) -> list[Column]:
    """Return a column for the probability of each label, and first for that of the label told."""
    lower = [label.lower() for label in labels]
    names = lower if len(set(lower)) == len(lower) else labels  # A and a are two columns
    each = [_share(key, f"p_{name}", label) for name, label in zip(names, labels, strict=True)]
    return [_share(key, "score", None), *each] if key.name == "scores" else each


def _share(key: Key, name: str, label: str | None) -> Column:
    def cell(record: Record) -> Any:
        told = record.get("label") if label is None else label
        return (record.get(key.name) or {}).get(told)

    return Column(name, "number", _digits(key), cell)


def _digits(key: Key) -> int:
    return SCORE_DIGITS if key.digits is None else key.digits
