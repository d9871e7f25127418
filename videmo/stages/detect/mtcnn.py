"""Faces and five points by MTCNN (Zhang et al. 2016), compiled for the CPU by OpenVINO.

P-Net proposes on a pyramid, R-Net refines, O-Net decides.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil, log, prod
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from videmo.data import F64, I64, U8, Array, Faces, FrameBatch
from videmo.files.openvino import ONE_FIRST, runner
from videmo.stages.detect import Detection, ordered, select, suppress
from videmo.stages.detect.networks import (
    CELL,
    O_SIDE,
    R_SIDE,
    WEIGHTS,
    Network,
    compiled_of,
    folder_of_weights,
)
from videmo.stages.detect.onet import ONet, faces_in, moved, squares, window
from videmo.stages.image import averaged, resize

FACTOR = 0.709  # each level of the pyramid is this much of the one before
STRIDE = 2  # px of a level from one answer of P-Net to the next
P_SCORE, R_SCORE = 0.6, 0.7  # a proposal must be more certain than this to go on
LEVEL, LEVELS, REFINED, FINAL = 0.5, 0.7, 0.7, 0.7  # overlaps that suppress, in order of use
CHUNK = 1 << 18  # px of the finest level that P-Net sees at once: 10 MB of its first layer
STREAMS = 4  # at most so many chunks at once; where there are more threads, they share these


class MTCNN:
    """The paper's detector: thresholds 0.6, 0.7 and `options.score`, pyramid factor 0.709.

    In another batch a frame's boxes and points move by rounding only: 6e-5 px in 30 frames. Runs
    on the CPU whatever `device` says. Several threads may call it.

    threads: how many to use; None is one for each core
    weights: a folder with pnet.lz4, rnet.lz4 and onet.lz4 of mtcnn 1.0.0; None asks the package

    Raises MissingDependency without openvino or mtcnn, ModelNotFound or CorruptModel where the
    files of weights are not there or are not those of mtcnn 1.0.0.
    """

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        self._options = options or Detection()
        sums = "".join(expected for expected, _ in WEIGHTS.values())
        self.sha256: str | None = hashlib.sha256(sums.encode()).hexdigest()
        folder = Path(weights) if weights else folder_of_weights()
        threads = threads or os.cpu_count() or 1
        self._workers = min(threads, STREAMS)
        made = [compiled_of(name, folder, threads, self._workers) for name in WEIGHTS]
        with ONE_FIRST:
            Network(made[0])(np.zeros((1, CELL, CELL, 3), np.uint8))
        self.look = ONet(runner(made[-1]))
        self._idle: SimpleQueue[_Cascade] = SimpleQueue()
        for _ in range(self._workers):
            self._idle.put(_Cascade([Network(one) for one in made], self._options.score))

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score."""
        sizes = self._pyramid(*frames.pixels.shape[1:3])
        if not len(frames) or not sizes:
            return Faces.none()
        step = min(ceil(len(frames) / self._workers), max(1, CHUNK // prod(sizes[0])))

        def run(start: int) -> tuple[Array, ...]:
            cascade = self._idle.get()
            try:
                row, *rest = cascade(frames.pixels[start : start + step], sizes)
            finally:
                self._idle.put(cascade)
            return row + start, *rest

        with ThreadPoolExecutor(self._workers) as pool:
            found = list(pool.map(run, range(0, len(frames), step)))
        row, box, score, points = (np.concatenate(column) for column in zip(*found, strict=True))
        return select(ordered(Faces.on(frames, row, box, score, points)), self._options.faces)

    def _pyramid(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the height and width of each level; one face of the finest is one cell."""
        shrink = max(1.0, max(height, width) / (self._options.max_side or np.inf))
        scale, sizes = CELL / (self._options.min_face * shrink), []
        while min(height, width) * scale >= CELL:
            sizes.append((ceil(height * scale), ceil(width * scale)))
            scale *= FACTOR
        return sizes


class _Cascade:
    """The three networks in order; their last number is how certain they are, as a logit."""

    def __init__(self, networks: Sequence[Network], score: float) -> None:
        self._pnet, self._rnet, self._onet = networks
        self._score = score

    def __call__(self, pixels: U8, sizes: Sequence[tuple[int, int]]) -> tuple[Array, ...]:
        """Return row, box, score and points of the faces in (N, H, W, 3) pixels."""
        halves = _halves(pixels)
        proposals = [self._propose(halves, size) for size in sizes]
        row, box, logit = (np.concatenate(column) for column in zip(*proposals, strict=True))
        keep = suppress(row, box, logit, LEVELS)
        row, box = self._refine(halves, row[keep], box[keep])
        return self._decide(halves, row, box)

    def _propose(self, halves: list[U8], size: tuple[int, int]) -> tuple[Array, ...]:
        """Return row, box and logit of the cells of one level that may hold a face."""
        k = max(k for k, half in enumerate(halves) if k == 0 or _fits(size, half.shape[1:3]))
        answers = self._pnet(np.stack([resize(frame, *size, average=False) for frame in halves[k]]))
        row, y, x = np.nonzero(answers[..., -1] > _logit(P_SCORE))
        chosen = answers[row, y, x].astype(np.float64)
        box = np.stack([x, y, x, y], 1) * STRIDE + np.array([0, 0, CELL, CELL])
        unit = np.array(halves[k].shape[2:0:-1]) * 2**k / np.array(size[::-1])
        box = (box + chosen[:, :4] * CELL) * np.tile(unit, 2)
        keep = suppress(row, box, chosen[:, -1], LEVEL)
        return row[keep], box[keep], chosen[keep, -1]

    def _refine(self, halves: list[U8], row: I64, box: F64) -> tuple[I64, F64]:
        """Return row and box of the proposals in which R-Net sees a face."""
        crops, box = _cut(halves, row, box, R_SIDE)
        answers = self._rnet(crops)
        sure = answers[:, -1] > _logit(R_SCORE)
        row, box, answers = row[sure], moved(box[sure], answers[sure, :4]), answers[sure]
        keep = suppress(row, box, answers[:, -1], REFINED)
        return row[keep], box[keep]

    def _decide(self, halves: list[U8], row: I64, box: F64) -> tuple[Array, ...]:
        """Return row, box, score and points of the boxes in which O-Net sees a face."""
        crops, square = _cut(halves, row, box, O_SIDE)
        box, score, points = faces_in(square, self._onet(crops))
        sure = score >= self._score
        row, box, score, points = row[sure], box[sure], score[sure], points[sure]
        keep = suppress(row, box, score, FINAL, smaller=True)
        return row[keep], box[keep], score[keep], points[keep]


def _halves(pixels: U8) -> list[U8]:
    """Return the frames, and halved again and again while twice the cell fits in.

    Levels and crops are taken bilinearly from the last half that is not smaller: it costs a
    fifteenth of averaging areas of the full frame, and points on labelled faces are as exact.
    """
    halves = [pixels]
    while min(halves[-1].shape[1:3]) >= 4 * CELL:
        halves.append(np.stack([averaged(frame) for frame in halves[-1]]))
    return halves


def _cut(halves: list[U8], row: I64, box: F64, side: int) -> tuple[U8, F64]:
    """Return square crops (M, side, side, 3) around the boxes, black outside, and their edges."""
    crops = np.empty((len(row), side, side, 3), np.uint8)
    k, square = squares(box, side, len(halves) - 1)
    for crop, half, frame, edges in zip(
        crops, k.tolist(), row.tolist(), (square >> k[:, None]).tolist(), strict=True
    ):
        crop[:] = resize(window(halves[half][frame], *edges), side, side, average=False)
    return crops, square.astype(np.float64)


def _fits(size: Sequence[int], within: Sequence[int]) -> bool:
    return size[0] <= within[0] and size[1] <= within[1]


def _logit(score: float) -> float:
    return log(score / (1 - score))
