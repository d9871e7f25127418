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
from videmo.train.budget import Readings, card_part, judge, learn_leads, readings
from videmo.train.clip_rows import Bool, ClipRows, Targets, check_enough, targets_of
from videmo.train.head import (
    HeadTraining,
    OnMessage,
    TrainedHead,
    cross_validate,
    evaluate_probabilities,
    fit,
    fit_best,
    nested_folds,
    split_folds,
)
from videmo.train.predictions import PredictedRows, write_predictions
from videmo.write.sink import refuse_existing

HeldOutPredictions = dict[
    str, tuple[F32, I64]
]  # of a split: probabilities by heads not fitted to it, truth

TERMS = {
    "license": "as the data's",
    "source": "trained with videmo train head",
    "intended": "research on clips whose people agreed to be analysed; it names what its data's "
    "labels name, not what a person feels",
    "limits": "as good as its data, and on people like those in it; not for decisions about "
    "people, nor for work or education (EU AI Act, Article 5(1)(f))",
}


@dataclass(frozen=True)
class CardText:
    """What a card says beside what was learned and measured."""

    name: str
    about: str = ""  # one sentence
    command: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)  # in place of those in TERMS
    facts: Mapping[str, Any] = field(default_factory=dict)  # more for the key `trained`


def check_rows(rows: ClipRows, options: HeadTraining) -> Targets:
    """Return what the rows teach, if the folds that will be wanted can be made of them.

    Nothing is fitted, so that what is wrong is said before any long work; see `targets_of`.
    """
    options.candidates()
    found = targets_of(rows)
    train = found[found.split == "train"]
    alone = len(train.truth) == len(found.truth)
    check_enough(rows, found, options.folds if alone else options.inner)
    try:
        if alone:
            nested_folds(train.truth, train.groups, options)
        else:
            split_folds(train.truth, train.groups, options.inner, options.seed)
    except InputError as error:
        raise InputError(f"{', '.join(rows.files)}: {error}") from error
    return found


def check_out(out: Path, *, overwrite: bool = False) -> None:
    """Raise OutputError if there is something at `out` already, or no folder to put it in.

    overwrite: a model may be there
    """
    store.check_free(out, overwrite=overwrite)
    if not out.absolute().parent.is_dir():
        raise OutputError(str(out), "its folder is not there; make it first")


