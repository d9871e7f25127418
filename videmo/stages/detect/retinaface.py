"""Faces and five points by RetinaFace with a ResNet-50, as the package retinaface-pytorch has it.

Its weights are fetched once and its answers are the package's (tested), which is not needed for
it: it brings OpenCV's desktop build, which wants libGL, looks at one frame at a time and returns
boxes that it forgot to clip.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np

from videmo.data import F32, U8, Array, Faces, FrameBatch
from videmo.errors import CorruptModel, ModelNotFound
from videmo.files import cache_dir, sha256
from videmo.files.compiled import load_or_convert
from videmo.files.download import Download, files_dir
from videmo.files.extras import missing_dependency, require
from videmo.files.fetch import fetch
from videmo.files.openvino import compile_network, from_torch, runner
from videmo.stages.detect import Detection, ordered, select, shrunk, suppress
from videmo.stages.detect.anchors import OVERLAP, anchors, decode
from videmo.stages.detect.retina_network import network as empty
from videmo.stages.image import resize

FILE = Download(
    "retinaface_resnet50_2020-07-20-f168fae3c.zip",
    (  # retinaface-pytorch 0.0.6, pre_trained_models.py
        "https://github.com/ternaus/retinaface/releases/download/0.01/"
        "retinaface_resnet50_2020-07-20-f168fae3c.zip",
    ),
    sha256="f168fae3c",  # as far as the file's name tells
    packed=True,
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pixels / 255
CHUNK = 1 << 20  # px that go through the network at once
OUTPUT_NAMES = ("box", "score", "points")

RunNetwork = Callable[[U8], tuple[F32, ...]]


class RetinaFace:
    """RetinaFace with ResNet-50, on frames shrunk to `options.max_side`.

    Frames are never enlarged; they are padded with the mean colour to whole strides of 32 px.

    threads: how many the CPU may use; None leaves it to torch
    device: a name that torch knows ("cpu", "cuda", "mps")
    weights: the file of weights; None fetches it once into the user's cache
    engine: torch, or for the CPU openvino, which converts the network once; auto is that

    Raises MissingDependency without torch, what `fetch` raises where the
    weights cannot be fetched, CorruptModel where they are not this network's.
    """

    engines = ("openvino", "torch")

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
        engine: str = "torch",
    ) -> None:
        self._options = options or Detection()
        if not weights and not (files_dir() / FILE.name).is_file():
            require("torch", "torchvision")  # before 100 MB are fetched for nothing
        path = Path(weights) if weights else fetch(FILE)
        if engine == "torch" or device != "cpu":
            self._answers = _by_torch(path, threads or 0, device)
        else:
            self._answers = _by_openvino(path, threads or 0)
        self.sha256: str | None = sha256(path)

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score."""
        n, height, width = frames.pixels.shape[:3]
        if not n or not height * width:
            return Faces.none()
        size = shrunk(height, width, self._options.max_side)
        step = max(1, CHUNK // (size[0] * size[1]))
        parts = [self._find(frames.pixels[at : at + step], size, at) for at in range(0, n, step)]
        row, box, score, points = (np.concatenate(column) for column in zip(*parts, strict=True))
        faces = Faces.on(frames, row, box, score, points)
        return select(ordered(faces), self._options.faces)

    def _find(self, pixels: U8, size: tuple[int, int], start: int) -> tuple[Array, ...]:
        """Return row, box, score and points in px of the frames, looked at in `size`."""
        height, width = pixels.shape[1:3]
        unit = np.array([width / size[1], height / size[0]])
        if size != (height, width):
            pixels = np.stack([resize(frame, *size) for frame in pixels])
        side = -(-size[0] // 32) * 32, -(-size[1] // 32) * 32
        box, score, points = self._answers(np.ascontiguousarray(pixels))
        row, which = np.nonzero(score > self._options.score)
        priors = anchors(*side)[which]
        score = score[row, which]
        box, points = decode(priors, box[row, which], points[row, which])
        large = (box[:, 2:] - box[:, :2]).max(1) >= self._options.min_face
        row, box, score, points = row[large], box[large], score[large], points[large]
        keep = suppress(row, box, score, OVERLAP)
        return row[keep] + start, box[keep] * np.tile(unit, 2), score[keep], points[keep] * unit


def _by_torch(path: Path, threads: int, device: str) -> RunNetwork:
    """Return what answers by torch."""
    torch, network = _torch(), _network(path).to(device)
    if threads:
        torch.set_num_threads(threads)

    def answers(pixels: U8) -> tuple[F32, ...]:
        with torch.inference_mode():
            found = network(torch.from_numpy(pixels).to(device))
            return tuple(found[name].float().cpu().numpy() for name in OUTPUT_NAMES)

    return answers


def _by_openvino(path: Path, threads: int) -> RunNetwork:
    """Return what answers by OpenVINO on the CPU; torch is only imported the first time."""
    try:
        facts = f"{sha256(path)} RetinaFace ResNet-50"
    except OSError as error:
        raise ModelNotFound(str(path), ()) from error
    model = load_or_convert(cache_dir() / "compiled", facts, lambda: _converted(path))
    run = runner(compile_network(model, threads=threads))

    def answers(pixels: U8) -> tuple[F32, ...]:
        found = run({"pixels": pixels})
        return tuple(np.array(found[name]) for name in OUTPUT_NAMES)

    return answers


def _converted(path: Path) -> Any:
    """Return the network as an `openvino.Model`, for any number of frames of any size."""
    torch = _torch()
    frames = torch.zeros(2, 70, 100, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is called deprecated
        traced = torch.jit.trace(_network(path), (frames,), strict=False, check_trace=False)
    return from_torch(traced, [-1, -1, -1, 3])


def _network(path: Path) -> Any:
    """Return the network with its weights: pixels (N, H, W, 3) uint8 to what it says of anchors.

    "box" (N, A, 4), "score" (N, A) and "points" (N, A, 10), of the frames padded with the mean
    colour to whole strides of 32 px.
    """
    torch, network, state = _torch(), empty(), _state(path)
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CorruptModel(str(path), "the weights of RetinaFace ResNet-50", reason) from error

    class Network(torch.nn.Module):  # type: ignore[misc,name-defined]  # torch is not read by mypy
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
            self.register_buffer("std", torch.tensor(STD), persistent=False)

        def forward(self, pixels: Any) -> dict[str, Any]:
            x = ((pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
            x = torch.nn.functional.pad(x, (0, -x.shape[3] % 32, 0, -x.shape[2] % 32))
            box, logits, points = self.network(x)
            return {"box": box, "score": logits.softmax(-1)[..., 1], "points": points}

    return Network().eval()


def _state(path: Path) -> Any:
    """Return the weights in a file that torch saved, or in an archive of one such file."""
    torch = _torch()
    try:
        source: Path | BinaryIO = path
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if len(archive.namelist()) == 1:
                    source = BytesIO(archive.read(archive.namelist()[0]))
        return torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelNotFound(str(path), ()) from error
    except (OSError, EOFError, RuntimeError, UnpicklingError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise CorruptModel(str(path), "weights saved by torch", reason) from error


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise missing_dependency("torch") from error
    return torch
