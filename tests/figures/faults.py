"""Clips that are broken on purpose, and a judge of what was said of them.

As a program it counts the frames of the paths on standard input (each ended by a NUL), in one
thread and in a process that may die of them:

    python tests/figures/faults.py pyav 1 < paths    # decoder, every
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]
Rng = np.random.Generator
Cut = Callable[[bytes, Rng], bytes]

FRAMES, RATE = 20, 5  # 4 s: so slow that every tenth frame is 2 s away, where decord is chosen
KINDS = {  # file -> encoder
    "h264.mp4": "libx264", "h264.ts": "libx264", "h264.flv": "libx264", "hevc.mp4": "libx265",
    "av1.mp4": "libsvtav1", "mpeg4.mkv": "mpeg4", "vp9.mkv": "libvpx-vp9", "vp8.webm": "libvpx",
    "vp8.ogv": "libvpx", "mjpeg.avi": "mjpeg", "wmv2.wmv": "wmv2", "gif.gif": "gif",
}  # fmt: skip
RUNS = {  # name -> (--decoder, --every)
    "auto": ("auto", 1), "decord": ("decord", 1), "auto, sparse": ("auto", 10),
}  # fmt: skip


def good(folder: Path) -> list[Path]:
    """Write a small clip of every kind whose encoder is at hand, and return their paths."""
    import av

    os.environ.setdefault("SVT_LOG", "0")  # or the AV1 encoder introduces itself
    made = []
    for name, encoder in KINDS.items():
        try:
            av.Codec(encoder, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        made.append(_encode(folder / name, encoder))
    return made


def tiny(path: Path, frames: int = 3) -> Path:
    """Write a clip of a few frames of 64 x 64, and return the path."""
    return _encode(path, "libx264", frames, (64, 64))


def _encode(
    path: Path, encoder: str, frames: int = FRAMES, size: tuple[int, int] = (96, 128)
) -> Path:
    import av
    import clips

    height, width = size
    options = {"preset": "8"} if encoder == "libsvtav1" else {}
    if encoder == "libx265":
        options = {"x265-params": "log-level=none"}
    with av.open(str(path), "w") as out:
        stream = out.add_stream(encoder, rate=RATE, options=options)
        stream.height, stream.width = height, width
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(encoder, "yuv420p")
        stream.codec_context.gop_size = stream.codec_context.thread_count = 5
        stream.codec_context.time_base = Fraction(1, RATE)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(clips.draw(i, height, width), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _at(data: bytes, rng: Rng, low: float = 0.0, high: float = 1.0) -> int:
    return int(rng.integers(int(len(data) * low), max(1, int(len(data) * high))))


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new[: len(data) - at] + data[at + len(new) :]


def _noise(data: bytes, rng: Rng, at: int, length: int) -> bytes:
    return _put(data, at, rng.bytes(length))


def _swapped(data: bytes, rng: Rng) -> bytes:
    size = max(1, len(data) // int(rng.integers(8, 64)))
    blocks = [data[i : i + size] for i in range(0, len(data), size)]
    one, other = rng.integers(len(blocks), size=2)
    blocks[one], blocks[other] = blocks[other], blocks[one]
    return b"".join(blocks)


def _sprinkled(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(len(data), size=int(rng.integers(2, 40))):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


CUTS: dict[str, Cut] = {
    "nothing": lambda data, rng: data,
    "truncated": lambda data, rng: data[: _at(data, rng)],
    "tail lost": lambda data, rng: data[: -int(rng.integers(1, 64))],
    "head lost": lambda data, rng: data[int(rng.integers(1, 64)) :],
    "empty": lambda data, rng: b"",
    "one byte": lambda data, rng: _noise(data, rng, _at(data, rng), 1),
    "one bit of the head": lambda data, rng: _sprinkled(data[:512], rng) + data[512:],
    "bits": _sprinkled,
    "a run": lambda data, rng: _noise(data, rng, _at(data, rng), int(rng.integers(2, 400))),
    "head": lambda data, rng: _noise(data, rng, _at(data, rng, 0, 0.05), int(rng.integers(1, 16))),
    "tail": lambda data, rng: _noise(data, rng, _at(data, rng, 0.9), int(rng.integers(1, 64))),
    "zeros": lambda data, rng: _put(data, _at(data, rng), bytes(int(rng.integers(1, 2000)))),
    "ones": lambda data, rng: _put(data, _at(data, rng), b"\xff" * int(rng.integers(1, 200))),
    "swapped": _swapped,
    "doubled": lambda data, rng: data + data[_at(data, rng, 0, 0.5) :],
    "blown up": lambda data, rng: data + bytes(int(rng.integers(1, 100_000))),
}


@dataclass(frozen=True)
class Mutant:
    """A broken copy of a good clip."""

    path: Path
    of: Path
    how: str  # a name in CUTS, or what was appended

    @property
    def same(self) -> bool:
        """Whether chance left it as it was."""
        return self.path.read_bytes() == self.of.read_bytes()


def mutants(folder: Path, clips: Sequence[Path], count: int, seed: int) -> list[Mutant]:
    """Write `count` mutants, the kinds of clip and of damage in turn, and return them."""
    rng, made = np.random.default_rng(seed), []
    hows = [*CUTS, "another appended"]
    for number in range(count):
        of = clips[number % len(clips)]
        how = hows[(number + number // len(clips)) % len(hows)]
        data, other = of.read_bytes(), clips[int(rng.integers(len(clips)))].read_bytes()
        path = folder / f"{number:05} {how} {of.name}"
        path.write_bytes(CUTS[how](data, rng) if how in CUTS else data + other)
        made.append(Mutant(path, of, how))
    return made


@dataclass
class Ran:
    """What one run of the command left behind."""

    code: int | None  # None: it did not end
    records: list[Record]
    err: str
    seconds: float

    @property
    def traceback(self) -> bool:
        """Whether Python's own words for an error came out."""
        return "Traceback (most recent call last)" in self.err


