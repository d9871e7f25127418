"""From labelled rows to a head's folder: learned, measured on what it has not seen, written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from videmo import __version__, store
from videmo.data import F32, I64
from videmo.errors import InputError, OutputError
from videmo.evaluate import leaks
from videmo.train.head import (
    HeadTraining,
    Learnt,
    Told,
    cross_validate,
    learn,
    measure,
    part,
    plan,
)
from videmo.train.predictions import Predicted, write_predictions
from videmo.train.rows import Bool, Lesson, Rows, enough, lesson
from videmo.write.sink import refuse_existing

Unseen = dict[str, tuple[F32, I64]]  # of a split: probabilities by heads not fitted to it, truth

TERMS = {
    "license": "as the data's",
    "source": "trained with videmo train head",
    "intended": "research on clips whose people agreed to be analysed; it names what its data's "
    "labels name, not what a person feels",
    "limits": "as good as its data, and on people like those in it; not for decisions about "
    "people, nor for work or education (EU AI Act, Article 5(1)(f))",
}


@dataclass(frozen=True)
class About:
    """What a card says beside what was learned and measured."""

    name: str
    about: str = ""  # one sentence
    command: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)  # in place of those in TERMS
    facts: Mapping[str, Any] = field(default_factory=dict)  # more for the key `trained`


def check(rows: Rows, options: HeadTraining) -> Lesson:
    """Return what the rows teach, if the folds that will be wanted can be made of them.

    Nothing is fitted, so that what is wrong is said before any long work; see `rows.lesson`.
    """
    options.candidates()
    found = lesson(rows)
    train = found[found.part == "train"]
    alone = len(train.truth) == len(found.truth)
    enough(rows, found, options.folds if alone else options.inner)
    try:
        if alone:
            plan(train.truth, train.groups, options)
        else:
            part(train.truth, train.groups, options.inner, options.seed)
    except InputError as error:
        raise InputError(f"{', '.join(rows.files)}: {error}") from error
    return found


def free(out: Path, *, overwrite: bool = False) -> None:
    """Raise OutputError if there is something at `out` already, or no folder to put it in.

    overwrite: a model may be there
    """
    store.check_free(out, overwrite=overwrite)
    if not out.absolute().parent.is_dir():
        raise OutputError(str(out), "its folder is not there; make it first")


def train_head(
    rows: Rows,
    out: Path,
    options: HeadTraining,
    about: About,
    tell: Told | None = None,
    *,
    overwrite: bool = False,
    predictions: Path | None = None,
) -> store.Model:
    """Return the head that was learned from the rows with a face, as a model folder at `out`.

    Where clips are in the splits val or test, the head is measured on these; where not, by
    nested folds of all clips. Either way nothing was chosen on the clips of a figure.

    overwrite: replace a model that is at `out`, and predictions
    predictions: a CSV of what each clip of the figures was predicted by a head that was not fitted
        to it, for `videmo evaluate`

    raises: InputError for rows that cannot be learned from, OutputError
    """
    free(out, overwrite=overwrite)
    if predictions:
        refuse_existing(str(predictions), overwrite=overwrite)
    whole = lesson(rows)
    answered, faceless = _answered(rows, whole), whole[~rows.answered]
    people = whole[rows.answered]  # numbered as those of the clips without a face
    known = check(replace(answered, classes=whole.labels), options)
    train = known.part == "train"
    unseen = _nested(answered, known, options, tell) if train.all() else {}
    groups = None if known.groups is None else known.groups[train]
    head = learn(answered.values[train], known.truth[train], groups, options)
    unseen |= _kept_apart(head, answered, known)
    measured = {
        split: measure(chances, truth, known.labels, *_silent(people, faceless, split))
        for split, (chances, truth) in unseen.items()
    }
    trained = _trained(answered, known, head, options, about)
    trained["without_face"] = len(faceless.truth)
    card = _card(rows, known, head, about) | {"trained": trained, "measured": measured}
    model = store.save(out, card, head.arrays, overwrite=overwrite)
    if predictions:
        unfitted = _predicted(answered, known, unseen, options)
        write_predictions(predictions, known.labels, unfitted, rows.take(~rows.answered))
    return model


def _predicted(
    rows: Rows, known: Lesson, unseen: Unseen, options: HeadTraining
) -> Iterator[Predicted]:
    """Yield the clips of each figure with their probabilities, and the fold they were kept from."""
    for split, (chances, _) in unseen.items():
        here = rows.take(_in(known, split))
        folds = [split] * len(here)
        if split == "cross_validation":
            for number, (_, apart) in enumerate(plan(known.truth, known.groups, options), 1):
                for row in apart:
                    folds[row] = str(number)
        yield here, chances, folds


def _answered(rows: Rows, whole: Lesson) -> Rows:
    """Return the rows with a face; raises InputError for a split that has none."""
    for split in np.unique(whole.part):
        if not rows.answered[whole.part == split].any():
            files = ", ".join(rows.files)
            raise InputError(f"{files}: no clip of the split {split} has a face; look at the clips")
    return rows.take(rows.answered)


def _nested(rows: Rows, known: Lesson, options: HeadTraining, tell: Told | None) -> Unseen:
    chances = cross_validate(rows.values, known.truth, known.groups, options, tell)
    return {"cross_validation": (chances, known.truth)}


def _kept_apart(head: Learnt, rows: Rows, known: Lesson) -> Unseen:
    parts = {split: known.part == split for split in ("val", "test")}
    return {
        split: (head(rows.values[here]), known.truth[here])
        for split, here in parts.items()
        if here.any()
    }


def _in(known: Lesson, split: str) -> Bool:
    return np.asarray(known.part == ("train" if split == "cross_validation" else split))


def _silent(known: Lesson, faceless: Lesson, split: str) -> tuple[I64, tuple[I64, I64] | None]:
    """Return the labels of a split's clips without a face, and who is in its clips with and without
    one, where that is known."""
    there, silent = known[_in(known, split)], faceless[_in(faceless, split)]
    if there.groups is None or silent.groups is None:
        return silent.truth, None
    return silent.truth, (there.groups, silent.groups)


def _card(rows: Rows, known: Lesson, head: Learnt, about: About) -> dict[str, Any]:
    """Return the card but for what was trained and measured; without a recipe it has columns."""
    spec: dict[str, Any] = {"type": head.type, "level": "clip", "labels": list(known.labels)}
    terms = {**TERMS, **about.terms}
    made = {"recipe": dict(rows.recipe)} if rows.recipe is not None else {}
    return {
        "kind": "head",
        "name": about.name,
        "about": about.about or f"Tells {', '.join(known.labels)}.",
        "spec": spec if made else spec | {"columns": list(rows.columns)},
        **made,
        "license": {"code": "Apache-2.0", "weights": terms["license"], "data": terms["license"]},
        **{key: terms[key] for key in ("source", "intended", "limits")},
    }


def _trained(
    rows: Rows, known: Lesson, head: Learnt, options: HeadTraining, about: About
) -> dict[str, Any]:
    train = known.part == "train"
    counts = np.bincount(known.truth[train], minlength=len(known.labels))
    chosen = {**head.params, "temperature": round(head.temperature, 4)}
    return {
        "data": sorted({Path(file).name for file in rows.files}),
        "n": int(train.sum()),
        "classes": {name: int(n) for name, n in zip(known.labels, counts, strict=True)},
        "subjects": sorted({*rows.take(train).subject} - {""}),
        leaks.KEY: leaks.digests(rows.take(train).path, rows.take(train).subject),
        "command": about.command,
        "seed": options.seed,
        "version": __version__,
        "kind": options.kind,
        "chosen": chosen,
        "by": {"metric": options.metric, "folds": options.folds, "inner": options.inner},
        "tried": [dict(facts) for facts in head.tried],
        **about.facts,
    }
