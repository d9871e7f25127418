"""Tracks of a clip become persons, numbered as they first appear."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.data import Faces, Features
from videmo.errors import InputError
from videmo.people import linking
from videmo.people.linking import Linking, PersonLinker, persons_of


def features(track, index, identity, side=50, x=None) -> Features:
    m = len(track)
    x = np.zeros(m) if x is None else np.array(x)
    box = np.column_stack([x, np.zeros(m), x + side, np.full(m, side)]).astype(np.float32)
    index = np.array(index, np.int64)
    faces = Faces(
        index, index, index / 10, box, np.ones(m, np.float32),
        np.full((m, 5, 2), np.nan, np.float32), np.array(track, np.int64),
    )  # fmt: skip
    outputs = {"identity": np.array(identity, np.float32).reshape(m, 2)}
    return Features(np.zeros((m, 1), np.float32), faces, len(set(index.tolist())), outputs)


def persons(*batches: Features, **options) -> dict[int, int]:
    linker = PersonLinker(Linking(**{"min_frames": 1, **options}))
    for batch in batches:
        linker.add(batch)
    return linker.persons()


A, B = [1, 0.1], [0.1, 1]


def test_who_comes_back_after_a_gap_has_the_same_number():
    found = persons(features([0, 1], [0, 0], [A, B]), features([2, 3], [50, 90], [B, A]))
    assert found == {0: 1, 1: 2, 2: 2, 3: 1}


def test_two_faces_of_one_frame_are_never_one_person():
    assert persons(features([0, 1], [3, 3], [A, A])) == {0: 1, 1: 2}


def test_persons_are_numbered_as_they_first_appear_and_then_from_the_left():
    found = persons(features([0, 1, 2], [4, 4, 2], [A, B, [-1, 0]], x=[90, 5, 0]))
    assert found == {2: 1, 1: 2, 0: 3}


def test_by_overlap_alone_nobody_comes_back_and_no_embedding_is_asked_for():
    batch = features([0, 1], [0, 50], [A, A])
    bare = Features(batch.values, batch.faces, batch.seen)
    assert persons(bare, by="overlap") == {0: 1, 1: 2}


def test_a_face_that_is_too_small_or_seen_for_too_short_is_nobody():
    assert persons(features([0], [0], [A], side=10)) == {}
    few, many = features([0], [0], [A]), features([1] * 9, range(1, 10), [B] * 9)
    assert persons(few, many, min_frames=3) == {1: 1}
    assert persons_of(np.array([0, 1, -1]), {1: 1}).tolist() == [0, 1, 0]


def test_a_picture_shows_persons_in_its_one_frame():
    assert persons(features([0], [0], [A]), min_frames=3) == {0: 1}


def test_very_many_tracks_are_linked_to_the_longest_ones(monkeypatch):
    monkeypatch.setattr(linking, "MANY", 2)
    longest = features([0, 0, 1, 1], [0, 1, 0, 1], [A, A, B, B])
    short = features([2, 3, 4], [10, 20, 20], [A, B, B])
    assert persons(longest, short) == {0: 1, 1: 2, 2: 1, 3: 2, 4: 3}, "3 and 4 share a frame"


@pytest.mark.parametrize("wrong", [{"by": "name"}, {"threshold": 2}, {"min_frames": 0}])
def test_options_that_cannot_be_followed_are_refused(wrong):
    with pytest.raises(InputError):
        Linking(**wrong)


def test_a_track_is_parted_where_the_face_becomes_another():
    linker = PersonLinker(Linking(min_frames=1))
    pieces = linker.add(features([0] * 4, range(4), [A, A, B, [0.3, 1]])).tolist()
    pieces += linker.add(features([0, 1], [4, 4], [B, A])).tolist()
    assert pieces == [0, 0, 1, 1, 1, 2]
    assert linker.persons() == {0: 1, 1: 2, 2: 1}, "no cut was seen between 1 and 2"
