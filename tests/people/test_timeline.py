"""Moments become rows: frames, windows and segments that stay within gaps, cuts and persons."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import toys
from seen import Plain, moments

from videmo.errors import InputError
from videmo.people.linking import Linking
from videmo.people.moments import Moments, load, watch
from videmo.people.timeline import Timing, joined, rows, smoothed, spells


def told(m: Moments, **timing) -> list[tuple]:
    return [
        (row.person, round(row.start, 3), round(row.end, 3), row.label, row.faces)
        for row in rows(m, Plain, Timing(**timing))  # type: ignore[arg-type]
    ]


TENTHS = np.arange(20) / 10


def test_a_frame_lasts_until_the_next_one():
    m = moments([0, 0, 0.1, 0.4], [1, 0, 1, 1], person=[2, 1, 1, 1])
    assert told(m, by="frame") == [
        (1, 0, 0.1, "Sad", 1), (2, 0, 0.1, "Happy", 1), (1, 0.1, 0.4, "Happy", 1),
        (1, 0.4, 0.6, "Happy", 1),
    ], "the last one lasts for the usual step"  # fmt: skip


@pytest.mark.parametrize("by", ["frame", "window", "segment", "person"])
def test_the_one_frame_of_a_picture_is_a_row_that_lasts(by: str):
    (row,) = rows(moments([0], [1]), Plain, Timing(by=by))  # type: ignore[arg-type]
    assert (row.start, row.end, row.frames, row.coverage) == (0, 0.04, 1, 1)


def test_windows_that_do_not_overlap_pool_to_the_mean_of_all_faces(rng):
    m = moments(TENTHS, rng.random(20).astype(np.float32))
    found = list(rows(m, Plain, Timing(window=0.7, step=0.7)))  # type: ignore[arg-type]
    pooled = sum(row.raw * row.faces for row in found) / sum(row.faces for row in found)
    assert pooled == pytest.approx(m.raw.astype(np.float64).mean(0), abs=1e-6)
    assert found[-1].end == pytest.approx(2.0), "the last window ends with the clip"


def test_a_window_counts_the_frames_without_a_face_too():
    m = moments([0, 0.1], [1, 1], times=np.arange(10) / 10)
    (row,) = rows(m, Plain, Timing(window=1, step=1))  # type: ignore[arg-type]
    assert (row.faces, row.frames, row.coverage) == (2, 10, 0.2)


def test_segments_are_runs_of_one_label_and_short_ones_join_a_neighbour():
    happy = np.r_[np.full(8, 0.9), np.full(2, 0.2), np.full(3, 0.9), np.full(7, 0.1)]
    assert told(moments(TENTHS, happy), by="segment", smooth="none") == [
        (1, 0, 1.3, "Happy", 13), (1, 1.3, 2, "Sad", 7),
    ]  # fmt: skip


def test_a_label_is_held_until_another_is_clearly_ahead():
    happy = np.r_[np.full(10, 0.9), np.full(10, 0.48)]
    assert len(told(moments(TENTHS, happy), by="segment", smooth="none", margin=0.1)) == 1
    assert len(told(moments(TENTHS, happy), by="segment", smooth="none", margin=0)) == 2


def test_no_run_is_joined_across_a_gap_a_cut_or_a_person():
    time = np.r_[np.arange(5), np.arange(30, 35)] / 10
    assert len(told(moments(time, np.ones(10)), by="segment")) == 2, "a gap"
    assert len(told(moments(TENTHS, np.ones(20), cuts=[1.0]), by="segment")) == 2, "a cut"
    two = moments(np.repeat(np.arange(10) / 10, 2), np.ones(20), person=[1, 2] * 10)
    assert [row[0] for row in told(two, by="segment")] == [1, 2], "persons"


def test_a_person_whose_box_jumps_stays_in_one_segment():
    m = moments(TENTHS, np.ones(20), track=[0] * 10 + [1] * 10)
    assert len(told(m, by="segment")) == 1


def test_nobody_has_frames_and_windows_but_no_segment():
    m = moments([0, 0.1], [1, 1], person=[0, 0], track=[4, 5])
    assert [row[0] for row in told(m, by="frame")] == [None, None]
    assert told(m, by="segment") == []


@pytest.mark.parametrize("smooth", ["mean", "median"])
def test_smoothing_stays_within_a_spell(smooth):
    happy = np.r_[np.ones(10), np.zeros(10)]
    m = moments(TENTHS, happy, cuts=[1.0])
    timing = Timing(smooth=smooth, width=1.0)
    assert smoothed(m, timing)[:, 0] == pytest.approx(happy)
    m = moments(TENTHS, happy)
    assert 0 < smoothed(m, timing)[9, 0] < 1 or smooth == "median"
    assert smoothed(m, timing).sum(1) == pytest.approx(np.ones(20))


def test_smoothing_by_mean_is_the_mean_over_its_width():
    happy = np.arange(20) / 20
    got = smoothed(moments(TENTHS, happy), Timing(smooth="mean", width=0.4))[:, 0]
    assert got[5] == pytest.approx(happy[3:8].mean())
    assert got[0] == pytest.approx(happy[:3].mean()), "at an end there is less of it"


def test_every_face_is_in_one_spell():
    m = moments(TENTHS, np.ones(20), person=[1, 0] * 10, track=[0, 1] * 10, cuts=[0.5])
    assert sorted(itertools.chain(*(s.tolist() for s in spells(m)))) == list(range(20))


def test_runs_are_joined_until_none_is_short():
    answers = np.array([[0.6, 0.4], [0.4, 0.6]] * 5, np.float32)
    label = answers.argmax(1)
    assert len(set(joined(label, answers, np.arange(11) / 10, 0.5).tolist())) == 1
    assert joined(label, answers, np.arange(11) / 10, 0).tolist() == label.tolist()


def test_no_face_is_no_row():
    for by in ("frame", "window", "segment"):
        assert told(moments([], np.zeros(0)), by=by) == []


@pytest.mark.parametrize(
    "wrong", [{"by": "day"}, {"smooth": "much"}, {"window": 0}, {"step": 2}, {"margin": 3}]
)
def test_a_timing_that_cannot_be_followed_is_refused(wrong):
    with pytest.raises(InputError):
        Timing(**wrong)


def test_a_head_that_reads_whole_clips_tells_no_moments():
    with pytest.raises(InputError, match="vgaf3 reads whole clips"):
        load("vgaf3")


def test_the_faces_of_the_demo_pool_to_what_classify_says_and_keep_their_persons(demo):
    pipeline = load(following={"every": "auto"})
    seen = watch(pipeline, demo)
    found = seen.moments
    assert seen.answer.prediction is not None
    whole = pipeline.tell(found.raw.mean(0, dtype=np.float64)[None])[0]
    assert whole == pytest.approx(seen.answer.prediction.scores, abs=1e-6)
    assert found.persons == (1, 2)
    assert found.cuts.tolist() == pytest.approx([3, 5])
    seconds = {who: {int(t) for t in found.faces.time[found.person == who]} for who in (1, 2)}
    assert seconds == {1: {0, 1, 2, 5, 6, 7}, 2: {3, 4, 5, 6, 7}}
    assert np.isfinite(found.quality).all()


def test_a_row_a_person_counts_the_frames_of_the_whole_clip():
    m = moments([0.2, 0.3, 0.3, 0.4], [1, 1, 0, 1], person=[1, 1, 2, 0], times=np.arange(10) / 10)
    first, second = rows(m, Plain, Timing(by="person"))  # type: ignore[arg-type]
    assert (first.person, first.start, first.faces, first.coverage) == (1, 0.2, 2, 0.2)
    assert first.end == pytest.approx(0.4) and second.label == "Sad"


@pytest.mark.parametrize(
    ("clip", "persons"),
    [
        ("face-demographics-walking-and-pause.mp4", 3),
        ("head-pose-face-detection-female-and-male.mp4", 2),
    ],
)
def test_each_person_of_a_real_clip_has_one_number(shared, clip, persons):
    found = watch(load(), shared / "clips" / "faces" / clip).moments
    assert found.persons == tuple(range(1, persons + 1))
    assert (found.person > 0).mean() > 0.95


def test_a_face_goes_from_distress_to_happy(shared):
    pipeline = load(fps=5)
    path = shared / "clips" / "faces" / "wolfganglanger_pexels.mp4"
    found = list(rows(watch(pipeline, path).moments, pipeline, Timing(by="segment")))
    assert found[0].label in ("Sad", "Fear", "Angry") and found[-1].label == "Happy"
    assert {row.person for row in found} == {1}


def test_a_network_without_identity_tells_persons_by_overlap_alone(tmp_path):
    toys.network(tmp_path / "faces", "emotion")
    with pytest.raises(InputError, match="no output identity"):
        load(tmp_path / "faces")
    assert "identity" not in load(tmp_path / "faces", linking=Linking(by="overlap")).outputs


@pytest.mark.parametrize("by", ["frame", "segment", "person"])
def test_rows_of_a_long_clip_take_less_memory_than_its_moments(monkeypatch, by: str):
    monkeypatch.setattr("videmo.pipeline.clips.TOLD", 1000)
    pipeline, m = load("afew7"), 20_000
    wide = len(pipeline.outputs[pipeline.recipe.pooling.of])
    time = np.arange(m) // 4 / 10
    one = moments(time, np.ones(m, np.float32), person=1 + np.arange(m) % 4)
    raw = np.full((m, wide), 1 / wide, np.float32)
    raw[:, 3] += np.arange(m) % 2000 / 1000 - 0.5  # so that there are segments, but not many
    one = replace(one, raw=raw, labels=pipeline.labels)
    next(rows(one[:10], pipeline, Timing(by=by)))  # type: ignore[arg-type]
    tracemalloc.start()
    next(rows(one, pipeline, Timing(by=by)))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * m, f"{peak / m:.0f} bytes a face; the moments have 200"


def test_what_a_head_tells_of_many_rows_is_told_in_blocks(rng, monkeypatch):
    pipeline = load("afew7")
    rows = rng.dirichlet(np.ones(len(pipeline.outputs[pipeline.recipe.pooling.of])), 500)
    whole = pipeline.tell(rows)
    monkeypatch.setattr("videmo.pipeline.clips.TOLD", 7)
    assert (pipeline.tell(rows) == whole).all()
