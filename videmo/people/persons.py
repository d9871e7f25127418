"""Who is seen in a clip: what is said of each, whether two are one person, who is who in many.

    tracks = TrackCollector()
    pipeline = make_pipeline(("age", "identity"), backbone="a_backbone_with_these")
    pipeline.answer("clip.mp4", through=tracks)
    for sighting in tracks.sightings():
        age(sighting.means["age"], pipeline.outputs["age"])

Only means over the faces of a track are kept, so memory does not grow with the clip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from videmo import store
from videmo.data import F64, I64, Array, Faces, Failure, Features, Range
from videmo.errors import InputError, UnknownName
from videmo.pipeline import Answer, Engine, Pipeline
from videmo.stages.heads.attributes import (
    IDENTITY,
    AttributeOptions,
    age,
    ethnicity,
    gender,
    per_face,
    similarity,
)
from videmo.stages.pool import Moments
from videmo.stages.quality import NAMES as QUALITY
from videmo.write.schema import SCORE_DIGITS, TIME_DIGITS

DEFAULT_FPS = (
    5.0  # frames/s looked at, unless the caller says otherwise: faces change little in 0.2 s
)

Record = dict[str, Any]

_SPAN = ("track", "start", "end")
_OF_THE_CLIP = ("label", "scores", "tracks", "frames_with_others", *QUALITY)  # no person's


@dataclass(frozen=True)
class Grouping:
    """When tracks are one person."""

    threshold: float  # least similarity, a cosine
    linkage: Literal["average", "complete"] = "average"  # complete: of every two tracks of a person

    def __post_init__(self) -> None:
        Range(-1, 1).check("threshold, a cosine,", self.threshold)
        if self.linkage not in ("average", "complete"):
            raise UnknownName("linkage", str(self.linkage), ("average", "complete"))


@dataclass(frozen=True, eq=False)
class Sighting:
    """One face through a clip; a face in a picture is seen in one frame."""

    track: int
    start: float  # s, its first frame
    end: float  # s, its last frame
    frames: int
    best: float  # s, the frame in which its box is largest
    box: tuple[float, ...]  # in that frame: x0 y0 x1 y1, source px
    means: Mapping[str, F64]  # output -> (C,), the mean over its faces of what `per_face` gives


@dataclass(frozen=True, eq=False)
class Scene:
    """One clip or picture that was looked at, with those who were seen in it."""

    record: Record  # as batch.record makes it
    sightings: tuple[Sighting, ...] = ()
    together: frozenset[tuple[int, int]] = frozenset()  # tracks that share a frame, lower first
    still: bool = False  # a picture, which has no times


def make_pipeline(
    outputs: Collection[str],
    *,
    head: str | Path = "afew7",
    backbone: str | Path | None = None,
    engine: Engine | None = None,
    **changes: dict[str, Any],
) -> Pipeline:
    """Return a pipeline without a head that tells `outputs` of every face.

    head: whose recipe is followed, but for 5 frames/s and all faces of a frame
    backbone: name or folder, whose own recipe is followed instead
    changes: options of a stage to replace, as in `pipeline.load`

    Raises ModelError where the backbone lacks an output; ModelNotFound, CorruptModel.
    """
    recipe = store.load(head if backbone is None else backbone).recipe
    sampling = changes.get("sampling", {})
    mine = {
        "sampling": {"fps": None if "every" in sampling else DEFAULT_FPS, "every": 1, **sampling},
        "detection": {"faces": "all", **changes.get("detection", {})},
    }
    recipe = recipe.with_changes(**{**changes, **mine})
    return Pipeline(recipe, engine=engine, outputs=outputs)


def threshold_of(model: store.Model) -> float:
    """Return the similarity from which two tracks are one person, as the card measured it.

    Raises InputError where the card has none.
    """
    try:
        return float(model.card["measured"][IDENTITY]["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the card of backbone {model.name} has no measured threshold of similarity; "
            "give one with threshold=, a cosine from -1 to 1"
        ) from error


class TrackCollector:
    """Keeps what belongs to each track while features flow past; a `through` for a pipeline."""

    def __init__(self) -> None:
        self._tracks: dict[int, _TrackStatistics] = {}
        self._together: set[tuple[int, int]] = set()

    def __call__(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on unchanged."""
        for features in river:
            self._take(features)
            yield features

    def sightings(self, min_frames: int = 1) -> tuple[Sighting, ...]:
        """Return those who were seen in at least `min_frames` frames, as their tracks began."""
        found = (self._tracks[number].sighting(number) for number in sorted(self._tracks))
        return tuple(sighting for sighting in found if sighting.frames >= min_frames)

    def scene(self, record: Record, answer: Answer | Failure, min_frames: int = 1) -> Scene:
        """Return the whole clip; a picture counts whatever `min_frames` says."""
        if isinstance(answer, Failure):
            return Scene(record)
        still = (answer.info.decoder, answer.info.frames) == ("images", 1)
        found = self.sightings(1 if still else min_frames)
        if self._tracks and not found:
            record = {**record, "status": "no_face", "warnings": [
                *record["warnings"],
                f"no face in {min_frames} frames or more of one track; lower min_frames=",
            ]}  # fmt: skip
        return Scene(record, found, frozenset(self._together), still)

    def _take(self, features: Features) -> None:
        faces = features.faces
        rows = {name: per_face(name, output) for name, output in features.outputs.items()}
        for number in np.unique(faces.track).tolist():
            here = faces.track == number
            one = self._tracks.setdefault(number, _TrackStatistics())
            one.add(faces[here], {name: row[here] for name, row in rows.items()})
        for index in np.unique(faces.index):  # a batch never ends within a frame
            self._together.update(combinations(sorted(faces.track[faces.index == index]), 2))


