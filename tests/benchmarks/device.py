"""Print what a device does for the network of faces: pace by batch and precision, and parity.

python tests/benchmarks/device.py --device cuda [--clip CLIP] [--detector mtcnn] [--batches 16 64]

Minutes on a GPU. Parity is with OpenVINO on the CPU, in fp32: the least cosine of the features of
the clip's faces, and how many labels are equal. Detection and following stay on the CPU, so
frames/s of whole clips tell how far they hold a GPU back.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import videmo
from videmo.errors import InputError
from videmo.stages.crop import crop
from videmo.stages.decode import Sampling, open_video
from videmo.stages.detect import detect
from videmo.stages.embed import Backbone, make_backbone
from videmo.stages.track import track

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.mp4"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--clip", type=Path, default=DEMO)
    parser.add_argument("--detector", help="in place of the head's own, such as mtcnn")
    parser.add_argument("--end", type=float, help="s of the clip that are read")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "fp16", "bf16"])
    parser.add_argument("--seconds", type=float, default=3.0, help="that each batch is timed for")
    given = parser.parse_args(words)
    changes = {"detector": given.detector} if given.detector else {}
    here = videmo.load("afew7", engine=videmo.Engine(engine="openvino", device="cpu"), **changes)
    crops = faces_of(here, given.clip, given.end)
    model, outputs = here.backbone_model, tuple(here.outputs)
    expected, said = here.backbone(crops)
    print(f"{len(crops)} faces; parity with openvino on the CPU in fp32")
    for precision in given.precisions:
        try:
            network = make_backbone(
                model.backbone_spec(), model.folder, engine="torch", device=given.device,
                outputs=outputs, precision=precision,
            )  # fmt: skip
        except InputError as error:
            print(f"{precision}: {error}")
            continue
        values, told = network(crops)
        alike = (values * expected).sum(1) / np.linalg.norm(values, axis=1)
        alike = (alike / np.linalg.norm(expected, axis=1)).min()
        same = sum((told[n].argmax(1) == said[n].argmax(1)).sum() for n in told)
        print(f"{network.device} {precision}: least cosine {alike:.6f}, {same} labels equal")
        for size in given.batches:
            print(f"  batches of {size}: {pace(network, crops, size, given.seconds):.0f} faces/s")
    engine = videmo.Engine(engine="torch", device=given.device)
    there = videmo.load("afew7", engine=engine, **changes)
    for name, pipeline in (("openvino, cpu", here), (f"torch, {given.device}", there)):
        pipeline.answer(given.clip, end=0.1)  # what is done once
        begun = time.perf_counter()
        answer = pipeline.answer(given.clip, end=given.end)
        spent = time.perf_counter() - begun
        label = answer.prediction.label if answer.prediction else "no face"
        print(f"whole clip, {name}: {answer.descriptor.seen / spent:.0f} frames/s, {label}")


def faces_of(pipeline: videmo.Pipeline, clip: Path, end: float | None) -> np.ndarray:
    """Return the crops (K, S, S, 3) of the faces in every fifth frame."""
    with open_video(clip) as video:
        found = detect(video.read(Sampling(every=5, end=end)), pipeline.detector)
        cut = crop(track(found, pipeline.recipe.tracking), pipeline.recipe.cropping)
        return np.concatenate([crops.pixels for crops in cut])


def pace(network: Backbone, crops: np.ndarray, size: int, seconds: float) -> float:
    """Return faces/s in batches of `size`."""
    batch = np.resize(crops, (size, *crops.shape[1:]))
    network(batch)  # what is done once
    begun, seen = time.perf_counter(), 0
    while not seen or time.perf_counter() - begun < seconds:
        network(batch)
        seen += size
    return seen / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
