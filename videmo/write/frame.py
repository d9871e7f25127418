"""Records, or predictions, as a DataFrame of pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from videmo.data import Prediction
from videmo.files.extras import require
from videmo.write.columns import Column, columns_of

if TYPE_CHECKING:
    import pandas


def to_frame(records: Iterable[Mapping[str, Any] | Prediction]) -> pandas.DataFrame:
    """Return a row for each record or prediction, with the columns that CSV has.

    records: what `classify` or `attributes` yield for many clips, or predictions
    returns: p_<label> for each probability, None where there is no answer
    raises: MissingDependency without pandas
    """
    require("pandas")
    from pandas import DataFrame

    rows = [one.to_dict() if isinstance(one, Prediction) else one for one in records]
    columns = _columns(rows)
    cells = {column.name: [column.of(row) for row in rows] for column in columns}
    return DataFrame(cells)


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the columns of all keys that any row has, in the order in which they come."""
    first = {key: row[key] for row in reversed(rows) for key in row if row[key] is not None}
    order = dict.fromkeys(key for row in rows for key in row)
    return columns_of(order, {key: list(v) for key, v in first.items() if isinstance(v, Mapping)})
