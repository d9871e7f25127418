"""Several clips at once: the same answers in order, whatever a clip does to its process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
import toys
from toys import ToySpec

from videmo.data import Failure
from videmo.errors import InputError, ModelError, ModelNotFound, VidemoError
from videmo.pipeline import Answer, Engine, cpus, load
from videmo.pipeline.engine import _cgroup_cpus
from videmo.runs.board import Board, Underway
from videmo.runs.executor import with_retries
from videmo.runs.inputs import Clip
from videmo.runs.processes import ProcessExecutor, _reachable
from videmo.runs.worker import PipelineSpec, WorkerOptions
from videmo.write.spool import spooled, unspooled


def work(**more: Any) -> ToySpec:
    return ToySpec(None, None, Engine(), **more)  # type: ignore[arg-type]


def look(names: list[str], jobs: int = 2, timeout: float | None = None) -> list[Answer | Failure]:
    """Return what toys in processes answer."""
    with ProcessExecutor(work(), WorkerOptions(jobs, timeout)) as processes:
        clips = map(Clip, names)
        pairs = list(with_retries(processes.prepare(), clips, lambda path: None, ordered=True))
    assert [clip.path for clip, _ in pairs] == names
    return [done.answer for _, done in pairs]


def test_answers_come_in_the_order_of_the_clips() -> None:
    names = [f"{'slow' if i % 3 == 0 else 'quick'} {i}" for i in range(12)]
    assert [float(a.descriptor.values[0]) for a in look(names)] == list(range(12))


@pytest.mark.parametrize(("word", "how"), [("crash", "SIGSEGV"), ("vanish", "exit code 7")])
def test_a_clip_that_ends_its_process_costs_its_own_answer(word: str, how: str) -> None:
    first, lost, last = look(["quick 1", f"{word} 2", "quick 3"], jobs=1)
    assert isinstance(lost, Failure) and lost.error == "WorkerDied" and how in lost.message
    assert isinstance(first, Answer) and isinstance(last, Answer)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_clip_whose_process_died_is_tried_once_more_alone(tmp_path: Path, ordered: bool) -> None:
    names = ["quick 0", f"once:{tmp_path / 'tried'} 1", "slow 2", "quick 3", "crash 4", "quick 5"]
    with ProcessExecutor(work(), WorkerOptions(2)) as processes:
        clips = map(Clip, names)
        pairs = list(with_retries(processes.prepare(), clips, lambda path: None, ordered=ordered))
    found = [int(clip.path.split()[1]) for clip, _ in pairs]
    assert found == ([*range(6)] if ordered else [0, 2, 3, 5, 1, 4])  # at the very end
    answers = {int(clip.path.split()[1]): result.answer for clip, result in pairs}
    assert isinstance(answers[1], Answer) and (tmp_path / "tried").exists()
    lost = answers[4]
    assert isinstance(lost, Failure) and "also when nothing else ran" in lost.message


def test_a_clip_that_hangs_is_given_up() -> None:
    lost, last = look(["hang 1", "quick 2"], jobs=1, timeout=1.0)
    assert isinstance(lost, Failure) and lost.error == "ClipTimeout"
    assert "took more than 1 s and was given up; raise --clip-timeout" in lost.message
    assert isinstance(last, Answer)


def test_how_far_clips_are_is_told_while_they_are_waited_for() -> None:
    told: list[Sequence[Underway]] = []
    with ProcessExecutor(work(), WorkerOptions(2), told.append) as processes:
        found = processes.prepare().map(map(Clip, ["long 1", "quick 2", "slow 3"]), str)
        assert len([*found]) == 3
    first, *others = told[0]
    assert (first.path, first.seen, first.expected, first.done) == ("long 1", 25, 100, False)
    assert [(one.path, one.done) for one in others] == [("quick 2", True), ("slow 3", True)]


def test_a_place_on_the_board_is_empty_for_the_next_clip() -> None:
    board = Board(1, get_context("spawn"))
    place = board.take()
    assert place is not None and board.take() is None
    assert board.read(place, "a", done=False) is None
    assert [*board.writer(place).watch(iter([toys.features(3)]))]
    assert board.read(place, "a", done=False) == (place, "a", 3, None, False)
    board.give_back(place)
    assert board.take() == place and board.read(place, "b", done=False) is None


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_that_are_killed_while_they_wait_cost_no_answer(jobs: int) -> None:
    def named() -> Iterator[Clip]:
        for i in range(12):
            if i in (4, 9):  # what was asked for before is answered, nothing is in hand
                wait([task.result for task in processes._tasks])
                for process in active_children():
                    process.kill()
            yield Clip(f"quick {i}")

    with ProcessExecutor(work(), WorkerOptions(jobs)) as processes:
        found = processes.prepare().map(named(), lambda path: None)
        answers = [done.answer for _, done in found]
    assert [float(a.descriptor.values[0]) for a in answers if isinstance(a, Answer)] == [*range(12)]


def test_processes_that_always_end_before_a_clip_are_one_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("videmo.runs.processes._pool", lambda jobs, board: DeadPool())
    with (
        ProcessExecutor(work(), WorkerOptions(1)) as processes,
        pytest.raises(VidemoError, match="--resume"),
    ):
        list(processes.map(map(Clip, ["quick 1"]), lambda path: None))


class DeadPool:
    """A pool whose processes end before they do anything."""

    active = False

    def schedule(self, *anything: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("All workers expired"))
        return future

    def stop(self) -> None:
        """Nothing runs."""

    join = close = stop


def test_a_clip_that_cannot_be_read_or_held_is_a_failure_as_ever() -> None:
    broken, hungry, last = look(["broken 1", "hungry 2", "quick 3"])
    assert isinstance(broken, Failure) and broken.error == "InputError"
    assert isinstance(hungry, Failure) and hungry.error == "OutOfMemory"
    assert isinstance(last, Answer)


def test_no_more_than_a_few_clips_are_asked_for_ahead() -> None:
    asked: list[str] = []

    def names() -> Any:
        for i in range(40):
            asked.append(str(i))
            yield Clip(f"quick {i}")

    with ProcessExecutor(work(), WorkerOptions(1)) as processes:
        found = processes.prepare().map(names(), lambda path: None)
        next(iter(found))
        assert len(asked) <= 3
        for _ in found:
            pass


def test_a_model_that_is_missing_is_said_before_the_first_clip() -> None:
    with (
        ProcessExecutor(work(missing=True), WorkerOptions(2)) as processes,
        pytest.raises(ModelNotFound),
    ):
        processes.prepare()


def test_models_that_end_the_process_are_one_clear_error() -> None:
    with (
        ProcessExecutor(work(deadly=True), WorkerOptions(1)) as processes,
        pytest.raises(ModelError, match="a process ended while it loaded the models"),
    ):
        processes.prepare()


def test_jobs_times_threads_is_what_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videmo.runs.worker.cpus", lambda: 8)
    assert WorkerOptions(3).engine(Engine()).threads == 2
    assert WorkerOptions(20).engine(Engine()).threads == 1
    assert WorkerOptions(4).engine(Engine(threads=2)).threads == 2
    with pytest.raises(InputError, match="4 jobs of 3 threads are more than the 8 CPUs"):
        WorkerOptions(4).engine(Engine(threads=3))


def test_a_container_s_share_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert _cgroup_cpus(str(tmp_path / "cpu.max"), 16) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert _cgroup_cpus(str(tmp_path / "cpu.max"), 16) == 16
    assert _cgroup_cpus(str(tmp_path / "none"), 16) == 16
    assert cpus() >= 1


def test_features_are_the_same_behind_the_file_they_were_kept_in(
    tmp_path: Path, demo: Path
) -> None:
    pipeline = load("afew7", sampling={"fps": 2.0})
    seen = list(spooled(str(tmp_path / "unspooled"))(pipeline.features(demo, end=2)))
    with (tmp_path / "unspooled").open("rb") as file:
        again = list(unspooled(file, (tmp_path / "unspooled").stat().st_size))
    assert [f.seen for f in again] == [f.seen for f in seen]
    for one, other in zip(seen, again, strict=True):
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.faces.box, other.faces.box)
        assert np.array_equal(one.faces.track, other.faces.track)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """Return a folder with two clips, one without a face, and one that is no video."""
    place = tmp_path_factory.mktemp("clips")
    for name in ("a.mp4", "c.mp4"):
        (place / name).write_bytes(demo.read_bytes())
    clips.make(place / "b.mp4", 10)
    (place / "d.mp4").write_bytes(b"no video")
    return place


def test_records_do_not_depend_on_the_number_of_jobs(videmo_command: Any, folder: Path) -> None:
    given = ["classify", folder, "--fps", "2", "--format", "ndjson"]
    alone, two = videmo_command(*given), videmo_command(*given, "-j", "2")
    assert alone.code == two.code == 1
    assert alone.out == two.out and len(two.records) == 4
    assert [record["status"] for record in two.records] == ["ok", "no_face", "ok", "error"]


def test_features_do_not_depend_on_the_number_of_jobs(
    videmo_command: Any, folder: Path, tmp_path: Path
) -> None:
    given = ["extract-features", folder, "--fps", "2", "--frames"]
    for name, more in (("alone", ()), ("two", ("-j", "2"))):
        assert videmo_command(*given, *more, "--out", tmp_path / f"{name}.npz").code == 1
    assert (tmp_path / "alone.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_timeout_needs_processes(videmo_command: Any, demo: Path) -> None:
    ran = videmo_command("classify", demo, "--clip-timeout", "5")
    assert ran.code == 2 and "--clip-timeout needs --jobs" in ran.err


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are found in /proc")
def test_other_processes_read_what_this_one_has_open(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "clip.mkv", 10)
    with open(clip, "rb") as file:
        ours = _reachable(Clip(f"/dev/fd/{file.fileno()}", start=0.1))
        seen = subprocess.check_output([sys.executable, "-c", SIZE, ours.path], text=True)
    assert int(seen) == clip.stat().st_size and ours.start == 0.1
    assert _reachable(Clip("/dev/fd/9999")).path == "/dev/fd/9999"
    assert _reachable(Clip("clip.mkv")).path == "clip.mkv"


SIZE = "import sys; print(len(open(sys.argv[1], 'rb').read()))"


def test_work_names_a_folder_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is a name: a head in the folder `net` here is not found as "net"."""
    monkeypatch.chdir(tmp_path)
    toys.network(Path("net"), "emotion")
    for head in ("./net", Path("net")):
        spec = PipelineSpec.of(load(head), WorkerOptions(1))
        assert spec.head == str(tmp_path / "net")
        model = spec.build().head_model
        assert model is not None and model.name == "net"
