"""The result of an evaluation in words: a table, JSON, Markdown or LaTeX."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from videmo.show.tables import Page, TableRows, as_latex, as_markdown, as_text

Evaluation = Mapping[str, Any]  # as `videmo.evaluate` makes it

METRIC_NAMES = {
    "accuracy": "accuracy (WAR)", "uar": "UAR",
    "macro_f1": "macro F1", "weighted_f1": "weighted F1",
    "ece": "ECE", "brier": "Brier", "ccc": "CCC", "pcc": "PCC", "mae": "MAE", "rmse": "RMSE",
}  # fmt: skip


def as_json(result: Evaluation) -> str:
    """Return the whole result."""
    return json.dumps(result, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def page_of(result: Evaluation) -> Page:
    """Return the figures of a result as tables, and what goes with them."""
    first, last = _sentences(result)
    return Page([first], _blocks(result), [last])


def _blocks(result: Evaluation) -> list[tuple[str, TableRows]]:
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


def _official_title(result: Evaluation) -> str:
    told = result["protocol"]
    return f"{told['name']}, official: all clips{', ' + told['split'] if told['split'] else ''}"


def _official(result: Evaluation) -> TableRows:
    n, m = result["all"]["n"], result["with_face"]["n"]
    heads = ["", f"all {n}", "95 %", f"with a face {m}"]
    return [heads] + [
        [
            METRIC_NAMES[name],
            number_text(of["value"]),
            interval_text(of["interval"]),
            number_text(of["with_face"]),
        ]
        for name, of in result["official"].items()
    ]


def _summary(result: Evaluation) -> TableRows:
    """Return every figure over both denominators, with intervals."""
    sides = [result[name] for name in ("with_face", "all") if name in result]
    heads = [f"with a face {sides[0]['n']}", "95 %", f"all {sides[-1]['n']}", "95 %"]
    rows = [["", *heads[: 2 * len(sides)]]]
    for name in (name for name in METRIC_NAMES if name in sides[0]):
        cells = [(number_text(s.get(name)), interval_text(s["intervals"].get(name))) for s in sides]
        rows.append([METRIC_NAMES[name], *(cell for pair in cells for cell in pair)])
        if name == "accuracy":
            wilson = [("", interval_text(side["wilson"])) for side in sides]
            rows.append(["  after Wilson", *(cell for pair in wilson for cell in pair)])
    return rows


def _each_label(figures: Evaluation) -> TableRows:
    heads = ["label", "clips", "recall", "95 %", "found", "precision", "95 %", "F1"]
    return [heads] + [
        [
            label, str(of["n"]), number_text(of["recall"]), interval_text(of["recall_interval"]),
            str(of["found"]), number_text(of["precision"]), interval_text(of["precision_interval"]),
            number_text(of["f1"]),
        ]
        for label, of in figures["by_label"].items()
    ]  # fmt: skip


def _matrix(labels: Sequence[str], figures: Evaluation) -> TableRows:
    silent = any(figures["no_answer"])
    rows = [[str(n) for n in row] for row in figures["confusion"]]
    if silent:
        rows = [[*r, str(n)] for r, n in zip(rows, figures["no_answer"], strict=True)]
    heads = ["", *labels, *(["no answer"] if silent else [])]
    return [heads] + [[label, *row] for label, row in zip(labels, rows, strict=True)]


def _sentences(result: Evaluation) -> list[str]:
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
    ("ok", "with an answer"), ("abstained", "abstained"), ("no_face", "without a face"),
    ("error", "failed"), ("missing", "missing"),
)  # fmt: skip


def number_text(value: float | None) -> str:
    """Return a figure with four decimals, nothing for None."""
    return "" if value is None else f"{value:.4f}"


def interval_text(interval: Sequence[float] | None) -> str:
    """Return the ends of an interval, nothing for None."""
    return "" if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}"


FORMATS: dict[str, Callable[[Evaluation], str]] = {
    "table": lambda result: as_text(page_of(result)),
    "markdown": lambda result: as_markdown(page_of(result)),
    "latex": lambda result: as_latex(page_of(result)),
    "json": as_json,
}
