"""One pipeline in many threads, after a fork, and sent to another process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import videmo
from videmo import doctor
from videmo.pipeline import Engine, Pipeline

FORKED = """
import os, signal, sys
import videmo
pipeline = videmo.load("afew7", sampling={"every": 9})
if sys.argv[2] == "loaded":
    pipeline.predict(sys.argv[1])
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
signal.alarm(60)  # or it would hang for ever
try:
    print(pipeline.predict(sys.argv[1]).label, flush=True)
except videmo.VidemoError as error:
    print(error, flush=True)
os._exit(0)
"""


def pipeline_of(engine: str, detector: str) -> Pipeline:
    return videmo.load(
        "afew7",
        engine=Engine(engine=engine, device="cpu", threads=1),
        detection={"detector": detector},
        sampling={"every": 6},
    )


@pytest.mark.parametrize(("engine", "detector"), [("openvino", "mtcnn"), ("torch", "whole")])
def test_threads_that_share_a_pipeline_get_the_answers_of_one(engine: str, detector: str) -> None:
    shared, alone = pipeline_of(engine, detector), pipeline_of(engine, detector)
    parts = [(start / 10, start / 10 + 0.4) for start in range(6)] * 3
    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(shared.predict, doctor.DEMO, start=a, end=b) for a, b in parts]
    expected = [alone.predict(doctor.DEMO, start=a, end=b).scores.tolist() for a, b in parts]
    assert [answer.result().scores.tolist() for answer in found] == expected


def test_models_are_loaded_once_however_many_threads_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = [], videmo.pipeline.models.make_backbone

    def counted(*arguments: object, **more: object) -> object:
        made.append(1)
        return make(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(videmo.pipeline.models, "make_backbone", counted)
    pipeline = pipeline_of("openvino", "whole")
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: pipeline.prepare() is pipeline, range(8)))
    assert len(made) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    ("state", "said"), [("fresh", "Happy"), ("loaded", "a fork does not take their threads along")]
)
def test_a_fork_is_noticed_where_it_matters(state: str, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(doctor.DEMO), state],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert said in ran.stdout


def test_a_pipeline_is_sent_without_its_models_and_loads_them_there() -> None:
    pipeline = pipeline_of("openvino", "whole").prepare()
    sent = pickle.loads(pickle.dumps(pipeline))
    assert "backbone" not in vars(sent) and sent.provenance == pipeline.provenance
    both = [one.predict(doctor.DEMO).scores.tolist() for one in (pipeline, sent)]
    assert both[0] == both[1]
