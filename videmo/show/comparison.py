"""The comparison of two runs in words: tables for a terminal, Markdown or LaTeX, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from videmo.show.evaluation import METRIC_NAMES, as_json, interval_text, number_text
from videmo.show.tables import Page, TableRows, as_latex, as_markdown, as_text

Result = Mapping[str, Any]  # as `videmo.evaluate.compare` makes it

_SHOWN = 20  # flips that a page lists
_SHORT = 12  # digits of a sum


def page_of(result: Result) -> Page:
    """Return a comparison as tables, the most telling first."""
    tables = [("", _agreement(result["agreement"]))]
    if "truth" in result:
        tables += [(title, rows) for title, rows in _truth(result["truth"])]
    if result["changes"]:
        tables.append(("labels that became others", _changes(result["changes"])))
    if result["flips"]:
        tables.append((_flips_title(result), _flips(result)))
    return Page([*_first(result)], tables, [*_last(result)])


def _first(result: Result) -> Iterator[str]:
    """Yield what was compared: clips, what became of them, and what made the runs differ."""
    alone = [
        f"{result[key]} only in {result[side]}"
        for key, side in (("only_a", "a"), ("only_b", "b"))
        if result[key]
    ]
    yield f"A is {result['a']}, B is {result['b']}"
    yield ", ".join([f"{_clips(result['both'])} in both", *alone])
    for a, others in result["statuses"].items():
        for b, n in others.items():
            if n and a != b and "missing" not in (a, b):
                yield f"{n} {_STATES[a]} in A, {_STATES[b]} in B"
    for name, sides in result["made_by"].items():
        yield f"{name}: {_made(sides['a'])} in A, {_made(sides['b'])} in B"


_STATES = {
    "ok": "with an answer",
    "abstained": "abstained",
    "no_face": "without a face",
    "error": "failed",
}


def _made(values: Sequence[str]) -> str:
    return ", ".join(value[:_SHORT] for value in values)


def _agreement(of: Result) -> TableRows:
    return [
        ["agreement", f"clips {of['n']}", "95 %"],
        ["the same label", number_text(of["share"]), interval_text(of["wilson"])],
        ["Cohen's kappa", number_text(of["kappa"]), interval_text(of["kappa_interval"])],
    ]


def _truth(of: Result) -> Iterator[tuple[str, TableRows]]:
    sides = {"with_face": "right, answered by both", "all": "right, all clips"}
    if of.get("with_face", {}).get("n") == of["all"]["n"]:
        del sides["with_face"]
    for side, title in sides.items():
        if figures := of.get(side):
            heads = [f"clips {figures['n']}", "A", "95 %", "B", "95 %", "B - A", "95 %"]
            yield title, [heads, *(_metric(name, figures) for name in figures["difference"])]
            yield "", _mcnemar(figures["mcnemar"])


def _metric(name: str, of: Result) -> list[str]:
    ends = [of[side]["wilson"] if name == "accuracy" else None for side in ("a", "b")]
    return [
        METRIC_NAMES[name],
        number_text(of["a"][name]), interval_text(ends[0]),
        number_text(of["b"][name]), interval_text(ends[1]),
        f"{of['difference'][name]:+.4f}", _signed(of["intervals"][name]),
    ]  # fmt: skip


def _mcnemar(of: Result) -> TableRows:
    name = "McNemar, exact" if of["method"] == "exact" else "McNemar, chi squared"
    return [
        ["", "right in A only", "right in B only", "p"],
        [name, str(of["only_a"]), str(of["only_b"]), f"{of['p']:.4g}"],
    ]


def _changes(changes: Sequence[Result]) -> TableRows:
    return [["A", "B", "clips"]] + [[c["a"], c["b"], str(c["clips"])] for c in changes]


def _flips_title(result: Result) -> str:
    n, shown = len(result["flips"]), min(len(result["flips"]), _SHOWN)
    return f"{n} flip{'s' * (n > 1)}" if n == shown else f"{shown} of {n} flips; JSON has all"


def _flips(result: Result) -> TableRows:
    known = "truth" in result
    rows = [["clip", "A", "", "B", "", *(["true"] if known else [])]]
    for flip in result["flips"][:_SHOWN]:
        cells = [cell for side in ("a", "b") for cell in _answer(flip[side])]
        rows.append([_name(flip), *cells, *([flip["truth"] or ""] if known else [])])
    return rows


def _name(flip: Result) -> str:
    """Return a clip by its path and, where there are any, its part and person."""
    part = f" {flip.get('start', '')}-{flip.get('end', '')} s" if {"start", "end"} & {*flip} else ""
    return f"{flip['path']}{part}{' person ' + str(flip['person']) if 'person' in flip else ''}"


def _answer(told: Result) -> tuple[str, str]:
    score = "" if told["score"] is None else f"{told['score']:.0%}"
    return told["label"] or told["status"].replace("_", " "), score


def _last(result: Result) -> Iterator[str]:
    drawn = result["bootstrap"]
    people = f" ({result['subjects']})" if result["subjects"] else ""
    yield (
        f"95 %: bootstrap of {drawn['draws']} draws of {drawn['units']}{people}, the same clips of "
        "both; Wilson for shares"
    )
    if unknown := result.get("truth", {}).get("unknown"):
        yield f"{_clips(unknown)} without a true label left out of what is right"


def _clips(n: int) -> str:
    return f"{n} clip{'' if n == 1 else 's'}"


def _signed(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}"


FORMATS: dict[str, Callable[[Result], str]] = {
    "table": lambda result: as_text(page_of(result)),
    "markdown": lambda result: as_markdown(page_of(result)),
    "latex": lambda result: as_latex(page_of(result)),
    "json": as_json,
}
