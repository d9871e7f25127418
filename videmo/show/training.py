"""What a head was measured with, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Facts = Mapping[str, Any]
_GAP = "  "


def training_table(card: Facts, out: Path) -> str:
    """Return the head, what was chosen, and a row for each figure: with a face, and of all clips.

    card: as `train_head` writes it; out: its folder
    """
    trained = card["trained"]
    chosen = ", ".join(f"{name} {value}" for name, value in trained["chosen"].items())
    people = f" of {len(trained['subjects'])} subjects" if trained["subjects"] else ""
    lines = [
        f"{card['name']}: {trained['kind']} on {trained['n']} clips{people}; chosen {chosen}",
        "",
        *_columns([("measured on", "clips", "accuracy", "95 % interval", "UAR", "ECE"),
                   *_rows(card["measured"])]),
        "",
        *_columns([("label", "clips", "recall", "95 % interval"), *_recalls(card["measured"])]),
        "",
        *budget_lines(card),
        f"use it: videmo classify CLIPS --head {_path(out)}",
    ]  # fmt: skip
    return "".join(f"{line.rstrip()}\n" for line in lines)


def budget_lines(card: Facts) -> list[str]:
    """Return what --budget fast comes to with a head, if its card tells it."""
    told = card.get("budget") or {}
    if "note" in told:
        return [f"budget fast: not worth it: {told['note']}"]
    return [
        f"budget fast, {split.replace('_', ' ')}: {facts['frames_share']:.1%} of the frames, "
        f"{facts['changed']:.1%} of the labels other, accuracy {facts['difference']:+.1%} "
        f"({facts['difference_interval'][0]:+.1%} to {facts['difference_interval'][1]:+.1%})"
        for split, facts in told.get("measured", {}).items()
    ]


def _rows(measured: Facts) -> Iterator[tuple[str, ...]]:
    for split, facts in measured.items():
        name, whole = split.replace("_", " "), facts["all"]
        yield f"{name}, with a face", *_figures(facts), f"{facts['ece']:.3f}"
        yield f"{name}, all clips", *_figures(whole), ""


def _figures(facts: Facts) -> tuple[str, str, str, str]:
    return (
        str(facts["n"]), f"{facts['accuracy']:.1%}", _ends(facts["interval"]),
        f"{facts['uar']:.3f}",
    )  # fmt: skip


def _recalls(measured: Facts) -> Iterator[tuple[str, ...]]:
    """Yield the recall of each label in the last of the figures, which is the test's."""
    for label, facts in list(measured.values())[-1]["recall"].items():
        yield label, str(facts["n"]), f"{facts['recall']:.1%}", _ends(facts["interval"])


def _ends(interval: Sequence[float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells under each other: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *others = widths
    return [_GAP.join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]


def _path(out: Path) -> str:
    """Return a folder as --head takes it."""
    text = str(out)
    return text if "/" in text or text.startswith(".") else f"./{text}"
