"""From tables to pixels and targets: one size, one order of labels, unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stills

from videmo.errors import InputError
from videmo.train.face_dataset import (
    AGE_CLASSES,
    PictureLoader,
    decoded_side,
    labels_of,
    make_dataset,
)


def test_pictures_are_squares_of_one_size_whether_kept_or_read_again() -> None:
    table = stills.table(6)
    kept, again = (PictureLoader(table, 24, colour=True, keep=keep) for keep in (1 << 20, 0))
    assert kept[[1, 3]].shape == (2, 24, 24, 3)
    assert np.array_equal(kept[[1, 3]], again[[1, 3]])


def test_grey_pictures_have_one_channel() -> None:
    assert PictureLoader(stills.table(2), 32, colour=False)[range(2)].shape == (2, 32, 32, 1)


def test_a_box_is_cut_out_and_goes_on_beyond_the_border() -> None:
    table = replace(stills.table(1), boxes=np.array([[-16, 0, 16, 32]], np.float32))
    cut = PictureLoader(table, 32, colour=True)[[0]][0].astype(int)
    whole = stills.face(0, 0).astype(int)
    assert np.abs(cut[:, 16:] - whole[:, :16]).max() <= 1
    assert np.abs(cut[:, :15] - whole[:, :1]).max() <= 1


def test_a_damaged_picture_is_named() -> None:
    table = replace(stills.table(2), pictures=[stills.encoded(stills.face(0, 0)), b"no"])
    with pytest.raises(InputError, match="synthetic: row 1: not read as a picture"):
        PictureLoader(table, 32, colour=True)


def test_small_pictures_are_kept_small_and_large_ones_a_quarter_larger_than_shown() -> None:
    assert decoded_side(stills.table(1), 64) == 32
    assert decoded_side(stills.table(1), 16) == 20


def test_labels_are_those_that_occur_in_the_order_of_a_published_set() -> None:
    whole = stills.table(8, emotion=list(reversed(stills.EMOTIONS)))
    assert labels_of([whole]) == {"emotion": stills.EMOTIONS}
    two = [stills.table(4), stills.table(2, gender=["male", "female"])]
    assert labels_of(two) == {"emotion": ("happiness", "sadness"), "gender": ("female", "male")}
    assert labels_of(two, "ferplus8")["emotion"] == stills.EMOTIONS


def test_people_are_sorted_by_name() -> None:
    assert labels_of([stills.table(2, identity=["b", "a"])]) == {"identity": ("a", "b")}


def test_what_is_not_known_is_nan_and_nobody_is_minus_one() -> None:
    table = stills.table(2, gender=["male", None], identity=[None, "a"])
    faces = make_dataset(table, labels_of([table]), side=32, colour=False)
    assert np.array_equal(faces.targets["gender"], [[0, 1], [np.nan, np.nan]], equal_nan=True)
    assert faces.targets["identity"].tolist() == [-1, 0]


def test_an_age_is_a_share_of_the_years_around_it() -> None:
    table = stills.table(3, age=["25", "20-29", None])
    shares = make_dataset(table, labels_of([table]), side=32, colour=False).targets["age"]
    years = np.arange(AGE_CLASSES)
    assert shares[:2].sum(1) == pytest.approx(1)
    assert shares[:2] @ years == pytest.approx([25, 24.5], abs=0.01)
    assert shares[0].argmax() == 25
    assert shares[1, 22:28] == pytest.approx(0.1, abs=0.02)
    assert np.isnan(shares[2]).all()


def test_an_age_that_is_no_number_is_named() -> None:
    table = stills.table(1, age=["old"])
    with pytest.raises(InputError, match="row 0: no age 'old'; give years, 25 or 20-29"):
        make_dataset(table, labels_of([table]), side=32, colour=False)


def test_an_unknown_emotion_is_named_with_its_row() -> None:
    table = stills.table(2, emotion=["happiness", "bored"])
    with pytest.raises(InputError, match="row 1: no emotion 'bored'; there are neutral"):
        make_dataset(table, {"emotion": stills.EMOTIONS}, side=32, colour=False)


def test_votes_follow_the_order_of_the_labels(tmp_path: Path) -> None:
    votes = np.array([[0.75, 0.25], [0, 0]], np.float32)
    table = replace(stills.table(2), known={}, votes=votes, voted=("sadness", "happiness"))
    labels = {"emotion": ("happiness", "sadness", "fear")}
    shares = make_dataset(table, labels, side=32, colour=False).targets["emotion"]
    assert shares[0].tolist() == [0.25, 0.75, 0]
    assert np.isnan(shares[1]).all()
