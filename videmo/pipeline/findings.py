"""What is kept of a clip while its features flow by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from videmo.data import Features
from videmo.stages.follow import Looks
from videmo.stages.heads.attributes import AFFECT, Affect, affect, per_face
from videmo.stages.heads.windows import WindowMean
from videmo.stages.pool import Accumulator, Moments
from videmo.stages.quality import QualityTally


class Findings:
    """What the frames of a clip that were looked at so far have told.

    outputs: names of those that are pooled; windows: what tells of faces through time
    """

    def __init__(self, outputs: Collection[str], windows: WindowMean | None) -> None:
        self.collector = OutputCollector(outputs, windows)
        self.looks, self.pooled = Looks(), Accumulator()


class OutputCollector:
    """Hears what flows to the pooling, and tells the pooling what outputs mean."""

    def __init__(self, outputs: Collection[str], windows: WindowMean | None) -> None:
        self.outputs, self.windows = outputs, windows
        self._affect, self.quality = Moments(), QualityTally()

    def __call__(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on; outputs that are pooled become what may be averaged."""
        for features in river:
            if self.windows is not None:
                self.windows.add(features.values)
            self.quality.add(features.faces)
            rows = {name: per_face(name, features.outputs[name]) for name in self.outputs}
            if AFFECT in rows:
                self._affect.add(rows[AFFECT])
            yield replace(features, outputs={k: v.astype(np.float32) for k, v in rows.items()})

    def affect(self, outputs: Mapping[str, Sequence[str]]) -> Affect | None:
        """Return the mean over the faces, if there were any that told it."""
        return affect(self._affect.mean, outputs[AFFECT]) if self._affect.count else None
