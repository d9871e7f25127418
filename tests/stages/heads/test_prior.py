"""How common each label is held to be: shares divided out, or put in."""

import json

import numpy as np
import pytest

from videmo.errors import InputError, ModelError
from videmo.stages.heads.prior import BALANCED, NATURAL, ClassShares, read_shares
from videmo.stages.pool import Pooling, reweigh

LABELS = ("neutral", "happiness", "disgust")
CARD = {"shares": {"neutral": 0.6, "happiness": 0.3, "disgust": 0.1}, "power": 1.0}


def told(**changes):
    return ClassShares.of_card({**CARD, **changes}, LABELS, "mine")


def test_natural_leaves_the_answers_as_they_are():
    assert told().factors(NATURAL) == ()


def test_balanced_divides_by_the_shares():
    answers = np.array([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05]])
    found = reweigh(answers, told().factors(BALANCED))
    assert found[0] == pytest.approx([1 / 3] * 3, abs=1e-5)  # factors have six decimals
    expected = answers[1] / [0.6, 0.3, 0.1]
    assert found[1] == pytest.approx(expected / expected.sum(), abs=1e-5)


def test_the_power_says_how_far():
    half = told(power=0.5).factors(BALANCED)
    assert half[0] / half[2] == pytest.approx((0.1 / 0.6) ** 0.5, abs=1e-5)
    assert len(set(told(power=0.0).factors(BALANCED))) == 1


def test_a_file_puts_other_shares_in_their_place(tmp_path):
    path = tmp_path / "clinic.json"
    path.write_text(json.dumps({"neutral": 0.6, "happiness": 0.3, "disgust": 0.1, "more": 1}))
    assert set(told().factors(path)) == {1.0}  # the training's own shares change nothing
    path.write_text(json.dumps({"neutral": 1, "happiness": 1, "disgust": 1}))
    assert told().factors(path) == told().factors(BALANCED)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"neutral": 1}', '{"neutral": 1, "happiness": 0, "disgust": 1}', "3",
             '{"neutral": 1, "happiness": "x", "disgust": 1}',
             '{"neutral": 1, "happiness": 1e999, "disgust": 1}'],
)  # fmt: skip
def test_a_file_without_such_shares_says_what_it_wants(tmp_path, text):
    path = tmp_path / "prior.json"
    path.write_text(text)
    with pytest.raises(InputError, match="neutral, happiness, disgust"):
        read_shares(path, LABELS)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(InputError, match=r"no such file.*give natural, balanced, or JSON"):
        told().factors(tmp_path / "balancd")


@pytest.mark.parametrize(
    "plain", [None, {}, {"shares": {}, "power": 1}, {**CARD, "power": "x"}, {**CARD, "power": -1},
              {"shares": {**CARD["shares"], "disgust": 0}, "power": 1}],
)  # fmt: skip
def test_a_card_that_does_not_tell_its_shares_says_what_to_do(plain):
    with pytest.raises(ModelError, match=r"mine: .*prior=natural"):
        ClassShares.of_card(plain, LABELS, "mine")


def test_features_have_no_prior():
    with pytest.raises(InputError, match="mean probabilities"):
        Pooling(prior=(1.0, 0.5))


def test_a_prior_of_other_labels_is_refused():
    with pytest.raises(InputError, match="a prior of 2 labels for 3"):
        reweigh(np.ones((1, 3)) / 3, (1.0, 0.5))
