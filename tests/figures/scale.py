"""A run of many clips on many workers, simulated: how long, how even, and how much is held.

What is simulated is what `videmo.runs.cluster` does: clips are handed out in order, no further than
WINDOW a worker from the oldest that is not done; one that ends its worker is tried once more at the
end, one to a machine; every answer costs the driver some time. Seeded; nothing runs but NumPy and a
queue of events.
"""

from __future__ import annotations

import heapq
import pickle
import tempfile
import tracemalloc
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from videmo.data import Descriptor, Failure, Prediction, VideoInfo
from videmo.pipeline import Answer
from videmo.runs.cluster import WINDOW
from videmo.runs.executor import ClipResult
from videmo.runs.inputs import Clip
from videmo.runs.journal import Journal

# CPU seconds of the 17 clips of ../shared/clips/faces, at most 8 s of each, in one thread, by afew7
COSTS = np.array([
    0.59, 0.95, 0.34, 0.20, 3.01, 0.47, 0.19, 0.45, 1.35, 1.29, 1.00, 1.25, 0.81, 0.90, 0.63, 0.67,
    2.03,
])  # fmt: skip
DRIVER = 0.0006  # s of the driver for a clip: 3,000 clips that cost nothing, on one and two workers
WORKERS = 16  # of a machine, which has one clip at once when that is tried again
STARTING = 5.0  # s until a worker has loaded the models
SIMULATED = 1_000_000  # clips; more than that go on at the pace of the later half of these


@dataclass(frozen=True)
class Run:
    """What is simulated."""

    clips: int
    workers: int
    spread: float = float(np.log(COSTS).std(ddof=1))  # of the logarithm of a clip's cost
    ends: float = 1 / 86_400  # workers that end in a second, of each
    poison: float = 1e-5  # share of the clips that end every worker
    reach: int = WINDOW
    seed: int = 0

    def costs(self) -> np.ndarray:
        """Return s for each simulated clip, with the mean of those measured."""
        count = min(self.clips, SIMULATED)
        draws = np.random.default_rng(self.seed).lognormal(0.0, self.spread, count)
        scaled: np.ndarray = draws * (COSTS.mean() / np.exp(self.spread**2 / 2))
        return scaled


class Found(NamedTuple):
    """What came of it."""

    seconds: float  # of the whole run
    used: float  # share of the workers' time that was spent on clips
    held: int  # answers at most that waited for an older one
    ended: int  # workers
    died: int  # clips that got WorkerDied


