"""Label sets in their published order, and folding the scores of one set onto another.

Orders differ between data sets, so names decide, never numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videmo.data import F32, Array
from videmo.errors import UnknownName

LABELS: dict[str, tuple[str, ...]] = {
    # EmotiW AFEW: folder names, alphabetical (Dhall et al.; HSEmotion AFEW_train.ipynb)
    "afew7": ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"),
    # EmotiW VGAF: label file values 1, 2, 3 (HSEmotion VGAF_train.ipynb)
    "vgaf3": ("Positive", "Neutral", "Negative"),
    # FER+ vote columns without unknown and NF (Barsoum et al. 2016, Microsoft FERPlus)
    "ferplus8": (
        "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
    ),
    # AffectNet as torchvision's ImageFolder sorts it: the order of every HSEmotion model
    "affectnet8": (
        "Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise",
    ),
    "affectnet7": ("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"),
}  # fmt: skip

_MEANING = {  # what the names of all sets have in common
    "angry": "anger", "anger": "anger",
    "contempt": "contempt",
    "disgust": "disgust", "disgusted": "disgust",
    "fear": "fear", "fearful": "fear",
    "happy": "happiness", "happiness": "happiness", "joy": "happiness",
    "neutral": "neutral",
    "sad": "sadness", "sadness": "sadness",
    "surprise": "surprise", "surprised": "surprise",
    "positive": "positive", "negative": "negative",
}  # fmt: skip

_VALENCE = {  # eight emotions onto three; surprise may go either way and belongs to none
    "happiness": "positive", "neutral": "neutral", "anger": "negative", "contempt": "negative",
    "disgust": "negative", "fear": "negative", "sadness": "negative",
}  # fmt: skip


def label_set(name: str) -> tuple[str, ...]:
    """Return the labels of a published set in its own order; raises UnknownName."""
    if name not in LABELS:
        raise UnknownName("label set", name, LABELS)
    return LABELS[name]


def meaning(label: str) -> str:
    """Return the common word for `label` (Happy, happiness and joy are one); raises UnknownName."""
    word = _MEANING.get(label.strip().lower())
    if word is None:
        raise UnknownName("emotion", label, sorted(set(_MEANING)))
    return word


def fold(scores: Array, source: Sequence[str], target: Sequence[str]) -> F32:
    """Return probabilities over `source` as probabilities over `target`, matched by meaning.

    scores: (..., C) >= 0 over `source`; labels that `target` lacks are left out and the rest is
    made to sum to 1 again, as a 7-class answer is read off an 8-class model; a row with
        nothing left is all zeros
    """
    matrix = np.zeros((len(source), len(target)))
    words = [meaning(label) for label in target]
    for row, label in enumerate(source):
        word = meaning(label)
        word = word if word in words else _VALENCE.get(word, "")
        if word in words:
            matrix[row, words.index(word)] = 1
    folded = np.asarray(scores, np.float64) @ matrix
    total = folded.sum(-1, keepdims=True)
    whole = np.divide(folded, total, out=np.zeros_like(folded), where=total > 0)
    return np.asarray(whole, np.float32)
