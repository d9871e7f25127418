"""A run on a Ray cluster: the answers of this machine alone, whatever becomes of the workers."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
from toys import ToySpec

from videmo import store
from videmo.data import Failure
from videmo.errors import CorruptModel, InputError, ModelError, ModelNotFound
from videmo.pipeline import Answer, Engine, load
from videmo.runs import batch, cluster
from videmo.runs.cluster import ClusterExecutor
from videmo.runs.cluster.bundles import Bundle, bundles_of, resolved
from videmo.runs.cluster.connection import LOCAL, ClusterOptions, connected, ray_library, room_for
from videmo.runs.executor import with_retries
from videmo.runs.inputs import Clip, find_clips
from videmo.runs.worker import InProcessExecutor, PipelineSpec
from videmo.write.spool import unspooled

if not find_spec("ray"):
    pytest.skip("Ray is not installed: pip install '.[ray]'", allow_module_level=True)
ray = ray_library(LOCAL)


@pytest.fixture(scope="module", autouse=True)
def nodes() -> Iterator[None]:
    """Run a cluster with room for two workers, which the tests of this file share."""
    with pytest.MonkeyPatch.context() as patch:
        tests = Path(__file__).parents[1]  # where its workers find the toys, and videmo
        patch.setenv("PYTHONPATH", f"{tests / 'support'}{os.pathsep}{tests.parent}")
        fleet = ClusterOptions(2, address=LOCAL)
        with connected(ray, fleet):
            yield
            begun = [o for o in gc.get_objects() if issubclass(type(o), subprocess.Popen)]
        for process in begun:  # Ray does not wait for them, of which Python warns at its end
            process.kill()
            process.wait(10)


def work(**more: Any) -> ToySpec:
    return ToySpec(None, None, Engine(threads=1), **more)  # type: ignore[arg-type]


def look(names: list[str], jobs: int = 2, timeout: float | None = None) -> list[Answer | Failure]:
    """Return what toys on a cluster answer."""
    with ClusterExecutor(work(), ClusterOptions(jobs, timeout)) as fleet:
        clips = map(Clip, names)
        pairs = list(with_retries(fleet.prepare(), clips, lambda path: None, ordered=True))
    assert [clip.path for clip, _ in pairs] == names
    return [done.answer for _, done in pairs]


def numbers(answers: list[Answer | Failure]) -> list[float]:
    return [float(a.descriptor.values[0]) for a in answers if isinstance(a, Answer)]


def test_answers_come_in_the_order_of_the_clips() -> None:
    names = [f"{'slow' if i % 5 == 0 else 'quick'} {i}" for i in range(12)]
    assert numbers(look(names)) == list(range(12))


def test_a_clip_whose_worker_is_killed_is_tried_again(tmp_path: Path) -> None:
    names = ["quick 0", f"once:{tmp_path / 'tried'} 1", "quick 2", "quick 3"]
    assert numbers(look(names)) == [0, 1, 2, 3]
    assert (tmp_path / "tried").exists()


def test_a_clip_that_ends_two_workers_costs_its_own_answer() -> None:
    first, lost, last = look(["quick 1", "crash 2", "quick 3"], jobs=1)
    assert isinstance(lost, Failure) and lost.error == "WorkerDied"
    assert "also when nothing else ran" in lost.message
    assert numbers([first, last]) == [1, 3]


def test_a_clip_that_hangs_is_given_up() -> None:
    lost, last = look(["hang 1", "quick 2"], jobs=1, timeout=1.0)
    assert isinstance(lost, Failure) and lost.error == "ClipTimeout"
    assert "took more than 1 s and was given up" in lost.message
    assert numbers([last]) == [2]


def test_a_clip_that_cannot_be_read_or_held_is_a_failure_as_ever() -> None:
    broken, hungry, last = look(["broken 1", "hungry 2", "quick 3"], jobs=1)
    assert isinstance(broken, Failure) and broken.error == "InputError"
    assert isinstance(hungry, Failure) and hungry.error == "OutOfMemory"
    assert numbers([last]) == [3]


def test_no_more_than_a_few_clips_are_asked_for_ahead() -> None:
    asked: list[int] = []

    def names() -> Iterator[Clip]:
        for i in range(100):
            asked.append(i)
            yield Clip(f"quick {i}")

    with ClusterExecutor(work(), ClusterOptions(1)) as fleet:
        found = fleet.prepare().map(names(), lambda path: None)
        next(found)
        assert len(asked) == cluster.WINDOW
        assert len(list(found)) == 99


def test_models_that_are_missing_or_end_their_worker_are_said_before_the_first_clip() -> None:
    with (
        ClusterExecutor(work(missing=True), ClusterOptions(1)) as fleet,
        pytest.raises(ModelNotFound),
    ):
        fleet.prepare()
    with (
        ClusterExecutor(work(deadly=True), ClusterOptions(1)) as fleet,
        pytest.raises(ModelError, match="3 workers in a row ended while they loaded the models"),
    ):
        fleet.prepare()


def test_workers_that_do_not_agree_on_versions_are_an_error() -> None:
    with ClusterExecutor(work(), ClusterOptions(1)) as fleet:
        fleet.prepare()
        with pytest.raises(ModelError, match="videmo is toy on one machine and 9 on another"):
            fleet._agree({"videmo": "9"})


def test_a_worker_that_no_machine_has_room_for_is_refused() -> None:
    greedy = replace(work(), engine=Engine(threads=99_999))
    with pytest.raises(InputError, match="no machine of the cluster has 99999 CPUs"):
        ClusterExecutor(greedy, ClusterOptions(1)).__enter__()
    with pytest.raises(InputError, match="has 1 CPUs and 99 GPUs for one worker"):
        ClusterExecutor(work(), ClusterOptions(1, gpus=99)).__enter__()


@pytest.mark.parametrize(
    ("nodes", "threads", "gpus", "room"),
    [
        ([{"CPU": 8.0}, {"CPU": 3.0}], 2, 0, 5),
        ([{"CPU": 8.0}, {"CPU": 3.0}], 4, 0, 2),
        ([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0}], 2, 0.5, 2),
        ([{"CPU": 8.0, "GPU": 4.0}], 4, 1, 2),
    ],
)
def test_room_is_counted_machine_by_machine(
    nodes: list[dict[str, float]], threads: int, gpus: float, room: int
) -> None:
    assert room_for(nodes, threads, gpus) == room


def test_a_model_that_a_machine_does_not_have_is_sent_to_it(tmp_path: Path) -> None:
    there = store.load("afew7").folder
    parcels = bundles_of(PipelineSpec(load("afew7").recipe, str(there), Engine()), ray.put)
    away = {
        role: Bundle(f"/nowhere/{tmp_path.name}/mine", parcel.files)
        for role, parcel in parcels.items()
    }
    spare = iter([tmp_path / "1", tmp_path / "2"])
    sent = resolved(PipelineSpec(load("afew7").recipe, "mine", Engine()), away, lambda: next(spare))
    assert sent.head == str(tmp_path / "1" / "mine")
    assert store.load(str(sent.head)).card == store.load("afew7").card
    assert store.load(sent.recipe.backbone).sha256 == sent.recipe.backbone_sha256
    assert resolved(sent, parcels, lambda: next(spare)).head == str(there)


def test_a_model_that_arrives_changed_is_refused(tmp_path: Path) -> None:
    parcel = Bundle("mine", {"card.json": ("0" * 64, ray.put(b"{}"))})
    with pytest.raises(CorruptModel):
        parcel.unpack(tmp_path / "mine")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """Return a folder with clips with and without a face, and one that is no video."""
    place = tmp_path_factory.mktemp("clips")
    for name in ("a.mp4", "c.mp4", "e.mp4", "f.mp4"):
        (place / name).write_bytes(demo.read_bytes())
    clips.make(place / "b.mp4", 10)
    (place / "d.mp4").write_bytes(b"no video")
    return place


def kill_a_worker() -> None:
    """Kill one of the processes that look at clips."""
    found = subprocess.run(["pgrep", "-f", "^ray::ClusterWorker"], capture_output=True, text=True)
    os.kill(int(found.stdout.split()[0]), signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found by their names in Linux")
def test_records_are_those_of_this_process_though_a_worker_is_killed(
    folder: Path, tmp_path: Path
) -> None:
    pipeline, found = load("afew7", sampling={"fps": 2.0}), find_clips(folder)
    here = list(InProcessExecutor(pipeline.prepare(), None, iter).map(found, lambda path: None))
    fleet = ClusterOptions(2)
    with ClusterExecutor(PipelineSpec.of(pipeline, fleet, str(tmp_path)), fleet) as away:
        there = []
        for pair in with_retries(away.prepare(), found, lambda path: None, ordered=True):
            if not there:
                kill_a_worker()
            there.append(pair)
        provenance = away.provenance
    assert provenance == pipeline.provenance
    records = [
        [batch.record(clip, done.answer, provenance) for clip, done in pairs]
        for pairs in (here, there)
    ]
    assert records[0] == records[1] and len(records[0]) == 6
    faces = there[0][1].faces
    assert faces is not None and Path(faces).parent == tmp_path
    with open(faces, "rb") as file:
        kept_faces = sum(len(f.values) for f in unspooled(file, os.path.getsize(faces)))
    assert isinstance(there[0][1].answer, Answer)
    assert kept_faces == there[0][1].answer.descriptor.faces > 0
    assert np.isfinite(there[0][1].answer.descriptor.values).all()


def test_the_command_prints_what_it_prints_without_a_cluster(
    videmo_command: Any, folder: Path, tmp_path: Path
) -> None:
    given = ["classify", folder / "a.mp4", folder / "d.mp4", "--fps", "2", "--format", "ndjson"]
    hidden = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    away = videmo_command(
        *given, "--engine", "ray", "-j", "2", env=hidden | {"HOME": str(tmp_path)}
    )
    assert away.code == 1 and away.out == videmo_command(*given).out
    assert [record["status"] for record in away.records] == ["ok", "error"]
    assert not list(tmp_path.rglob("*ray*"))


def test_a_cluster_that_is_not_there_is_one_line(videmo_command: Any, demo: Path) -> None:
    ran = videmo_command("classify", demo, "--engine", "ray", "--ray-address", "127.0.0.1:1")
    assert ran.code == 2 and "127.0.0.1:1: no Ray cluster can be used there" in ran.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["classify", "x.mp4", "--gpus-per-worker", "1"], "--gpus-per-worker needs --engine ray"),
        (["attributes", "x.mp4", "--engine", "ray"], "is for classify and extract-features"),
    ],
)
def test_options_of_a_cluster_are_refused_where_there_is_none(
    videmo_command: Any, given: list[str], said: str
) -> None:
    ran = videmo_command(*given)
    assert ran.code == 2 and said in ran.err
