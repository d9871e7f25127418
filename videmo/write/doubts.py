"""Where one answer for a clip is too little: words for the warnings of its record."""

from __future__ import annotations

from typing import Any

NEAR = 0.1  # two labels whose probabilities differ by less are a tie
COVERED = 0.5  # a smaller share of frames with a face is little
OTHERS = 0.1  # of the frames with a face, from which on other faces are worth a word


def doubts(answer: Any) -> list[str]:
    """Return what is to be said of an answer that has a prediction, a line each."""
    return [*_tie(answer.prediction), *_cover(answer.descriptor), *_persons(answer)]


def _tie(prediction: Any) -> list[str]:
    """Return the two most probable labels, where they are a tie."""
    if len(prediction.labels) < 2:
        return []
    first, second = sorted(range(len(prediction.labels)), key=lambda i: -prediction.scores[i])[:2]
    a, b = (float(prediction.scores[place]) for place in (first, second))
    if a - b >= NEAR:
        return []
    names = f"{prediction.labels[first]} {a:.2f} and {prediction.labels[second]} {b:.2f}"
    return [f"{names} are a near tie (less than {NEAR:g} apart)"]


def _cover(descriptor: Any) -> list[str]:
    if descriptor.coverage >= COVERED:
        return []
    return [f"a face in {descriptor.frames} of {descriptor.seen} frames only"]


def _persons(answer: Any) -> list[str]:
    """Return that the answer may be of several persons, which overlap alone cannot tell."""
    tracks, several = answer.seen.tracks, answer.looks.several
    parted = tracks > 1 and answer.stride == 1  # in frames far apart one face seldom overlaps
    said = [f"its faces are {tracks} tracks with cuts, gaps or jumps between"] if parted else []
    if several > OTHERS * answer.descriptor.frames:
        said.append(f"{several} frames show more than one face")
    step = "these may be several persons, whom videmo classify --per person tells apart"
    return [f"{', and '.join(said)}; {step}"] if said else []
