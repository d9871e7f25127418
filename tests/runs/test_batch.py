"""One record for every clip, whatever it is."""

from __future__ import annotations

import struct

import pytest

import videmo
from videmo.runs import batch
from videmo.runs.inputs import Clip

KEYS = [
    "schema_version", "path", "status", "label", "scores", "frames", "face_frames", "faces",
    "frames_detected", "tracks", "frames_with_others", "side", "sharpness", "brightness", "frontal",
    "coverage", "duration", "warnings", "error", "provenance",
]  # fmt: skip


@pytest.fixture(scope="module")
def pipeline():
    return videmo.load("afew7", sampling={"every": 10})


def test_every_input_gets_its_record_in_order(pipeline, demo, tmp_path):
    (tmp_path / "empty.mp4").touch()
    paths = [tmp_path / "missing.mp4", demo, tmp_path / "empty.mp4", demo]
    records = list(batch.classify([Clip(str(p)) for p in paths], pipeline))
    assert [r["path"] for r in records] == [str(p) for p in paths]
    assert [r["status"] for r in records] == ["error", "ok", "error", "ok"]
    assert all(list(r) == KEYS for r in records)
    assert records[1] == records[3]


def test_a_record_says_what_made_it(pipeline, demo):
    (record,) = batch.classify([Clip(str(demo), end=1.0)], pipeline)
    provenance = record["provenance"]
    assert provenance["videmo"] == videmo.__version__
    assert provenance["head"] == "afew7"
    assert provenance["head_sha256"] == pipeline.head_model.sha256
    assert provenance["backbone_sha256"] == pipeline.recipe.backbone_sha256
    assert (
        provenance["detector"] == "retinaface-mobilenet"
        and len(provenance["detector_sha256"]) == 64
    )
    assert provenance["recipe"] == pipeline.recipe.fingerprint()
    assert provenance["decoder"] in ("decord", "pyav")
    assert provenance["device"] == "cpu"


def test_the_part_of_a_clip_is_named_in_its_record(pipeline, demo):
    (record,) = batch.classify([Clip(str(demo), start=3.0, end=4.0)], pipeline)
    assert (record["start"], record["end"]) == (3.0, 4.0)
    assert record["frames"] == 3  # every tenth of 25 frames, from the first: 75, 85, 95


@pytest.mark.parametrize("raised", [ZeroDivisionError, TypeError, struct.error, AssertionError,
                                    SyntaxError, Exception])  # fmt: skip
def test_what_no_stage_foresaw_costs_one_record(pipeline, demo, monkeypatch, raised):
    real = pipeline.answer

    def answer(path, **more):
        if path == "odd":
            raise raised("a fault\nof ours")
        return real(path, **more)

    monkeypatch.setattr(pipeline, "answer", answer)
    odd, good = batch.classify([Clip("odd"), Clip(str(demo), end=0.1)], pipeline)
    assert odd["error"] == {
        "type": raised.__name__,
        "message": "unexpected: a fault of ours; please report it",
    }
    assert good["status"] == "ok"
    failure = batch.attempt(Clip("odd"), pipeline)
    assert 'raise raised("a fault\\nof ours")' in failure.trace and "Traceback" in failure.trace


@pytest.mark.parametrize(
    "raised",
    [MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("x.cpp:8: std::bad_alloc"),
     RuntimeError("can't start new thread")],
)  # fmt: skip
def test_memory_that_ran_out_is_told_so_whoever_says_it(pipeline, monkeypatch, raised):
    def answer(path, **more):
        raise raised

    monkeypatch.setattr(pipeline, "answer", answer)
    failure = batch.attempt(Clip("any"), pipeline)
    assert failure.error == "OutOfMemory" and "memory ran out" in failure.message


@pytest.mark.parametrize("raised", batch.ENDS_A_RUN)
def test_what_the_next_clip_would_meet_as_well_ends_the_run(pipeline, monkeypatch, raised):
    def answer(path, **more):
        raise raised("the disk", "is full")

    monkeypatch.setattr(pipeline, "answer", answer)
    with pytest.raises(raised):
        batch.attempt(Clip("any"), pipeline)


def test_a_full_disk_ends_the_run(pipeline, demo):
    def full(river):
        raise videmo.errors.OutputError("features.npz", "No space left on device")

    with pytest.raises(videmo.errors.OutputError):
        batch.attempt(Clip(str(demo)), pipeline, full)
