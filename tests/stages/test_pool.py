"""Streaming statistics against NumPy on the whole clip."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videmo.data import Descriptor, Faces, Features
from videmo.errors import UnknownName
from videmo.stages.pool import STATS, Moments, Pooling, pool, pool_tracks

RAW = Pooling(STATS, normalise=None)


def features(values: np.ndarray, index=None, track=None, seen: int | None = None) -> Features:
    """Return features of faces in the frames `index`, by default one face a frame."""
    m = len(values)
    index = np.arange(m) if index is None else np.asarray(index, np.int64)
    track = np.full(m, -1) if track is None else np.asarray(track, np.int64)
    row = index - (index[0] if m else 0)
    some = Faces(
        row, index, index / 25, np.zeros((m, 4), np.float32), np.ones(m, np.float32),
        np.zeros((m, 5, 2), np.float32), track,
    )  # fmt: skip
    seen = len(set(index.tolist())) if seen is None else seen
    return Features(values.astype(np.float32), some, seen)


def in_batches(
    values: np.ndarray, ends: Iterable[int], index=None, track=None
) -> Iterator[Features]:
    """Yield `values` cut at `ends`; an end that comes twice makes an empty batch."""
    index = np.arange(len(values)) if index is None else np.asarray(index)
    track = np.full(len(values), -1) if track is None else np.asarray(track)
    for a, b in itertools.pairwise([0, *sorted(ends), len(values)]):
        yield features(values[a:b], index[a:b], track[a:b])


def whole(values: np.ndarray, stats: Iterable[str] = STATS) -> np.ndarray:
    rows = values.astype(np.float32).astype(np.float64)
    return np.concatenate([getattr(np, name)(rows, axis=0) for name in stats])


cuts = st.lists(st.integers(0, 60), max_size=8)


@given(cuts, st.integers(0, 2**32 - 1))
def test_streaming_equals_the_whole(ends: list[int], seed: int) -> None:
    # large mean, small spread: the sum of squares in float32 is off by more than the spread here
    values = np.random.default_rng(seed).normal(1000, 0.01, (60, 8)).astype(np.float32)
    moments = Moments()
    for part in in_batches(values, ends):
        moments.add(part.values)
    got = np.concatenate([getattr(moments, name) for name in STATS])
    np.testing.assert_allclose(got, whole(values), rtol=1e-6)
    pooled = pool(in_batches(values, ends), RAW).values
    np.testing.assert_allclose(pooled, whole(values), rtol=1e-6)  # float32 of a float64 result


def test_row_by_row_stays_exact_over_a_long_clip(rng) -> None:
    values = rng.normal(1000, 0.01, (5000, 4)).astype(np.float32)
    got = pool(in_batches(values, range(1, 5000)), RAW).values
    np.testing.assert_allclose(got, whole(values), rtol=1e-6)


@pytest.mark.parametrize("stats", [*itertools.permutations(STATS, 2), ("max",), tuple(STATS)])
def test_statistics_stand_in_the_order_asked_for(rng, stats: tuple[str, ...]) -> None:
    values = rng.normal(size=(9, 5))
    got = pool([features(values)], Pooling(stats=stats, normalise=None)).values
    np.testing.assert_allclose(got, whole(values, stats), rtol=1e-6)


def test_the_order_by_itself_is_mean_std_min_max(rng) -> None:
    assert Pooling().stats == ("mean", "std", "min", "max")
    values = rng.normal(size=(9, 5))
    expected = np.concatenate([values.mean(0), values.std(0), values.min(0), values.max(0)])
    got = pool([features(values)]).values
    np.testing.assert_allclose(got, expected / np.linalg.norm(expected), rtol=1e-5)


def test_the_spread_is_the_population_s() -> None:
    got = pool([features(np.array([[0.0], [2.0]]))], Pooling(stats=("std",), normalise=None))
    assert got.values.tolist() == [1.0]


def test_one_face_has_a_spread_of_zero(rng) -> None:
    one = rng.normal(size=(1, 5)).astype(np.float32)
    got = pool([features(one)], Pooling(("mean", "std", "min", "max"), normalise=None)).values
    np.testing.assert_array_equal(got, np.concatenate([one[0], np.zeros(5), one[0], one[0]]))


def test_a_clip_without_faces_is_an_empty_vector_that_says_how_far_it_looked() -> None:
    none = features(np.zeros((0, 8)), seen=10)
    got = pool([none, none])
    assert got.values.shape == (0,) and got.values.dtype == np.float32
    assert (got.faces, got.frames, got.seen, got.coverage) == (0, 0, 20, 0.0)
    assert (got.track, got.start, got.end) == (None, None, None)


def test_no_batches_at_all_is_an_empty_vector() -> None:
    assert pool([]).values.shape == (0,) and pool([]).seen == 0
    assert pool_tracks([]) == []


def test_a_clip_without_faces_is_an_empty_vector_also_within_frames() -> None:
    got = pool([features(np.zeros((0, 8)), seen=3)], Pooling(within=("mean", "std")))
    assert got.values.shape == (0,) and got.seen == 3


def test_counts_and_times_are_those_of_the_faces() -> None:
    batches = [
        features(np.zeros((0, 2)), seen=4),
        features(np.ones((3, 2)), index=[5, 5, 8], seen=6),
        features(np.ones((1, 2)), index=[12], seen=5),
    ]
    got = pool(batches)
    assert (got.faces, got.frames, got.seen) == (4, 3, 15)
    assert (got.start, got.end) == (5 / 25, 12 / 25)
    assert got.coverage == 3 / 15


@given(st.integers(1, 12), st.floats(1e-3, 1e3))
def test_the_norm_is_one(m: int, size: float) -> None:
    values = np.random.default_rng(m).normal(0, size, (m, 7))
    assert np.linalg.norm(pool([features(values)]).values) == pytest.approx(1, abs=1e-6)


def test_features_of_zero_stay_zero_under_the_norm() -> None:
    assert pool([features(np.zeros((3, 4)))]).values.tolist() == [0] * 16


def by_loops(values: np.ndarray, index: np.ndarray, within, stats) -> np.ndarray:
    """Return the VGAF recipe as two plain loops."""
    rows = []
    for frame in sorted(set(index.tolist())):
        here = values[index == frame].astype(np.float64)
        rows.append(np.concatenate([getattr(np, name)(here, axis=0) for name in within]))
    return np.concatenate([getattr(np, name)(np.array(rows), axis=0) for name in stats])


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=12),  # faces of each frame
    st.sets(st.integers(1, 11)),  # a batch never ends within a frame
    st.sampled_from([("mean", "std"), ("mean",), ("max", "min", "std")]),
    st.sampled_from([("mean", "std"), ("std", "max")]),
)
def test_within_frames_first_equals_two_loops(counts, borders, within, stats) -> None:
    index = np.repeat(np.arange(len(counts)) * 3, counts)
    values = np.random.default_rng(len(index)).normal(5, 1, (len(index), 4)).astype(np.float32)
    ends = np.cumsum(counts)[[b - 1 for b in sorted(borders) if b < len(counts)]]
    pooling = Pooling(stats, within, normalise=None)
    got = pool(in_batches(values, ends.tolist(), index), pooling)
    expected = by_loops(values, index, within, stats)
    np.testing.assert_allclose(got.values, expected, rtol=1e-6, atol=1e-7)
    assert got.faces == len(index) and got.frames == len(counts)


def test_within_frames_of_one_face_is_the_face_beside_zeros(rng) -> None:
    values = rng.normal(size=(6, 3))
    got = pool([features(values)], Pooling(("mean",), ("mean", "std"), normalise=None)).values
    np.testing.assert_allclose(got, np.append(values.mean(0), np.zeros(3)), rtol=1e-5)


def assert_same(got: Descriptor, expected: Descriptor) -> None:
    np.testing.assert_allclose(got.values, expected.values, rtol=1e-6)
    for name in ("faces", "frames", "start", "end"):
        assert getattr(got, name) == getattr(expected, name)


@given(st.lists(st.sampled_from([0, 1, 4]), min_size=1, max_size=25), cuts)
def test_each_track_is_pooled_as_if_it_were_alone(track: list[int], ends: list[int]) -> None:
    m = len(track)
    values = np.random.default_rng(m).normal(1000, 0.01, (m, 3)).astype(np.float32)
    index = np.arange(m) * 2
    ends = [e for e in ends if e <= m]
    got = pool_tracks(in_batches(values, ends, index, track))
    assert [one.track for one in got] == sorted(set(track))
    for one in got:
        here = np.array(track) == one.track
        assert_same(one, pool([features(values[here], index[here])]))
        assert one.seen == m


def test_frames_before_a_track_begins_and_after_it_ends_count_as_seen() -> None:
    batches = [
        features(np.ones((1, 2)), index=[0], track=[0], seen=10),
        features(np.ones((1, 2)), index=[11], track=[1], seen=10),
        features(np.zeros((0, 2)), seen=10),
    ]
    assert [(one.seen, one.frames) for one in pool_tracks(batches)] == [(30, 1), (30, 1)]


def test_a_statistic_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownName, match="no statistic is called 'median'; there is mean"):
        Pooling(stats=("mean", "median"))
    with pytest.raises(UnknownName, match="'mode'"):
        Pooling(within=("mode",))


def test_rows_taken_in_are_not_changed_or_kept(rng) -> None:
    rows = rng.normal(size=(4, 3)).astype(np.float32)
    before = rows.copy()
    moments = Moments()
    moments.add(rows)
    moments.add(rows)
    assert (rows == before).all()
    rows[:] = 99
    np.testing.assert_allclose(moments.max, before.max(0))


@pytest.mark.parametrize("pooling", [Pooling(), Pooling(within=("mean", "std"))])
def test_memory_does_not_grow_with_the_clip(pooling: Pooling) -> None:
    values = np.ones((4, 512), np.float32)

    def peak(batches: int) -> int:
        stream = (features(values, [4 * i, 4 * i, 4 * i + 1, 4 * i + 2]) for i in range(batches))
        tracemalloc.start()
        pool(stream, pooling)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(2)
    assert peak(2000) < peak(20) + 20_000  # bytes; the values of one batch are 8,192
