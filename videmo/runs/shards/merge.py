"""The parts that shards wrote go in; the output that one run would have written comes out."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from videmo.errors import InputError, MergeError
from videmo.runs.inputs import Clip
from videmo.runs.shards.feature_part import FeaturePart
from videmo.runs.shards.part import TIMES, OpenFiles, RowSummary
from videmo.runs.shards.parts import PARTS, read_part
from videmo.write import frames_of
from videmo.write.formats import FORMATS, suffixes
from videmo.write.names import DEVICES, kind_of
from videmo.write.schema import STATUSES, TIME_DIGITS
from videmo.write.sink import Out

_SUFFIXES = {suffix: kind for suffix, kind in suffixes(FORMATS).items() if kind in PARTS}
_SUFFIXES |= {".npz": "npz", ".parquet": "parquet"}
_FILES = ("npz", "parquet")  # no text


@dataclass(frozen=True)
class MergeResult:
    """What was put together."""

    statuses: Mapping[str, int]  # clips by status, each status
    missing: int  # clips that were expected and are in no part
    cut: int  # parts whose last record was left out
    notes: tuple[str, ...]  # what is to be told, a line each

    @property
    def clips(self) -> int:
        """How many there are."""
        return sum(self.statuses.values())


def merge(
    names: Sequence[str],
    out: Out,
    *,
    expected: Sequence[Clip] | None = None,
    partial: bool = False,
) -> MergeResult:
    """Write the records of all parts to `out`, as one run would have written them.

    names: files that videmo wrote, all NDJSON (.ndjson, .jsonl), JSON, CSV, TSV, Parquet or .npz;
        with the features of clips come those of their faces, which need not be named
    out: a file of that format, which appears whole or not at all; None or "-" is stdout
    expected: the clips of the whole run, in its order; without them the order is that of a
        folder: by path, part by part, then by start and end
    partial: write also what lacks expected clips or the last record of a part

    A clip is known by its path, as seen from the current folder, and its start and end. In records
    of persons these are the persons': there it is the path alone, and persons of one clip stay
    together. Records are copied byte for byte, and only their places and keys are kept in memory
    (of Parquet also a group of each part), but feature files are read whole.

    Raises MergeError for parts that make no whole: a clip is missing, surplus, or twice with
    different records; versions, models or recipes differ (device and decoder may); a record
    cannot be read. Raises InputError for what cannot be merged at all; OutputError.
    """
    names = _without_faces(names)
    kind = _kind(names, out)
    with closing(OpenFiles()) as files:
        rows = _Rows(names, kind, files, expected)
        for place in range(len(names)):
            rows.take(place, partial)
        rows.settle()
        order = rows.ordered()
        missing = rows.missing()
        if missing and not partial:
            raise MergeError(
                f"{missing[0]}: is in no part, as {len(missing)} of {rows.expected} expected clips "
                "are; run their shards again, or take what there is with --partial"
            )
        rows.write(out, rows.once(order))
        counts = Counter(rows.status[head] for head in rows.heads)
        statuses = {status: counts[place] for place, status in enumerate(STATUSES)}
        cut = sum(len(part.notes) for part in rows.parts)
        return MergeResult(statuses, len(missing), cut, rows.notes())


def replace_rows(names: Sequence[str], kind: str, out: Out, expected: Sequence[Clip]) -> None:
    """Write the records of several files of one format, in the order of the clips expected.

    Where a clip has a record in two of them, that of the later one counts.
    Raises as `merge` does.
    """
    with closing(OpenFiles()) as files:
        rows = _Rows(names, kind, files, expected, latest=True)
        for place in range(len(names)):
            rows.take(place, partial=False)
        rows.settle()
        rows.write(out, rows.once(rows.ordered()))


def _kind(names: Sequence[str], out: Out) -> str:
    """Return the format of all parts, which is the output's too."""
    target = "" if out is None or os.fspath(out) == "-" else os.fspath(out)
    kinds = [(name, _SUFFIXES.get(os.path.splitext(name)[1].lower())) for name in names]
    if not kinds:
        raise InputError("no part was given; name the files that the shards wrote")
    for name, kind in kinds:
        if kind is None:
            raise InputError(f"{name}: ends in none of {', '.join(_SUFFIXES)}; rename it")
        if kind != kinds[0][1]:
            other = f"{kinds[0][0]} is {kinds[0][1]}"
            raise InputError(f"{name}: is {kind}, but {other}; merge parts of one format")
        if target and os.path.exists(target) and _same_file(name, target):
            raise InputError(f"{name}: is a part and --out at once; name another --out")
    wanted = kind
    if target and not target.startswith(DEVICES):
        wanted = kind_of(target, _SUFFIXES)
    if wanted != kind or (kind in _FILES and not target):
        raise InputError(f"{target or 'standard output'}: the parts are {kind}, and stay it; "
                         f"name an --out that ends in .{kind}")  # fmt: skip
    return str(kind)


def _without_faces(names: Sequence[str]) -> list[str]:
    """Return the names without the files of faces that feature files beside them bring along."""
    faces = {frames_of(name) for name in names}
    return [name for name in names if name not in faces]


def _same_file(name: str, other: str) -> bool:
    return os.path.exists(name) and os.path.samefile(name, other)


