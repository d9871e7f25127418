"""Frames in, faces out: boxes, scores and five points in px of the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from videmo.data import COUNT, I64, SHARE, Array, Faces, FrameBatch, Range
from videmo.errors import UnknownName
from videmo.stages.registry import resolve

DETECTORS = {
    "mtcnn": "videmo.stages.detect.mtcnn:MTCNN",
    "retinaface-mobilenet": "videmo.stages.detect.mobilenet:RetinaFaceMobileNet",
    "centerface": "videmo.stages.detect.centerface:CenterFace",
    "retinaface-resnet50": "videmo.stages.detect.retinaface:RetinaFace",
    "whole": "videmo.stages.detect:WholeFrame",
}
POLICIES = ("all", "largest", "best")

_ON_YTF = {
    "data": "1,000 random labelled frames of YouTube Faces, a face of 39 to 270 px in each",
    "command": "python tests/figures.py detectors",
    "n": 1000,
}
_EMPTY = "of 95 frames without a face"
MEASURED: dict[str, dict[str, object]] = {
    # recall: share of the labelled faces that a box meets (intersection over union from 0.4), with
    # its 95 % interval; points: mean distance of the five from the labels, over that of the eyes
    "mtcnn": {
        **_ON_YTF, "score": 0.9, "recall": 0.995, "interval": [0.988, 0.998], "points": 0.069,
        "false faces": f"in 0 {_EMPTY}",
    },
    "retinaface-mobilenet": {
        **_ON_YTF, "score": 0.9, "recall": 1.0, "interval": [0.996, 1.0], "points": 0.067,
        "false faces": f"in 0 {_EMPTY}",
        "pace": "0.36 of the frames/s of mtcnn (0.25-0.57 in 7 runs; 640 x 360, two cores)",
    },
    "centerface": {
        **_ON_YTF, "score": 0.5, "recall": 1.0, "interval": [0.996, 1.0], "points": 0.067,
        "false faces": "in 0 of 20 frames without a face",
        "pace": "0.16 of the frames/s of mtcnn (0.07-0.26 in 5 runs; 640 x 360, two cores)",
    },
    "retinaface-resnet50": {"note": "not measured: weights were not at hand"},
}  # fmt: skip


@dataclass(frozen=True)
class Detection:
    """How faces are looked for; every field changes numbers."""

    detector: str = "retinaface-mobilenet"  # a name of DETECTORS
    score: float = 0.9  # keep faces at least this sure, 0..1; 0.9 is the paper's O-Net threshold
    min_face: int = 32  # px of the frame as it is looked at: the smallest face looked for
    max_side: int | None = 960  # px: a frame with a longer side is looked at as if it had this
    faces: str = "all"  # of each frame: all, largest or best

    def __post_init__(self) -> None:
        if self.faces not in POLICIES:
            raise UnknownName("choice of faces", self.faces, POLICIES)
        COUNT.check("min_face", self.min_face)
        Range(12, whole=True).check_given("max_side", self.max_side)
        SHARE.check("score", self.score)


class Detector(Protocol):
    """Anything that finds faces in frames."""

    sha256: str | None  # of its weights; of several files that of their sums in a row

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score.

        One that can also say where exactly a face is, of which it is known about where, has an
        attribute `look` for that (`onet.ONet`): its faces may be followed. If the last thing that
        it does is to look so at each face, `find_roughly` does all but that.

        frames: (N, H, W, 3) uint8 RGB; N may be 0
        returns: boxes and points in px of the source, boxes inside the frame; no face is no row
        """
        ...


def detector(
    options: Detection,
    *,
    threads: int | None = None,
    device: str = "cpu",
    weights: Path | None = None,
    engine: str = "torch",
) -> Detector:
    """Return the detector that `options` names, ready to be called.

    threads: how many the CPU may use; None leaves it to the engine
    weights: where its weights lie, if not where its package or the cache keeps them
    engine: auto, openvino or torch, for a detector that runs on both; auto is openvino on the CPU

    Raises UnknownName for a detector that is not in DETECTORS.
    """
    build = resolve("detector", DETECTORS, options.detector)
    choice = {"engine": engine} if hasattr(build, "engines") else {}
    built: Detector = build(options, threads=threads, device=device, weights=weights, **choice)
    return built


def detect(batches: Iterable[FrameBatch], detector: Detector) -> Iterator[tuple[FrameBatch, Faces]]:
    """Yield each batch of frames with its faces."""
    for frames in batches:
        yield frames, detector(frames)


def select(faces: Faces, policy: str) -> Faces:
    """Return the faces of each frame that `policy` keeps.

    all: every face; largest: the one of the greatest area; best: the one of the highest score.
    Ties go to the higher score, then the greater area, then the lefter and upper box.

    Raises UnknownName for another policy.
    """
    if policy not in POLICIES:
        raise UnknownName("choice of faces", policy, POLICIES)
    if policy == "all" or not len(faces):
        return faces
    size = (faces.box[:, 2] - faces.box[:, 0]) * (faces.box[:, 3] - faces.box[:, 1])
    first, second = (size, faces.score) if policy == "largest" else (faces.score, size)
    order = np.lexsort((faces.box[:, 1], faces.box[:, 0], -second, -first, faces.row))
    _, head = np.unique(faces.row[order], return_index=True)
    return faces[order[head]]


def shrunk(height: int, width: int, max_side: int | None) -> tuple[int, int]:
    """Return the size in which a frame is looked at: its longer side is at most `max_side` px."""
    shrink = max(1.0, max(height, width) / (max_side or np.inf))
    return max(1, round(height / shrink)), max(1, round(width / shrink))


def ordered(faces: Faces) -> Faces:
    """Return the faces by row, then by falling score, then from left to right."""
    return faces[np.lexsort((faces.box[:, 1], faces.box[:, 0], -faces.score, faces.row))]


def suppress(row: I64, box: Array, score: Array, overlap: float, *, smaller: bool = False) -> I64:
    """Return which boxes remain when the best of each frame removes what it covers, and so on.

    A box is removed if it shares more than `overlap` of the union with a better one that stays,
    or of the area of the smaller of both. Exact: each round treats the best of all frames.
    """
    rest, kept = np.lexsort((-score, row)), []
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    while len(rest):
        first = np.diff(row[rest], prepend=-1) != 0
        best = rest[first][np.cumsum(first) - 1]  # of the frame of each
        kept.append(rest[first])
        low, high = np.maximum(box[rest], box[best]), np.minimum(box[rest], box[best])
        shared = (high[:, 2:] - low[:, :2]).clip(0).prod(1)
        whole = np.minimum(area[rest], area[best])
        if not smaller:
            whole = area[rest] + area[best] - shared
        rest = rest[~first & (shared <= overlap * whole)]
    return np.concatenate(kept) if kept else rest


class WholeFrame:
    """The frame is the face: for clips that are cut to a face already."""

    sha256 = None  # it has no weights

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        pass  # nothing to choose

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return one face a frame: its box the frame, its score 1, its points NaN."""
        n, (height, width) = len(frames), frames.pixels.shape[1:3]
        box: Array = np.tile(np.array([0, 0, width, height], np.float32), (n, 1))
        return Faces.on(frames, np.arange(n), box, np.ones(n))
