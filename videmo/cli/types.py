"""What the values of options may be: numbers, times, and words in place of them."""

from __future__ import annotations

import math
from typing import Any

import click


class Number(click.ParamType):  # type: ignore[type-arg]  # generic in new versions only
    """A finite number in a range, by the check that `videmo.data.Range` makes everywhere."""

    name = "number"

    def __init__(
        self, low: float = -math.inf, high: float = math.inf, *, open: bool = False
    ) -> None:
        self.range = (low, high, open)

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number."""
        from videmo.data import Range

        wanted = Range(*self.range)
        number = self.read(value)
        if number not in wanted:
            self.fail(f"{value!r} is not {wanted}{self.also}", param, ctx)
        return number

    also = ""  # how else it may be written

    def read(self, value: Any) -> float:
        """Return the number, or NaN where there is none."""
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan


class Time(Number):
    """A time in s, written as 90, 90.5, 1:30 or 00:01:30.5."""

    name = "time"
    also = " of seconds, or a time as 1:30 or 00:01:30.5"

    def read(self, value: Any) -> float:
        """Return the s."""
        from videmo.runs.times import seconds

        return value if isinstance(value, float) else seconds(str(value))


class Quality(click.ParamType):  # type: ignore[type-arg]  # generic in new versions only
    """A measure of a face and its least value: frontal=0.5."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """Return both."""
        from videmo.stages.quality import NAMES

        name, _, least = value.partition("=")
        if name not in NAMES:
            self.fail(f"{name!r} is none of {', '.join(NAMES)}", param, ctx)
        return name, Number(0, 1 if name in ("brightness", "frontal") else math.inf).convert(
            least, param, ctx
        )


class ModelName(click.ParamType):  # type: ignore[type-arg]  # generic in new versions only
    """The name of a model, or its folder.

    published: whether a shell offers those that can be fetched, too
    """

    name = "model"

    def __init__(self, *, published: bool = False) -> None:
        self.published = published

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return it as it is: whether there is such a model is asked later."""
        return value

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> Any:
        """Return what a shell is to offer: the models that are here, and folders."""
        from click.shell_completion import CompletionItem

        from videmo.store import folders
        from videmo.store.zoo import ZOO

        names = {folder.name for folder in folders()} | ({*ZOO} if self.published else set())
        offered = sorted(name for name in names if name.startswith(incomplete))
        return [*map(CompletionItem, offered), CompletionItem(incomplete, type="dir")]


class NumberOrAuto(click.ParamType):  # type: ignore[type-arg]  # generic in new versions only
    """A number from 1, or auto."""

    name = "N|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        """Return the number, or auto."""
        if value == "auto":
            return "auto"
        if isinstance(value, int) or (str(value).isdecimal() and int(value) > 0):
            return int(value)
        self.fail(f"{value!r} is neither a number from 1 nor auto", param, ctx)


class Jobs(NumberOrAuto):
    """A number of jobs, or auto: as many as there are CPUs that may be used."""

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the number."""
        from videmo.pipeline import cpus

        number = super().convert(value, param, ctx)
        return cpus() if isinstance(number, str) else number


class Persons(click.ParamType):  # type: ignore[type-arg]  # generic in new versions only
    """Numbers of persons, 1,3 for instance."""

    name = "persons"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the numbers, each once."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isdecimal() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is no list of persons; give numbers from 1 as in 1,3", param, ctx)
        return tuple(sorted({int(word) for word in words}))