def classify(
    paths: Sequence[str | bytes | Path], *more: str, jobs: int = 2, timeout: float = 600
) -> Ran:
    """Run `videmo classify` on the paths, each frame being the face."""
    command = [sys.executable, "-m", "videmo", "classify", "--detector", "whole", "--format",
               "ndjson", "--files0-from", "-", *more]  # fmt: skip
    if jobs:
        command += ["-j", str(jobs), "--clip-timeout", "20"]
    given, begun = b"".join(os.fsencode(path) + b"\0" for path in paths), time.perf_counter()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        code, out, err = None, late.stdout or b"", late.stderr or b""
    else:
        code, out, err = done.returncode, done.stdout, done.stderr
    records = [json.loads(os.fsdecode(line)) for line in out.splitlines()]
    return Ran(code, records, os.fsdecode(err), time.perf_counter() - begun)


def counted(paths: Sequence[Path], decoder: str, every: int = 1) -> list[int | None]:
    """Return how many frames each path gives in one thread; None where that kills the reader."""
    counts: list[int | None] = []
    while len(counts) < len(paths):
        given = b"".join(os.fsencode(path) + b"\0" for path in paths[len(counts) :])
        command = [sys.executable, __file__, decoder, str(every)]
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, timeout=600)
        counts += map(int, done.stdout.split())
        if done.returncode < 0:
            counts.append(None)
        elif done.returncode:
            raise RuntimeError("the second reading failed")
    return counts


@dataclass
class Verdict:
    """What the judge found wrong; each list names the inputs."""

    tried: int = 0
    frames: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)  # of the tool
    hangs: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # inputs without a record
    lies: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)  # a codec took its process with it
    unforeseen: list[str] = field(default_factory=list)  # errors that ask to be reported

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [*self.crashes, *self.hangs, *self.missing, *self.lies]


def judge(made: Sequence[Mutant], ran: Ran, counts: Sequence[int | None]) -> Verdict:
    """Return what is wrong with the records of some mutants.

    counts: frames of a second, independent reading; None is not compared
    """
    found = Verdict(len(made))
    _judge_run(ran, found)
    whole = {m.of: r for m, r in zip(made, ran.records, strict=False) if m.how == "nothing"}
    for number, (mutant, count) in enumerate(zip(made, counts, strict=True)):
        record = ran.records[number] if number < len(ran.records) else None
        if record is None:
            found.missing.append(f"{mutant.path.name}: no record")
            continue
        kind = (record["error"] or {}).get("type")
        found.statuses[record["status"]] += 1
        found.frames += record["frames"]
        if kind == "ClipTimeout":
            found.hangs.append(f"{mutant.path.name}: took too long")
        elif kind == "WorkerDied":
            found.died.append(f"{mutant.path.name}: {record['error']['message']}")
        else:
            compared = whole.get(mutant.of) if mutant.same else None
            lies = _lies(record, mutant, count, compared)
            found.lies += [f"{mutant.path.name}: {lie}" for lie in lies]
        if kind and record["error"]["message"].startswith("unexpected"):
            found.unforeseen.append(f"{mutant.path.name}: {kind} {record['error']['message']}")
    return found


