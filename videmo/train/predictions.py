"""What heads said of clips that they were not fitted to, as a CSV that `videmo evaluate` reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from videmo.data import F32
from videmo.errors import OutputError
from videmo.train.clip_rows import ClipRows
from videmo.write.sink import open_sink

PredictedRows = tuple[ClipRows, F32, Sequence[str]]  # clips, probabilities (K, C), the fold of each

COLUMNS = ("path", "status", "label", "truth", "subject", "split", "fold")


def check_suffix(path: Path) -> None:
    """Raise OutputError for a name that says another format."""
    if path.suffix.lower() != ".csv":
        raise OutputError(str(path), "predictions are a CSV; end its name in .csv")


def write_predictions(
    path: Path, labels: Sequence[str], found: Iterable[PredictedRows], faceless: ClipRows
) -> None:
    """Write a row a clip: the label it was given and the true one, its fold, its probabilities.

    faceless: clips without an answer, whose status is no_face
    Raises OutputError.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow([*COLUMNS, *(f"p_{label.lower()}" for label in labels)])
    for rows, probabilities, folds in found:
        for place, chance in enumerate(probabilities):
            told = ["ok", labels[int(chance.argmax())], *_truth_of(rows, place), folds[place]]
            table.writerow([rows.path[place], *told, *(f"{share:.6f}" for share in chance)])
    for place in range(len(faceless)):
        told = ["no_face", "", *_truth_of(faceless, place), ""]
        table.writerow([faceless.path[place], *told, *[""] * len(labels)])
    sink = open_sink(path)
    sink.write(text.getvalue())
    sink.close()


def _truth_of(rows: ClipRows, place: int) -> tuple[str, str, str]:
    """Return the true label, subject and split of a clip."""
    return rows.label[place], rows.subject[place], rows.split[place]