class _TrackStatistics:
    """What is kept of one track."""

    def __init__(self) -> None:
        self.frames, self.area = 0, -1.0
        self.start = self.end = self.best = 0.0
        self.box: tuple[float, ...] = ()
        self.moments: dict[str, Moments] = {}

    def add(self, faces: Faces, rows: Mapping[str, F64]) -> None:
        if not self.frames:
            self.start = float(faces.time[0])
        self.frames, self.end = self.frames + len(faces), float(faces.time[-1])
        area = (faces.box[:, 2:] - faces.box[:, :2]).prod(1)
        best = int(area.argmax())
        if area[best] > self.area:
            self.area, self.best = float(area[best]), float(faces.time[best])
            self.box = tuple(faces.box[best].tolist())
        for name, row in rows.items():
            self.moments.setdefault(name, Moments()).add(row)

    def sighting(self, number: int) -> Sighting:
        means = {name: moments.mean for name, moments in self.moments.items()}
        return Sighting(number, self.start, self.end, self.frames, self.best, self.box, means)


def similarities(a: Sequence[Sighting], b: Sequence[Sighting]) -> F64:
    """Return the similarity (A, B) of each of `a`, A > 0, with each of `b`, B > 0."""
    return similarity(*(np.stack([one.means[IDENTITY] for one in some]) for some in (a, b)))


def group(likeness: Array, apart: Iterable[tuple[int, int]], grouping: Grouping) -> I64:
    """Return the number (N,) of the person that each of N tracks is, in order of appearance.

    Agglomerative clustering (Sneath and Sokal 1973): the two groups that are most alike are
    joined as long as they reach the threshold. The likeness of groups is the mean over their
    pairs, or with linkage "complete" the least of them. Equals are joined in order of number.

    likeness: (N, N) symmetric; apart: pairs of tracks that are never one person
    """
    near = (likeness + likeness.T) / 2  # a product of matrices may differ in the last bit
    np.fill_diagonal(near, -np.inf)
    for i, j in apart:
        near[i, j] = near[j, i] = -np.inf
    size, owner = np.ones(len(near)), np.arange(len(near))
    who = near.argmax(1) if near.size else owner  # of each row the nearest, kept up to date
    while near.size:
        i = int(near[np.arange(len(near)), who].argmax())
        j = int(who[i])  # i < j: of two equal places the first
        if near[i, j] < grouping.threshold:
            break
        if grouping.linkage == "complete":
            joined = np.minimum(near[i], near[j])
        else:
            joined = (size[i] * near[i] + size[j] * near[j]) / (size[i] + size[j])
        near[i] = near[:, i] = joined
        near[j] = near[:, j] = near[i, i] = -np.inf
        stale = np.isin(who, (i, j))  # others have a nearer one: joining brings nobody nearer
        stale[[i, j]] = True
        who[stale] = near[stale].argmax(1)
        size[i] += size[j]
        owner[owner == j] = i
    return np.unique(owner, return_inverse=True)[1].astype(np.int64)