def _judge_run(ran: Ran, found: Verdict) -> None:
    if ran.code is None:
        found.hangs.append("the command did not end")
    elif ran.code not in (0, 1) or ran.traceback:
        found.crashes.append(f"exit code {ran.code}: {ran.err[-500:]}")
    elif ran.code != any(record["status"] == "error" for record in ran.records):
        found.lies.append(f"exit code {ran.code}, which the records do not say")


def _lies(record: Record, mutant: Mutant, count: int | None, whole: Record | None) -> Iterator[str]:
    """Yield what a record says that is not so."""
    if record["path"] != str(mutant.path):
        yield f"is called {record['path']}"
    if record["status"] == "error":
        yield from _lies_of_failure(record, count)
    else:
        yield from _lies_of_answer(record, count)
    if whole and {**record, "path": ""} != {**whole, "path": ""}:
        yield "has the bytes of another clip, and not its record"


def _lies_of_failure(record: Record, count: int | None) -> Iterator[str]:
    if record["scores"] or record["label"] or record["frames"] or record["faces"]:
        yield "is an error with an answer"
    if not record["error"]["message"].strip() or "\n" in record["error"]["message"]:
        yield "says nothing, or more than a line"
    if count:
        yield f"is an error, and another reading has {count} frames"


def _lies_of_answer(record: Record, count: int | None) -> Iterator[str]:
    if not record["frames"]:
        yield "is an answer without a frame"
    if count is not None and count != record["frames"]:
        yield f"has {record['frames']} frames, another reading {count}"
    if record["face_frames"] > record["frames"] or record["error"]:
        yield "does not agree with itself"
    if record["status"] == "ok":
        scores = list(record["scores"].values())
        if not all(map(math.isfinite, scores)) or abs(sum(scores) - 1) > 1e-5 * len(scores):
            yield f"has the scores {scores}"
        if record["scores"][record["label"]] < max(scores):
            yield "has a label that is not the most probable"


def report(folder: Path, count: int, seed: int) -> None:
    """Print a table of what mutants did to the command, a row a way of reading them."""
    (folder / "good").mkdir()
    clips = good(folder / "good")
    made = mutants(folder, clips, count, seed)
    print(
        f"{count} mutants of {len(clips)} clips ({', '.join(p.name for p in clips)}), seed {seed}"
    )
    print_head()
    for name, (decoder, every) in RUNS.items():
        print_row(name, made, decoder, every)


def print_head() -> None:
    """Print the names of the columns."""
    names = ("read by", "mutants", "frames", "ok", "error", "crashes", "hangs", "no record", "lies",
             "codec died", "unforeseen", "s")  # fmt: skip
    print("".join(f"{name:>13}" for name in names))


def print_row(name: str, made: Sequence[Mutant], decoder: str, every: int) -> None:
    """Print what mutants did to the command, read in one way, and each fault on a line."""
    paths = [mutant.path for mutant in made]
    ran = classify(paths, "--decoder", decoder, "--every", str(every), timeout=3600)
    found = judge(made, ran, counted(paths, decoder, every))
    lists = (
        found.crashes,
        found.hangs,
        found.missing,
        found.lies,
        found.died,
        found.unforeseen,
    )
    row = (name, found.tried, found.frames, found.statuses["ok"], found.statuses["error"],
           *map(len, lists), round(ran.seconds))  # fmt: skip
    print("".join(f"{cell!s:>13}" for cell in row), flush=True)
    for line in (line for lines in lists for line in lines):
        print(f"    {line}")


def _count(path: str, decoder: str, every: int) -> int:
    from videmo.errors import VideoError
    from videmo.stages.decode import Sampling, open_video

    try:
        with open_video(path, decoder, threads=1) as video:
            return sum(map(len, video.read(Sampling(every=every))))
    except VideoError:
        return 0


def main() -> None:
    """Print a count a line, each at once, so that what was read before a crash is known."""
    decoder, every = sys.argv[1], int(sys.argv[2])
    for path in os.fsdecode(sys.stdin.buffer.read()).split("\0")[:-1]:
        print(_count(path, decoder, every), flush=True)


if __name__ == "__main__":
    main()
