"""Models in words: the table of all, the text of one, and how far a download is."""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from videmo.cli.streams import say

if TYPE_CHECKING:
    from rich.progress import Progress

Facts = Mapping[str, Any]  # as `videmo.store.zoo.catalogue.describe` returns them

_KEY_WIDTH = 15  # cells of the first column of a text
_PLAIN_WIDTH = 100  # where no terminal says how wide it is
_MB = 1e6
_WHERE = {  # a state, in a word or two
    "embedded": "in the package",
    "cached": "file is here",
    "published": "to be pulled",
}


def models_table(rows: Sequence[Facts]) -> str:
    """Return a line for each model, as wide as the terminal: name, where it is, kind, answers."""
    from rich.console import Console
    from rich.table import Table

    console = Console(
        file=io.StringIO(), force_terminal=sys.stdout.isatty() or None,
        width=shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    drawn = Table(box=None, pad_edge=False)
    cells = [_cells(row) for row in rows]
    for n, head in enumerate(("name", "where", "kind")):
        widest = max((len(row[n]) for row in cells), default=0)
        drawn.add_column(head, no_wrap=True, min_width=widest)
    drawn.add_column("answers", no_wrap=True, overflow="ellipsis")
    for row in cells:
        drawn.add_row(*row)
    with console.capture() as captured:
        console.print(drawn)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _cells(row: Facts) -> list[str]:
    outputs = row.get("outputs") or {}
    answers = ", ".join(f"{name} {len(labels or ())}" for name, labels in outputs.items())
    where = _WHERE.get(row["state"], str(row["state"]))
    return [_plain(cell) for cell in (row["name"], where, row["kind"], answers)]


def model_text(one: Facts, card: Facts) -> str:
    """Return what is known of one model, a fact a line."""
    lines = [
        line
        for key, value in _facts(one, card)
        for n, piece in enumerate(value if isinstance(value, list) else [value])
        for line in _wrapped(key if n == 0 else "", str(piece))
        if piece
    ]
    return "".join(f"{line}\n" for line in lines)


def _facts(one: Facts, card: Facts) -> Iterator[tuple[str, Any]]:
    """Yield name and value, or values, of each fact; some may be empty."""
    published = one.get("published") or {}
    yield "name", one["name"]
    yield "state", _state(one)
    yield "kind", one["kind"]
    yield "about", one["about"]
    yield "network", _listed(one.get("architecture"))
    yield "outputs", [f"{name}: {_listed(of)}" for name, of in one.get("outputs", {}).items()]
    yield "features", one.get("dim")
    yield "pictures", _pictures(one, published)
    yield "recipe", _recipe(card)
    yield "licence", [f"{of}: {terms}" for of, terms in (one.get("license") or {}).items()]
    yield from ((key, card.get(key)) for key in ("source", "intended", "limits"))
    yield "measured", _measured(one.get("measured") or {})
    yield "published", [_figure(figure) for figure in published.get("figures", ())]
    yield "fetched from", published.get("urls", [])
    yield "known by", [f"{key} {published[key]}" for key in ("sha256", "git_blob")
                       if published.get(key)]  # fmt: skip
    yield from ((key, one.get(key)) for key in ("folder", "file"))
    sums = one.get("sha256") or ""
    yield "SHA-256", sums if isinstance(sums, str) else [f"{s}  {name}" for name, s in sums.items()]


def _recipe(card: Facts) -> list[str]:
    """Return a line for each stage of the recipe that a model is used with, if its card has one."""
    from videmo.errors import ModelError
    from videmo.recipe import Recipe

    if not card.get("recipe"):
        return []
    try:
        recipe = Recipe.from_dict(card["recipe"])
    except ModelError as error:
        return [str(error)]
    stages = {key: value for key, value in recipe.to_dict().items() if isinstance(value, Mapping)}
    lines = [f"fingerprint {recipe.fingerprint()}"]
    return lines + [f"{stage}: {_options(options)}" for stage, options in stages.items()]


def _options(options: Facts) -> str:
    given = {name: value for name, value in options.items() if value not in (None, [], "")}
    return ", ".join(f"{name.replace('_', ' ')} {_listed(value)}" for name, value in given.items())


def _state(one: Facts) -> str:
    steps = {
        "published": f"published; to fetch it: videmo models pull {one['name']}",
        "cached": f"its file is here; to install it: videmo models pull {one['name']}",
    }
    whole = one["kind"] in ("detector", "file") and one["state"] == "cached"
    return str(one["state"]) if whole else steps.get(one["state"], str(one["state"]))


def _pictures(one: Facts, published: Facts) -> str:
    if not one.get("input_size"):
        return ""
    mean, std = (" ".join(f"{x:.4g}" for x in one[key]) for key in ("mean", "std"))
    swapped = " (the file takes bgr)" if published.get("colour") == "bgr" else ""
    size = one["input_size"]
    return f"{size} x {size} px, {one['colour']}{swapped}, of 0..1 less {mean}, over {std}"


def _figure(figure: Facts) -> str:
    n = f" (n {figure['n']:,})" if figure["n"] else ""
    return (
        f"{figure['data']}: {figure['metric']} {figure['value']:.5g}{n}; {figure['note']} "
        f"[{figure['source']}]"
    )


def _measured(measured: Facts) -> list[str]:
    """Return a line for each set that a model was measured with: what is no table itself."""
    rest = {key: value for key, value in measured.items() if not isinstance(value, Mapping)}
    parts = [(f"{key}: ", value) for key, value in measured.items() if isinstance(value, Mapping)]
    return [line for name, facts in (("", rest), *parts) if (line := name + _scalars(facts))]


def _scalars(facts: Facts) -> str:
    said = []
    for key, value in facts.items():
        if isinstance(value, (str, int, float)):
            said.append(f"{key} {value}")
        elif isinstance(value, (list, tuple)) and len(value) <= 3:
            said.append(f"{key} [{_listed(value)}]")
    return ", ".join(said)


def _listed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        shown = [str(x) for x in value]
        return ", ".join(shown if len(shown) <= 24 else [*shown[:3], "...", shown[-1]])
    return str(value or "")


def _wrapped(key: str, value: str) -> list[str]:
    """Return a fact in lines that fit the terminal; what is one word stays whole."""
    import textwrap

    width = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns - _KEY_WIDTH
    lines = textwrap.wrap(
        _plain(value), max(20, width), break_long_words=False, break_on_hyphens=False
    )
    return [f"{key if n == 0 else '':{_KEY_WIDTH}}{line}" for n, line in enumerate(lines)]


def _plain(text: str) -> str:
    """Return a card's words so that they cannot move the cursor of a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


class DownloadProgress:
    """Hears how many bytes of a file are here, and tells nobody."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, size: int, total: int | None) -> None:
        """Hear it."""

    def close(self) -> None:
        """Hear that it is over."""

    @staticmethod
    @contextmanager
    def of(kind: str, name: str) -> Iterator[DownloadProgress]:
        """Yield what tells it in one of the ways of --progress."""
        if kind == "auto":
            kind = "bar" if sys.stderr.isatty() else "lines"
        telling = {
            "bar": DownloadBar,
            "lines": DownloadLines,
            "json": DownloadJson,
            "none": DownloadProgress,
        }[kind](name)
        try:
            yield telling
        finally:
            telling.close()


class DownloadLines(DownloadProgress):
    """A line on stderr every 30 s, for logs."""

    every = 30.0  # s

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name)
        self.clock, self.last = clock, clock()

    def __call__(self, size: int, total: int | None) -> None:
        """Say it when it is time."""
        if self.clock() - self.last >= self.every:
            self.last = self.clock()
            say(self.line(size, total))

    def line(self, size: int, total: int | None) -> str:
        """Return what is said."""
        of = f" of {total / _MB:.1f}" if total else ""
        return f"videmo: {self.name}: {size / _MB:.1f}{of} MB"


class DownloadJson(DownloadLines):
    """The same as a JSON object a line, a second apart, for programs."""

    every = 1.0
    far: tuple[int, int | None] | None = None

    def __call__(self, size: int, total: int | None) -> None:
        """Say it when it is time, and keep it for the end."""
        self.far = size, total
        super().__call__(size, total)

    def line(self, size: int, total: int | None) -> str:
        """Return what is said."""
        return json.dumps({"progress": {"name": self.name, "bytes": size, "of": total}})

    def close(self) -> None:
        """Say how far it came."""
        if self.far:
            say(self.line(*self.far))


class DownloadBar(DownloadProgress):
    """A bar on a terminal, from the first byte to the last."""

    _bar: Progress | None = None
    _task: Any = None

    def __call__(self, size: int, total: int | None) -> None:
        """Move it."""
        if self._bar is None:
            self._bar = _rich_progress()
            self._task = self._bar.add_task(self.name, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=size, total=total)

    def close(self) -> None:
        """Take it away."""
        if self._bar:
            self._bar.stop()


def _rich_progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TimeRemainingColumn(), console=Console(stderr=True), transient=True,
    )  # fmt: skip
