"""One table of the detectors, on labelled faces, on the shared clips, and by the clock in turn."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from found import labelled, match

from videmo.data import FrameBatch
from videmo.errors import ModelError
from videmo.evaluate.metrics import wilson_interval
from videmo.stages.decode import Sampling, open_video
from videmo.stages.detect import Detection, Detector, detector
from videmo.stages.image import resize

COMPARED = (
    ("mtcnn", 0.9), ("retinaface-mobilenet", 0.9), ("retinaface-mobilenet", 0.8),
    ("centerface", 0.5),
)  # fmt: skip
SIZES = (0, 64, 128, 1000)  # px of the longer side of a labelled face
TURNS = 5


def report(shared: Path, n: int = 1000) -> None:
    """Print the table in Markdown; a detector that is not here is named."""
    made: dict[str, Detector] = {}
    for name, score in COMPARED:
        try:
            made[f"{name} {score}"] = detector(Detection(name, score=score), threads=2)
        except ModelError as error:
            print(f"not measured: {error}")
    print("not measured: retinaface-resnet50, no weights are here")
    pictures = labelled(shared / "data" / "ytf_faces.parquet", n)
    clips = shared / "clips" / "faces"
    empty = _frames(clips / "no_face.mp4", 5)
    filmed = [f for path in sorted(clips.glob("[!nL]*.m*")) for f in _frames(path, 2)]
    paces = [_pace(list(made.values()), clips / "wolfganglanger_pexels.mp4", side)
             for side in (640, 1280)]  # fmt: skip
    bins = [f"{low or 32}-{high} px" for low, high in pairwise(SIZES)]
    print("| detector, score |", " | ".join(bins), "| all | points | others | clips | "
          "no_face.mp4 | 640 x 360 | 1280 x 720 |")  # fmt: skip
    print("|---" * (len(bins) + 8) + "|")
    for row, (name, find) in enumerate(made.items()):
        cells = [*_labelled_cells(pictures, find), _share(filmed, find), _share(empty, find)]
        cells += [f"{pace[0][row]:.2f} ({pace[1][row]:.2f}-{pace[2][row]:.2f})" for pace in paces]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _labelled_cells(pictures: list, find: Detector) -> list[str]:
    """Return the share found of each size and of all, the error of points, and other faces."""
    rows = []
    for pixels, box, points in pictures:
        faces = find(FrameBatch(pixels[None], np.zeros(1, np.int64), np.zeros(1)))
        error = match(faces, box, points)
        others = len(faces) - (error is not None)
        rows.append([(box[2:] - box[:2]).max(), np.nan if error is None else error, others])
    size, error, others = np.array(rows).T
    cells = []
    for low, high in [*pairwise(SIZES), (0, np.inf)]:
        found = np.isfinite(error[(size >= low) & (size < high)])
        least, most = wilson_interval(int(found.sum()), len(found)) if len(found) else (0, 1)
        cells.append(f"{found.mean():.3f} ({least:.3f}-{most:.3f}, n {len(found)})")
    return [*cells, f"{np.nanmean(error):.4f}", f"{int(others.sum())}"]


def _share(frames: list[FrameBatch], find: Detector) -> str:
    """Return in how many frames there is a face."""
    with_face = sum(len(np.unique(find(batch).row)) for batch in frames)
    return f"{with_face} of {sum(map(len, frames))}"


def _frames(path: Path, fps: float, end: float | None = None) -> list[FrameBatch]:
    with open_video(path) as video:
        return list(video.read(Sampling(fps=fps, end=end)))


def _pace(finders: list[Detector], path: Path, width: int) -> np.ndarray:
    """Return median, least and most times of the first one over those of each, in turn."""
    (batch, *_) = _frames(path, 2)
    size = width * batch.pixels.shape[1] // batch.pixels.shape[2], width
    pixels = np.stack([resize(frame, *size) for frame in batch.pixels])
    frames = FrameBatch(pixels, batch.index, batch.time)
    spent = np.array([[_spent(find, frames) for find in finders] for _ in range(TURNS + 1)])[1:]
    return np.percentile(spent[:, :1] / spent, [50, 0, 100], axis=0)


def _spent(find: Detector, frames: FrameBatch) -> float:
    begun = time.perf_counter()
    find(frames)
    return time.perf_counter() - begun
