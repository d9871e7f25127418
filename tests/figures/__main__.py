"""Print the figures that README and the cards state, on the clips and faces of ../shared.

python tests/figures.py odd         # how many odd files give frames, and what the others say
python tests/figures.py detector    # faces found and points on 1,000 pictures of ytf_faces
python tests/figures.py detectors   # each detector: faces found by size, false ones, points, pace
python tests/figures.py following   # each shared clip with and without: faces, boxes, labels
python tests/figures.py filmed      # accuracy on filmed stills that have to be found, both ways
python tests/figures.py budget      # answers from some of the frames: accuracy, labels, time
python tests/figures.py people      # persons told apart on joined clips: counts, changed numbers
python tests/figures.py speed       # one clip: wall time, memory, the share of each stage
python tests/figures.py jobs        # 50 clips of 8 s with one and two jobs, in one run
python tests/figures.py memory      # peak memory of a long clip beside a short one
python tests/figures.py held        # what rows of an hour of four people hold beside its faces
python tests/figures.py embedding   # time of one face beside mobilenetv3_large_100 at 112 px
python tests/figures.py parity      # every engine and precision against every other
python tests/figures.py faults      # 500 broken clips: crashes, hangs, lost inputs, false records;
                                    # 60 kills, two writers of one file, folders that go away
python tests/figures.py scale       # 10^4 to 10^8 clips on 1 to 1,000 workers, simulated
python tests/figures.py many        # 10,000 clips: order, memory, stopped and taken up again

python tests/figures.py faces       # the eight emotions on FER+
python tests/figures.py attributes  # age, gender and race on FairFace, and for whom
python tests/figures.py lfw         # one person or two, on pairs of LFW
python tests/figures.py persons     # the same on videos of YouTube Faces
python tests/figures.py covered     # the emotions with mouth, eyes or half of the face painted over
python tests/figures.py curve       # all of it on small, blurred, compressed and grey faces

The last six measure the backbone of `--head`, or `--model FOLDER`, cut as its own
card says.
They score the test faces; while something is still being chosen, give `--split val`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import videmo
from videmo import store
from videmo.data import FrameBatch
from videmo.errors import VidemoError
from videmo.evaluate.metrics import wilson_interval
from videmo.runs import batch
from videmo.runs.inputs import find_clips
from videmo.stages import crop, decode, detect, embed, pool, track
from videmo.train import measure, verification

SHARED = Path(__file__).resolve().parents[3] / "shared"
DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.mp4"
CLIP = SHARED / "clips" / "faces" / "wolfganglanger_pexels.mp4"
FERPLUS, FAIRFACE, LFW, YTF = (
    SHARED / "data" / f"{name}.parquet"
    for name in ("ferplus48", "fairface112", "lfw_gray112", "ytf_faces")
)


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
    from found import labelled, measure

    pictures = labelled(SHARED / "data" / "ytf_faces.parquet", 1000)
    found, error = measure(pictures)
    interval = wilson_interval(round(found * len(pictures)), len(pictures))
    print(
        f"n {len(pictures)}: found {found:.4f} {interval}, points {error:.4f} of the eye distance"
    )


def detectors() -> None:
    """Compare detectors: labelled faces by size, frames without a face, pace at two sizes."""
    import detectors

    detectors.report(SHARED)


def crop_geometry() -> None:
    """Find the faces of 600 training pictures, padded and enlarged, and compare box and picture."""
    from videmo.stages.image import resize
    from videmo.train.ferplus import read_ferplus

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


def faces(model: measure.BackboneRunner, given: argparse.Namespace) -> None:
    """Score the backbone, as it predicts, on pictures that it never saw."""
    found = measure.measure_emotions(model, FERPLUS, given.split)
    names = {"natural": found, **{k: found[k] for k in ("balanced", "seven", "balanced seven")}}
    for name, of in names.items():
        print(f"{name}: n {of['n']}: accuracy {of['accuracy']} {of['interval']}, UAR {of['uar']}")
        for label, recall in of["recall"].items():
            print(f"  {label:10} {recall['recall']:.3f} {recall['interval']} n {recall['n']}")


def attributes(model: measure.BackboneRunner, given: argparse.Namespace) -> None:
    """Read age, gender and race off the pictures of FairFace."""
    found = measure.measure_attributes(model, FAIRFACE, given.split)
    print(f"n {found['n']}")
    for name in ("gender", "race", "race of five"):
        print(_line(name, found[name]))
    age = found["age"]
    for rule in measure.AGE_RULES:
        quoted = " (the one to quote)" if rule == age["rule"] else ""
        print(_line(f"age, {rule} bin", age[rule]) + quoted)
    for name in ("gender by race", "race by gender", "age by bin"):
        print(name)
        for group, worth in found[name].items():
            print("  " + _line(group, worth))


def lfw(model: measure.BackboneRunner, given: argparse.Namespace) -> None:
    """Tell one person from two on pairs of LFW."""
    pairs = LFW.with_name("lfw_pairs.csv")
    for name, found in verification.measure_verification(model, LFW, pairs, given.split).items():
        print(f"{_line(name, found)}, standard error of the folds {found['standard error']}")
        area, interval, taken = (found[k] for k in ("AUC", "AUC interval", "TAR at FAR 1 %"))
        print(f"{'':26}AUC {area} {interval}, TAR at FAR 1 % {taken}")


def persons(model: measure.BackboneRunner, given: argparse.Namespace) -> None:
    """Tell one person from two on videos of YouTube Faces."""
    found = verification.measure_persons(model, YTF, given.split)
    print(f"{found['people']} people, {found['frames']} frames; left out: {found['left out']}")
    for name in ("videos", "frames of two videos"):
        of = found[name]
        print(f"{name:26}AUC {of['AUC']} {of['AUC interval']} pairs {of['pairs']}")
    for name, rates in found["thresholds"].items():
        shown = ", ".join(f"{k} {rates[k]['value']} {rates[k]['interval']}" for k in ("TPR", "FPR"))
        print(f"{'threshold, ' + name:26}{rates['threshold']:.4f}: {shown} pairs {rates['pairs']}")


def covered(model: measure.BackboneRunner, given: argparse.Namespace) -> None:
    """Score the backbone on faces of which a part is painted over; nothing is chosen on them."""
    import covered as painted

    painted.report(model, FERPLUS, "val" if given.split == "test" else given.split, given.n)


def curve(model: measure.BackboneRunner, given: argparse.Namespace) -> None:
    """Score small, blurred, compressed and grey faces; `--png FILE` draws them."""
    found = measure.measure_degradation(model, FERPLUS, FAIRFACE, given.split, n=given.n)
    print(f"n {found['n']}")
    for row in found["rows"]:
        parts = [f"{k} {row[k]['accuracy']:.4f} {row[k]['interval']}" for k in _SHOWN if k in row]
        if "age" in row:
            parts.append(f"age {row['age']['years']:.2f} years {row['age']['years interval']}")
        print(f"{row['change']:7}{row['value']!s:9}", " ".join(parts))
    if given.png:
        _draw(found["rows"], given.png)


_SHOWN = ("emotion", "gender")


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw a column a change: above shares with their intervals, below the error of age."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    titles = {"size": "face, px", "blur": "blur, px of 112", "jpeg": "JPEG quality"}
    aged = any("age" in row for row in rows)
    figure, axes = pyplot.subplots(
        1 + aged, len(titles), figsize=(10, 3 + 2.5 * aged), sharey="row", squeeze=False
    )
    for column, (change, title) in enumerate(titles.items()):
        of = sorted((row for row in rows if row["change"] == change), key=lambda r: r["value"])
        for name in _SHOWN:
            _band(axes[0, column], of, name, "accuracy", "interval")
        if aged:
            _band(axes[1, column], of, "age", "years", "years interval")
        axes[-1, column].set_xlabel(title)
    axes[0, 0].set_ylabel("accuracy")
    axes[0, 0].legend(frameon=False)
    if aged:
        axes[1, 0].set_ylabel("error of age, years")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _band(axis: Any, rows: list[dict[str, Any]], name: str, value: str, interval: str) -> None:
    rows = [row for row in rows if name in row]
    if rows:
        x = [r["value"] for r in rows]
        low, high = zip(*(r[name][interval] for r in rows), strict=True)
        (line,) = axis.plot(x, [r[name][value] for r in rows], marker="o", ms=3, label=name)
        axis.fill_between(x, low, high, alpha=0.2, color=line.get_color())
        axis.grid(alpha=0.3)


def _line(name: str, worth: dict[str, Any]) -> str:
    years = f", {worth['years']} years {worth['years interval']}" if "years" in worth else ""
    return f"{name:26}{worth['accuracy']:.4f} {worth['interval']} n {worth['n']}{years}"


def speed() -> None:
    """Time the whole command beside decoding alone, then each stage by itself in one thread."""
    for number in range(3):
        start = time.perf_counter()
        command = [sys.executable, "-m", "videmo", "classify", "-q", str(CLIP)]
        subprocess.run(command, check=True, capture_output=True)
        wall, peak = time.perf_counter() - start, _children_peak()
        print(f"classify, run {number + 1}: {wall:.2f} s, {472 / wall:.0f} frames/s, {peak} MB")
    start = time.perf_counter()
    code = (
        "from videmo.stages.decode import *\n"
        f"for _ in open_video({str(CLIP)!r}).read(Sampling()): pass"
    )
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
    from repeat import repeat

    with tempfile.TemporaryDirectory() as folder:
        for seconds in (10, 600):
            path = Path(folder) / f"{seconds}.mp4"
            repeat(CLIP, path, seconds)
            print(f"{seconds} s:", _peak(path, 0))
        large = clips.make(Path(folder) / "large.mp4", 240, size=(1080, 1920))
        print("1080p, 0.2 s a batch:", _peak(large, 0.2))


def embedding() -> None:
    """Time the backbone of afew7 and MobileNet in turn, 20 times each, 16 faces a call."""
    with tempfile.TemporaryDirectory() as folder:
        models = [store.load(store.load("afew7").recipe.backbone), _mobilenet(Path(folder))]
        runs = []
        for model in models:
            spec = model.backbone_spec()
            pixels = np.zeros((320, spec.input_size, spec.input_size, 3), np.uint8)
            run = embed.make_backbone(spec, model.folder, engine="openvino", outputs=())
            runs.append((run, pixels))
        spent = np.array([[_timed(run, pixels) for run, pixels in runs] for _ in range(20)])
        sizes = [(model.folder / store.WEIGHTS).stat().st_size / 1e6 for model in models]
    for model, column, size in zip(models, spent.T, sizes, strict=True):
        low, middle, high = np.percentile(column / 320 * 1e3, [25, 50, 75])
        print(f"{model.name:24}{middle:.3f} ms a face ({low:.3f}-{high:.3f}), {size:.1f} MB")
    low, middle, high = np.percentile(spent[:, 0] / spent[:, 1], [25, 50, 75])
    print(f"ratio {middle:.2f} ({low:.2f}-{high:.2f})")


def _mobilenet(folder: Path) -> store.Model:
    """Write mobilenetv3_large_100 with random weights as a model folder."""
    from videmo.stages.embed import BackboneSpec
    from videmo.stages.embed.timm import create_network, write_graph

    spec = BackboneSpec("mobilenetv3_large_100", 112, (0.5,) * 3, (0.5,) * 3, 1280)
    tensors = {
        name.removeprefix("body."): tensor.numpy()
        for name, tensor in create_network(spec).state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    card = {"kind": "backbone", "name": "mobilenetv3_large_100", "spec": vars(spec)}
    model = store.save(folder / "mobilenetv3_large_100", card, tensors, half=True)
    write_graph(spec, model.folder)
    return model


def followed() -> None:
    """Compare MTCNN on every frame with RetinaFace-MobileNet and following, on the shared clips."""
    import following

    folders = [SHARED / "clips" / "faces", SHARED / "clips" / "odd"]
    following.report([Path(clip.path) for clip in find_clips(folders)], "afew7")


def filmed_stills(given: argparse.Namespace) -> None:
    """Score a head on filmed stills that detection has to find, with both recipes."""
    import filmed

    each = max(1, given.n // 60)  # of each label
    filmed.report(FERPLUS, given.head, each, given.split)


def budgets(given: argparse.Namespace) -> None:
    """Compare answers from some of the frames with those from all, for one head."""
    import budgets

    each = max(1, given.n // 60)  # of each label
    budgets.filmed(FERPLUS, given.head, each, given.split)
    budgets.long(CLIP, given.head)
    folders = [SHARED / "clips" / "faces", SHARED / "clips" / "odd"]
    budgets.clips([Path(clip.path) for clip in find_clips(folders)], given.head)


def parity() -> None:
    """Compare engines on the faces of all shared clips, at five frames a second."""
    from parity import compare, show_retinaface

    folders = [SHARED / "clips" / "faces", SHARED / "clips" / "odd"]
    compare([clip.path for clip in find_clips(folders)], "afew7", fps=5, threads=1)
    show_retinaface(CLIP)


def broken(given: argparse.Namespace) -> None:
    """Read broken clips in every way, interrupt runs, and judge what comes of it."""
    import clocks
    import faults
    import hostile
    import interrupted
    import lists
    import pictures

    with tempfile.TemporaryDirectory() as folder:
        faults.report(Path(folder), given.mutants, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        pictures.report(Path(folder), given.pictures, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        clocks.report(Path(folder), given.clocks, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        lists.report(Path(folder), given.lists, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        hostile.report(Path(folder), given.lists, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        interrupted.report(Path(folder), given.kills, given.seed)


def many(given: argparse.Namespace) -> None:
    """Classify thousands of clips, stop it twice, and resume."""
    import crowd

    with tempfile.TemporaryDirectory() as folder:
        crowd.report(Path(folder), given.clips)


def jobs() -> None:
    """Classify fifty copies of the demo in three ways, each three times by turns."""
    ways: dict[str, list[float]] = {"-j 1 --threads 1": [], "-j 1": [], "-j 2": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(50):
            shutil.copy(DEMO, Path(folder) / f"{number:02}.mp4")
        for _ in range(3):
            for way, took in ways.items():
                command = ["classify", folder, "--every", "4", "-q", *way.split()]
                begun = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-m", "videmo", *command], check=True, capture_output=True
                )
                took.append(time.perf_counter() - begun)
    least = min(ways["-j 2"])
    for way, took in ways.items():
        print(
            f"{way:18}{min(took):6.1f} s (of {len(took)}: {max(took):.1f})  {min(took) / least:.2f}"
        )


def _timed(run: embed.Backbone, pixels: np.ndarray) -> float:
    start = time.perf_counter()
    run(pixels)
    return time.perf_counter() - start


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


def _children_peak() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def scaled(given: argparse.Namespace) -> None:
    """Simulate runs on a cluster: time, waste, and what the driver holds."""
    import scale

    rows = scale.table()
    scale.show(rows)
    if given.png:
        scale.draw(rows, str(given.png))


def joined(given: argparse.Namespace) -> None:
    """Tell persons apart on clips joined of videos of people whom no training has met."""
    import people

    people.report(YTF, given.joined, given.head)


def long_clip() -> None:
    """What rows, trails and strips of a long clip hold."""
    from held import held

    held()


PLAIN: dict[str, Callable[[], None]] = {
    "odd": odd, "detector": detector, "detectors": detectors, "speed": speed, "memory": memory,
    "jobs": jobs, "held": long_clip,
    "crop": crop_geometry, "embedding": embedding, "following": followed, "parity": parity,
}  # fmt: skip
OF_MANY = {
    "people": joined,
    "faults": broken,
    "many": many,
    "scale": scaled,
    "filmed": filmed_stills,
    "budget": budgets,
}
OF_A_MODEL = {f.__name__: f for f in (faces, attributes, lfw, persons, curve, covered)}


def main() -> None:
    """Print what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=[*PLAIN, *OF_MANY, *OF_A_MODEL])
    parser.add_argument("--head", default="afew7", help="whose backbone and crop are measured")
    parser.add_argument("--model", help="another backbone, by name or folder")
    parser.add_argument("--split", choices=("test", "val"), default="test")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are")
    parser.add_argument("--n", type=int, default=1500, help="faces of each table, for curve")
    parser.add_argument("--png", type=Path, help="a picture of curve or scale, by matplotlib")
    parser.add_argument("--lists", type=int, default=200, help="that name others, for faults")
    parser.add_argument("--mutants", type=int, default=500, help="broken clips, for faults")
    parser.add_argument("--pictures", type=int, default=500, help="broken pictures, for faults")
    parser.add_argument("--clocks", type=int, default=100, help="joined recordings, for faults")
    parser.add_argument("--kills", type=int, default=60, help="runs that are killed, for faults")
    parser.add_argument("--seed", type=int, default=0, help="of the damage, for faults")
    parser.add_argument("--clips", type=int, default=10_000, help="for many")
    parser.add_argument("--joined", type=int, default=80, help="clips of each half, for people")
    given = parser.parse_args()
    if given.figure in PLAIN:
        PLAIN[given.figure]()
        return
    if given.figure in OF_MANY:
        OF_MANY[given.figure](given)
        return
    try:
        recipe = store.load(given.model or given.head).recipe
        model = measure.BackboneRunner(recipe.backbone, recipe.cropping, threads=given.threads)
        OF_A_MODEL[given.figure](model, given)
    except VidemoError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
