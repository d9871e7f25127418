"""Records of persons, of attributes and identify: their columns, and their table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from videmo.write import Writer, open_writer
from videmo.write.columns import Column, person_columns
from videmo.write.cues import answer_of
from videmo.write.schema import keys
from videmo.write.sink import Out, open_sink
from videmo.write.table import Table, percent, shorten

_SPAN = ("track", "start", "end")
_OTHER = tuple(f"other_{name}" for name in ("path", *_SPAN, "box"))
COLUMNS = {  # of identify: what its table shows beside the clip, the columns of files
    "pair": (
        ("other", "similarity", "same"),
        person_columns("identify", (*_SPAN, "box", *_OTHER, "similarity", "threshold", "same")),
    ),
    "group": (
        ("person", "with face"),
        person_columns("identify", (*_SPAN, "person", "best_time", "box")),
    ),
}


def attribute_columns(outputs: Mapping[str, Sequence[str]]) -> list[Column]:
    """Return the columns that files have for these attributes; see `attribute_records`."""
    told = [
        key.name for name in outputs for key in keys("attributes")
        if key.name == name or key.name.startswith(f"{name}_")
    ]  # fmt: skip
    labels = {"ethnicity_scores": outputs.get("ethnicity", ())}
    return person_columns("attributes", (*_SPAN, *told, "best_time", "box"), labels)


def open_records(
    format: str, out: Out, *, shown: Sequence[str], columns: Sequence[Column]
) -> Writer:
    """Return a writer of the records that are made here; see `videmo.write.open_writer`.

    shown: what a table has beside the clip's name, names of _SHOWN
    columns: what CSV, TSV and Parquet have
    """
    if format != "table":
        return open_writer(format, out, labels=(), columns=columns)
    sink = open_sink(out)
    try:
        return PersonTable(sink, extra=shown)
    except BaseException:
        sink.discard()
        raise


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
            cells.append(shorten(self._clean(text), self._wide(name), self._cut, keep))
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
    "person": (6, lambda record: "-" if record["person"] is None else str(record["person"])),
    "from-to": (19, lambda record: f"{record['start']:8.2f} - {record['end']:.2f}"),
    "answer": (18, answer_of),
    "with face": (
        9,
        lambda record: f"{record.get('face_frames', record['faces'])}/{record['frames']}",
    ),
}
