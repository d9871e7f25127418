"""Clips made of still faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from videmo.stages.pool import statistics
from videmo.train.ferplus import EMOTIONS, StillFaces
from videmo.train.synthetic import (
    FaceTrack,
    GroupOptions,
    TrackOptions,
    group_descriptors,
    make_frames,
    make_tracks,
    mean_probabilities,
    track_descriptors,
)

LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SAID = np.full((9, 8), 1 / 8, np.float32)  # what a network that knows nothing says
PLAIN = TrackOptions(
    frames=(20, 20), pictures=1, one_picture=1, onset=0, offset=(0, 0), drift=0, jitter=0,
    rotation=0, contrast=0, brightness=0, gamma=0, flicker=0, coarse=0, blur=0,
    jpeg_quality=(95, 96), noise_sigma=0,
)  # fmt: skip


def faces() -> StillFaces:
    """Return one face an emotion, each of its own grey: neutral 20, happiness 40, ..."""
    pixels = np.full((8, 48, 48), 0) + 20 * np.arange(1, 9)[:, None, None]
    return StillFaces(pixels.astype(np.uint8), np.eye(8, dtype=np.float32), EMOTIONS)


def tracks(each: int, dim: int = 16) -> list[FaceTrack]:
    rng = np.random.default_rng(0)
    return [
        FaceTrack(label, rng.normal(i, 0.1, (9, dim)).astype(np.float32), SAID)
        for _ in range(each)
        for i, label in enumerate(LABELS)
    ]


def test_a_still_camera_films_the_picture(rng: np.random.Generator) -> None:
    frames = make_frames(faces(), "happiness", PLAIN, rng)
    assert frames.shape == (20, 64, 64) and frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - 40).max() <= 1


def test_an_onset_begins_neutral_and_ends_with_the_emotion(rng: np.random.Generator) -> None:
    frames = make_frames(faces(), "contempt", replace(PLAIN, onset=1), rng)
    assert frames[0].mean() == pytest.approx(20, abs=1)
    assert frames[-1].mean() == pytest.approx(160, abs=1)


def test_a_shaky_detector_moves_every_frame(rng: np.random.Generator) -> None:
    picture = faces()
    picture.pixels[:, :, 24:] = 255
    frames = make_frames(picture, "fear", replace(PLAIN, jitter=0.02), rng)
    assert (np.abs(np.diff(frames.astype(int), axis=0)).max((1, 2)) > 10).all()


def test_the_length_of_a_track_lies_in_its_range() -> None:
    rng = np.random.default_rng(1)
    options = replace(PLAIN, frames=(4, 30))
    lengths = [len(make_frames(faces(), "anger", options, rng)) for _ in range(40)]
    assert min(lengths) >= 4 and max(lengths) <= 30
    assert np.median(lengths) < 17  # short ones are as frequent as long ones on a log scale


def test_an_emotion_without_a_sure_face_is_an_error(rng: np.random.Generator) -> None:
    unsure = StillFaces(faces().pixels, np.full((8, 8), 1 / 8, np.float32), EMOTIONS)
    with pytest.raises(ValueError, match="no face with 50% of its votes for neutral"):
        make_frames(unsure, "neutral", PLAIN, rng)


def test_the_same_seed_films_the_same_tracks() -> None:
    def extract(pixels):
        return pixels.reshape(len(pixels), -1)[:, ::512].astype(np.float32), SAID

    one, other = (make_tracks(faces(), LABELS, 2, extract, TrackOptions(), 5) for _ in range(2))
    assert [track.label for track in one] == [label for label in LABELS for _ in range(2)]
    assert all(np.array_equal(a.values, b.values) for a, b in zip(one, other, strict=True))


def test_the_statistics_stand_in_the_order_of_their_names() -> None:
    rows = np.array([[1.0, 0.0], [3.0, 0.0]])
    got = statistics(rows, ("mean", "std", "min", "max"))
    assert got == pytest.approx([2, 0, 1, 0, 1, 0, 3, 0])


def test_a_single_face_becomes_four_statistics_of_length_one() -> None:
    rows, truth = track_descriptors(tracks(2))
    assert rows.shape == (14, 64)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)
    assert truth.tolist() == [0, 1, 2, 3, 4, 5, 6] * 2  # afew7 is alphabetical, as LABELS


def test_groups_are_equally_often_of_each_valence() -> None:
    rows, truth = group_descriptors(tracks(3), GroupOptions(clips=30), seed=0)
    assert rows.shape == (30, 64)
    assert np.bincount(truth).tolist() == [10, 10, 10]
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)


def test_one_face_a_frame_has_no_spread_within_it() -> None:
    rows, _ = group_descriptors(tracks(3), GroupOptions(clips=6, faces=(1, 1)), seed=0)
    assert (rows[:, 16:32] == 0).all() and (rows[:, 48:] == 0).all()


def test_groups_are_pooled_as_videmo_pools_them(rng: np.random.Generator) -> None:
    from videmo.data import Faces as SeenFaces
    from videmo.data import Features, FrameBatch
    from videmo.stages.pool import Pooling, pool

    track = FaceTrack("happiness", rng.normal(0, 1, (12, 5)).astype(np.float32), SAID)
    frames = FrameBatch(np.zeros((12, 8, 8, 3), np.uint8), np.arange(12), np.arange(12) / 25)
    seen = SeenFaces.on(frames, np.arange(12), np.tile([0, 0, 8, 8], (12, 1)), np.ones(12))
    pooled = pool([Features(track.values, seen, 12, {})], Pooling())
    assert track_descriptors([track])[0][0] == pytest.approx(pooled.values, abs=1e-6)


def test_what_is_said_of_frames_is_averaged_and_then_reweighed() -> None:
    said = np.array([[0.9, 0.1], [0.5, 0.5]], np.float32)
    track = FaceTrack("fear", np.zeros((2, 1), np.float32), said)
    rows, truth = mean_probabilities([track], (0.1, 1.0))
    assert rows[0] == pytest.approx([0.07 / 0.37, 0.3 / 0.37])
    assert truth.tolist() == [2]
