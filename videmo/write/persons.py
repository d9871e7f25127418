"""Records of persons, of attributes and identify, as a table, CSV and TSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from videmo.write import Writer, open_writer, ready
from videmo.write.columns import Csv, Tsv, cell
from videmo.write.parquet import Parquet
from videmo.write.record import PROVENANCE, SCORE_DIGITS, TIME_DIGITS
from videmo.write.sink import Out, open_sink
from videmo.write.table import Table, fit, percent

Record = dict[str, Any]

_SPAN = ("track", "start", "end")
_BOX = ("box_x0", "box_y0", "box_x1", "box_y1")
COLUMNS = {  # of identify: what its table shows beside the clip, what CSV and TSV have
    "pair": (
        ("other", "similarity", "same"),
        (*_SPAN, *_BOX, *(f"other_{name}" for name in ("path", *_SPAN, *_BOX)),
         "similarity", "threshold", "same"),
    ),
    "group": (("person", "with face"), (*_SPAN, "person", "best_time", *_BOX)),
}  # fmt: skip


def attribute_columns(outputs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the columns that CSV and TSV have for these attributes; see `attribute_records`."""
    of = {
        "age": ("age", "age_low", "age_high"),
        "gender": ("gender", "gender_probability"),
        "ethnicity": ("ethnicity", *(f"p_{label}" for label in outputs.get("ethnicity", ()))),
    }
    return (*_SPAN, *(name for asked in outputs for name in of[asked]), "best_time", *_BOX)


def open_records(format: str, out: Out, *, shown: Sequence[str], columns: Sequence[str]) -> Writer:
    """Return a writer of the records that are made here; see `videmo.write.open_writer`.

    shown: what a table has beside the clip's name, names of _SHOWN
    columns: what CSV and TSV have beside what every record has
    """
    kinds: dict[str, Callable[..., Writer]] = {
        "csv": PersonCsv,
        "tsv": PersonTsv,
        "parquet": PersonParquet,
        "table": PersonTable,
    }
    if format not in kinds:
        return open_writer(format, out, labels=())
    ready(format, out)
    sink = open_sink(out)
    try:
        return kinds[format](sink, (), None, shown if format == "table" else columns)
    except BaseException:
        sink.discard()
        raise


_BEFORE = ("path", "status")
_BEHIND = (
    "frames", "face_frames", "coverage", "duration", "warnings", "error_type", "error_message",
    *PROVENANCE, "schema_version",
)  # fmt: skip
_DIGITS = dict.fromkeys(("coverage", "duration", "start", "end", "best_time"), TIME_DIGITS)
_DIGITS |= dict.fromkeys(("other_start", "other_end"), TIME_DIGITS)
_DIGITS |= dict.fromkeys(("age", "age_low", "age_high", *_BOX), 1)
_DIGITS |= dict.fromkeys((f"other_{name}" for name in _BOX), 1)


class PersonCsv(Csv):
    """The CSV of `videmo.write` with one row for each person and other columns: `extra`."""

    def begin(self) -> None:
        """Write the header."""
        self._line([*_BEFORE, *self.extra, *_BEHIND])

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as one row."""
        flat = _flat(record)
        names = (*_BEFORE, *self.extra, *_BEHIND)
        self._line([cell(flat.get(name), _DIGITS.get(name, SCORE_DIGITS)) for name in names])


class PersonTsv(PersonCsv, Tsv):
    """The same between tabs."""


class PersonParquet(Parquet):
    """The columns of PersonCsv with their types."""

    def _columns(self) -> list[str]:
        return [*_BEFORE, *self.extra, *_BEHIND]

    def _flat(self, record: Mapping[str, Any]) -> Record:
        return {**_flat(record), **{k: record[k] for k in ("warnings", "same") if k in record}}


def _flat(record: Mapping[str, Any]) -> Record:
    """Return a record without lists and objects in it, under the names of columns."""
    flat = {**record, **(record.get("provenance") or {})}
    flat |= {f"error_{key}": text for key, text in (record.get("error") or {}).items()}
    flat |= {f"p_{key}": share for key, share in record.get("ethnicity_scores", {}).items()}
    flat |= zip(("age_low", "age_high"), record.get("age_interval", ()), strict=False)
    for prefix in ("", "other_"):
        flat |= zip((prefix + name for name in _BOX), record.get(f"{prefix}box", ()), strict=False)
    flat["warnings"] = " | ".join(record["warnings"])
    if "same" in record:
        flat["same"] = str(record["same"]).lower()
    return flat


class PersonTable(Table):
    """The table of `videmo.write` with one row for each person and other columns: `extra`."""

    def _settle(self) -> None:
        """Give every column what it needs, and what is left to the clips' names."""
        names = 1 + ("other" in self.extra)
        taken = sum(2 + _SHOWN[name][0] for name in self.extra if name != "other")
        self._clip = max(16, (self._width - taken - 2 * (names - 1)) // names)
        self._label = len("no face")

    def _head(self) -> None:
        cells = [("clip", self._clip), *((name, self._wide(name)) for name in self.extra)]
        line = self._text(("  ".join(name.ljust(wide) for name, wide in cells), "bold"))
        self._print(line)
        self._print(self._text((self._rule * line.cell_len, "dim")))

    def _answer(self, line: Any, record: Mapping[str, Any]) -> None:
        cells = []
        for name in self.extra:
            text = self._other(record) if name == "other" else _SHOWN[name][1](record)
            keep = "end" if name == "other" else "start"
            cells.append(fit(self._clean(text), self._wide(name), self._cut, keep))
        line.append("  ".join(cells))

    def _other(self, record: Mapping[str, Any]) -> str:
        there = {key: record.get(f"other_{key}") for key in ("path", *_SPAN)}
        return self._name(there)

    def _wide(self, name: str) -> int:
        return self._clip if name == "other" else _SHOWN[name][0]


def _age_of(record: Mapping[str, Any]) -> str:
    low, high = record["age_interval"]
    return f"{record['age']:.0f} ({low:.0f}-{high:.0f})"


def _likeliest(record: Mapping[str, Any]) -> str:
    word = record["ethnicity"]
    return f"{word} {percent(record['ethnicity_scores'][word])}"


_SHOWN: dict[str, tuple[int, Callable[[Mapping[str, Any]], str]]] = {  # cells, text
    "other": (0, lambda record: ""),  # as wide as the clip
    "age": (11, _age_of),
    "gender": (12, lambda record: f"{record['gender']} {percent(record['gender_probability'])}"),
    "ethnicity": (21, _likeliest),
    "similarity": (10, lambda record: f"{record['similarity']:.3f}"),
    "same": (4, lambda record: "yes" if record["same"] else "no"),
    "person": (6, lambda record: str(record["person"])),
    "with face": (9, lambda record: f"{record['face_frames']}/{record['frames']}"),
}
