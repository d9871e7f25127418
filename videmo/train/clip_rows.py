"""Labelled rows to learn from: feature files, tables of numbers and lists of clips, checked."""

from __future__ import annotations

import difflib
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from videmo.data import F32, I64
from videmo.errors import InputError, ManifestError, ModelError
from videmo.labels import LABELS
from videmo.recipe import Recipe
from videmo.runs.csv_text import csv_rows, separator_of
from videmo.runs.inputs import Clip, read_manifest
from videmo.train.budget import Pooled, joined, thinned
from videmo.train.datasets.files import SPLITS

Bool = npt.NDArray[np.bool_]
Text = tuple[str, ...]

_FACTS = ("path", "label", "split", "subject")


@dataclass(frozen=True, eq=False)
class ClipRows:
    """Clips, column by column: what is known of them, and their numbers.

    place names each row in errors; a text is "" where nothing is known; answered is False for a
    clip without a face, whose values are not looked at.
    """

    files: Text
    place: Text
    path: Text
    label: Text
    split: Text
    subject: Text
    values: F32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (N, X)
    answered: Bool = field(default_factory=lambda: np.zeros(0, bool))  # (N,)
    columns: Text = ()  # names of the values
    recipe: Mapping[str, Any] | None = None  # how the values are made of a clip
    classes: Text = ()  # the labels in their order, where that is given
    shared: bool = False  # whether a subject may be in several splits, as in some published ones
    thinned: Pooled | None = None  # the same from some of the frames, where their faces are kept

    def __len__(self) -> int:
        return len(self.path)

    def take(self, wanted: Bool) -> ClipRows:
        """Return the rows that are wanted."""
        texts: dict[str, Any] = {
            name: tuple(x for x, here in zip(getattr(self, name), wanted, strict=True) if here)
            for name in ("place", *_FACTS)
        }
        thinned = None if self.thinned is None else self.thinned[wanted]
        return replace(
            self, **texts, values=self.values[wanted], answered=self.answered[wanted],
            thinned=thinned,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Targets:
    """What rows teach: numbers for their labels, their groups and the part they belong to."""

    labels: Text
    truth: I64  # (N,) into labels
    groups: I64 | None  # (N,) rows that must not be parted have the same number
    split: npt.NDArray[np.str_]  # (N,) train, val or test; all train where nothing is kept apart
    subjects: int = 0  # 0: unknown

    def __getitem__(self, rows: Bool) -> Targets:
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, truth=self.truth[rows], groups=groups, split=self.split[rows])


def read_features(paths: Sequence[str]) -> ClipRows:
    """Return the clips of feature files that were made with one recipe.

    raises: InputError for a file that cannot be read, one without a recipe, two whose recipes
        differ, and a value that is not finite in a row with an answer
    """
    tables = [_read_features(path) for path in paths]
    first, *others = tables
    for other in others:
        _same_recipe(first, other)
    whole: dict[str, Any] = {}
    for name in ("files", "place", *_FACTS):
        whole[name] = tuple(x for table in tables for x in getattr(table, name))
    for name in ("values", "answered"):
        whole[name] = np.concatenate([getattr(table, name) for table in tables])
    whole["thinned"] = joined([table.thinned for table in tables])
    return replace(first, **whole)


def read_numbers(
    path: str, columns: Sequence[str], names: Mapping[str, str] | None = None
) -> ClipRows:
    """Return the rows of a CSV of numbers, such as action units, one clip a row.

    columns: patterns of the columns that hold the numbers, as "AU*"
    names: what the columns path, label, split and subject are called, where not so
    raises: ManifestError(path, line, reason), InputError for a file that cannot be read
    """
    lines = _csv_lines(path)
    _, header = next(lines, (1, []))
    taken = _number_columns(path, header, columns, names or {})
    named = {fact: (names or {}).get(fact, fact) for fact in _FACTS}
    facts: dict[str, Any] = {fact: [] for fact in _FACTS}
    place, values = [], []
    for line, cells in lines:
        if len(cells) != len(header):
            raise ManifestError(path, line, f"has {len(cells)} cells under {len(header)} columns")
        row = dict(zip(header, cells, strict=True))
        place.append(f"{path}:{line}")
        values.append([_number(path, line, name, row[name]) for name in taken])
        for fact, column in facts.items():
            column.append(row.get(named[fact], "").strip())
    numbers = np.array(values, np.float32).reshape(len(place), len(taken))
    facts = {fact: tuple(column) for fact, column in facts.items()}
    answered = np.ones(len(place), bool)
    return ClipRows(
        (path,), tuple(place), **facts, values=numbers, answered=answered, columns=taken
    )


