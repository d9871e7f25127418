"""How near engines and precisions are to each other: in the faces of clips, and in their labels."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from videmo import store
from videmo.data import Crops, Features
from videmo.errors import InputError, VideoError
from videmo.stages import crop, decode, detect, heads, pool, track
from videmo.stages.embed import BACKBONES, Backbone, cosine, make_backbone

PRECISIONS = ("fp32", "bf16", "fp16")
DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True, eq=False)
class Seen:
    """What one engine makes of all clips."""

    name: str
    values: np.ndarray  # (M, D) float32, of all faces of all clips
    labels: tuple[str, ...]  # of the clips with a face
    pace: float  # ms a face


def faces_of(paths: Sequence[Path], recipe: object) -> Iterator[list[Crops]]:
    """Yield the faces of each clip that can be read and shows one."""
    find = detect.detector(recipe.detection, threads=0)
    for path in paths:
        try:
            with decode.open_video(path) as video:
                tracked = track.track(
                    detect.detect(video.read(recipe.sampling), find), recipe.tracking
                )
                found = list(crop.crop(tracked, recipe.cropping))
        except VideoError:
            continue
        if any(len(crops.pixels) for crops in found):
            yield found


def engines(spec: object, folder: Path, threads: int) -> Iterator[tuple[str, Backbone]]:
    """Yield every engine in every precision and on every device that is here."""
    for device in DEVICES:
        for engine in BACKBONES:
            for precision in PRECISIONS:
                name = f"{engine} {device} {precision}"
                try:
                    yield name, make_backbone(
                        spec, folder, engine=engine, device=device, threads=threads, outputs=(),
                        precision=precision,
                    )  # fmt: skip
                except InputError as error:
                    if device == "cpu":
                        print(f"{name}: not compared, {error}")


def seen(name: str, run: Backbone, clips: Sequence[Sequence[Crops]], head: store.Model) -> Seen:
    """Return the features and labels that one engine gives, and its time a face."""
    spec, pooling = head.head_spec(), head.recipe.pooling
    answer = heads.make_head(spec, head.weights())
    values, labels, spent = [], [], 0.0
    run(clips[0][0].pixels[:1])  # what is slow only once
    for clip in clips:
        start = time.perf_counter()
        features = [Features(run(crops.pixels)[0], crops.faces, crops.seen) for crops in clip]
        spent += time.perf_counter() - start
        values += [batch.values for batch in features]
        labels.append(heads.predict(answer, spec, pool.pool(features, pooling)).label)
    rows = np.concatenate(values)
    return Seen(name, rows, tuple(labels), spent / len(rows) * 1e3)


def show(results: Sequence[Seen]) -> None:
    """Print a line an engine, then a line a pair of them."""
    for one in results:
        ratio = results[0].pace / one.pace
        print(f"{one.name:22}{one.pace:7.2f} ms a face, {ratio:.2f} times as fast as the first")
    for one, other in combinations(results, 2):
        alike = cosine(one.values, other.values)
        same = sum(a == b for a, b in zip(one.labels, other.labels, strict=True))
        print(
            f"{one.name:22}{other.name:22}least cosine {alike.min():.6f} of {len(alike)} faces, "
            f"{same} of {len(one.labels)} labels equal"
        )


def show_retinaface(path: Path) -> None:
    """Print how near RetinaFace is on both engines, with the same random weights in each."""
    import torch

    from videmo.stages.detect import Detection, retina_network

    with tempfile.TemporaryDirectory() as folder, decode.open_video(path) as video:
        os.environ["VIDEMO_CACHE"] = folder  # what is converted here is of no use to anybody
        torch.manual_seed(1)
        weights = Path(folder) / "random.pth"
        torch.save(retina_network.network().state_dict(), weights)
        options = Detection("retinaface-resnet50", score=0.6, max_side=320)
        frames = next(video.read(decode.Sampling(every=20)))
        one, two = (
            detect.detector(options, threads=0, weights=weights, engine=engine)(frames)
            for engine in ("torch", "openvino")
        )
    print(f"retinaface-resnet50, random weights: {len(one)} and {len(two)} boxes")
    if len(one) == len(two):
        print(
            f"  in {len(frames)} frames; at most {np.abs(one.box - two.box).max():.4f} px and "
            f"{np.abs(one.score - two.score).max():.1e} of score apart"
        )


def compare(paths: Sequence[Path], head: str, fps: float, threads: int) -> None:
    """Compare everything that can run the backbone of `head` on the faces of some clips."""
    model = store.load(head)
    recipe = model.recipe.with_changes(sampling={"fps": fps})
    clips = list(faces_of(paths, recipe))
    backbone = store.load(recipe.backbone)
    made = engines(backbone.backbone_spec(), backbone.folder, threads)
    show([seen(name, run, clips, model) for name, run in made])
