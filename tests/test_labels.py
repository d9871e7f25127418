"""Label sets in their published order, and folding one onto another by meaning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videmo.errors import UnknownName
from videmo.labels import LABELS, label_set, map_scores, meaning

EMOTIONS = sorted(set(LABELS) - {"fairface7", "utkface5"})  # the sets that have meanings


@pytest.mark.parametrize(
    ("name", "first", "last", "size"),
    [
        ("afew7", "Angry", "Surprise", 7),
        ("vgaf3", "Positive", "Negative", 3),
        ("ferplus8", "neutral", "contempt", 8),
        ("affectnet8", "Anger", "Surprise", 8),
        ("affectnet7", "Anger", "Surprise", 7),
        ("ravdess8", "neutral", "surprised", 8),
        ("cremad6", "Anger", "Sad", 6),
        ("enterface6", "anger", "surprise", 6),
        ("dfew7", "happy", "fear", 7),
        ("ferv39k7", "Happy", "Fear", 7),
        ("mafw11", "anger", "disappointment", 11),
        ("meld7", "neutral", "surprise", 7),
        ("fairface7", "white", "latino hispanic", 7),
        ("utkface5", "white", "others", 5),
    ],
)
def test_a_set_keeps_its_published_order(name: str, first: str, last: str, size: int) -> None:
    labels = label_set(name)
    assert (labels[0], labels[-1], len(labels)) == (first, last, size)


@pytest.mark.parametrize("name", ["afew7", "affectnet8", "affectnet7", "enterface6"])
def test_sets_made_of_folder_names_are_alphabetical(name: str) -> None:
    assert list(label_set(name)) == sorted(label_set(name))


@pytest.mark.parametrize("name", EMOTIONS)
def test_every_emotion_has_a_meaning_and_no_set_has_one_twice(name: str) -> None:
    words = [meaning(label) for label in label_set(name)]
    assert len(set(words)) == len(words)


def test_an_unknown_set_lists_the_sets() -> None:
    with pytest.raises(UnknownName, match="no label set is called 'afew8'; there is afew7"):
        label_set("afew8")


def test_an_unknown_emotion_is_refused() -> None:
    with pytest.raises(UnknownName, match="no emotion is called 'bored'"):
        meaning("bored")


@pytest.mark.parametrize("label", ["Happy", "happiness", " JOY ", "Happiness"])
def test_words_of_one_meaning_are_one(label: str) -> None:
    assert meaning(label) == "happiness"


def test_folding_onto_the_same_set_changes_nothing(rng) -> None:
    scores = rng.dirichlet(np.ones(8), 5).astype(np.float32)
    same = label_set("ferplus8")
    np.testing.assert_allclose(map_scores(scores, same, same), scores, atol=1e-6)


def test_folding_follows_names_not_numbers() -> None:
    scores = np.eye(8, dtype=np.float32)
    source, target = label_set("ferplus8"), label_set("affectnet8")
    for row, label in zip(map_scores(scores, source, target), source, strict=True):
        assert meaning(target[row.argmax()]) == meaning(label) and row.max() == 1


def test_a_label_that_the_target_lacks_is_left_out_and_the_rest_sums_to_one() -> None:
    scores = np.array([0.1, 0.5, 0.0, 0.0, 0.3, 0.1, 0.0, 0.0], np.float32)  # contempt 0.5
    got = map_scores(scores, label_set("affectnet8"), label_set("affectnet7"))
    np.testing.assert_allclose(got, [0.2, 0, 0, 0.6, 0.2, 0, 0], atol=1e-6)


def test_eight_emotions_fold_onto_three_valences() -> None:
    source = label_set("affectnet8")
    got = map_scores(np.eye(8), source, label_set("vgaf3"))  # positive, neutral, negative
    side = {label: row.tolist() for label, row in zip(source, got, strict=True)}
    assert side["Happiness"] == [1, 0, 0] and side["Neutral"] == [0, 1, 0]
    for label in ("Anger", "Contempt", "Disgust", "Fear", "Sadness"):
        assert side[label] == [0, 0, 1]
    assert side["Surprise"] == [0, 0, 0]


@given(
    st.sampled_from(EMOTIONS),
    st.sampled_from(EMOTIONS),
    st.lists(st.floats(0.01, 1), min_size=11, max_size=11),
)
def test_what_is_folded_sums_to_one(source: str, target: str, values: list[float]) -> None:
    labels = label_set(source)
    scores = np.array(values[: len(labels)])
    folded = map_scores(scores / scores.sum(), labels, label_set(target))
    shared = {meaning(x) for x in labels} & {meaning(x) for x in label_set(target)}
    assert folded.dtype == np.float32 and folded.shape == (len(label_set(target)),)
    assert not shared or folded.sum() == pytest.approx(1, abs=1e-6)


def test_calm_is_neutral_where_there_is_no_calm() -> None:
    source, target = label_set("ravdess8"), label_set("afew7")
    calm = np.eye(8)[source.index("calm")]
    assert target[map_scores(calm, source, target).argmax()] == "Neutral"
    assert map_scores(calm, source, source).argmax() == source.index("calm")


def test_the_two_orders_of_one_set_of_names_fold_by_name() -> None:
    source, target = label_set("ferv39k7"), label_set("afew7")
    for row, label in zip(map_scores(np.eye(7), source, target), source, strict=True):
        assert target[row.argmax()] == label


@pytest.mark.parametrize("label", ["anxiety", "helplessness", "disappointment"])
def test_what_mafw_adds_is_negative_and_no_other_emotion(label: str) -> None:
    scores = np.eye(11)[label_set("mafw11").index(label)]
    assert map_scores(scores, label_set("mafw11"), label_set("vgaf3")).tolist() == [0, 0, 1]
    assert map_scores(scores, label_set("mafw11"), label_set("afew7")).max() == 0


def test_what_is_no_emotion_has_no_meaning() -> None:
    with pytest.raises(UnknownName, match="no emotion is called 'white'"):
        meaning("white")


def test_rows_of_any_shape_are_folded() -> None:
    scores = np.full((2, 0, 3, 8), 1 / 8)
    assert map_scores(scores, label_set("ferplus8"), label_set("afew7")).shape == (2, 0, 3, 7)


def test_scores_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError):
        map_scores(np.ones((2, 7)), label_set("ferplus8"), label_set("afew7"))
