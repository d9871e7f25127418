"""From frames to features: the one place that knows the order of the stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from videmo.data import Crops, Faces, Features, FrameBatch
from videmo.recipe import Recipe
from videmo.stages.crop import crop
from videmo.stages.decode import prefetch
from videmo.stages.detect import Detector, detect, select
from videmo.stages.embed import Backbone, embed
from videmo.stages.follow import Looks, follow
from videmo.stages.quality import sift
from videmo.stages.track import track

Link = Callable[[str, Iterator[Any]], Generator[Any, None, None]]  # of one stage to the next


def run_ahead(stage: str, items: Iterator[Any]) -> Generator[Any, None, None]:
    """Return what a stage gives; decoding, and finding and cutting, go on in threads of their own.

    So three threads are at work: these two, and the one in which the network sees the crops.
    """
    return prefetch(items) if stage in ("decode", "crop") else (item for item in items)


class StageTimer:
    """Takes the time of each stage, one after the other in one thread."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # stage -> s, of all that come before it as well
        self._now = time.perf_counter

    def __call__(self, stage: str, items: Iterator[Any]) -> Generator[Any, None, None]:
        self._until.setdefault(stage, 0.0)  # a clip may be read more than once
        while True:
            begun = self._now()
            item = next(items, None)
            self._until[stage] += self._now() - begun
            if item is None:
                return
            yield item

    @property
    def spent(self) -> dict[str, float]:
        """The s that each stage took by itself."""
        until = sorted(self._until.items(), key=lambda item: item[1])  # the first stage first
        before = [0.0, *(s for _, s in until)]
        return {stage: s - b for (stage, s), b in zip(until, before, strict=False)}


def river(
    frames: Iterator[FrameBatch],
    recipe: Recipe,
    detector: Detector,
    backbone: Backbone,
    looks: Looks,
    link: Link = run_ahead,
) -> Generator[Features, None, None]:
    """Yield the features of the faces in the frames of a clip, batch by batch.

    looks: is told what was done with the frames
    link: how a stage is joined to the next: in threads of their own, or timed
    """
    frames = link("decode", frames)  # FrameBatch ...
    with closing(frames):
        faces = link("find", _find(frames, recipe, detector, looks))  # ..., Faces ...
        tracked = link("track", track(faces, recipe.tracking))
        crops = link("crop", _crop(tracked, recipe, looks))  # Crops ...
        with closing(crops):
            yield from link("embed", embed(crops, backbone))  # Features ...


def _find(
    frames: Iterable[FrameBatch], recipe: Recipe, detector: Detector, looks: Looks
) -> Iterator[tuple[FrameBatch, Faces]]:
    following, wanted = recipe.following, recipe.detection.faces
    look = getattr(detector, "look", None) if following.follows else None
    if look:
        if wanted != "largest":  # a glance may miss smaller ones
            following = replace(following, glance=None)
        find = getattr(detector, "find_roughly", detector)
        found = follow(frames, find, look, following, looks)
    else:
        found = detect(frames, detector)
    for batch, faces in found:
        if not look:
            looks.whole += len(batch)
        looks.several += int((np.bincount(faces.row) > 1).sum())
        yield batch, select(faces, wanted)


def _crop(
    tracked: Iterable[tuple[FrameBatch, Faces]], recipe: Recipe, looks: Looks
) -> Iterator[Crops]:
    crops, filtering = crop(tracked, recipe.cropping), recipe.filtering
    return sift(crops, filtering, looks.leave_out) if filtering.filters else crops
