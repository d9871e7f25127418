"""The result of an evaluation in words: a table, JSON or Markdown."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from videmo.write.printable import printable

Result = Mapping[str, Any]  # as `videmo.evaluate` makes it
TableRows = list[list[str]]  # of cells, the first the heads of the columns

METRIC_NAMES = {
    "accuracy": "accuracy (WAR)", "uar": "UAR",
    "macro_f1": "macro F1", "weighted_f1": "weighted F1",
    "ece": "ECE", "brier": "Brier", "ccc": "CCC", "pcc": "PCC", "mae": "MAE", "rmse": "RMSE",
}  # fmt: skip


def as_json(result: Result) -> str:
    """Return the whole result."""
    return json.dumps(result, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _blocks(result: Result) -> list[tuple[str, TableRows]]:
    """Return the tables of a result, each with the line above it: the official figures first."""
    whole = result.get("all")
    blocks = [("", _summary(result))]
    if "official" in result:
        blocks.insert(0, (_official_title(result), _official(result)))
    if whole:
        blocks.append(("each label, all clips", _each_label(whole)))
        blocks.append(
            ("confusion, all clips: a row a true label", _matrix(result["labels"], whole))
        )
    return blocks


def _official_title(result: Result) -> str:
    told = result["protocol"]
    return f"{told['name']}, official: all clips{', ' + told['split'] if told['split'] else ''}"


def _official(result: Result) -> TableRows:
    n, m = result["all"]["n"], result["with_face"]["n"]
    heads = ["", f"all {n}", "95 %", f"with a face {m}"]
    return [heads] + [
        [
            METRIC_NAMES[name],
            _number(of["value"]),
            _interval(of["interval"]),
            _number(of["with_face"]),
        ]
        for name, of in result["official"].items()
    ]


def _summary(result: Result) -> TableRows:
    """Return every figure over both denominators, with intervals."""
    sides = [result[name] for name in ("with_face", "all") if name in result]
    heads = [f"with a face {sides[0]['n']}", "95 %", f"all {sides[-1]['n']}", "95 %"]
    rows = [["", *heads[: 2 * len(sides)]]]
    for name in (name for name in METRIC_NAMES if name in sides[0]):
        cells = [(_number(s.get(name)), _interval(s["intervals"].get(name))) for s in sides]
        rows.append([METRIC_NAMES[name], *(cell for pair in cells for cell in pair)])
        if name == "accuracy":
            wilson = [("", _interval(side["wilson"])) for side in sides]
            rows.append(["  after Wilson", *(cell for pair in wilson for cell in pair)])
    return rows


def _each_label(figures: Result) -> TableRows:
    heads = ["label", "clips", "recall", "95 %", "found", "precision", "95 %", "F1"]
    return [heads] + [
        [
            label, str(of["n"]), _number(of["recall"]), _interval(of["recall_interval"]),
            str(of["found"]), _number(of["precision"]), _interval(of["precision_interval"]),
            _number(of["f1"]),
        ]
        for label, of in figures["by_label"].items()
    ]  # fmt: skip


def _matrix(labels: Sequence[str], figures: Result) -> TableRows:
    silent = any(figures["no_answer"])
    rows = [[str(n) for n in row] for row in figures["confusion"]]
    if silent:
        rows = [[*r, str(n)] for r, n in zip(rows, figures["no_answer"], strict=True)]
    heads = ["", *labels, *(["no answer"] if silent else [])]
    return [heads] + [[label, *row] for label, row in zip(labels, rows, strict=True)]


def _sentences(result: Result) -> list[str]:
    """Return the sentences that go with the tables: what was counted, and how sure one is."""
    counts = [f"{result[k]} {word}" for k, word in _STATES if result[k]]
    drawn = result["bootstrap"]
    units = result["subjects"] or result["with_face"]["n"]
    clips = f"{result['clips']} clip{'s' if result['clips'] > 1 else ''}"
    return [
        f"{result['predictions']} against {result['truth']}: {clips}, {', '.join(counts)}",
        f"95 %: bootstrap of {drawn['draws']} draws of {drawn['units']}"
        + (f" ({units})" if result["subjects"] else "")
        + ("; Wilson for recall and precision" if "all" in result else ""),
    ]


_STATES = (
    ("ok", "with an answer"), ("no_face", "without a face"), ("error", "failed"),
    ("missing", "missing"),
)  # fmt: skip


def as_markdown(result: Result) -> str:
    """Return its tables for a page or an issue."""
    first, last = map(_escaped, _sentences(result))
    parts = [first]
    for title, (heads, *rows) in _blocks(result):
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
        table = [f"| {' | '.join(_escaped(c) for c in line)} |" for line in lines]
        parts += [*([f"**{_escaped(title)}**"] if title else []), "\n".join(table)]
    return "\n\n".join([*parts, last]) + "\n"


def _escaped(cell: str) -> str:
    text = cell.strip().replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return printable(text)


def as_table(result: Result) -> str:
    """Return its tables for a terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console(
        file=io.StringIO(), force_terminal=sys.stdout.isatty() or None, width=10_000,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    first, last = map(printable, _sentences(result))
    with console.capture() as captured:
        console.print(first + "\n")
        for title, (heads, *rows) in _blocks(result):
            table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
            for n, head in enumerate(heads):
                table.add_column(printable(head), justify="right" if n else "left", no_wrap=True)
            for row in rows:
                table.add_row(*map(printable, row))
            console.print(table)
            console.print()
        console.print(last)
    return "\n".join(line.rstrip() for line in captured.get().split("\n"))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}"


FORMATS: dict[str, Callable[[Result], str]] = {
    "table": as_table, "markdown": as_markdown, "json": as_json,
}  # fmt: skip
