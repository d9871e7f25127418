"""Faces and five points by YuNet (Wu et al. 2023), whose weights OpenCV's model zoo publishes.

The ONNX file is the one that OpenCV's FaceDetectorYN reads, and the answers are its answers
(tested). It is run by OpenVINO instead: that is as fast, keeps to the threads it is given without
a setting for the whole process, and says nothing on stderr.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from videmo.data import F64, U8, Array, Faces, FrameBatch
from videmo.errors import CorruptModel, ModelNotFound
from videmo.files import sha256
from videmo.files.fetch import Wanted, fetch
from videmo.files.openvino import compile_network, import_openvino
from videmo.stages.detect import Detection, ordered, select, shrunk, suppress
from videmo.stages.image import resize

FILE = Wanted(  # OpenCV Zoo, MIT; the sum is that of its git-lfs pointer
    "face_detection_yunet_2023mar.onnx",
    (
        "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
        "face_detection_yunet_2023mar.onnx",
    ),
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
)
STEPS = (8, 16, 32)  # px between the cells of each of the three levels
PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # what each level says of a cell: numbers of it
SMALLEST = 32  # px that the smallest face looked for has in what the network sees
LARGEST = 300  # px: frames are halved for another look until no face in them can be larger
OVERLAP = 0.3  # share of the union above which the less certain of two boxes is dropped


class YuNet:
    """YuNet, on frames shrunk to `options.max_side`; on the CPU whatever `device` says.

    It was trained on faces of 10 to 300 px. It misses larger ones, so that large frames are looked
    at again at half their size, and so on: at most a third more work. Below 32 px its scores fall,
    so that a `min_face` above 32 shrinks what it sees: 64 is some four times as fast. Each frame
    goes through the network by itself, padded with black to whole strides. Several threads may
    call it.

    threads: how many to use; None is one for each core
    weights: the ONNX file; None fetches it once into the user's cache

    Raises MissingDependency without openvino, ModelNotFound where `weights` is not there,
    ModelError where they cannot be fetched, CorruptModel where they are not YuNet's.
    """

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        self._options = options or Detection("yunet")
        path = Path(weights) if weights else fetch(FILE)
        self._network = _compile(path, threads or os.cpu_count() or 1)
        self.sha256: str | None = sha256(path)

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score."""
        n, height, width = frames.pixels.shape[:3]
        if not n or not height * width:
            return Faces.none()
        size = shrunk(height, width, self._options.max_side)
        request = self._network.create_infer_request()
        parts = [self._find(request, frames.pixels[i], size, i) for i in range(n)]
        row, box, score, points = (np.concatenate(column) for column in zip(*parts, strict=True))
        unit = np.array([width / size[1], height / size[0]])
        faces = Faces.on(frames, row, box * np.tile(unit, 2), score, points * unit)
        return select(ordered(faces), self._options.faces)

    def _find(self, request: Any, pixels: U8, size: tuple[int, int], row: int) -> tuple[Array, ...]:
        """Return row, box, score and points in one frame, in px of it once it has that size."""
        looks = []
        for height, width in _sizes(*size, self._options.min_face):
            if (height, width) != pixels.shape[:2]:
                pixels = resize(pixels, height, width)
            box, score, points = _look(request, pixels, self._options.score)
            unit = np.array([size[1] / width, size[0] / height])
            looks.append((box * np.tile(unit, 2), score, points * unit))
        box, score, points = (np.concatenate(column) for column in zip(*looks, strict=True))
        large = (box[:, 2:] - box[:, :2]).max(1, initial=0) >= self._options.min_face
        box, score, points = box[large], score[large], points[large]
        rows = np.full(len(box), row)
        keep = suppress(rows, box, score, OVERLAP)
        return rows[keep], box[keep], score[keep], points[keep]


def _sizes(height: int, width: int, min_face: int) -> list[tuple[int, int]]:
    """Return the sizes at which a frame is looked at, the largest first."""
    shrink = max(1.0, min_face / SMALLEST)
    sizes = [(max(1, round(height / shrink)), max(1, round(width / shrink)))]
    while min(sizes[-1]) > LARGEST:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def _look(request: Any, pixels: U8, least: float) -> tuple[F64, F64, F64]:
    """Return boxes (A, 4), scores and points (A, 5, 2) in px of the cells that hold a face."""
    height, width = (-(-side // STEPS[-1]) * STEPS[-1] for side in pixels.shape[:2])
    padded = np.zeros((1, height, width, 3), np.uint8)
    padded[0, : pixels.shape[0], : pixels.shape[1]] = pixels
    answers = request.infer([padded], share_inputs=True, share_outputs=True)
    levels = []
    for step in STEPS:
        cls, obj, box, points = (answers[f"{k}_{step}"].reshape(-1, n) for k, n in PARTS.items())
        levels.append(_decode(cls, obj, box, points, step, width // step, least))
    box, score, points = (np.concatenate(column) for column in zip(*levels, strict=True))
    return box, score, points


def _decode(
    cls: Array, obj: Array, box: Array, points: Array, step: int, width: int, least: float
) -> tuple[F64, F64, F64]:
    """Return boxes (A, 4), scores and points (A, 5, 2) in px of the cells that hold a face.

    The score is the geometric mean of the certainty that it is a face and that it is one here.
    width: cells in a row of the level
    """
    score = np.sqrt(cls[:, 0].clip(0, 1).astype(np.float64) * obj[:, 0].clip(0, 1))
    cell = np.nonzero(score >= least)[0]
    corner = np.stack([cell % width, cell // width], 1)
    middle = corner + box[cell, :2].astype(np.float64)
    half = np.exp(box[cell, 2:].astype(np.float64).clip(None, 20)) / 2
    places = corner[:, None] + points[cell].astype(np.float64).reshape(-1, 5, 2)
    return np.concatenate([middle - half, middle + half], 1) * step, score[cell], places * step


def _compile(path: Path, threads: int) -> Any:
    """Return the network of an ONNX file: uint8 (1, H, W, 3) RGB in, H and W multiples of 32."""
    try:
        content = path.read_bytes()  # of a path, OpenVINO would try every format it knows
    except OSError as error:
        raise ModelNotFound(str(path), ()) from error
    try:
        return compile_network(_network(content), threads=threads)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].rstrip(".")
        raise CorruptModel(str(path), "the network of YuNet in ONNX", reason) from error


def _network(content: bytes) -> Any:
    """Return the model for frames of any size; raises RuntimeError for one that is not YuNet."""
    openvino = import_openvino()
    Layout, Type = openvino.Layout, openvino.Type
    ColorFormat = openvino.preprocess.ColorFormat
    network = openvino.Core().read_model(content)
    network.reshape([1, 3, -1, -1])  # the published file says 640 x 640, its layers do not
    for part in PARTS:
        for step in STEPS:
            network.output(f"{part}_{step}")
    steps = openvino.preprocess.PrePostProcessor(network)
    pixels = steps.input()
    pixels.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    pixels.tensor().set_color_format(ColorFormat.RGB)
    pixels.model().set_layout(Layout("NCHW"))
    pixels.preprocess().convert_element_type(Type.f32).convert_color(ColorFormat.BGR)
    return steps.build()
