"""A model's card goes in, the page that people read comes out: Markdown, as model hubs show it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SCALAR = (str, int, float, bool, type(None))
_TASKS = {"head": "video-classification", "backbone": "image-feature-extraction"}
_LEAST_HEADING = 4  # below it, names are bold

Facts = Mapping[str, Any]


def card_page(name: str, card: Facts) -> str:
    """Return a card as Markdown, with the fields of Hugging Face's model cards before it.

    All that was measured, tried and trained is on it, as tables; tensors' sums and the recipe too.
    """
    text = "\n".join(_lines(name, card))
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _lines(name: str, card: Facts) -> Iterator[str]:
    yield from _front_matter(card)
    yield from (f"# {name}", "")
    yield from (str(card.get("about", "")), "")
    yield "Made from `card.json` by `videmo models show --format markdown`; do not edit it here."
    yield ""
    yield from _use(name, card)
    for title, keys in (
        ("Intended use", ("intended",)),
        ("Limits", ("limits",)),
        ("Terms", ("license",)),
        ("Source", ("source",)),
        ("Measured", ("measured", "evaluated")),
        ("Answers from some of the frames", ("budget",)),
        ("Shares", ("shares",)),
        ("Training", ("trained",)),
        ("What else was tried", ("tried",)),
        ("How it is built", ("spec",)),
        ("Recipe", ("recipe",)),
        ("Files", ("files",)),
    ):
        for key in keys:
            if card.get(key):
                yield from (f"## {title}", "", *_value(card[key], 3, _labels(card)), "")


def _front_matter(card: Facts) -> Iterator[str]:
    yield "---"
    yield "library_name: videmo"
    yield f"pipeline_tag: {_TASKS.get(str(card.get('kind')), 'other')}"
    yield "license: other"
    yield "license_name: see-terms"
    yield "tags: [emotion-recognition, facial-expression, video, research]"
    yield from ("---", "")


def _use(name: str, card: Facts) -> Iterator[str]:
    """Yield how it is used, by what it is."""
    commands = {
        "head": f"videmo classify clip.mp4 --head {name}",
        "backbone": f"videmo extract-features clips/ --backbone {name} -o features.npz",
    }
    if command := commands.get(str(card.get("kind"))):
        yield from ("```console", f"$ {command}", "```", "")


def _labels(card: Facts) -> list[str]:
    spec = card.get("spec") or {}
    return list(spec.get("labels") or (spec.get("outputs") or {}).get("emotion") or ())


def _value(value: Any, level: int, labels: Sequence[str] = ()) -> Iterator[str]:
    """Yield any value of a card: a sentence, a list, a table, or parts with headings."""
    if isinstance(value, Mapping):
        yield from _mapping(value, level, labels)
    elif _is_table(value):
        yield from _table([dict(row) for row in value])
    elif _is_matrix(value):
        names = labels if len(labels) == len(value) else [str(n) for n in range(len(value))]
        rows = [dict(zip(("", *names), (name, *row), strict=False))
                for name, row in zip(names, value, strict=True)]  # fmt: skip
        yield from _table(rows)
    else:
        yield _text(value)


def _mapping(value: Facts, level: int, labels: Sequence[str]) -> Iterator[str]:
    if value and all(isinstance(one, Mapping) and _is_flat(one) for one in value.values()):
        yield from _table([{"": name, **one} for name, one in value.items()])
        return
    plain = {name: one for name, one in value.items() if _is_plain(one)}
    if plain:
        yield from ("| | |", "|---|---|")
        yield from (f"| {_text(name)} | {_text(one)} |" for name, one in plain.items())
        yield ""
    for name, one in value.items():
        if name not in plain:
            heading = f"{'#' * level} {name}" if level <= _LEAST_HEADING else f"**{name}**"
            yield from (heading, "", *_value(one, level + 1, labels), "")


def _table(rows: Sequence[Facts]) -> Iterator[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    yield f"| {' | '.join(map(_text, columns))} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(_text(row.get(column, '')) for column in columns)} |"


def _is_plain(value: Any) -> bool:
    """Return whether a value fits one cell."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(one, _SCALAR) for one in value)
    return isinstance(value, _SCALAR)


def _is_flat(value: Facts) -> bool:
    return bool(value) and all(map(_is_plain, value.values()))


def _is_table(value: Any) -> bool:
    rows = isinstance(value, (list, tuple)) and bool(value)
    return rows and all(isinstance(row, Mapping) and _is_flat(row) for row in value)


def _is_matrix(value: Any) -> bool:
    rows = isinstance(value, (list, tuple)) and bool(value)
    return rows and all(isinstance(row, (list, tuple)) and len(row) == len(value) for row in value)


def _text(value: Any) -> str:
    """Return a value as a cell; what others wrote cannot end it, nor be markup of a page."""
    if isinstance(value, (list, tuple)):
        shown = [_text(one) for one in value]
        return ", ".join(shown if len(shown) <= 24 else [*shown[:3], "...", shown[-1]])
    text = "" if value is None else str(value)
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("\n", " ")):
        text = text.replace(sign, instead)
    return text