def rows_of_clips(file: str, clips: Sequence[Clip]) -> ClipRows:
    """Return the clips of a list, which have no values yet, so that they can be checked."""
    facts: dict[str, Any] = {
        fact: tuple(getattr(clip, fact) or "" for clip in clips) for fact in _FACTS
    }
    return ClipRows((file,), tuple(f"{file}: {clip.path}" for clip in clips), **facts)


def with_labels(rows: ClipRows, source: str) -> ClipRows:
    """Return the rows with labels from elsewhere.

    source: a CSV with the columns path,label[,split][,subject], whose paths decide; or "folder":
        the name of the folder that a clip lies in, and of the one above where that names a split
    raises: ManifestError, InputError for a clip that the list does not name
    """
    if source == "folder":
        folders = [os.path.abspath(path).split(os.sep)[-3:-1] for path in rows.path]
        above = [SPLITS.get(parts[0].lower(), "") for parts in folders]
        return replace(rows, label=tuple(parts[-1] for parts in folders), split=tuple(above))
    found = _match_list(rows, source)
    given: dict[str, Any] = {
        fact: tuple(getattr(c, fact) or s for c, s in zip(found, getattr(rows, fact), strict=True))
        for fact in ("split", "subject")
    }
    return replace(rows, label=tuple(clip.label or "" for clip in found), **given)


def targets_of(rows: ClipRows) -> Targets:
    """Return what the rows teach, once nothing is wrong with their labels, splits and subjects.

    The order of the labels is `rows.classes`, by default that of a published set of the same
    names, or else of the alphabet.

    raises: InputError that names the first row that is wrong
    """
    for place, label in zip(rows.place, rows.label, strict=True):
        if not label:
            raise InputError(f"{place}: has no label; give one, or leave the clip out")
    part = _splits_of(rows)
    labels = rows.classes or _label_order(
        {x for x, p in zip(rows.label, part, strict=True) if p == "train"}
    )
    for place, label in zip(rows.place, rows.label, strict=True):
        if label not in labels:
            _raise_unknown(place, label, labels)
    if len(set(rows.label)) < 2:
        said = f"all have the label {rows.label[0]!r}" if len(rows) else "hold no clip"
        raise InputError(f"{', '.join(rows.files)}: {said}; give clips of two labels or more")
    _check_apart(rows, part)
    number = {label: i for i, label in enumerate(labels)}
    truth = np.array([number[label] for label in rows.label], np.int64)
    groups = _groups_of(rows)
    return Targets(labels, truth, groups, np.array(part), len({*rows.subject} - {""}))


def check_enough(rows: ClipRows, targets: Targets, folds: int) -> None:
    """Raise InputError where a label of the train part has fewer clips than there are folds."""
    files, train = ", ".join(rows.files), targets.split == "train"
    counts = np.bincount(targets.truth[train], minlength=len(targets.labels))
    for label, count in zip(targets.labels, counts, strict=True):
        if count < folds:
            clips = "clip" if count == 1 else "clips"
            raise InputError(
                f"{files}: the label {label!r} has {count} {clips} to learn from, fewer than the "
                f"{folds} folds; give more clips" + (f", or --folds {count}" if count > 1 else "")
            )
    known = len(np.unique(targets.groups[train])) if targets.groups is not None else folds
    if known < folds:
        what = "subject" if targets.subjects else "video"
        raise InputError(
            f"{files}: {known} {what}{'s' * (known != 1)} for {folds} folds; "
            f"give --folds {max(2, known)}, or clips of more {what}s"
        )


def _read_features(path: str) -> ClipRows:
    from videmo.write import frames_of, load_features

    beside = path.lower().endswith(".parquet") and not os.path.exists(frames_of(path))
    table = load_features(path, frames=not beside)
    answered = table.status == "ok"
    place = [f"{path}: row {i} ({clip})" for i, clip in enumerate(table.path, 1)]
    if not isinstance(table.meta.get("options"), Mapping):
        raise InputError(f"{path}: its meta holds no recipe; make it with videmo extract-features")
    empty = ("",) * len(place)
    given = {name: getattr(table, name) for name in ("label", "split", "subject")}
    texts: dict[str, Any] = {
        n: empty if of is None else tuple(map(str, of)) for n, of in given.items()
    }
    return ClipRows(
        (path,), tuple(place), tuple(map(str, table.path)), **texts, values=table.features,
        answered=answered, columns=tuple(map(str, table.feature_names)),
        recipe=table.meta["options"], thinned=thinned(table),
    )  # fmt: skip


