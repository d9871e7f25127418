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
    # RAVDESS: codes 01 to 08 of the third field of a name (Livingstone & Russo 2018)
    "ravdess8": (
        "neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised",
    ),
    # CREMA-D: ANG, DIS, FEA, HAP, NEU, SAD of a name, spelled out (README of CREMA-D)
    "cremad6": ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad"),
    # eNTERFACE'05: folder names, alphabetical (Martin et al. 2006)
    "enterface6": ("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
    # DFEW: codes 1 to 7 of set_1.csv, the columns 1happy ... 7fear of annotation.xlsx
    "dfew7": ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"),
    # FERV39k: folder names in the order of DFEW, as MAE-DFER has them (preprocess/ferv39k.py);
    # others number the same names alphabetically (FERV39k writes names, no numbers)
    "ferv39k7": ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear"),
    # MAFW, single expressions (Liu et al. 2022; MAE-DFER preprocess/mafw.py)
    "mafw11": (
        "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt",
        "anxiety", "helplessness", "disappointment",
    ),
    # MELD: the names of the column Emotion, ordered as in its copy on the Hugging Face hub
    "meld7": ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise"),
    # No emotions: what else is read from a face, so without a meaning below.
    # FairFace, seven groups (Karkkainen & Joo 2021), in the order of the shipped backbone
    "fairface7": (
        "white", "black", "east asian", "southeast asian", "indian", "middle eastern",
        "latino hispanic",
    ),
    # UTKFace: codes 0 to 4 of the third field of a name (Zhang et al. 2017)
    "utkface5": ("white", "black", "asian", "indian", "others"),
}  # fmt: skip

_MEANING = {  # what the names of all sets of emotions have in common
    "angry": "anger", "anger": "anger",
    "anxiety": "anxiety",
    "calm": "calm",
    "contempt": "contempt",
    "disappointment": "disappointment",
    "disgust": "disgust", "disgusted": "disgust",
    "fear": "fear", "fearful": "fear",
    "happy": "happiness", "happiness": "happiness", "joy": "happiness",
    "helplessness": "helplessness",
    "neutral": "neutral",
    "sad": "sadness", "sadness": "sadness",
    "surprise": "surprise", "surprised": "surprise",
    "positive": "positive", "negative": "negative",
}  # fmt: skip

_VALENCE = {  # emotions onto three; surprise may go either way and belongs to none
    "happiness": "positive", "neutral": "neutral", "anger": "negative", "contempt": "negative",
    "disgust": "negative", "fear": "negative", "sadness": "negative", "anxiety": "negative",
    "disappointment": "negative", "helplessness": "negative",
    "calm": "neutral",  # RAVDESS has it as a second baseline beside neutral
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


def map_scores(scores: Array, source: Sequence[str], target: Sequence[str]) -> F32:
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