def attribute_records(
    scene: Scene, outputs: Mapping[str, Sequence[str]], options: AttributeOptions
) -> list[Record]:
    """Return one record for each sighting, or the scene's own where there is none.

    outputs: what is told: age, gender, ethnicity -> labels in order
    """
    told = [_attributes(sighting.means, outputs, options) for sighting in scene.sightings]
    return _records(scene, told)


def pair_records(a: Scene, b: Scene, threshold: float) -> list[Record]:
    """Return one record for each sighting of `a` with each of `b`: are they one person?

    What stands under names without "other_" is of `a`; warnings are of both. Where nobody was
    seen in one of the two there is its own record instead.
    """
    if not (a.sightings and b.sightings):
        return [_without_answer(scene.record) for scene in (a, b) if not scene.sightings]
    cosines = similarities(a.sightings, b.sightings).ravel().tolist()
    records = [
        {
            **one,
            **{f"other_{key}": other[key] for key in ("path", *_SPAN, "box") if key in other},
            "similarity": round(cosine, SCORE_DIGITS),
            "threshold": threshold,
            "same": cosine >= threshold,
            "warnings": [],
        }
        for (one, other), cosine in zip(product(_records(a), _records(b)), cosines, strict=True)
    ]
    records[0]["warnings"] = [*a.record["warnings"], *b.record["warnings"]]
    return records


def person_records(scenes: Sequence[Scene], grouping: Grouping) -> list[Record]:
    """Return one record for each sighting, with the number of the person that it is.

    Persons are numbered from 0 as they appear: in order of clips, then of tracks. Two tracks
    that share a frame of one clip are never one person.
    """
    everyone = [sighting for scene in scenes for sighting in scene.sightings]
    numbers: list[int] = []
    if everyone:
        numbers = group(similarities(everyone, everyone), _cannot_link(scenes), grouping).tolist()
    persons = iter(numbers)
    return [
        record
        for scene in scenes
        for record in _records(scene, [{"person": next(persons)} for _ in scene.sightings])
    ]


def _cannot_link(scenes: Iterable[Scene]) -> Iterator[tuple[int, int]]:
    """Yield the places, among the sightings of all scenes, of two that share a frame."""
    before = 0
    for scene in scenes:
        place = {one.track: before + i for i, one in enumerate(scene.sightings)}
        for i, j in scene.together:
            if i in place and j in place:
                yield place[i], place[j]
        before += len(place)


def _records(scene: Scene, more: Sequence[Record] | None = None) -> list[Record]:
    """Return the scene's record once for each sighting, with where it is and what is told."""
    bare = _without_answer(scene.record)
    if not scene.sightings:
        return [bare]
    told = more or [{}] * len(scene.sightings)
    whole = {key: value for key, value in bare.items() if key not in _SPAN}
    records = [
        {**whole, **_location(scene, sighting), **facts}
        for sighting, facts in zip(scene.sightings, told, strict=True)
    ]
    for record in records[1:]:
        record["warnings"] = []  # they are the clip's: said once
    return records


def _without_answer(record: Record) -> Record:
    """Return a clip's record without what a head would say."""
    return {key: value for key, value in record.items() if key not in _OF_THE_CLIP}


def _location(scene: Scene, sighting: Sighting) -> Record:
    times = {"start": sighting.start, "end": sighting.end, "best_time": sighting.best}
    rounded = {key: round(time, TIME_DIGITS) for key, time in times.items()}
    return {
        "track": sighting.track,
        **({"duration": None} if scene.still else rounded),
        "face_frames": sighting.frames,
        "faces": sighting.frames,
        "coverage": sighting.frames / scene.record["frames"],
        "box": [round(edge, 1) for edge in sighting.box],
    }


def _attributes(
    means: Mapping[str, F64], outputs: Mapping[str, Sequence[str]], options: AttributeOptions
) -> Record:
    told: Record = {}
    if "age" in outputs:
        years, low, high = age(means["age"], outputs["age"], options)
        told |= {"age": round(years, 1), "age_interval": [low, high]}
    if "gender" in outputs:
        word, share = gender(means["gender"], outputs["gender"], options)
        told |= {"gender": word, "gender_probability": round(share, SCORE_DIGITS)}
    if "ethnicity" in outputs:
        word, scores = ethnicity(means["ethnicity"], outputs["ethnicity"])
        rounded = {label: round(share, SCORE_DIGITS) for label, share in scores.items()}
        told |= {"ethnicity": word, "ethnicity_scores": rounded}
    return told
