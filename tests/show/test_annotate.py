"""A clip with faces goes through `annotate` and is read again."""

from __future__ import annotations

import numpy as np
import pytest
from films import beeps_in, film
from seen import Plain, moments

from videmo.errors import InputError, UnknownName
from videmo.people.moments import load, watch
from videmo.show.annotate import AnnotateOptions, annotate
from videmo.show.trails import RunningAnswer, clock
from videmo.stages.decode import Sampling, open_video

TIMES = [0.0, 0.02, 0.2, 0.21, 0.45, 0.5, 0.9, 1.4]  # 5 to 50 frames/s


@pytest.fixture(scope="module")
def pipeline():
    return load("afew7", detect_every=1).prepare()  # what is drawn moves followed boxes a little


@pytest.fixture(scope="module")
def turned(tmp_path_factory, demo):
    """A clip of one face, lying on its side, with a frame rate that varies and beeps."""
    with open_video(demo) as video:
        pictures = [p for b in video.read(Sampling(end=0.32)) for p in b.pixels]
    return film(tmp_path_factory.mktemp("clip") / "turned.mp4", pictures, TIMES, turn=90,
                beeps=[0.3, 1.2])  # fmt: skip


def read(path):
    with open_video(path) as video:
        batches = list(video.read(Sampling()))
    return np.concatenate([b.time for b in batches]), np.concatenate([b.pixels for b in batches])


def overlap(a, b):
    """Return the intersection over union of boxes (M, 4)."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    both = (high - low).clip(0).prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    return both / (areas[0] + areas[1] - both)


def drawn(before, after, box):
    """Return the box (4,) that is drawn around a face, by what differs on lines through it."""
    differs = abs(after.astype(int) - before).max(-1) > 35  # H.264 changes less
    x, y = int(box[0] + box[2]) // 2, int(box[1] + box[3]) // 2
    across, down = np.flatnonzero(differs[y]), np.flatnonzero(differs[:, x])
    left, right = across[across < x].max() + 1, across[across > x].min()
    return [left, down[down < y].max() + 1, right, down[down > y].min()]


def test_a_turned_clip_of_a_varying_rate_keeps_its_times_faces_and_sound(
    turned, pipeline, tmp_path
):
    seen = annotate(turned, tmp_path / "out.mp4", pipeline).moments
    times, pixels = read(tmp_path / "out.mp4")
    real, frames = read(turned)
    assert times == pytest.approx(real, abs=1e-3)
    assert times == pytest.approx(TIMES, abs=2e-3)  # a tick of the clip is 1/600 s
    assert pixels.shape[1:3] == (360, 480)
    assert len(seen) == len(TIMES)
    boxes = np.array([drawn(*of) for of in zip(frames, pixels, seen.faces.box, strict=True)])
    assert overlap(seen.faces.box, boxes).min() >= 0.9
    assert beeps_in(tmp_path / "out.mp4") == pytest.approx(beeps_in(turned), abs=0.005)


def test_blurred_faces_are_found_no_more(turned, pipeline, tmp_path):
    annotate(turned, tmp_path / "out.mp4", pipeline, AnnotateOptions(blur=True, sound=False))
    assert len(watch(pipeline, tmp_path / "out.mp4").moments) == 0


def test_a_part_begins_at_0(turned, pipeline, tmp_path):
    annotate(turned, tmp_path / "out.mp4", pipeline, AnnotateOptions(start=0.2, end=0.95))
    assert read(tmp_path / "out.mp4")[0] == pytest.approx([0, 0.01, 0.25, 0.3, 0.7], abs=2e-3)
    assert beeps_in(tmp_path / "out.mp4") == pytest.approx([0.1], abs=0.005)


def test_persons_who_are_not_there_are_named_and_nothing_is_written(turned, pipeline, tmp_path):
    with pytest.raises(InputError, match="person 3 is not seen; there is 1"):
        annotate(turned, tmp_path / "out.mp4", pipeline, AnnotateOptions(persons=(1, 3)))
    assert list(tmp_path.iterdir()) == []


def test_what_is_interrupted_leaves_nothing(turned, pipeline, tmp_path):
    def stop(frames):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate(turned, tmp_path / "out.mp4", pipeline, drawn=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_that_is_no_container_is_refused_before_the_work(pipeline, tmp_path):
    with pytest.raises(UnknownName, match=r"'\.gif'"):
        annotate("none.mp4", tmp_path / "out.gif", pipeline)


def test_a_clip_without_a_face_is_drawn_all_the_same(pipeline, tmp_path):
    film(tmp_path / "grey.mp4", [np.full((96, 128, 3), 120, np.uint8)] * 3, [0, 0.1, 0.2])
    seen = annotate(tmp_path / "grey.mp4", tmp_path / "out.mkv", pipeline)
    assert (len(seen.moments), len(read(tmp_path / "out.mkv")[0])) == (0, 3)


@pytest.mark.parametrize(
    ("time", "words"),
    [(0, "0:00.00"), (62.5, "1:02.50"), (59.999, "1:00.00"), (3602, "1:00:02.00")],
)
def test_a_time_is_written_as_people_do(time, words):
    assert clock(time) == words


def test_the_answer_so_far_is_that_of_all_faces_until_then(rng, monkeypatch) -> None:
    monkeypatch.setattr("videmo.show.trails.TOLD", 3)
    happy = rng.random(10).astype(np.float32)
    answer = RunningAnswer(moments(np.arange(10) / 10, happy), Plain)  # type: ignore[arg-type]
    assert answer.at(-0.1) is None
    for k in range(1, 11):
        told = answer.at((k - 1) / 10)
        assert told is not None and told[0] == pytest.approx(happy[:k].mean(), abs=1e-6)
