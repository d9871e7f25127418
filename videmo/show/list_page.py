"""Records of many clips go in; a page with a table of them comes out, the worst of them first.

Worst are clips that failed, then those without a face, then those that are wrong, where the truth
is known, the surest first; then the others, the least certain first.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videmo import __version__
from videmo.show.page import colour_rules, percent, render

_STATES = {
    "ok": "with an answer", "abstained": "abstained", "no_face": "without a face",
    "error": "failed",
}  # fmt: skip
_STATUS = {"ok": "ok", "abstained": "abstained", "no_face": "no face", "error": "failed"}
_SHADES = 5


@dataclass(frozen=True)
class ListedClip:
    """One record, as a row of the page."""

    path: str
    status: str  # ok, abstained, no_face or error
    label: str | None
    scores: Mapping[str, float]
    truth: str | None = None
    coverage: float | None = None
    faces: int | None = None
    words: str = ""  # the error, or the warnings
    part: str = ""  # start-end in s, or the person


def list_page(
    name: str,
    clips: Sequence[ListedClip],
    labels: Sequence[str],
    *,
    evaluation: Mapping[str, Any] | None = None,
    made_by: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return the page of many clips as HTML.

    name: what the page is called; labels: those of the answers
    evaluation: as `videmo.evaluate.evaluate_labels` makes it, where the truth is known
    made_by: name -> model, version, ...
    """
    states = Counter(clip.status for clip in clips)
    place, folder = {label: n for n, label in enumerate(labels)}, _folder(clips)
    page = {
        "title": f"{name}: videmo", "name": name, "version": __version__,
        "clips": len(clips), "folder": folder, "notes": notes,
        "states": ", ".join(f"{states[s]} {word}" for s, word in _STATES.items() if states[s]),
        "figures": _figures(evaluation) if evaluation else [],
        "matrix": _matrix(evaluation) if evaluation else None,
        **_table([_row(clip, place, folder) for clip in sorted(clips, key=_worst)]),
        "provenance": [*(made_by or {}).items()],
    }  # fmt: skip
    return render("list.html", page, rules=colour_rules(labels), script="sort.js")


def _folder(clips: Sequence[ListedClip]) -> str:
    """Return what the paths of several clips have in common, up to a slash."""
    if len(clips) < 2:
        return ""
    first, last = (pick(clip.path for clip in clips) for pick in (min, max))
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: first.rfind("/", 0, len([*alike])) + 1]


def _worst(clip: ListedClip) -> tuple[int, float]:
    sure = max(clip.scores.values(), default=0.0)
    if clip.status in ("error", "no_face"):
        return (0 if clip.status == "error" else 1), 0.0
    wrong = clip.truth is not None and clip.label not in (None, clip.truth)
    return (2, -sure) if wrong else (3, sure)


_COLUMNS = (
    ("Clip", "path"), ("Status", ""), ("Label", ""), ("Probability", "number"), ("Next", ""),
    ("True label", ""), ("With a face", "number"), ("Faces", "number"),
)  # fmt: skip


def _table(rows: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Return the columns in which anything stands, and the rows of these."""
    kept = [n for n in range(len(_COLUMNS)) if any(row[n]["text"] for row in rows)]
    columns = [{"name": _COLUMNS[n][0], "kind": _COLUMNS[n][1]} for n in kept]
    return {"columns": columns, "rows": [[row[n] for n in kept] for row in rows]}


def _row(clip: ListedClip, place: Mapping[str, int], folder: str) -> list[dict[str, Any]]:
    """Return the cells of a clip, one for each of _COLUMNS."""
    order = sorted(clip.scores.items(), key=lambda item: -item[1])
    best = clip.label or (order[0][0] if order else "")
    top = clip.scores.get(best)
    after = next(((label, p) for label, p in order if label != best), None)
    missed = "" if clip.truth == clip.label else " (missed)"
    return [
        _cell(f"{clip.path[len(folder):]} {clip.part}".strip(), kind="path", below=clip.words),
        _cell(_STATUS[clip.status], mark="" if clip.status == "ok" else "bad"),
        _cell(clip.label or (f"({best})" if best else "")),
        _cell("" if top is None else percent(top), key=top, kind="number",
              bar=top, colour=place.get(best, 0)),
        _cell(f"{after[0]} {percent(after[1])}" if after else ""),
        _cell(f"{clip.truth}{missed}" if clip.truth else "", mark="bad" if missed else "good"),
        _cell("" if clip.coverage is None else percent(clip.coverage), key=clip.coverage,
              kind="number"),
        _cell("" if clip.faces is None else str(clip.faces), key=clip.faces, kind="number"),
    ]  # fmt: skip


def _cell(
    text: str, *, key: float | None = None, kind: str = "", mark: str = "",
    bar: float | None = None, colour: int = 0, below: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Return a cell; rows are sorted by `key`, or by the text."""
    number = "" if key is None else f"{key:.6g}"
    return {
        "text": text, "key": number if kind == "number" else text, "kind": kind, "mark": mark,
        "bar": None if bar is None else f"{100 * bar:.1f}", "colour": colour, "below": below,
    }  # fmt: skip


def _figures(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = []
    for side, word in (("with_face", "with a face"), ("all", "all clips")):
        of = evaluation[side]
        low, high = of["wilson"]
        told.append((f"Accuracy, {word}", f"{100 * of['accuracy']:.1f} % "
                     f"({100 * low:.1f}-{100 * high:.1f}, n {of['n']})"))  # fmt: skip
        told.append((f"UAR, {word}", f"{of['uar']:.3f}"))
    return told


def _matrix(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the confusion of all clips: a row a true label, shades are shares of a row."""
    of, labels = evaluation["all"], evaluation["labels"]
    silent = any(of["no_answer"])
    rows = []
    for n, (label, counts, none) in enumerate(
        zip(labels, of["confusion"], of["no_answer"], strict=True)
    ):
        whole = max(1, sum(counts) + none)
        numbers = [*counts, *([none] if silent else [])]
        rows.append({"label": f"{label} ({sum(counts) + none})", "cells": [
            {"count": count, "shade": round(_SHADES * count / whole), "right": n == column}
            for column, count in enumerate(numbers)
        ]})  # fmt: skip
    return {"columns": [*labels, *(["no answer"] if silent else [])], "rows": rows}
