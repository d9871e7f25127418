"""Sentences and tables of figures go in; text for a terminal, Markdown or LaTeX comes out."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from videmo.write.printable import printable

TableRows = list[list[str]]  # of cells, the first the heads of the columns


@dataclass(frozen=True)
class Page:
    """What is told of some figures, in order."""

    first: Sequence[str]  # sentences
    tables: Sequence[tuple[str, TableRows]]  # each with the line above it
    last: Sequence[str] = ()  # sentences


def as_text(page: Page) -> str:
    """Return a page for a terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console(
        file=io.StringIO(), force_terminal=sys.stdout.isatty() or None, width=10_000,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    with console.capture() as captured:
        console.print("\n".join(map(printable, page.first)) + "\n")
        for title, (heads, *rows) in page.tables:
            table = Table(box=None, pad_edge=False)
            for head, right in zip(heads, _numeric(rows), strict=True):
                justify: Literal["left", "right"] = "right" if right else "left"
                table.add_column(printable(head), justify=justify, no_wrap=True)
            for row in rows:
                table.add_row(*map(printable, row))
            if title:
                console.print(printable(title), style="italic")
            console.print(table)
            console.print()
        for sentence in page.last:
            console.print(printable(sentence))
    return "\n".join(line.rstrip() for line in captured.get().split("\n"))


def as_markdown(page: Page) -> str:
    """Return a page for a wiki or an issue."""
    parts = [_for_markdown(sentence) for sentence in page.first]
    for title, (heads, *rows) in page.tables:
        lines = [heads, ["---:" if right else "---" for right in _numeric(rows)], *rows]
        table = [f"| {' | '.join(_for_markdown(c) for c in line)} |" for line in lines]
        parts += [*([f"**{_for_markdown(title)}**"] if title else []), "\n".join(table)]
    return "\n\n".join([*parts, *map(_for_markdown, page.last)]) + "\n"


def as_latex(page: Page) -> str:
    r"""Return a page for a paper: tables of booktabs, each below its title, sentences as notes."""
    parts = [r"% needs \usepackage{booktabs}", *map(_for_latex, page.first)]
    for title, (heads, *rows) in page.tables:
        head, *body = (" & ".join(map(_for_latex, line)) + r" \\" for line in (heads, *rows))
        lines = [
            rf"\begin{{tabular}}{{{''.join('lr'[right] for right in _numeric(rows))}}}",
            r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}",
        ]  # fmt: skip
        above = [rf"\textbf{{{_for_latex(title)}}}\\[2pt]"] if title else []
        parts.append("\n".join([r"\noindent", *above, *lines]))
    return "\n\n".join([*parts, *map(_for_latex, page.last)]) + "\n"


def _numeric(rows: TableRows) -> list[bool]:
    """Return which columns hold numbers, if anything: they stand to the right; the first never."""
    columns = [*zip(*rows, strict=True)]
    return [
        n > 0 and all(cell.strip()[:1] in _BEGINS for cell in column)
        for n, column in enumerate(columns)
    ]


_BEGINS = {"", *"0123456789+-<"}  # of a number


def _for_markdown(cell: str) -> str:
    text = cell.strip().replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return printable(text)


_LATEX = str.maketrans({
    **{mark: "\\" + mark for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "[": "{[}", "]": "{]}",  # after the end of a row an option would be read
})  # fmt: skip


def _for_latex(cell: str) -> str:
    return printable(" ".join(cell.split())).translate(_LATEX)
