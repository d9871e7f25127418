"""What `videmo.…` offers in Python: one call for one question."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from videmo.data import Array, Descriptor, Prediction
from videmo.pipeline import Engine, Pipeline, Source, load, load_features

PATHS = (str, bytes, os.PathLike)
ATTRIBUTES = ("age", "gender", "ethnicity")

Record = dict[str, Any]


@overload
def classify(  # type: ignore[overload-overlap]  # a str is a path, not the letters of one
    clips: Source | Array, head: str | Path = ..., *, times: Any = ..., start: float | None = ...,
    end: float | None = ..., prior: str | Path | None = ..., budget: str = ...,
    engine: Engine | None = ...,
    fps: float | None = ..., every: int | None = ..., max_side: int | None = ...,
    frame_rate: float | None = ..., detector: str | None = ...,
    detect_every: int | str | None = ...,
    score: float | None = ..., min_face: int | None = ..., faces: str | None = ...,
) -> Prediction: ...  # fmt: skip
@overload
def classify(
    clips: Iterable[Source], head: str | Path = ..., *, start: float | None = ...,
    end: float | None = ..., prior: str | Path | None = ..., budget: str = ...,
    engine: Engine | None = ...,
    fps: float | None = ..., every: int | None = ..., max_side: int | None = ...,
    frame_rate: float | None = ..., detector: str | None = ...,
    detect_every: int | str | None = ...,
    score: float | None = ..., min_face: int | None = ..., faces: str | None = ...,
) -> Iterator[Record]: ...  # fmt: skip
def classify(
    clips: Any,
    head: str | Path = "afew7",
    *,
    times: Any = None,
    start: float | None = None,
    end: float | None = None,
    prior: str | Path | None = None,
    budget: str = "exact",
    engine: Engine | None = None,
    fps: float | None = None,
    every: int | None = None,
    max_side: int | None = None,
    frame_rate: float | None = None,
    detector: str | None = None,
    detect_every: int | str | None = None,
    score: float | None = None,
    min_face: int | None = None,
    faces: str | None = None,
) -> Any:
    """Return the probability of each emotion for a clip, or yield a record for each of many.

    clips: a video, a picture or a folder of pictures; or frames in memory, uint8 RGB
        (N, H, W, 3), or a list of them: then a Prediction. Or a list of videos, folders of videos
        and patterns: then records like those of the command line, one for every clip, as they are
        made; none raises.
    head: a trained head, or a network that names the emotion of each face; a name or a folder
    times: (N,) s of frames in memory; without them `frame_rate` says how quickly they follow
    start, end: s of presentation time; the part that is looked at
    prior: natural, balanced or a file; how common each emotion is held to be
    budget: exact looks at every frame that fps or every takes; fast at some, and at more while the
        answer is not as sure as the head's card says that it must be
    fps, every: look at so many frames a second, or at every so many; not both
    max_side: px; shrink frames whose longer side is longer
    frame_rate: pictures/s of a folder of them, or of frames in memory; 25 unless given
    detector, detect_every, score, min_face, faces: how faces are found, and which of a frame
        count; None is as the head's recipe says
    engine: what runs it; changes no number

    A Prediction has `.label`, `.scores` in the order of `.labels`, and `.descriptor` with the
    counts of frames and faces. To read many clips one by one, `load` once and call `.predict`.
    Method: Savchenko 2021, arXiv 2103.17107.

    Raises VideoError for a clip that cannot be read, NoFaceError for one without a face,
    ModelError for a head that is not there or damaged, InputError for what cannot be.
    """
    recipe: dict[str, Any] = {
        "fps": fps, "every": every, "max_side": max_side, "frame_rate": frame_rate,
        "detector": detector, "detect_every": detect_every, "score": score, "min_face": min_face,
        "faces": faces,
    }  # fmt: skip
    clips = _given(clips)
    pipeline = load(head, engine=engine, prior=prior, budget=budget, **recipe)
    if isinstance(clips, (*PATHS, np.ndarray)):
        return pipeline.predict(_source(clips, times, frame_rate), start=start, end=end)
    if times is not None:
        raise ValueError("times are of frames in memory, and clips have their own")
    return _records(clips, pipeline, start, end)


def extract_features(
    clip: Source | Array,
    head: str | Path = "afew7",
    *,
    times: Any = None,
    start: float | None = None,
    end: float | None = None,
    engine: Engine | None = None,
    frame_rate: float | None = None,
    **recipe: Any,
) -> Descriptor:
    """Return the descriptor of a clip: statistics of its faces' features.

    `.values` is (4 D,) float32 for the head's recipe mean | std | min | max, L2-normalised, with
    D features of the backbone; `.faces`, `.frames` and `.seen` count what it was made of.

    recipe: fps, every, faces, ... as in `classify`, and so is the rest
    Raises VideoError, NoFaceError, ModelError as `classify` does.
    """
    pipeline = load_features(head, engine=engine, frame_rate=frame_rate, **recipe)
    return pipeline.describe(_source(_given(clip), times, frame_rate), start=start, end=end)


def attributes(
    clips: Source | Iterable[Source],
    only: Sequence[str] = ATTRIBUTES,
    *,
    start: float | None = None,
    end: float | None = None,
    backbone: str | Path | None = None,
    engine: Engine | None = None,
    min_frames: int = 1,
    **recipe: Any,
) -> Iterator[Record]:
    """Yield a record for each person of a clip, and for each face of a picture.

    clips: one, or a list as in `classify`
    only: what is inferred: age, gender, ethnicity
    backbone: the network that tells it, instead of the one of the shipped head's recipe
    min_frames: leave out who is seen in fewer frames of a video
    recipe: fps (5 unless given), every, faces, min_face, ... as in `classify`

    A face is biometric data, and what is read from it here is sensitive: run it on people who
    have agreed. Raises ModelError for a network that does not tell it, UnknownName for `only`.
    """
    from videmo.errors import UnknownName
    from videmo.people.persons import make_pipeline
    from videmo.recipe import stage_changes

    for name in only:
        if name not in ATTRIBUTES:
            raise UnknownName("attribute", name, ATTRIBUTES)
    wanted = tuple(name for name in ATTRIBUTES if name in only)
    changes: dict[str, Any] = stage_changes(**recipe)
    pipeline = make_pipeline(wanted, backbone=backbone, engine=engine, **changes).prepare()
    return _person_records(clips, pipeline, start, end, min_frames)


def _person_records(
    clips: Any, pipeline: Pipeline, start: float | None, end: float | None, min_frames: int
) -> Iterator[Record]:
    from videmo.people.persons import TrackCollector, attribute_records
    from videmo.runs.batch import attempt, record
    from videmo.stages.heads.attributes import AttributeOptions

    for clip in _clips(clips, start, end):
        watch = TrackCollector()
        answer = attempt(clip, pipeline, watch)
        scene = watch.scene(record(clip, answer, pipeline.provenance), answer, min_frames)
        yield from attribute_records(scene, pipeline.outputs, AttributeOptions())


def _records(
    clips: Any, pipeline: Pipeline, start: float | None, end: float | None
) -> Iterator[Record]:
    from videmo.runs.batch import classify as each
    from videmo.write.record import tidy

    found = _clips(clips, start, end)  # now: what names no clip is said before the first record
    return (tidy(record, pipeline.labels) for record in each(found, pipeline.prepare()))


def _clips(clips: Any, start: float | None, end: float | None) -> list[Any]:
    """Return the clips that are meant, with the part of each."""
    from dataclasses import replace

    from videmo.runs.inputs import Clip, find_clips

    clips = _given(clips)
    if isinstance(clips, PATHS):
        return [Clip(os.fsdecode(clips), start, end)]
    return [replace(clip, start=start, end=end) for clip in find_clips(clips)]


def _given(clips: Any) -> Any:
    """Return an array of paths as a list, and a list of frames as an array.

    Raises TypeError for what is no path, such as an open file.
    """
    if isinstance(clips, np.ndarray) and clips.dtype.kind in "USO":
        return clips.tolist()
    if isinstance(clips, (list, tuple)) and clips and isinstance(clips[0], np.ndarray):
        return np.stack(clips)
    if not isinstance(clips, PATHS) and (hasattr(clips, "read") or not hasattr(clips, "__iter__")):
        raise TypeError(f"clips are {type(clips).__name__}, expected a path, paths, or frames")
    return clips


def _source(clip: Any, times: Any, frame_rate: float | None) -> Source:
    """Return a path as it is, and an array as frames; raises ValueError, InputError for it."""
    from videmo.stages.decode.arrays import Frames

    if isinstance(clip, np.ndarray):
        return Frames(clip, times, frame_rate or 25.0)
    if times is not None:
        raise ValueError("times are of frames in memory, and a file has its own")
    return os.fsdecode(clip) if isinstance(clip, bytes) else clip
