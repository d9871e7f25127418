"""How a data set is read: what is to be known of one, and what every reading function is given."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from videmo.errors import InputError, ManifestError
from videmo.labels import label_set
from videmo.runs.inputs import Clip
from videmo.train.datasets.files import (
    ClipFile,
    find_child,
    first_few,
    names_in,
    refuse_pointers,
    walk,
)
from videmo.train.datasets.lists import ListRow, read_text, refuse_contradiction


@dataclass(frozen=True)
class Layout:
    """How a data set is read and judged.

    A module of this package with LAYOUTS = {"its-name": Layout(its_function, ...)} is all that a
    new data set takes; a tree of the same names in its test shows that it is read.
    """

    read: Callable[[DatasetReader], Iterator[Clip]]
    labels: str | tuple[str, ...]  # a set of videmo.labels, or its own; empty: what is found
    metrics: tuple[str, ...]  # the official ones, as in metrics.shares; the first decides
    wants: str  # what lies under the root, for the error
    folds: int = 0  # of its cross-validation; 0: it has a split of its own
    sizes: Mapping[str, int] = field(default_factory=dict)  # published clips by split, "" all
    file: bool = False  # the root is a file
    judged: str | None = None  # the split; None: all clips, of all folds or of one
    remark: str = ""  # beside its name in the help


class DatasetReader:
    """One data set being read: its root and labels, and what there is to say of it."""

    def __init__(self, name: str, layout: Layout, root: str, fold: int | None) -> None:
        """Raise InputError where the root or the fold cannot be meant."""
        self.name, self.layout, self.root, self.fold = name, layout, root, fold
        self.labels = _labels_of(layout)
        self.notes: list[str] = []
        self.missing: list[str] = []
        self._words = {label.casefold(): label for label in self.labels}
        if not os.path.exists(self.root):
            raise InputError(f"{self.root}: no such file or folder; check the path")
        if layout.file == os.path.isdir(self.root):
            raise self.unexpected()
        if self.fold is not None and not 1 <= self.fold <= layout.folds:
            has = f"folds 1 to {layout.folds}" if layout.folds else "its own split and no folds"
            raise InputError(f"fold {self.fold} is not there: {self.name} has {has}")

    def unexpected(self) -> InputError:
        """Return the error that names what was expected and what is there."""
        there = "a file"
        if os.path.isdir(self.root):
            there = first_few(sorted(names_in(self.root)), 6) or "nothing"
        return InputError(
            f"{self.root}: for {self.name} expected {self.layout.wants}; there is {there}"
        )

    def label(self, word: str) -> str | None:
        """Return the label of this name, whatever the case of its letters."""
        return self._words.get(word.strip().casefold())

    def find(self, *ways: str, below: str | None = None) -> str | None:
        """Return the first of these files or folders that is there, in any case of letters.

        A folder that holds one of its own name, as archives leave them, stands for that one.
        """
        for way in ways:
            place: str | None = below or self.root
            for part in way.split("/"):
                place = place and find_child(place, part)
            if place:
                return find_child(place, os.path.basename(place)) or place
        return None

    def require(self, *ways: str) -> str:
        """Return what `find` finds; raises the error that says what was expected."""
        place = self.find(*ways)
        if place is None:
            raise self.unexpected()
        return place

    def split(self, number: int, ends: Sequence[int]) -> str | None:
        """Return the split of a subject, where the n-th fold ends with the n-th of `ends`."""
        if self.fold is None:
            return None
        return "test" if min(bisect_left(ends, number) + 1, len(ends)) == self.fold else "train"

    def walk(self, folder: str | None = None) -> list[ClipFile]:
        """Return the clips below `folder`, by name; raises InputError for git-lfs pointers."""
        top = folder or self.root
        found = sorted(walk(top), key=lambda clip: clip.inside)
        videos = [clip for clip in found if clip.size is not None]
        refuse_pointers(top, videos)
        empty = [clip.stem for clip in videos if clip.size == 0]
        self.note(empty, "empty files, which their records will say")
        return found

    def note(self, names: Sequence[str], what: str) -> None:
        """Note that this holds for these clips, if there are any."""
        if names:
            self.notes.append(f"{what} ({len(names)}): {first_few(sorted(names))}")

    def pairs(
        self, path: str, label_of: Callable[[str, str], str | None]
    ) -> Iterator[tuple[int, str, str]]:
        """Yield line, name and label of rows `name label`; a first one may be a header."""
        for line, text in enumerate(read_text(path).splitlines(), 1):
            if not text.strip():
                continue
            name, word = [*text.rsplit(None, 1), ""][:2]
            label = label_of(name.strip(), word)
            if label:
                yield line, name.strip(), label
            elif line > 1 or word.isdigit():
                reason = f"{word or text.strip()!r} is no label of {self.name}"
                raise ManifestError(path, line, f"{reason}; there is {', '.join(self.labels)}")

    def match(self, rows: Iterable[ListRow], found: Mapping[object, ClipFile]) -> Iterator[Clip]:
        """Yield the clips that rows name; note those that are missing, and those not named."""
        seen: dict[object, ListRow] = {}
        for row in rows:
            before = seen.setdefault(row.key, row)
            if before is not row:
                refuse_contradiction(before, row)
            elif row.key in found:
                yield Clip(
                    found[row.key].path, label=row.label, split=row.split, subject=row.subject
                )
            else:
                self.missing.append(row.name)
        others = [clip.stem for key, clip in found.items() if key not in seen]
        self.note(others, "in no list of this set, left out")


def _labels_of(layout: Layout) -> tuple[str, ...]:
    known = layout.labels
    return label_set(known) if known and isinstance(known, str) else tuple(known)
