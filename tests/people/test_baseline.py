"""Rises are told above a person's own usual face."""

from __future__ import annotations

import numpy as np
import pytest
from seen import Plain, moments

from videmo.errors import InputError
from videmo.people.baseline import Baseline, of_clip, risen, rises


def test_a_rise_is_a_difference_of_log_odds():
    change = rises(np.array([0.5, 0.5], np.float32), np.array([0.2, 0.8], np.float32))
    assert change == pytest.approx([np.log(4), -np.log(4)])
    assert risen(change) == 0
    assert risen(rises(np.array([0.3, 0.7]), np.array([0.2, 0.8]))) is None, "by less than 1"


def test_what_is_certain_has_a_finite_rise():
    assert np.isfinite(rises(np.array([1, 0], np.float32), np.array([0, 1], np.float32))).all()


def test_the_usual_face_is_that_of_the_label_most_faces_have():
    m = moments(np.arange(6) / 10, [0.2, 0.3, 0.1, 0.9, 0.95, 0.2])
    (found,) = Baseline("auto").of(m, Plain).values()  # type: ignore[arg-type]
    assert found[0] == pytest.approx(0.2)


def test_each_person_has_a_baseline_of_their_own_part():
    m = moments([0, 0, 1, 1], [0.2, 0.8, 0.9, 0.9], person=[1, 2, 1, 3])
    found = Baseline("0-1", (0, 1)).of(m, Plain)  # type: ignore[arg-type]
    assert {person: round(float(p[0]), 3) for person, p in found.items()} == {1: 0.2, 2: 0.8}


def test_a_clip_of_one_person_is_a_baseline_for_everyone():
    one = moments([0, 1], [0.2, 0.4])
    baseline = of_clip("calm.mp4", one, Plain)  # type: ignore[arg-type]
    two = moments([0, 0], [1, 1], person=[1, 2])
    assert baseline.of(two, Plain)[2][0] == pytest.approx(0.3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="shows 2 persons"):
        of_clip("two.mp4", two, Plain)  # type: ignore[arg-type]


def test_a_baseline_that_does_not_show_a_person_is_told_in_a_warning():
    from videmo.people.records import _unknown

    m = moments([0, 0, 1], [0.2, 0.8, 0.9], person=[1, 2, 3])
    baseline = Baseline("5:00-6:00", (0, 0.5))
    (told,) = _unknown(baseline, m, baseline.of(m, Plain))  # type: ignore[arg-type]
    assert told == "baseline 5:00-6:00 does not show person 3, of whom no rise is told"
