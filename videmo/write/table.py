"""Records as a table for people: a row for each clip as it comes, in columns that stay."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from videmo.write.record import RecordWriter, order, plain
from videmo.write.schema import AFFECT

if TYPE_CHECKING:
    from rich.text import Text

_GAP = "  "
_BAR = 10  # cells; each is 10 % of probability
_NEXT = 2  # labels shown after the first, where there is room
_NAME = 16  # cells that the clip's name has at least
_LONGER = 12  # cells that it gets beyond these before there is a bar or a next label
_PLAIN_WIDTH = 100  # where no terminal says how wide it is
_STATUS = {"no_face": ("no face", "yellow"), "error": ("error", "red")}


class Table(RecordWriter):
    """Clip, label, probability, a bar, the next labels, and how many frames show a face.

    Valence and arousal stand before the last where `extra` names them. Every state is a word,
    colour only repeats it. The width is the terminal's (or COLUMNS); a narrow one loses the next
    labels first, then the bar, then valence and arousal. Elsewhere than on a terminal the text is
    plain. A long path loses its beginning, a file name's control characters are escaped.
    """

    def begin(self) -> None:
        """Settle the widths and write the head."""
        from rich.console import Console

        self._tty = self.sink.tty
        self._width = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns
        self._console = Console(
            file=io.StringIO(), force_terminal=self._tty or None, width=10_000,
            highlight=False, markup=False, emoji=False, legacy_windows=False,
        )  # fmt: skip
        self._encoding = self.sink.encoding
        rich = self._encoding.lower().replace("-", "").startswith("utf")
        self._full, self._rest, self._cut, self._rule = "█░…─" if rich else "#.~-"
        self._settle()
        self._head()

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one row, and a line below it for each warning."""
        status = str(record.get("status"))
        line = self._text(
            (shorten(self._name(record), self._clip, self._cut, keep="end"), ""), _GAP
        )
        below = [f"warning: {warning}" for warning in record.get("warnings") or ()]
        if status not in _STATUS:
            self._answer(line, record)
        elif why := self._state(line, record, *_STATUS[status]):
            below.insert(0, why)
        self._print(line)
        for text in below:
            for part in self._wrapped(self._clean(text)):
                self._print(self._text((_GAP + part, "dim")))

    def _settle(self) -> None:
        """Share the width out: what a row must have, then bar, next labels, and the name."""
        from rich.cells import cell_len

        lengths = sorted((cell_len(name) for name in self.labels), reverse=True)
        self._label = max([len("no face"), *lengths[:1]])
        room = self._width - _NAME - self._label - len("100 %" + "with face" + 3 * _GAP)
        told = [key for key in AFFECT if key in self.extra]
        wide = sum(len(key + _GAP) for key in told)
        self._affect = told if room >= wide else []
        room -= wide if self._affect else 0
        self._bar = _BAR if room - _BAR - len(_GAP) >= _LONGER else 0
        room -= self._bar + len(_GAP) if self._bar else 0
        self._after = self._show = 0
        for show in range(1, 1 + min(_NEXT, len(lengths) - 1, (self.top or _NEXT + 1) - 1)):
            after = sum(n + len(" 99 %, ") for n in lengths[1 : 1 + show]) - len(", ")
            if room - after - len(_GAP) >= _LONGER:
                self._after, self._show = after, show
        room -= self._after + len(_GAP) if self._after else 0
        self._clip = _NAME + max(0, room)

    def _head(self) -> None:
        blank = len("100 %") + (self._bar + len(_GAP) if self._bar else 0)
        heads = [("clip", self._clip), ("label", self._label), ("", blank)]
        heads += [("next", self._after)] if self._after else []
        heads += [*((key, len(key)) for key in self._affect), ("with face", 9)]
        line = self._text((_GAP.join(name.ljust(n) for name, n in heads), "bold"))
        self._print(line)
        self._print(self._text((self._rule * line.cell_len, "dim")))

    def _answer(self, line: Text, record: Mapping[str, Any]) -> None:
        """Append label, probability, bar and next labels, and the frames with a face."""
        scores = record.get("scores") or {}
        label = record.get("label")
        mine = plain(scores.get(label))
        name = shorten(self._clean("-" if label is None else str(label)), self._label, self._cut)
        line.append(name, "bold").append(_GAP).append(percent(mine).rjust(len("100 %")))
        if self._bar:
            full = round(_BAR * min(1.0, max(0.0, mine or 0.0)))
            line.append(_GAP).append(self._full * full, "cyan")
            line.append(self._rest * (_BAR - full), "dim")
        if self._after:
            others = {k: v for k, v in scores.items() if k != label}
            following = order(others, self.labels, self._show)
            text = ", ".join(f"{self._clean(k)} {percent(v)}" for k, v in following.items())
            line.append(_GAP).append(shorten(text, self._after, self._cut), "dim")
        for key in self._affect:
            line.append(_GAP).append(signed(plain(record.get(key))).rjust(len(key)))
        seen = f"{record.get('face_frames', 0)}/{record.get('frames', 0)}"
        line.append(_GAP).append(seen.rjust(len("with face")))

    def _state(self, line: Text, record: Mapping[str, Any], word: str, style: str) -> str:
        """Append why there is no label, across the columns that would have held it.

        Return what is to stand below the row, where there is no room for it.
        """
        error = record.get("error") or {}
        frames = record.get("frames", 0)
        why = (
            str(error.get("message") or error.get("type") or "no reason given").removeprefix(
                f"{record.get('path')}: "  # it stands at the beginning of the row
            )
            if word == "error"
            else f"in {frames} {'frame' if frames == 1 else 'frames'} looked at"
        )
        line.append(shorten(word, self._label, self._cut), f"bold {style}").append(_GAP)
        from rich.cells import cell_len

        why = self._clean(why)
        if self._tty and cell_len(why) > self._width - line.cell_len:
            return why
        line.append(why)
        return ""

    def _name(self, record: Mapping[str, Any]) -> str:
        """Return the path, with the span and the track where it is a part of a clip."""
        name = self._clean(str(record.get("path")))
        start, end, track = (record.get(key) for key in ("start", "end", "track"))
        if start is not None or end is not None:
            since, until = ("" if t is None else f"{t:.1f}" for t in (start, end))
            name += f" [{since}-{until} s]"
        return name if track is None else f"{name} #{track}"

    def _clean(self, text: str) -> str:
        """Escape what would move the cursor, is no character, or not one that is shown there."""
        safe = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        return "".join(safe).encode(self._encoding, "backslashreplace").decode(self._encoding)

    def _wrapped(self, text: str) -> list[str]:
        """Return what stands below a row in lines, whole: its end says what to do."""
        if not self._tty:
            return [text]
        room = max(_NAME, self._width - len(_GAP))
        return [line.plain.rstrip() for line in self._text(text).wrap(self._console, room)]

    def _text(self, *parts: str | tuple[str, str]) -> Text:
        from rich.text import Text

        return Text.assemble(*parts)

    def _print(self, line: Text) -> None:
        line.rstrip()
        with self._console.capture() as captured:
            self._console.print(line, soft_wrap=True)
        self.sink.write(captured.get(), self._encoding)


def percent(score: float | None) -> str:
    return "" if score is None else f"{100 * score:.0f} %"


def signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def shorten(text: str, cells: int, cut: str, keep: str = "start") -> str:
    """Return `text` in exactly `cells` terminal cells, shortened where it is too long."""
    from rich.cells import cell_len

    length = cell_len(text)
    if length <= cells:
        return text + " " * (cells - length)
    while text and length + 1 > cells:
        drop, text = (text[0], text[1:]) if keep == "end" else (text[-1], text[:-1])
        length -= cell_len(drop)
    return (cut + text if keep == "end" else text + cut) + " " * (cells - length - 1)
