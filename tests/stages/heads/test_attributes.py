"""Age, gender, ethnicity and likeness, against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from videmo.errors import InputError, ModelError, UnknownName
from videmo.stages.heads.attributes import (
    AttributeOptions,
    age,
    ethnicity,
    gender,
    per_face,
    similarity,
)

YEARS = tuple(str(year) for year in range(100))
TOP2 = AttributeOptions(age="top2")


def ages(**years: float) -> np.ndarray:
    """Return probabilities of 100 years: `ages(y20=0.6, y30=0.4)`."""
    p = np.zeros(100, np.float32)
    for name, share in years.items():
        p[int(name[1:])] = share
    return p


def test_an_age_is_the_expectation_over_all_years():
    assert age(ages(y20=0.5, y30=0.3, y60=0.2), YEARS).years == pytest.approx(31)


def test_the_published_age_looks_at_the_two_most_probable_years_alone():
    found = age(ages(y20=0.5, y30=0.3, y60=0.2), YEARS, TOP2)
    assert found.years == pytest.approx((20 * 0.5 + 30 * 0.3) / 0.8)


@pytest.mark.parametrize("offset", [0, 0.5, 1])
def test_the_offset_of_the_published_variants_is_added(offset):
    options = AttributeOptions(age="top2", offset=offset)
    assert age(ages(y20=0.5, y21=0.5), YEARS, options) == pytest.approx(
        (20.5 + offset, 20 + offset, 21 + offset)
    )


def test_of_equally_probable_years_the_published_age_takes_the_first_two():
    assert age(np.full(100, 0.01), YEARS, TOP2).years == pytest.approx(0.5)


def test_the_interval_of_an_even_spread_has_its_tenth_and_ninetieth_years():
    assert age(np.full(100, 0.01), YEARS)[1:] == (9, 89)  # the tenth and the ninetieth of 0 .. 99


def test_the_level_chooses_how_wide_the_interval_is():
    assert age(np.full(100, 0.01), YEARS, AttributeOptions(level=0.5))[1:] == (24, 74)


@settings(max_examples=50)
@given(
    arrays(np.float64, 100, elements=st.floats(0, 1)).filter(lambda p: p.sum() > 1e-3),
    st.floats(0.01, 0.99),
)
def test_the_interval_holds_its_level_and_no_more_than_it_must(p, level):
    p = p / p.sum()
    _, low, high = age(p, YEARS, AttributeOptions(level=level))
    below, above = p[: int(low)].sum(), p[int(high) + 1 :].sum()
    rest = (1 - level) / 2
    assert below <= rest + 1e-6 and above <= rest + 1e-6  # rounding of sums of 100 numbers
    assert below + p[int(low)] >= rest - 1e-6 and above + p[int(high)] >= rest - 1e-6


def test_labels_that_are_not_years_are_a_model_error():
    with pytest.raises(ModelError, match="no year"):
        age(np.array([0.5, 0.5]), ("young", "old"))
    with pytest.raises(ModelError, match="rising"):
        age(np.array([0.5, 0.5]), ("2", "1"))


@pytest.mark.parametrize(
    ("male", "threshold", "said"),
    [
        (0.49, 0.5, ("female", 0.51)),
        (0.5, 0.5, ("male", 0.5)),
        (0.55, 0.6, ("female", 0.45)),  # the published rule: its word may be the less probable one
        (0.6, 0.6, ("male", 0.6)),
    ],
)
def test_a_gender_is_male_from_the_threshold_on(male, threshold, said):
    word, share = gender(
        np.array([1 - male, male]), ("female", "male"), AttributeOptions(male=threshold)
    )
    assert (word, pytest.approx(share)) == said


def test_a_gender_is_read_by_its_name_and_not_by_its_place():
    assert gender(np.array([0.9, 0.1]), ("male", "female"))[0] == "male"


def test_other_genders_than_two_are_a_model_error():
    with pytest.raises(ModelError, match="m, f"):
        gender(np.array([0.5, 0.5]), ("m", "f"))


def test_an_ethnicity_comes_with_the_probability_of_each():
    word, scores = ethnicity(np.array([0.2, 0.7, 0.1]), ("white", "black", "indian"))
    assert (word, scores) == ("black", {"white": 0.2, "black": 0.7, "indian": 0.1})


def test_raw_outputs_become_probabilities_face_by_face():
    p = per_face("age", np.array([[0, np.log(3)], [1000, 1000]], np.float32))
    assert p == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))


def test_an_embedding_counts_by_its_direction_alone():
    rows = per_face("identity", np.array([[3, 4], [300, 0]], np.float32))
    assert rows == pytest.approx(np.array([[0.6, 0.8], [1, 0]]))


def test_one_very_sure_face_does_not_outweigh_the_others():
    logits = np.array([[0, 2], [0, 2], [50, 0]], np.float32)
    assert logits.mean(0).argmax() == 0, "as the mean of logits would have it"
    assert per_face("gender", logits).mean(0).argmax() == 1


def test_similarity_is_the_cosine_whatever_the_lengths(rng):
    a, b = rng.normal(size=(3, 8)), rng.normal(size=(2, 8))
    expected = [[x @ y / np.linalg.norm(x) / np.linalg.norm(y) for y in b] for x in a]
    assert similarity(a, 7 * b) == pytest.approx(np.array(expected))
    assert similarity(a, a).diagonal() == pytest.approx(1)


def test_an_embedding_of_nothing_is_like_nobody():
    assert similarity(np.zeros((1, 4)), np.ones((1, 4))) == 0


@pytest.mark.parametrize("wrong", [{"level": 0}, {"level": 1}, {"male": 1.5}])
def test_shares_that_are_none_are_refused(wrong):
    with pytest.raises(InputError, match=r"give a number (between 0 and|from 0 to) 1"):
        AttributeOptions(**wrong)


def test_a_rule_nobody_knows_lists_the_rules():
    with pytest.raises(UnknownName, match="mean, top2"):
        AttributeOptions(age="mode")  # type: ignore[arg-type]
