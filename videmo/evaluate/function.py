"""`videmo.evaluate`: predictions and the truth go in, as files or as Python has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from videmo.evaluate import Evaluation, EvaluationOptions, evaluate_labels, evaluate_numbers
from videmo.evaluate.leaks import check_leaks
from videmo.evaluate.pairs import (
    ColumnNames,
    MatchBy,
    PredictedClip,
    Truth,
    match,
    predictions_in,
    read_predictions,
    read_truth,
    truth_in,
    truth_in_folders,
)
from videmo.evaluate.rows import Row

Path_ = str | os.PathLike[str]
Rows = Iterable[Mapping[str, Any]]


def evaluate(
    predictions: Path_ | Rows,
    truth: Path_ | Rows | Mapping[str, str] | Literal["folders"],
    *,
    kind: Literal["labels", "numbers"] = "labels",
    labels: Sequence[str] = (),
    by_meaning: bool = False,
    match_by: MatchBy = "path",
    split: str | None = None,
    missing: Literal["error", "wrong"] = "error",
    seen: Literal["error", "allow"] = "error",
    scores: bool = True,
    head: str | None = None,
    columns: ColumnNames | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Return how well predictions agree with the truth, over clips with a face and over all.

    predictions: a file that videmo classify wrote, or another CSV; or records
    truth: a manifest or feature file with the true labels; rows with path and label; a label for
        each path; or "folders", where the folder of a clip names its label
    kind: labels, or numbers (CCC, PCC, MAE, RMSE)
    labels: the whole set; else those with a probability, or of the truth
    by_meaning: Happy is happiness; read 8 labels as 7 or 3
    match_by: path, name or stem; clips are one if these are
    split: only the clips of this split of the truth
    missing: what a clip without a prediction is
    seen: what a clip is that the head learned from, as its card tells
    scores: whether probabilities are read too, for ECE and Brier
    head: name or folder of the head that answered, where it is not found by itself
    columns: what the columns are called
    draws, seed: of the bootstrap

    returns: the JSON of `videmo evaluate`; `["all"]["accuracy"]` is one of its figures
    raises: InputError, ManifestError for what cannot be compared
    """
    found = _predictions(predictions, columns, scores=scores and kind == "labels")
    pairs = match(found, _truth(truth, found, columns), by=match_by, split=split, missing=missing)
    beside = Path(predictions).parent if isinstance(predictions, (str, os.PathLike)) else Path()
    met, unsure = check_leaks(pairs, found, head, beside)
    for one in met if seen == "error" else ():
        one.refuse(len(pairs))
    judged = evaluate_labels if kind == "labels" else evaluate_numbers
    figures = judged(pairs, EvaluationOptions(tuple(labels), by_meaning, draws, seed))
    return {**figures, "seen": [one.facts() for one in met], "unsure": unsure}


def _predictions(
    given: Path_ | Rows, columns: ColumnNames | None, *, scores: bool
) -> list[PredictedClip]:
    if isinstance(given, (str, os.PathLike)):
        return read_predictions(os.fsdecode(given), columns, scores=scores)
    return predictions_in(_rows("the predictions", given), columns, scores=scores)


def _truth(given: Any, found: Sequence[PredictedClip], columns: ColumnNames | None) -> list[Truth]:
    if isinstance(given, str) and given == "folders":
        return truth_in_folders(found)
    if isinstance(given, (str, os.PathLike)):
        return read_truth(os.fsdecode(given), columns)
    if isinstance(given, Mapping):
        names = columns or ColumnNames()
        given = [{names.path: path, names.truth: label} for path, label in given.items()]
    return truth_in(_rows("the truth", given), columns)


def _rows(what: str, given: Rows) -> list[Row]:
    return [Row(what, line, cells) for line, cells in enumerate(given, 1)]