def train_head(
    rows: ClipRows,
    out: Path,
    options: HeadTraining,
    text: CardText,
    on_message: OnMessage | None = None,
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
    check_out(out, overwrite=overwrite)
    if predictions:
        refuse_existing(str(predictions), overwrite=overwrite)
    whole = targets_of(rows)
    answered, faceless = _with_face(rows, whole), whole[~rows.answered]
    people = whole[rows.answered]  # numbered as those of the clips without a face
    known = check_rows(replace(answered, classes=whole.labels), options)
    train = known.split == "train"
    unseen = _cross_validated(answered, known, options, on_message) if train.all() else {}
    groups = None if known.groups is None else known.groups[train]
    head = fit_best(answered.values[train], known.truth[train], groups, options)
    unseen |= _on_other_splits(head, answered, known)
    measured = {
        split: evaluate_probabilities(
            probabilities, truth, known.labels, *_faceless(people, faceless, split)
        )
        for split, (probabilities, truth) in unseen.items()
    }
    trained = _trained(answered, known, head, options, text)
    trained["without_face"] = len(faceless.truth)
    card = _card(rows, known, head, text) | {"trained": trained, "measured": measured}
    card |= _budget(answered, known, head, options)
    model = store.save(out, card, head.arrays, overwrite=overwrite)
    if predictions:
        unfitted = _predicted_rows(answered, known, unseen, options)
        write_predictions(predictions, known.labels, unfitted, rows.take(~rows.answered))
    return model


def _budget(
    rows: ClipRows, known: Targets, head: TrainedHead, options: HeadTraining
) -> dict[str, Any]:
    """Return how sure answers from some of the frames must be, where the rows can tell it.

    Leads are learnt on one half of the clips, by a head of the same kind that learned from the
    other half, and are measured the other way round or, where there are any, on val and test.
    """
    if rows.thinned is None:
        return {}
    train = np.flatnonzero(known.split == "train")
    groups = None if known.groups is None else known.groups[train]
    try:
        (one, other), *_ = split_folds(known.truth[train], groups, 2, options.seed)
    except InputError:  # too few subjects to be parted
        return {}

    def heard(learned: I64, asked: I64) -> Readings:
        half = fit(rows.values[train[learned]], known.truth[train[learned]], head.params, options)
        assert rows.thinned is not None
        return readings(rows.thinned[train[asked]], half.calibrated(head.temperature))

    budget = learn_leads(heard(one, other))
    measured = {
        split: judge(readings(rows.thinned[here], head), budget, known.truth[here])
        for split in ("val", "test")
        if (here := known.split == split).any()
    } or {"other half": judge(heard(other, one), budget, known.truth[train[one]])}
    return {"budget": card_part(budget, {"n": len(other)}, measured)}


def _predicted_rows(
    rows: ClipRows, known: Targets, unseen: HeldOutPredictions, options: HeadTraining
) -> Iterator[PredictedRows]:
    """Yield the clips of each figure with their probabilities, and the fold they were kept from."""
    for split, (probabilities, _) in unseen.items():
        here = rows.take(_in_split(known, split))
        folds = [split] * len(here)
        if split == "cross_validation":
            for number, (_, apart) in enumerate(
                nested_folds(known.truth, known.groups, options), 1
            ):
                for row in apart:
                    folds[row] = str(number)
        yield here, probabilities, folds


def _with_face(rows: ClipRows, whole: Targets) -> ClipRows:
    """Return the rows with a face; raises InputError for a split that has none."""
    for split in np.unique(whole.split):
        if not rows.answered[whole.split == split].any():
            files = ", ".join(rows.files)
            raise InputError(f"{files}: no clip of the split {split} has a face; look at the clips")
    return rows.take(rows.answered)


def _cross_validated(
    rows: ClipRows, known: Targets, options: HeadTraining, on_message: OnMessage | None
) -> HeldOutPredictions:
    probabilities = cross_validate(rows.values, known.truth, known.groups, options, on_message)
    return {"cross_validation": (probabilities, known.truth)}


def _on_other_splits(head: TrainedHead, rows: ClipRows, known: Targets) -> HeldOutPredictions:
    parts = {split: known.split == split for split in ("val", "test")}
    return {
        split: (head(rows.values[here]), known.truth[here])
        for split, here in parts.items()
        if here.any()
    }


def _in_split(known: Targets, split: str) -> Bool:
    return np.asarray(known.split == ("train" if split == "cross_validation" else split))


def _faceless(known: Targets, faceless: Targets, split: str) -> tuple[I64, tuple[I64, I64] | None]:
    """Return the labels of a split's clips without a face, and who is in its clips with and without
    one, where that is known."""
    there, silent = known[_in_split(known, split)], faceless[_in_split(faceless, split)]
    if there.groups is None or silent.groups is None:
        return silent.truth, None
    return silent.truth, (there.groups, silent.groups)


def _card(rows: ClipRows, known: Targets, head: TrainedHead, text: CardText) -> dict[str, Any]:
    """Return the card but for what was trained and measured; without a recipe it has columns."""
    spec: dict[str, Any] = {"type": head.type, "level": "clip", "labels": list(known.labels)}
    terms = {**TERMS, **text.terms}
    made = {"recipe": dict(rows.recipe)} if rows.recipe is not None else {}
    return {
        "kind": "head",
        "name": text.name,
        "about": text.about or f"Tells {', '.join(known.labels)}.",
        "spec": spec if made else spec | {"columns": list(rows.columns)},
        **made,
        "license": {"code": "Apache-2.0", "weights": terms["license"], "data": terms["license"]},
        **{key: terms[key] for key in ("source", "intended", "limits")},
    }


def _trained(
    rows: ClipRows, known: Targets, head: TrainedHead, options: HeadTraining, text: CardText
) -> dict[str, Any]:
    train = known.split == "train"
    counts = np.bincount(known.truth[train], minlength=len(known.labels))
    chosen = {**head.params, "temperature": round(head.temperature, 4)}
    return {
        "data": sorted({Path(file).name for file in rows.files}),
        "n": int(train.sum()),
        "classes": {name: int(n) for name, n in zip(known.labels, counts, strict=True)},
        "subjects": sorted({*rows.take(train).subject} - {""}),
        leaks.CARD_KEY: leaks.digests(rows.take(train).path, rows.take(train).subject),
        "command": text.command,
        "seed": options.seed,
        "version": __version__,
        "kind": options.kind,
        "chosen": chosen,
        "by": {"metric": options.metric, "folds": options.folds, "inner": options.inner},
        "tried": [dict(facts) for facts in head.tried],
        **text.facts,
    }
