"""What one shard wrote of features: read whole, told row by row, and written as one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from videmo.data import Array, Descriptor, Faces, Features
from videmo.errors import MergeError
from videmo.runs.shards.part import SETTINGS, Part, RowSummary
from videmo.write import load_features, open_features
from videmo.write.schema import STATUSES
from videmo.write.sink import Out

if TYPE_CHECKING:
    from videmo.write.features import FeatureWriter


class FeaturePart(Part):
    """A feature file, which is read whole."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.table = load_features(name, alone=True)
        self.columns = self.table.feature_names.tolist()

    def summaries(self, partial: bool) -> Iterator[RowSummary]:
        """Yield a summary of each clip."""
        kept = {"--frames": str(self.table.frame_offsets is not None)}
        settings = {name: str(self.table.meta.get(name) or "") for name in SETTINGS} | kept
        clips = zip(self.table.path.tolist(), self.table.status.tolist(), strict=True)
        for row, (path, status) in enumerate(clips):
            if status not in STATUSES:
                place = self.place(row)
                raise MergeError(
                    f"{place}: status is {status!r}, no word of videmo's; make it again"
                )
            start, end = self._part(row)
            state = STATUSES.index(status)
            yield RowSummary(row + 1, path, start, end, state, False, False, settings)

    def content(self, row: int) -> tuple[str | bytes, ...]:
        """Return all that the file holds of a clip, comparable; NaN is itself here."""
        table, features = self.table, self._faces(row)
        texts = (str(column[row]) for column in (table.path, table.status, table.error))
        counts = (table.features, table.frames, table.face_frames, table.faces, table.duration)
        numbers = (column[row].tobytes() for column in counts)
        faces: tuple[Array, ...] = ()
        if features and len(features.values):
            faces = features.values, features.faces.index, features.faces.box
        return (*texts, *self._told(row), *numbers, *(a.tobytes() for a in faces))

    def place(self, row: int) -> str:
        """Return the file and the number of a clip."""
        return f"{self.name} (clip {row + 1})"

    def write(self, out: Out, parts: Sequence[Part], order: Iterable[tuple[Part, int]]) -> None:
        """Write a feature file; where devices or libraries differ, its meta names them all."""
        tables = [part.table for part in parts if isinstance(part, FeaturePart)]
        used = [table for table in tables if len(table)] or tables
        meta = dict(used[0].meta)
        for name in ("device", "libraries"):
            told = sorted({str(table.meta.get(name)) for table in used})
            if len(told) > 1:
                meta[name] = "; ".join(told) if name == "libraries" else ", ".join(told)
        frames = used[0].frame_offsets is not None
        target = str(out)
        with open_features(target, names=self.columns, meta=meta, frames=frames) as file:
            for part, row in order:
                if isinstance(part, FeaturePart):
                    part._add_to(file, row)

    def _add_to(self, file: FeatureWriter, row: int) -> None:
        table, faces = self.table, int(self.table.faces[row])
        values = table.features[row] if faces else np.zeros(0, np.float32)
        counts = (faces, int(table.face_frames[row]), int(table.frames[row]))
        features = self._faces(row)
        label, split, subject = self._told(row)
        start, end = self._part(row)
        file.add(
            str(table.path[row]),
            str(table.status[row]),
            str(table.error[row]),
            Descriptor(values, *counts),
            float(table.duration[row]),
            None if features is None else [features],
            label,
            split,
            subject,
            start,
            end,
        )

    def _told(self, row: int) -> list[str]:
        """Return label, split and subject of a clip."""
        columns = (self.table.label, self.table.split, self.table.subject)
        return ["" if column is None else str(column[row]) for column in columns]

    def _part(self, row: int) -> list[float | None]:
        """Return start and end of a clip in s."""
        columns = (self.table.start, self.table.end)
        return [None if c is None or np.isnan(c[row]) else float(c[row]) for c in columns]

    def _faces(self, row: int) -> Features | None:
        """Return the faces of a clip, where the file keeps them; without points."""
        table = self.table
        if table.frame_offsets is None or table.frame_features is None:
            return None
        if not table.frame_features.shape[1]:
            return None  # no part of this file settled the width
        here = slice(*table.frame_offsets[row : row + 2].tolist())
        names = ("index", "time", "box", "score", "track")
        columns = {name: getattr(table, f"frame_{name}")[here] for name in names}
        m = len(columns["index"])
        points = np.full((m, 5, 2), np.nan, np.float32)
        faces = Faces(row=np.zeros(m, np.int64), landmarks=points, **columns)
        return Features(table.frame_features[here], faces, int(table.frames[row]))
