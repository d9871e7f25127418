"""Boxes of one person get one number, whatever the batches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videmo.data import Faces, FrameBatch
from videmo.stages.boxes import iou
from videmo.stages.track import Tracking, track

Box = tuple[float, float, float, float]


def batch(frames: list[list[Box]], first: int = 0, fps: float = 25) -> tuple[FrameBatch, Faces]:
    """Return a batch that begins at frame `first`, and its faces."""
    n = len(frames)
    index = np.arange(first, first + n)
    pixels = np.zeros((n, 4, 4, 3), np.uint8)
    row = np.repeat(np.arange(n), [len(boxes) for boxes in frames])
    box = np.array([b for boxes in frames for b in boxes], np.float32).reshape(-1, 4)
    m = len(row)
    some = Faces(
        row, index[row], index[row] / fps, box, np.ones(m, np.float32),
        np.full((m, 5, 2), np.nan, np.float32),
    )  # fmt: skip
    return FrameBatch(pixels, index, index / fps), some


def numbers(frames: list[list[Box]], fps: float = 25, **options: float) -> list[list[int]]:
    """Return the track numbers of each frame's boxes."""
    ((_, some),) = track([batch(frames, fps=fps)], Tracking(**options))
    return [some.track[some.row == i].tolist() for i in range(len(frames))]


def square(x: float, y: float = 0, side: float = 40) -> Box:
    return (x, y, x + side, y + side)


def test_a_still_face_is_one_track() -> None:
    assert numbers([[square(10)]] * 4) == [[0]] * 4


def test_tracks_are_numbered_from_zero_as_they_begin() -> None:
    a, b, c = square(0), square(100), square(200)
    assert numbers([[a], [a, b], [c, b, a]]) == [[0], [0, 1], [2, 1, 0]]


def test_a_number_follows_the_box_not_the_order_in_the_frame() -> None:
    a, b = square(0), square(100)
    assert numbers([[a, b], [b, a], [a, b]]) == [[0, 1], [1, 0], [0, 1]]


def test_two_people_who_cross_keep_their_numbers() -> None:
    # they pass at different heights: each overlaps its own last box by 0.82, the other's by less
    frames = [[square(4 * t, 0), square(120 - 4 * t, 15)] for t in range(31)]
    assert numbers(frames) == [[0, 1]] * 31


def test_the_greatest_overlap_is_taken_first() -> None:
    # the first face overlaps both tracks, and the second track more; the rest is taken in turn
    before = [square(0), square(20)]
    after = [square(16), square(4)]
    assert numbers([before, after]) == [[0, 1], [1, 0]]


def test_a_face_that_overlaps_two_tracks_goes_on_with_the_nearer() -> None:
    assert numbers([[square(0), square(10)], [square(2)]])[-1] == [0]
    assert numbers([[square(10), square(0)], [square(2)]])[-1] == [1]


def test_no_two_faces_of_a_frame_share_a_track() -> None:
    assert numbers([[square(0)], [square(0), square(1)]]) == [[0], [0, 1]]


def test_a_jump_begins_a_new_track() -> None:
    assert numbers([[square(0)], [square(39)]]) == [[0], [1]]


def test_overlap_is_the_least_that_links() -> None:
    two = [[square(0)], [square(20)]]  # intersection over union 1/3
    assert numbers(two, overlap=0.3) == [[0], [0]]
    assert numbers(two, overlap=0.4) == [[0], [1]]


@pytest.mark.parametrize(("absent", "again"), [(0, 0), (5, 0), (9, 0), (10, 1), (50, 1)])
def test_a_track_goes_on_over_a_gap_that_is_short_enough(absent: int, again: int) -> None:
    # at 10 frames a second `absent` frames without a face are (absent + 1) / 10 s between faces
    frames = [[square(0)], *[[]] * absent, [square(0)]]
    assert numbers(frames, fps=10, gap=1.0)[-1] == [again]


@pytest.mark.parametrize("fps", [1.0, 3.0, 7.0])
def test_a_sampling_period_equal_to_the_gap_is_no_gap(fps: float) -> None:
    assert numbers([[square(0)]] * 20, fps=fps, gap=1 / fps) == [[0]] * 20


