"""Faces and five points by the RetinaFace network of the package retinaface-pytorch.

The network is the package's, its weights are fetched once; batching, decoding and clipping are
ours: the package looks at one frame at a time and returns boxes that it forgot to clip.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from tempfile import mkstemp
from typing import Any, BinaryIO

import numpy as np

from videmo.data import F32, U8, Array, Faces, FrameBatch
from videmo.detect import Detection, ordered, select, suppress
from videmo.errors import CorruptModel, MissingDependency, ModelError, ModelNotFound
from videmo.files import cache_dir, sha256
from videmo.image import resize

URL = (  # retinaface-pytorch 0.0.6, pre_trained_models.py
    "https://github.com/ternaus/retinaface/releases/download/0.01/"
    "retinaface_resnet50_2020-07-20-f168fae3c.zip"
)
SHA256 = "f168fae3c"  # as far as the file's name tells
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pixels / 255
STEPS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # px between anchors: sides of their squares
CENTRE, SIZE = 0.1, 0.2  # what one unit of the network's answer moves or stretches an anchor by
OVERLAP = 0.4  # share of the union above which the less certain of two boxes is dropped
CHUNK = 1 << 20  # px that go through the network at once
BLOCK = 1 << 20  # bytes read from the network at once
TIMEOUT = 30  # s without a byte after which a download is given up


class RetinaFace:
    """RetinaFace with ResNet-50, on frames shrunk to `options.max_side`.

    Frames are never enlarged; they are padded with the mean colour to whole strides of 32 px.

    threads: how many the CPU may use; None leaves it to torch
    device: a name that torch knows ("cpu", "cuda", "mps")
    weights: the file of weights; None fetches it once into the user's cache

    Raises MissingDependency without torch or retinaface-pytorch, ModelError where the weights
    cannot be fetched, CorruptModel where they are not this network's.
    """

    def __init__(
        self,
        options: Detection | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        self._options, self._device = options or Detection(), device
        network = _empty()
        path = Path(weights) if weights else fetch(URL, cache_dir(), SHA256)
        state = _state(path)
        try:
            network.load_state_dict(state)
        except (RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise CorruptModel(str(path), "the weights of RetinaFace ResNet-50", reason) from error
        if threads:
            _torch().set_num_threads(threads)
        self._network = network.eval().to(device)

    def __call__(self, frames: FrameBatch) -> Faces:
        """Return the faces of all frames, ordered by row, then by falling score."""
        n, height, width = frames.pixels.shape[:3]
        if not n or not height * width:
            return Faces.none()
        shrink = max(1.0, max(height, width) / (self._options.max_side or np.inf))
        size = max(1, round(height / shrink)), max(1, round(width / shrink))
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
        box, score, points = self._answers(pixels, side)
        row, which = np.nonzero(score > self._options.score)
        priors = anchors(*side)[which]
        score = score[row, which]
        box, points = decode(priors, box[row, which], points[row, which])
        large = (box[:, 2:] - box[:, :2]).max(1) >= self._options.min_face
        row, box, score, points = row[large], box[large], score[large], points[large]
        keep = suppress(row, box, score, OVERLAP)
        return row[keep] + start, box[keep] * np.tile(unit, 2), score[keep], points[keep] * unit

    def _answers(self, pixels: U8, side: tuple[int, int]) -> tuple[F32, F32, F32]:
        """Return (N, A, 4) for the boxes, (N, A) scores and (N, A, 10) for the points."""
        torch = _torch()
        with torch.inference_mode():
            x = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float() / 255
            mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
            x = (x - mean) / std
            x = torch.nn.functional.pad(x, (0, side[1] - x.shape[3], 0, side[0] - x.shape[2]))
            box, logits, points = self._network(x)
            score = logits.softmax(-1)[..., 1]
            return tuple(answer.float().cpu().numpy() for answer in (box, score, points))


def anchors(height: int, width: int) -> F32:
    """Return cx, cy and side in px of every anchor of a picture of whole strides: (A, 3)."""
    parts = []
    for step, sides in STEPS.items():
        y, x = np.mgrid[: height // step, : width // step]
        grid = np.stack([x, y], -1).reshape(-1, 1, 2) * step + step / 2
        grid = np.broadcast_to(grid, (len(grid), len(sides), 2)).reshape(-1, 2)
        parts.append(np.column_stack([grid, np.tile(sides, len(grid) // len(sides))]))
    return np.concatenate(parts).astype(np.float32)


def decode(anchor: F32, box: F32, points: F32) -> tuple[Array, Array]:
    """Return boxes (A, 4) and points (A, 5, 2) in px from what the network says of anchors."""
    centre, side = anchor[:, :2], anchor[:, 2:]
    middle = centre + box[:, :2] * CENTRE * side
    half = side * np.exp(box[:, 2:].clip(None, 50) * SIZE) / 2  # e ** 10 is beyond any picture
    places = centre[:, None] + points.reshape(-1, 5, 2) * CENTRE * side[:, None]
    return np.concatenate([middle - half, middle + half], 1), places


def fetch(url: str, folder: Path, sha256_prefix: str, *, timeout: float = TIMEOUT) -> Path:
    """Return the file of `url` in `folder`, downloaded if it is not there yet.

    It has its final name only once its hash agrees. The hash may be that of the file, or of the
    only member of the archive that it is.

    sha256_prefix: the first hexadecimal digits that the SHA-256 must have
    timeout: s without a byte after which the download is given up

    Raises ModelError where it cannot be fetched (or VIDEMO_OFFLINE is set), CorruptModel where it
    is cut short or has another hash.
    """
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    if os.environ.get("VIDEMO_OFFLINE"):
        raise ModelError(f"{path}: not there, and VIDEMO_OFFLINE is set; fetch {url} yourself")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = mkstemp(dir=folder, prefix=path.name)
        part = Path(name)
        try:
            with open(handle, "wb") as file:
                _download(url, file, timeout)
            _check(part, url, sha256_prefix)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:  # URLError and time-outs are OSErrors
        step = f"fetch it yourself and put it at {path}"
        raise ModelError(f"{url}: cannot be fetched ({error}); {step}") from error
    return path


def _download(url: str, file: BinaryIO, timeout: float) -> None:
    """Write what `url` holds, all of it."""
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=timeout) as answer:
            declared = answer.headers.get("Content-Length")
            size = sum(map(file.write, _blocks(answer)))
    except HTTPException as error:
        raise OSError(repr(error)) from error
    if declared and size != int(declared):
        raise CorruptModel(url, f"{declared} bytes", f"{size}")


def _check(path: Path, name: str, sha256_prefix: str) -> None:
    """Raise CorruptModel unless the file, or the only member of the archive, has that hash."""
    with path.open("rb") as file:
        got = [sha256(file)]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            if len(members) == 1:
                with archive.open(members[0]) as member:
                    got.append(sha256(member))
    if not any(digest.startswith(sha256_prefix) for digest in got):
        raise CorruptModel(name, f"SHA-256 {sha256_prefix}", got[0][: max(12, len(sha256_prefix))])


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


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


def _empty() -> Any:
    """Return the network before it has its weights."""
    _torch()
    try:
        from retinaface.network import RetinaFace as Network
    except ModuleNotFoundError as error:
        raise MissingDependency("retinaface-pytorch") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names an argument of torchvision by its old name
        return Network(
            name="Resnet50",
            pretrained=False,
            return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
            in_channels=256,
            out_channels=256,
        )


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingDependency("torch") from error
    return torch
