"""Print the figures that README and the cards state, on the clips and faces of ../shared.

python tests/figures.py odd         # how many odd files give frames, and what the others say
python tests/figures.py detector    # faces found and points on 1,000 pictures of ytf_faces
python tests/figures.py speed       # one clip: wall time, memory, the share of each stage
python tests/figures.py memory      # peak memory of a long clip beside a short one
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

import videmo
from videmo import batch, crop, decode, detect, embed, pool, track
from videmo.inputs import find_clips
from videmo.metrics import scores, wilson

SHARED = Path(__file__).resolve().parents[2] / "shared"
CLIP = SHARED / "clips" / "faces" / "wolfganglanger_pexels.mp4"


def odd() -> None:
    """Read every odd file with PyAV alone and with the decoder that videmo chooses."""
    clips = find_clips([SHARED / "clips" / "odd"], ext=["*"])
    for decoder in ("pyav", "auto"):
        pipeline = videmo.load("afew7", engine=videmo.Engine(decoder=decoder))
        records = list(batch.classify(clips, pipeline))
        print(decoder, len(clips), "files", dict(Counter(r["status"] for r in records)))
    for record in records:
        if record["error"]:
            print(f"  {Path(record['path']).name}: {record['error']['message']}")


def detector() -> None:
    """Look for the labelled face of 1,000 random pictures."""
    from test_detect_accuracy import labelled, measure

    pictures = labelled(SHARED / "data" / "ytf_faces.parquet", 1000)
    found, error = measure(pictures)
    interval = wilson(round(found * len(pictures)), len(pictures))
    print(
        f"n {len(pictures)}: found {found:.4f} {interval}, points {error:.4f} of the eye distance"
    )


def crop_geometry() -> None:
    """Find the faces of 600 training pictures, padded and enlarged, and compare box and picture."""
    from videmo.data import FrameBatch
    from videmo.image import resize
    from videmo.train.faces import read_ferplus

    pictures = read_ferplus(SHARED / "data" / "ferplus48.parquet", "train").pixels
    chosen = np.random.default_rng(0).permutation(len(pictures))[:600]
    pad, side, larger = 24, 48, 4
    edged = np.pad(pictures[chosen], ((0, 0), (pad, pad), (pad, pad)), mode="edge")
    size = edged.shape[1] * larger
    frames = np.stack([resize(np.repeat(p[..., None], 3, -1), size, size) for p in edged])
    find = detect.detector(detect.Detection(score=0.7, min_face=40, faces="best"))
    boxes = find(FrameBatch(frames, np.arange(600), np.arange(600.0))).box / larger - pad
    longer = (boxes[:, 2:] - boxes[:, :2]).max(1)
    centre = (side / 2 - (boxes[:, :2] + boxes[:, 2:]) / 2) / longer[:, None]
    print(f"n 600: found {len(boxes)}; the 10th, 50th and 90th percentile of")
    for name, column in (("scale", side / longer), ("shift x", centre[:, 0]), ("y", centre[:, 1])):
        print(f"  {name:8}", np.percentile(column, [10, 50, 90]).round(3))


def faces() -> None:
    """Score the embedded backbone, as it predicts, on pictures that it never saw."""
    from videmo.image import resize
    from videmo.train.faces import read_ferplus

    test = read_ferplus(SHARED / "data" / "ferplus48.parquet", "test")
    run = videmo.load("afew7").backbone
    side = run.input_size
    grey = (np.repeat(face[..., None], 3, -1) for face in test.pixels)
    _, outputs = run(np.stack([resize(face, side, side) for face in grey]))
    found = scores(outputs["emotion"].argmax(1), test.majority, test.labels)
    print(f"n {found['n']}: accuracy {found['accuracy']} {found['interval']}, UAR {found['uar']}")
    for label, recall in found["recall"].items():
        print(f"  {label:10} {recall['recall']:.3f} {recall['interval']} n {recall['n']}")


def speed() -> None:
    """Time the whole command beside decoding alone, then each stage by itself in one thread."""
    for number in range(3):
        start = time.perf_counter()
        command = [sys.executable, "-m", "videmo", "classify", "-q", str(CLIP)]
        subprocess.run(command, check=True, capture_output=True)
        wall, peak = time.perf_counter() - start, _children_peak()
        print(f"classify, run {number + 1}: {wall:.2f} s, {472 / wall:.0f} frames/s, {peak} MB")
    start = time.perf_counter()
    code = f"from videmo.decode import *\nfor _ in open_video({str(CLIP)!r}).read(Sampling()): pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    print(f"decoding alone, in a process of its own: {time.perf_counter() - start:.2f} s")
    _shares()


def _shares() -> None:
    pipeline = videmo.load("afew7", engine=videmo.Engine(threads=1)).prepare()
    recipe, spent = pipeline.recipe, {}

    def clocked(name: str, items: Iterable[object]) -> Iterator[object]:
        iterator = iter(items)
        while True:
            start = time.perf_counter()
            item = next(iterator, None)
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start
            if item is None:
                return
            yield item

    with decode.open_video(CLIP, threads=1) as video:
        river = clocked("decode", video.read(recipe.sampling))
        river = clocked("detect", detect.detect(river, pipeline.detector))
        river = clocked("track", track.track(river, recipe.tracking))
        river = clocked("crop", crop.crop(river, recipe.cropping))
        river = clocked("embed", embed.embed(river, pipeline.backbone))
        start = time.perf_counter()
        pool.pool(river, recipe.pooling)
        spent["pool"] = time.perf_counter() - start
    before = 0.0
    for name, total in spent.items():  # each holds the time of those before it
        print(
            f"  {name:7}{(total - before):6.2f} s {100 * (total - before) / spent['pool']:5.1f} %"
        )
        before = total


def memory() -> None:
    """Classify 10 s and 10 minutes of 640 x 360, and 1080p behind a slow consumer."""
    import clips

    with tempfile.TemporaryDirectory() as folder:
        for seconds in (10, 600):
            path = Path(folder) / f"{seconds}.mp4"
            _repeat(CLIP, path, seconds)
            print(f"{seconds} s:", _peak(path, 0))
        large = clips.make(Path(folder) / "large.mp4", 240, size=(1080, 1920))
        print("1080p, 0.2 s a batch:", _peak(large, 0.2))


def _peak(path: Path, wait: float) -> str:
    code = (
        "import sys, time, videmo\n"
        "def status(key): return int(open('/proc/self/status').read().split(key)[1].split()[0])\n"
        "pipeline = videmo.load().prepare()\n"
        "before = status('VmRSS:') // 1024\n"
        "def slow(river):\n"
        "    for features in river:\n"
        "        time.sleep(float(sys.argv[2]))\n"
        "        yield features\n"
        "seen = pipeline.answer(sys.argv[1], through=slow).descriptor.seen\n"
        "print(seen, 'frames,', before, 'MB before, peak', status('VmHWM:') // 1024, 'MB')"
    )
    command = [sys.executable, "-c", code, str(path), str(wait)]
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout.strip()


def _repeat(source: Path, path: Path, seconds: float) -> None:
    """Write the packets of `source` again and again until `path` is so long."""
    import av

    with av.open(str(source)) as once, av.open(str(path), "w") as out:
        stream = once.streams.video[0]
        target = out.add_stream_from_template(stream)
        packets = [packet for packet in once.demux(stream) if packet.dts is not None]
        length = max(packet.pts + packet.duration for packet in packets)
        for turn in range(math.ceil(seconds / float(length * stream.time_base))):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = packet.pts + turn * length, packet.dts + turn * length
                again.duration, again.time_base = packet.duration, packet.time_base
                again.is_keyframe, again.stream = packet.is_keyframe, target
                if float(again.pts * packet.time_base) < seconds:
                    out.mux(again)


def _children_peak() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


if __name__ == "__main__":
    commands = {f.__name__: f for f in (odd, detector, speed, memory, faces)}
    commands["crop"] = crop_geometry
    commands[sys.argv[1]]()
