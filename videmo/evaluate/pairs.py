"""Truth and answers, matched by name and never by order; who is on both sides of a training."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from videmo.errors import InputError, ManifestError
from videmo.evaluate.rows import Row, read_rows
from videmo.labels import LABELS
from videmo.runs.inputs import Clip
from videmo.write.schema import STATUSES

MatchBy = Literal["path", "name", "stem"]
ABSTAINED = "abstained"
ANSWERS = ("ok", ABSTAINED, *STATUSES[1:])  # what may have become of a clip that has a row
Key = tuple[str, float | None, float | None]
Scores = Mapping[str, float]

_SUM = 1e-3  # how far from 1 probabilities may sum to: four decimals of ten labels and more
_TIE = 1e-5  # records round probabilities to 6 decimals


@dataclass(frozen=True)
class ColumnNames:
    """What the columns (or keys) of a file are called; one without `path` is asked for "path"."""

    path: str = "path"
    found: str = "label"
    truth: str = "label"
    subject: str = "subject"


@dataclass(frozen=True)
class Truth:
    """What is known of a clip, and where it is written."""

    clip: Clip
    row: Row


@dataclass(frozen=True)
class PredictedClip:
    """What was answered for a clip, and where it is written."""

    path: str
    status: str  # ok, abstained (no label, for want of certainty), no_face or error
    label: str | None
    scores: Scores  # empty where there are none
    start: float | None
    end: float | None
    row: Row


@dataclass(frozen=True)
class Pair:
    """One clip of the truth; `found` is None where no answer to it is there."""

    truth: Truth
    found: PredictedClip | None

    @property
    def status(self) -> str:
        """ok, abstained, no_face, error or missing."""
        return self.found.status if self.found else "missing"


Item = TypeVar("Item", Truth, PredictedClip)


def read_predictions(
    file: str, columns: ColumnNames | None = None, *, scores: bool = True
) -> list[PredictedClip]:
    """Return the answers of a file: what `videmo classify` writes, or a column of labels.

    Without a column `status` every row has to have a label.
    scores: read the probabilities too, which ECE and Brier need

    Raises InputError, ManifestError.
    """
    return predictions_in(read_rows(file), columns, scores=scores)


def predictions_in(
    rows: Sequence[Row], columns: ColumnNames | None = None, *, scores: bool = True
) -> list[PredictedClip]:
    """Return the answers that rows hold; raises ManifestError."""
    columns = columns or ColumnNames()
    place = _path_column(rows, columns)
    _require_column(rows, columns.found)
    known = scores and columns.found == "label"  # they need not be those of another column
    names = score_columns(rows, columns.found) if known else None
    return [_prediction(row, place, columns.found, names) for row in rows]


def read_truth(file: str, columns: ColumnNames | None = None) -> list[Truth]:
    """Return the clips of a manifest or feature file; path alone is needed.

    Paths are as written: `match` also tries them from the folder of the file.

    Raises InputError, ManifestError.
    """
    return truth_in(read_rows(file), columns)


def truth_in(rows: Sequence[Row], columns: ColumnNames | None = None) -> list[Truth]:
    """Return the clips that rows hold; raises ManifestError."""
    columns = columns or ColumnNames()
    place = _path_column(rows, columns)
    return [Truth(_clip(row, place, columns), row) for row in rows]


def truth_of(clips: Iterable[Clip], source: str) -> list[Truth]:
    """Return the clips of a data set; errors call them `source` and the number of the clip."""
    return [Truth(clip, Row(source, n, {})) for n, clip in enumerate(clips, 1)]


def truth_in_folders(found: Iterable[PredictedClip]) -> list[Truth]:
    """Return the truth of clips that lie in a folder named for their label."""
    truths = []
    for answer in found:
        label = os.path.basename(os.path.dirname(answer.path))
        if not label:
            raise answer.row.wrong(f"{answer.path} names no folder, from which its label is read")
        truths.append(Truth(Clip(answer.path, answer.start, answer.end, label), answer.row))
    return truths


def match(
    found: Sequence[PredictedClip],
    truths: Sequence[Truth],
    *,
    by: MatchBy = "path",
    split: str | None = None,
    missing: Literal["error", "wrong"] = "error",
) -> list[Pair]:
    """Return each clip of the truth with its answer, in the order of the truth.

    by: the whole path, the file's name, or that without its suffix
    split: only the clips of this split
    missing: what a clip without a row is

    Paths of a truth count as they are written, or from the folder of their file as those of a
    manifest, whichever the answers name. Parts of a clip are told apart by start and end where
    the truth has them. Raises ManifestError for a clip that is there twice, surplus or missing.
    """
    parts = any(t.clip.start is not None or t.clip.end is not None for t in truths)
    answers = unique_by((key_of(f.path, by, f if parts else None), f) for f in found)
    known = _by_key(truths, by, parts, answers)
    for key, answer in answers.items():
        if key not in known:
            raise answer.row.wrong(
                f"{answer.path} is not in the truth ({truths[0].row.file}); remove it, "
                "or compare names without folders: match_by=name"
            )
    wanted = {k: t for k, t in known.items() if split in (None, t.clip.split)}
    if not wanted:
        splits = sorted({t.clip.split or "none" for t in truths})
        raise InputError(
            f"{truths[0].row.file}: no clip of the split {split!r}; there is {', '.join(splits)}"
        )
    for key, truth in wanted.items():
        if key not in answers and missing == "error":
            raise truth.row.wrong(
                f"{truth.clip.path} has no prediction; add it, or count it: missing=wrong"
            )
    return [Pair(truth, answers.get(key)) for key, truth in wanted.items()]


def read_training(name: str, columns: ColumnNames | None = None) -> list[Truth]:
    """Return the clips that something was trained on, those of `train` where splits are named.

    name: a manifest, a feature file, or a head whose card has `subjects` or `paths` in `trained`

    Raises InputError, ManifestError, ModelError.
    """
    if os.path.isfile(name) and os.path.basename(name) != "card.json":
        truths = read_truth(name, columns)
        if not any(t.clip.split for t in truths):
            return truths
        trained = [t for t in truths if (t.clip.split or "").lower() == "train"]
        if not trained:
            raise InputError(f"{name}: no row is of the split 'train'; name one, or no split")
        return trained
    from videmo import store

    is_card = os.path.basename(name) == store.CARD
    told = store.load(Path(name).parent if is_card else name).card.get("trained") or {}
    clips = [Clip("", subject=str(subject)) for subject in told.get("subjects") or ()]
    clips += [Clip(str(path)) for path in told.get("paths") or ()]
    if not clips:
        raise InputError(
            f"{name}: its card names no subjects and no clips; give the list it was trained on"
        )
    return truth_of(clips, name)


def refuse_leaks(
    pairs: Sequence[Pair], training: Sequence[Truth], by: MatchBy = "path"
) -> dict[str, int | None]:
    """Return how many clips and subjects of the training were compared, where none is tested.

    None in place of the subjects: one side names none.

    Raises ManifestError for a clip or subject on both sides.
    """
    paths = {key_of(path, by): t for t in training if t.clip.path for path in _possible_paths(t)}
    subjects = {t.clip.subject: t for t in training if t.clip.subject}
    for pair in pairs:
        clip = pair.truth.clip
        if (key := key_of(clip.path, by)) in paths:
            raise _leak(pair, f"the clip {clip.path}", paths[key])
        if clip.subject in subjects:
            raise _leak(pair, f"the subject {clip.subject!r}", subjects[clip.subject])
    told = bool(subjects) and any(pair.truth.clip.subject for pair in pairs)
    return {
        "clips": sum(bool(t.clip.path) for t in training),
        "subjects": len(subjects) if told else None,
    }


def key_of(path: str, by: MatchBy, part: Clip | PredictedClip | None = None) -> Key:
    """Return what a clip is known by; seconds as records round them."""
    name = os.path.abspath(path) if by == "path" else os.path.basename(path)
    name = os.path.splitext(name)[0] if by == "stem" else name
    times = (part.start, part.end) if part else (None, None)
    start, end = (None if time is None else round(time, 4) for time in times)
    return name, start, end


def _possible_paths(truth: Truth) -> tuple[str, str]:
    """Return the path of a clip as written, and from the folder of its file."""
    path = truth.clip.path
    return path, os.path.join(os.path.dirname(truth.row.file), path)


def _by_key(
    truths: Sequence[Truth], by: MatchBy, parts: bool, answers: Mapping[Key, PredictedClip]
) -> dict[Key, Truth]:
    """Return the truth by key, its paths in the reading that the answers share more of."""
    readings = []
    for n in (0, 1):
        read = [replace(t, clip=replace(t.clip, path=_possible_paths(t)[n])) for t in truths]
        readings.append([(key_of(t.clip.path, by, t.clip if parts else None), t) for t in read])
    shared = [sum(key in answers for key, _ in reading) for reading in readings]
    return unique_by(readings[1] if shared[1] > shared[0] else readings[0])


def unique_by(keyed: Iterable[tuple[Key, Item]]) -> dict[Key, Item]:
    """Return clips by what they are known by; raises ManifestError for one that is there twice."""
    found: dict[Key, Item] = {}
    for key, item in keyed:
        before = found.setdefault(key, item)
        if before is not item:
            raise item.row.wrong(
                f"{os.path.basename(key[0])} is named again, line {before.row.line} has it too; "
                "remove one, or tell them apart by match_by=path"
            )
    return found


def _leak(pair: Pair, what: str, training: Truth) -> ManifestError:
    return pair.truth.row.wrong(
        f"{what} is in the training data too ({training.row.file}:{training.row.line}); "
        "leave it out of one of the two"
    )


def _prediction(
    row: Row, place: str, column: str, names: Mapping[str, str] | None
) -> PredictedClip:
    """Return the answer of one row."""
    path, label = _path(row, place), row.text(column) or None
    status = row.text("status") if "status" in row.cells else "ok"
    if status not in STATUSES:
        raise row.wrong(f"status is {status!r}, expected {', '.join(STATUSES)}")
    if status == "ok" and label is None and _has_scores(row):
        status = ABSTAINED
    elif (status == "ok") != (label is not None):
        what = f"has no {column!r}" if label is None else f"has the {column} {label!r}"
        raise row.wrong(f"{path} is {status}, yet {what}")
    scores = {} if names is None or status not in ("ok", ABSTAINED) else _scores(row, names)
    if scores and label in scores and scores[label] < max(scores.values()) - _TIE:
        best = max(scores, key=scores.__getitem__)
        raise row.wrong(f"{column} is {label!r}, but {best!r} has the highest probability")
    return PredictedClip(path, status, label, scores, *_span(row), row)


def _has_scores(row: Row) -> bool:
    """Return whether a row has probabilities: with --abstain those may be all it has."""
    if isinstance(row.cells.get("scores"), Mapping):
        return True
    return any(name.startswith("p_") and row.text(name) for name in row.cells)


def _scores(row: Row, names: Mapping[str, str]) -> dict[str, float]:
    """Return the probabilities of a row; `names` leads from columns to labels."""
    told = row.cells.get("scores")
    if isinstance(told, Mapping):
        scores = {str(label): row.number(score) for label, score in told.items()}
    else:
        scores = {label: row.number(row.text(column)) for column, label in names.items()}
    for label, score in scores.items():
        if not -_TIE <= score <= 1 + _TIE:
            raise row.wrong(f"the probability of {label!r} is {score:g}, expected 0 to 1")
    total = math.fsum(scores.values())
    if scores and abs(total - 1) > _SUM:
        raise row.wrong(
            f"its probabilities sum to {total:.4g}, not to 1; classify with all of them, "
            "or pass them over: scores=False"
        )
    return scores


def score_columns(rows: Sequence[Row], column: str) -> dict[str, str]:
    """Return the label of each column p_<label>, which records write in lower case."""
    lower = {name: name.removeprefix("p_") for name in rows[0].cells if name.startswith("p_")}
    labels = [label for row in rows if (label := row.text(column))]
    for known in (*LABELS.values(), labels):
        names = {label.lower(): label for label in known}
        if set(lower.values()) <= set(names) and set(labels) <= {*names.values()}:
            return {name: names[text] for name, text in lower.items()}
    names = {label.lower(): label for label in labels}
    return {name: names.get(text.lower(), text) for name, text in lower.items()}


def _clip(row: Row, place: str, columns: ColumnNames) -> Clip:
    start, end = _span(row)
    facts = (row.text(name) or None for name in (columns.truth, "split", columns.subject))
    return Clip(_path(row, place), start, end, *facts)


def _path(row: Row, place: str) -> str:
    path = "" if row.cells.get(place) is None else str(row.cells[place])
    if not path.strip():
        raise row.wrong(f"has no {place!r}")
    return path


def _span(row: Row) -> tuple[float | None, float | None]:
    start, end = (
        row.number(text, f"{name} is") if (text := row.text(name)) else None
        for name in ("start", "end")
    )
    return start, end


def _path_column(rows: Sequence[Row], columns: ColumnNames) -> str:
    cells = rows[0].cells
    place = "path" if columns.path not in cells and "path" in cells else columns.path
    _require_column(rows, place)
    return place


def _require_column(rows: Sequence[Row], column: str) -> None:
    """Refuse rows without this column."""
    for row in rows:
        if column not in row.cells:
            there = ", ".join(list(row.cells)[:12])
            raise row.wrong(f"no column is called {column!r}; there is {there}")
