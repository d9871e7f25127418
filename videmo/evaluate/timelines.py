"""A timeline that was written to a file goes in; a clip of it, person by person, comes out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from videmo.errors import InputError
from videmo.evaluate.pairs import score_columns
from videmo.evaluate.rows import Row, read_rows
from videmo.show.strips import Cell, Strip, strips_of

_COLUMNS = ("path", "person", "start", "end", "label")


@dataclass(frozen=True)
class ClipTimeline:
    """One clip of a timeline."""

    path: str
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    begin: float  # s, of the part that was looked at
    end: float  # s

    def strips(self, persons: Collection[int] = ()) -> list[Strip]:
        """Return what each of some persons shows; of all, where none is named.

        Faces that are nobody's are told where there is nobody else.

        Raises InputError for a person who is not there.
        """
        there = sorted({cell.person for cell in self.cells if cell.person is not None})
        if missing := [one for one in persons if one not in there]:
            known = ", ".join(map(str, there)) or "none"
            raise InputError(f"{self.path}: person {missing[0]} is not seen; there is {known}")
        wanted: set[int | None] = {*persons} or {*there} or {None}
        return strips_of(cell for cell in self.cells if cell.person in wanted)


def read_timeline(file: str, clip: str | None = None) -> ClipTimeline:
    """Return one clip of what `videmo timeline` wrote: as a table, NDJSON or JSON.

    clip: which of several

    Raises InputError where it is no timeline, for a clip that is not in it and where several are,
    ManifestError for a row that cannot be read.
    """
    rows = read_rows(file)
    if missing := [name for name in _COLUMNS if name not in rows[0].cells]:
        raise InputError(
            f"{file}: has no column {missing[0]!r}, so is no timeline; videmo timeline makes one"
        )
    named = dict.fromkeys(row.text("path") for row in rows)
    if clip is not None and clip not in named:
        raise InputError(f"{file}: has no clip {clip!r}; there is {_few([*named])}")
    if clip is None and len(named) > 1:
        raise InputError(f"{file}: has {len(named)} clips; choose one of {_few([*named])}: --clip")
    path = clip if clip is not None else next(iter(named))
    return _clip(path, [row for row in rows if row.text("path") == path])


def _few(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def _clip(path: str, rows: Sequence[Row]) -> ClipTimeline:
    answered = [row for row in rows if row.text("label")]
    if not answered:
        told = next((row.text("error_message") for row in rows if row.text("error_message")), "")
        raise InputError(f"{path}: {told or 'no face in it'}; there is nothing to draw")
    names = _labels(answered)
    cells = tuple(_cell(row, names) for row in answered)
    ends = [
        row.number(row.text(n)) for row in rows for n in ("part_end", "duration") if row.text(n)
    ]
    starts = [row.number(row.text("part_start")) for row in rows if row.text("part_start")]
    last = max(cell.end for cell in cells)
    return ClipTimeline(
        path, tuple(names), cells, min(starts, default=0.0),
        max(last, min(ends)) if ends else last,
    )  # fmt: skip


def _labels(rows: Sequence[Row]) -> dict[str, str]:
    """Return label -> column, or -> "" where the scores of a row have them by name."""
    scores = rows[0].cells.get("scores")
    if isinstance(scores, Mapping):
        return dict.fromkeys(map(str, scores), "")
    columns = score_columns(rows, "label")
    if not columns:
        raise InputError(f"{rows[0].file}: has no probabilities (p_happy, ...); nothing to draw")
    return {label: column for column, label in columns.items()}


def _cell(row: Row, labels: Mapping[str, str]) -> Cell:
    told = row.cells.get("scores")
    by_name = told if isinstance(told, Mapping) else {}
    scores = [
        row.number(row.text(column) if column else by_name.get(label))
        for label, column in labels.items()
    ]
    person, coverage = row.text("person"), row.text("coverage")
    return Cell(
        int(row.number(person)) if person else None,
        row.number(row.text("start"), "start is"), row.number(row.text("end"), "end is"), scores,
        row.number(coverage) if coverage else 1.0,
    )  # fmt: skip