class _Rows:
    """The records of all parts: whose each is, where it stands, and in which order they go."""

    def __init__(
        self, names: Sequence[str], kind: str, files: OpenFiles, expected: Sequence[Clip] | None,
        *, latest: bool = False,
    ) -> None:  # fmt: skip
        self.parts = [read_part(name, kind, files) for name in names]
        self.keys: list[str] = []
        self.part, self.row, self.status = array("L"), array("L"), bytearray()
        self.heads: list[int] = []  # the first record of each clip that is written
        for part in self.parts:
            if isinstance(part, FeaturePart) != isinstance(self.parts[0], FeaturePart):
                other = self.parts[0].name
                raise InputError(f"{part.name}: of it and {other} one has records, one features; "
                                 "merge parts of one command")  # fmt: skip
        self._by_path, self._latest = False, latest
        self._clips, self._twice = expected, 0
        self._first: tuple[str, RowSummary] | None = None

    def take(self, place: int, partial: bool) -> None:
        """Read a part, and refuse it if it is of another run."""
        part = self.parts[place]
        for row, summary in enumerate(part.summaries(partial)):
            self._compare(part.name, summary)
            times = (None, None) if self._by_path else (summary.start, summary.end)
            self.keys.append(_key_of(summary.path, *times))
            self.part.append(place)
            self.row.append(row)
            self.status.append(summary.status)
        here, first = part.common, self.parts[0].common
        if here != first:
            odd = ", ".join(c for c in here + first if (c in here) != (c in first))
            raise MergeError(
                f"{part.name}: has other columns than {self.parts[0].name} "
                f"({odd or 'in another order'}); merge parts of one command and head"
            )

    @property
    def expected(self) -> int:
        """How many clips are expected."""
        return len(self._ranks())

    def missing(self) -> list[str]:
        """Return the paths of the expected clips that are in no part."""
        found = set(self.keys) if self._clips else set()
        return [_path(key) for key in self._ranks() if key not in found]

    def ordered(self) -> list[int]:
        """Return all records in the order of the whole run, those of one clip side by side."""
        if self._clips is None:
            return sorted(range(len(self.keys)), key=self.keys.__getitem__)
        ranks = self._ranks()
        if self._by_path and len(ranks) < len(self._clips):
            twice = next(key for key, n in self._counts().items() if n > 1)
            raise MergeError(
                f"{_path(twice)}: is twice in --expect, and records of persons do not tell the "
                "parts of one clip apart; run it without --shard"
            )
        for at, key in enumerate(self.keys):
            if key not in ranks:
                raise MergeError(
                    f"{self._place(at)}: {_path(key)} is not expected; "
                    "give --expect what the shards were given"
                )
        return sorted(range(len(self.keys)), key=lambda at: ranks[self.keys[at]])

    def once(self, order: Iterable[int]) -> list[int]:
        """Return the records without those that stand in two parts alike."""
        kept = []
        for _, same in groupby(order, key=self.keys.__getitem__):
            one = self._one([*same])
            self.heads.append(one[0])
            kept += one
        return kept

    def write(self, out: Out, order: Iterable[int]) -> None:
        """Write the records."""
        records = ((self.parts[self.part[at]], self.row[at]) for at in order)
        self.parts[0].write(out, self.parts, records)

    def notes(self) -> tuple[str, ...]:
        """Return what is to be told."""
        said = [note for part in self.parts for note in part.notes]
        if self._twice:
            said.append(f"{self._twice} clips are in two parts, with the same records; kept once")
        return tuple(said)

    def settle(self) -> None:
        """Give the output the columns start and end where a part has them."""
        times = [name for name in TIMES if any(name in part.times for part in self.parts)]
        for part in self.parts:
            part.wanted = [*part.common, *times]

    def _ranks(self) -> dict[str, int]:
        """Return the place of each expected clip in the whole run."""
        return {key: rank for rank, key in enumerate(self._counts())}

    def _counts(self) -> Counter[str]:
        """Return how many expected clips are known by each key, in their order."""
        clips = self._clips or ()
        return Counter(_key_of(c.path, *(() if self._by_path else (c.start, c.end))) for c in clips)

    def _compare(self, name: str, summary: RowSummary) -> None:
        """Refuse a record whose settings are not those of the first."""
        if self._first is None:
            self._first = name, summary
            self._by_path |= summary.person
        other, first = self._first
        for key, said in summary.settings.items():
            if said != first.settings[key]:
                there = f"{name}:{summary.line}"
                raise MergeError(
                    f"{there}: {key} is {said or 'not told'}, in {other}:{first.line} "
                    f"{first.settings[key] or 'not told'}; merge parts of one version and recipe"
                )

    def _one(self, same: list[int]) -> list[int]:
        """Return the records of one clip once; all persons of it in one part are one take."""
        if len(same) == 1:
            return same
        parts = [[*take] for _, take in groupby(same, key=self.part.__getitem__)]
        many = self._first is not None and self._first[1].many
        takes = parts if many else [[at] for at in same]
        if self._latest:
            return takes[-1]
        contents = [[self._content(at) for at in take] for take in takes]
        for take, content in zip(takes, contents, strict=True):
            if content != contents[0]:
                raise MergeError(
                    f"{_path(self.keys[same[0]])}: is in {self._place(same[0])} and in "
                    f"{self._place(take[0])}, and they differ; leave one of them out"
                )
        self._twice += len(takes) > 1
        return takes[0]

    def _content(self, at: int) -> Any:
        return self.parts[self.part[at]].content(self.row[at])

    def _place(self, at: int) -> str:
        return self.parts[self.part[at]].place(self.row[at])


def _key_of(path: str, start: float | None = None, end: float | None = None) -> str:
    """Return what a clip is known by, in the order of folders: part by part, then by times."""
    parts = os.path.abspath(path).replace(os.sep, "\0")
    times = ("" if time is None else f"{time:015.{TIME_DIGITS}f}" for time in (start, end))
    return "\0\0".join((parts, *times))


def _path(key: str) -> str:
    """Return the path of a key, as seen from the current folder where it is below."""
    path = key.partition("\0\0")[0].replace("\0", os.sep)
    return path.removeprefix(os.path.join(os.getcwd(), ""))