def simulate(run: Run) -> Found:
    """Return what comes of a run."""
    costs, rng = run.costs(), np.random.default_rng(run.seed + 1)
    count, window = len(costs), run.reach * run.workers
    dies_at = rng.exponential(1 / run.ends, (2, count)) if run.ends else np.full((2, count), np.inf)
    poison = rng.random(count) < run.poison
    done, again = np.zeros(count, bool), list[int]()
    idle = [(STARTING, w) for w in range(run.workers)]
    events: list[tuple[float, int, int, bool]] = []  # when, worker, clip, whether it ends
    oldest, newest, finished, held, ended, died, driver, half = 0, 0, 0, 0, 0, 0, 0.0, 0.0
    spent = 0.0
    while finished < count:
        while idle and newest < min(count, oldest + window):
            since, worker = heapq.heappop(idle)
            clip, newest = newest, newest + 1
            begun = max(since, driver)
            fatal = bool(poison[clip]) or dies_at[0, clip] < costs[clip]
            took = min(float(dies_at[0, clip]), float(costs[clip]))
            heapq.heappush(events, (begun + took, worker, clip, fatal))
        when, worker, clip, fatal = heapq.heappop(events)
        driver = max(driver, when) + DRIVER
        heapq.heappush(idle, (driver + (STARTING if fatal else 0.0), worker))
        if fatal:
            ended += 1
            again.append(clip)
        spent += float(costs[clip])
        done[clip], finished = True, finished + 1
        if finished == count // 2:
            half = driver
        while oldest < count and done[oldest]:
            oldest += 1
        held = max(held, finished - oldest)
    beyond, alone = run.clips - count, 0.0
    machines = max(1, run.workers // WORKERS)
    for first in range(0, len(again), machines):
        clips = np.array(again[first : first + machines])
        fatal_ = poison[clips] | (dies_at[1, clips] < costs[clips])
        ended, died = ended + int(fatal_.sum()), died + int(fatal_.sum())
        alone += float((costs[clips] + np.where(fatal_, STARTING, 0.0)).max()) + DRIVER
    scale = run.clips / count
    seconds = driver + beyond * (driver - half) / (count - count // 2) + alone * scale
    used = spent * scale / (seconds * run.workers)
    return Found(seconds, used, held, round(ended * scale), round(died * scale))


def answer_bytes() -> tuple[int, int]:
    """Return the bytes of an answer on the wire, and while the driver holds it."""

    def one(i: int) -> ClipResult:
        values = np.full(4 * 352, i, np.float32)
        descriptor = Descriptor(values, 200, 200, 200)
        prediction = Prediction(tuple("abcdefg"), np.full(7, 1 / 7, np.float32), descriptor)
        info = VideoInfo(f"clips/{i:08}.mp4", 360, 640, 200, 8.0, 25.0, "pyav")
        return ClipResult(Answer(info, descriptor, prediction, ()))

    wire = pickle.dumps(one(0))
    tracemalloc.start()
    held = [pickle.loads(wire) for _ in range(200)]
    size = tracemalloc.get_traced_memory()[0] // len(held)
    tracemalloc.stop()
    return len(wire), size


def clip_bytes() -> int:
    """Return the bytes of a clip in the list of a run, and in the index of its journal."""
    answer, count = ClipResult(Failure("", "VideoError", "")), 10_000
    with tempfile.TemporaryDirectory() as folder, Journal(f"{folder}/out") as journal:
        journal.begin({"recipe": "one"})
        tracemalloc.start()
        clips = [Clip(f"clips/actor_{i % 100:02}/{i:08}.mp4") for i in range(count)]
        for clip in clips:
            journal.add(clip, answer, {"status": "ok"})
        size = tracemalloc.get_traced_memory()[0] // count
        tracemalloc.stop()
    return size


def table() -> list[tuple[Run, Found]]:
    """Return the runs of the figure, from 10^4 clips on one worker to 10^8 on a thousand."""
    sizes = [(10**4, 1), (10**4, 10), (10**5, 10), (10**5, 100), (10**6, 100), (10**6, 1000),
             (10**7, 1000), (10**8, 1000)]  # fmt: skip
    runs = [Run(clips, workers) for clips, workers in sizes]
    runs += [Run(10**6, 1000, reach=reach) for reach in (3, 16, 256)]
    runs += [Run(10**6, 1000, spread=1.2, reach=reach) for reach in (16, WINDOW, 256)]
    runs += [Run(10**6, 1000, ends=1 / 3600)]
    return [(run, simulate(run)) for run in runs]


def draw(rows: list[tuple[Run, Found]], path: str) -> None:
    """Draw time over clips, and what of the workers' time is used as clips may wait further."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    plain = [(run, found) for run, found in rows if run == Run(run.clips, run.workers)]
    for workers in sorted({run.workers for run, _ in plain}):
        points = [(run.clips, f.seconds / 3600) for run, f in plain if run.workers == workers]
        left.loglog(*zip(*points, strict=True), "o-", label=f"{workers:,}")
    most = Run(10**6, 1000)
    alike = [
        (run, f) for run, f in rows if replace(run, spread=most.spread, reach=most.reach) == most
    ]
    for spread in sorted({run.spread for run, _ in alike}):
        points = sorted({(run.reach, 100 * f.used) for run, f in alike if run.spread == spread})
        right.semilogx(*zip(*points, strict=True), "o-", base=2, label=f"{spread:.2f}")
    left.set(xlabel="clips", ylabel="hours")
    right.set(xlabel="answers that may wait, a worker", ylabel="% of the workers' time used")
    right.set(ylim=(0, 103), title="10⁶ clips, 1,000 workers")
    left.legend(title="workers")
    right.legend(title="spread of the costs")
    figure.savefig(path)


def show(rows: list[tuple[Run, Found]]) -> None:
    """Print the table, and what a clip takes of the driver's memory."""
    wire, held = answer_bytes()
    each = clip_bytes()
    print(f"cost of a clip: lognormal, mean {COSTS.mean():.2f} s, spread {Run(1, 1).spread:.2f} "
          f"(n {len(COSTS)}); {1000 * DRIVER:.1f} ms of the driver")  # fmt: skip
    print(f"an answer: {wire} bytes on the wire, {held} held; a clip in list and journal: {each}")
    head = ("clips", "workers", "reach", "spread", "ends/h", "hours", "used", "held", "MB held",
            "MB clips", "ended", "died")  # fmt: skip
    print(("{:>10}" * len(head)).format(*head))
    for run, found in rows:
        more = "~" if run.clips > SIMULATED else ""
        print(f"{run.clips:10.0e}{run.workers:10}{run.reach:10}{run.spread:10.2f}"
              f"{run.ends * 3600:10.2f}{more + format(found.seconds / 3600, '.2f'):>10}"
              f"{found.used:10.1%}{found.held:10}{found.held * held / 1e6:10.1f}"
              f"{run.clips * each / 1e6:10.1f}{found.ended:10}{found.died:10}")  # fmt: skip
    print(f"~ the first {SIMULATED:.0e} clips are simulated, the others go on at their later pace")
