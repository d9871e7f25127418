"""Rows of a timeline become strips that know where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.labels import LABELS
from videmo.show.strips import Cell, colours_of, strips_of


def strip(*spans, coverage=1.0, person=1):
    cells = [Cell(person, a, b, (p, 1 - p), coverage) for a, b, p in spans]
    (only,) = strips_of(cells)
    return only


def test_gaps_are_where_no_cell_is_and_at_both_ends_of_the_clip():
    got = strip((1, 2, 0.9), (2, 3, 0.9), (5, 6, 0.1)).gaps(0, 8)
    assert got == [(0, 1), (3, 5), (6, 8)]


def test_runs_join_cells_that_touch_and_agree():
    got = strip((0, 1, 0.9), (1, 2, 0.6), (2, 3, 0.2), (4, 5, 0.2))
    assert list(got.runs()) == [(0, 2, 0), (2, 3, 1), (4, 5, 1)]


def test_windows_that_overlap_count_with_their_middles():
    got = strip((0, 1, 0.9), (0.5, 1.5, 0.9), (1, 2, 0.2))
    assert got.start.tolist() == [0, 0.75, 1.25]
    assert got.end.tolist() == [0.75, 1.25, 2]
    assert got.gaps(0, 2) == []


def test_windows_around_a_gap_that_show_the_person_in_part_do_not_hide_it():
    windows = [(n / 2, n / 2 + 1, 0.9) for n in (0, 1, 2, 8, 9)]
    assert strip(*windows).gaps(0, 5.5) == [(2, 4)]
    assert strip(*windows, coverage=0.5).gaps(0.25, 5.25) == [(1.75, 4.25)]


def test_persons_come_in_order_and_nobody_last():
    got = strips_of(Cell(who, 0, 1, (1.0,)) for who in (None, 3, 1))
    assert [one.person for one in got] == [1, 3, None]


@pytest.mark.parametrize("name", [n for n in LABELS if n not in ("fairface7", "utkface5")])
def test_every_label_of_a_set_has_a_colour_of_its_own(name):
    assert len({*colours_of(LABELS[name])}) == len(LABELS[name])


def test_what_means_the_same_has_the_same_colour():
    assert colours_of(["Happy"]) == colours_of(["joy"]) == colours_of(["happiness"])
    assert len({*colours_of([f"label {n}" for n in range(6)])}) == 6


def test_cells_of_one_strip_never_overlap(rng):
    starts = np.sort(rng.choice(np.arange(0, 60, 0.5), 40, replace=False))
    got = strip(*[(a, a + rng.choice([1.0, 1.5]), 0.5) for a in starts])
    assert (got.start[1:] >= got.end[:-1] - 1e-9).all()
