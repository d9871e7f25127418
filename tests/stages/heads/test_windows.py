"""Heads that read windows of faces, against the formula written out on every window."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from toys import attention, by_the_book

from videmo.errors import ModelError
from videmo.stages.heads import HeadSpec, make_head
from videmo.stages.heads.windows import WINDOW, Attention

COLUMNS = 3
LABELS = ("Distracted", "Engaged")


def faces(count: int, columns: int = COLUMNS) -> np.ndarray:
    """Return rows that wander, so that windows differ."""
    rng = np.random.default_rng(count)
    return rng.normal(0, 0.3, (count, columns)).cumsum(0).astype(np.float32)


@pytest.mark.parametrize("count", [128, 129, 300])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_answer_is_the_mean_of_all_windows_the_last_one_too(count: int, seed: int) -> None:
    weights, rows = attention(seed=seed), faces(count)
    windows = Attention(weights, 2).windows()
    windows.add(rows)
    expected = by_the_book(weights, rows)
    assert len(expected) == count - 127
    np.testing.assert_allclose(windows.scores, expected.mean(0), atol=1e-6)
    if count > 128:
        short = expected[:-1].mean(0)
        assert np.abs(short - expected.mean(0)).max() > 1e-5, "a lost window would be seen"


def test_each_window_is_answered_for_itself() -> None:
    weights, rows = attention(), faces(300)
    got = Attention(weights, 2)(rows)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, by_the_book(weights, rows), atol=1e-6)


def test_a_spread_beside_a_large_mean_is_kept() -> None:
    rows = (1000 + 0.01 * faces(200)).astype(np.float32)
    weights = attention()
    weights["dense.weight"][:COLUMNS] *= 100  # so that the spread decides
    weights["dense.weight"][COLUMNS:] = 0
    windows = Attention(weights, 2).windows()
    windows.add(rows)
    np.testing.assert_allclose(windows.scores, by_the_book(weights, rows).mean(0), atol=1e-6)


@pytest.mark.parametrize("ends", [[0, 1, 127, 128, 130], [64, 64, 200], range(1, 300)])
def test_how_rows_come_in_batches_changes_nothing(ends: list[int]) -> None:
    head, rows = Attention(attention(), 2), faces(300)
    whole, parts = head.windows(), head.windows()
    whole.add(rows)
    for a, b in itertools.pairwise([0, *ends, 300]):
        parts.add(rows[a:b])
    assert parts.rows == 300
    assert parts.scores.tobytes() == whole.scores.tobytes()


def test_127_faces_make_no_window() -> None:
    head = Attention(attention(), 2)
    windows = head.windows()
    windows.add(faces(127))
    assert (windows.rows, windows.needed) == (127, WINDOW)
    with pytest.raises(ValueError, match="127 rows, a window has 128"):
        _ = windows.scores
    assert head(faces(127)).shape == (0, 2)


def test_two_clips_of_one_head_do_not_mix() -> None:
    head = Attention(attention(), 2)
    first = head.windows()
    first.add(faces(200))
    second = head.windows()
    second.add(faces(150))
    alone = Attention(attention(), 2).windows()
    alone.add(faces(150))
    assert second.scores.tobytes() == alone.scores.tobytes()


def test_memory_does_not_grow_with_the_faces() -> None:
    head, some = Attention(attention(32), 2), faces(64, 32)

    def peak(batches: int) -> int:
        windows = head.windows()
        tracemalloc.start()
        for _ in range(batches):
            windows.add(some)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(3)
    assert peak(100) < peak(4) + 20_000  # bytes; a window laid out holds 65,536


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="4 columns, expected 3"):
        Attention(attention(), 2).windows().add(faces(2, 4))


@pytest.mark.parametrize("name", ["attention.weight", "dense.weight", "out.bias"])
def test_a_missing_array_is_named(name: str) -> None:
    weights = attention()
    del weights[name]
    with pytest.raises(ValueError, match=f"weights lack {name}"):
        Attention(weights, 2)


@pytest.mark.parametrize(
    "name", ["attention.weight", "dense.weight", "dense.bias", "out.weight", "out.bias"]
)
def test_an_array_of_another_shape_is_refused(name: str) -> None:
    weights = attention()
    with pytest.raises(ValueError, match=r"expected \("):
        Attention({**weights, name: weights[name][:-1]}, 2)


@pytest.mark.parametrize(("type_", "level"), [("attention", "clip"), ("linear", "window")])
def test_a_head_is_of_the_level_of_its_type(type_: str, level: str) -> None:
    weights = attention() | {"weight": np.eye(2), "bias": np.zeros(2)}
    with pytest.raises(ModelError, match=f"type {type_} is not of level {level}"):
        make_head(HeadSpec(type_, LABELS, level), weights)