def _same_recipe(first: ClipRows, other: ClipRows) -> None:
    try:
        one, two = (Recipe.from_dict(rows.recipe or {}) for rows in (first, other))
    except ModelError as error:
        raise InputError(f"{other.files[0]}: {error}") from error
    if different := one.differences(two):
        raise InputError(
            f"{other.files[0]}: was made with another recipe than {first.files[0]} "
            f"({'; '.join(different)}); extract both with one recipe"
        )


def _csv_lines(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV, header first, each with its line; empty ones are passed over."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
        yield from csv_rows(path, text, separator_of(text))
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read ({said}); save it as a CSV in UTF-8") from error


def _number(path: str, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ManifestError(path, line, f"{column} is {text!r}, expected a finite number")
    return value


def _number_columns(
    path: str, header: Sequence[str], columns: Sequence[str], names: Mapping[str, str]
) -> Text:
    """Return the columns with numbers; raises ManifestError where one that is named is missing."""
    known = ", ".join(header) or "none"
    for name in (names.get("label", "label"), *names.values()):
        if name not in header:
            raise ManifestError(path, 1, f"no column is called {name!r}; there is {known}")
    taken = tuple(name for name in header if any(fnmatchcase(name, c) for c in columns))
    if not taken:
        raise ManifestError(path, 1, f"no column matches {', '.join(columns)}; there is {known}")
    return taken


def _match_list(rows: ClipRows, source: str) -> list[Clip]:
    """Return what the list `source` says of each row: by path, or by a name that occurs once."""
    clips = read_manifest(source)
    by_path = {os.path.abspath(clip.path): clip for clip in clips}
    by_name, ours = _by_unique_name(clips), Counter(os.path.basename(path) for path in rows.path)
    found = []
    for path, place in zip(rows.path, rows.place, strict=True):
        name = os.path.basename(path)
        clip = by_path.get(os.path.abspath(path)) or by_name.get(name if ours[name] == 1 else "")
        if clip is None:
            raise InputError(f"{place}: {source} has no row for this clip; add one")
        found.append(clip)
    return found


def _by_unique_name(clips: Sequence[Clip]) -> dict[str, Clip]:
    counts = Counter(os.path.basename(clip.path) for clip in clips)
    named = ((os.path.basename(clip.path), clip) for clip in clips)
    return {name: clip for name, clip in named if counts[name] == 1}


def _splits_of(rows: ClipRows) -> list[str]:
    """Return train, val or test for each row."""
    if not any(rows.split):
        return ["train"] * len(rows)
    for place, split in zip(rows.place, rows.split, strict=True):
        if split.lower() not in SPLITS:
            said = f"the split {split!r} is none of train, val, test" if split else "has no split"
            raise InputError(f"{place}: {said}; correct it, or leave the clip out")
    part = [SPLITS[split.lower()] for split in rows.split]
    if "train" not in part:
        files = ", ".join(rows.files)
        raise InputError(f"{files}: no clip is in the split train; there is nothing to learn from")
    return part


def _label_order(labels: set[str]) -> Text:
    known = (names for names in LABELS.values() if set(names) == labels)
    return next(known, tuple(sorted(labels)))


def _raise_unknown(place: str, label: str, labels: Text) -> NoReturn:
    near = difflib.get_close_matches(label, labels, 1)
    step = f"did you mean {near[0]}?" if near else "correct it, or leave the clip out"
    raise InputError(f"{place}: the label {label!r} is none of {', '.join(labels)}; {step}")


def _check_apart(rows: ClipRows, part: Sequence[str]) -> None:
    """Raise InputError for a subject, or a video, that is in train and in another part."""
    columns = {"video": rows.path, **({} if rows.shared else {"subject": rows.subject})}
    for kind, column in columns.items():
        learnt = {x: i for i, x in enumerate(column) if x and part[i] == "train"}
        for i, name in enumerate(column):
            if part[i] != "train" and name in learnt:
                raise InputError(
                    f"{rows.place[i]}: the {kind} {name!r} is in {part[i]} here and in train "
                    f"at {rows.place[learnt[name]]}; keep each {kind} in one of them"
                )


def _groups_of(rows: ClipRows) -> I64 | None:
    """Return the number of each row's subject, or of its video where that has several rows."""
    if any(rows.subject):
        for place, subject in zip(rows.place, rows.subject, strict=True):
            if not subject:
                raise InputError(f"{place}: has no subject while others have; give it, or none")
        return np.unique(rows.subject, return_inverse=True)[1].astype(np.int64)
    if len(set(rows.path)) == len(rows) or not all(rows.path):
        return None
    return np.unique(rows.path, return_inverse=True)[1].astype(np.int64)