def test_the_gap_is_counted_for_each_track() -> None:
    a, b = square(0), square(100)
    frames = [[a, b], *[[a]] * 5, [a, b]]
    assert numbers(frames, fps=10, gap=0.5)[-1] == [0, 2]
    assert numbers(frames, fps=10, gap=0.6)[-1] == [0, 1]


def test_a_number_is_never_used_again() -> None:
    frames = [[square(0)], [], [], [square(0)], [], [], [square(0)]]
    assert numbers(frames, fps=1, gap=1.0) == [[0], [], [], [1], [], [], [2]]


def test_a_clip_without_faces_passes_through() -> None:
    frames, none = batch([[], []])
    ((same, some),) = track([(frames, none)], Tracking())
    assert same.pixels is frames.pixels and len(same.cuts) == len(some) == 0


def test_everything_but_the_track_stays_as_it_was() -> None:
    _, before = batch([[square(0), square(100)], [square(5)]])
    ((_, after),) = track([batch([[square(0), square(100)], [square(5)]])], Tracking())
    for name in ("row", "index", "time", "box", "score"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


boxes = st.tuples(st.integers(0, 90), st.integers(0, 30)).map(lambda at: square(*at))
clips = st.lists(st.lists(boxes, max_size=3), min_size=1, max_size=14)


@settings(max_examples=100)
@given(clips, st.sets(st.integers(1, 13)), st.sampled_from([0.1, 0.3, 1.0]))
def test_nothing_depends_on_where_batches_end(clip, cuts: set[int], gap: float) -> None:
    ((_, whole),) = track([batch(clip, fps=10)], Tracking(gap=gap))
    ends = [0, *sorted(c for c in cuts if c < len(clip)), len(clip)]
    parts = [batch(clip[a:b], a, fps=10) for a, b in pairwise(ends)]
    split = [some.track for _, some in track(parts, Tracking(gap=gap))]
    assert np.concatenate(split).tolist() == whole.track.tolist()


@given(clips)
def test_each_frame_has_a_number_once_and_new_ones_count_up(clip) -> None:
    begun = 0
    for row in numbers(clip):
        assert len(set(row)) == len(row)
        new = [n for n in row if n >= begun]
        assert new == list(range(begun, begun + len(new)))
        begun += len(new)


def test_intersection_over_union_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10], [0, 0, 10, 20]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [30, 30, 40, 40]], np.float32)
    expected = [[1, 1 / 3, 0, 0], [0.5, 50 / 250, 0, 0]]
    np.testing.assert_allclose(iou(a, b), expected, rtol=1e-6)


def test_intersection_over_union_of_no_boxes_has_no_rows() -> None:
    assert iou(np.zeros((0, 4), np.float32), np.zeros((3, 4), np.float32)).shape == (0, 3)


def test_a_cut_ends_every_track_also_between_batches() -> None:
    before, after = batch([[square(0), square(100)]] * 2), batch([[square(0), square(100)]] * 2, 2)
    after[0].pixels[:] = 90
    found = [faces.track.tolist() for _, faces in track([before, after], Tracking())]
    assert found == [[0, 1, 0, 1], [2, 3, 2, 3]]


def test_movement_and_changing_light_are_no_cut() -> None:
    frames, faces = batch([[square(0)]] * 10)
    frames.pixels[:] = (np.arange(10) * 20)[:, None, None, None]
    ((_, tracked),) = track([(frames, faces)], Tracking())
    assert set(tracked.track.tolist()) == {0}


def test_a_cut_to_a_frame_without_a_face_ends_tracks_too() -> None:
    frames, faces = batch([[square(0)], [], [square(0)]])
    frames.pixels[1] = 200
    ((_, tracked),) = track([(frames, faces)], Tracking())
    assert tracked.track.tolist() == [0, 1]


def test_the_two_people_of_the_demo_who_stand_in_one_place_are_two_tracks(demo) -> None:
    from videmo.pipeline import load

    pipeline = load("afew7", sampling={"fps": 2.0}, detection={"faces": "largest"})
    faces = [features.faces for features in pipeline.features(demo, end=5)]
    tracks, times = (
        np.concatenate([getattr(f, name) for f in faces]) for name in ("track", "time")
    )
    spans = [(times[tracks == k].min(), times[tracks == k].max()) for k in np.unique(tracks)]
    assert np.array(spans) == pytest.approx(np.array([(0, 2.5), (3, 4.5)]), abs=0.1)
