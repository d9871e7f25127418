"""Linking the boxes of one person through time. Of the pixels only a cut is of interest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from videmo.data import F32, I64, NOT_NEGATIVE, SHARE, Faces, FrameBatch
from videmo.stages.boxes import iou
from videmo.stages.image import Cuts


@dataclass(frozen=True)
class Tracking:
    """How boxes are linked."""

    overlap: float = 0.3  # least intersection over union with the track's last box
    gap: float = 1.0  # s without a face after which a track has ended
    cut: float = 40.0  # mean change of the colours (0..255) between two frames that ends all tracks

    def __post_init__(self) -> None:
        SHARE.check("overlap", self.overlap)
        NOT_NEGATIVE.check("gap", self.gap)
        NOT_NEGATIVE.check("cut", self.cut)


def track(
    batches: Iterable[tuple[FrameBatch, Faces]], tracking: Tracking
) -> Iterator[tuple[FrameBatch, Faces]]:
    """Yield the same batches with `faces.track`, numbered from 0 as tracks begin, and `cuts`.

    Frame by frame the pairs of an open track and a face are taken in order of falling overlap,
    each at most once; a face without a track begins one. A cut ends every track: who stands in
    the same place behind it is another. Nothing depends on where batches end.
    """
    tracks, cut = _OpenTracks(tracking), Cuts(tracking.cut)
    for frames, faces in batches:
        number, cuts = np.full(len(faces), -1, np.int64), []
        for row, pixels in enumerate(frames.pixels):
            if cut(pixels):
                tracks.end()
                cuts.append(frames.time[row])
            here = np.flatnonzero(faces.row == row)
            number[here] = tracks.extend(faces.box[here], float(frames.time[row]))
        yield replace(frames, cuts=np.array(cuts, np.float64)), faces.tracked(number)


class _OpenTracks:
    """The last box and time of every track that may still go on."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self.begun = 0
        self.last: dict[int, tuple[F32, float]] = {}

    def extend(self, box: F32, time: float) -> I64:
        """Return a track number for each box of one frame."""
        gap = self.tracking.gap + 1e-6  # a sampling period equal to the gap is not a gap
        self.last = {k: v for k, v in self.last.items() if time - v[1] <= gap}
        number = self._match(box)
        for i in range(len(box)):
            if number[i] < 0:
                number[i], self.begun = self.begun, self.begun + 1
            self.last[int(number[i])] = (box[i], time)
        return number

    def end(self) -> None:
        """End every track."""
        self.last = {}

    def _match(self, box: F32) -> I64:
        number = np.full(len(box), -1, np.int64)
        if not self.last:
            return number
        names = np.array(list(self.last))
        overlap = iou(np.stack([self.last[k][0] for k in names]), box)
        while overlap.size and overlap.max() >= self.tracking.overlap:
            old, new = np.unravel_index(int(overlap.argmax()), overlap.shape)
            number[new] = names[old]
            overlap[old], overlap[:, new] = -1, -1
        return number
