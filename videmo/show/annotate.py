"""A clip goes in; the same clip comes out with boxes, persons and what they show drawn on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videmo.data import U8
from videmo.errors import InputError
from videmo.files.remote import is_url, local_copy
from videmo.people.moments import Moments, Watched, watch
from videmo.pipeline import FeatureHook, Pipeline
from videmo.show.overlay import Mark, Overlay, veil
from videmo.show.trails import RunningAnswer, Trails, best, clock, trails_of
from videmo.show.video import CONTAINERS, Sound, VideoWriter
from videmo.stages.decode import Decoder, Sampling, open_video, prefetch
from videmo.write.names import kind_of
from videmo.write.sink import open_file

_SHOWN = 3  # labels of a face
_HELD = 1.0  # s that a veil comes before a face is found, and stays after


# Of `stages.detect.Detection`: what is looked for to be hidden. Of the four people in a classroom
# the usual limits (32 px, 0.9) find two, these find all.
HIDING = {"min_face": 12, "score": 0.5}


@dataclass(frozen=True)
class AnnotateOptions:
    """What is drawn on a clip."""

    blur: bool = False  # hide every face that was found
    score: float = 0.0  # mark faces of at least this score; the others are hidden alone
    min_face: float = 0.0  # px; and of at least this side
    persons: Collection[int] = ()  # who is marked; none given: all
    sound: bool = True
    start: float | None = None  # s; the part that is drawn, which then begins at 0
    end: float | None = None


Told = Callable[[int], None]  # hears how many frames have been drawn


def annotate(
    path: str | Path,
    out: str | os.PathLike[str],
    pipeline: Pipeline,
    options: AnnotateOptions | None = None,
    *,
    progress: FeatureHook = lambda features: features,
    drawn: Told = lambda frames: None,
) -> Watched:
    """Write a clip with what is seen in it drawn on it, and return what that is.

    The clip is read twice: once for the faces, as the recipe says, and once for its frames, of
    which every one is drawn, upright and at its own time. The file appears whole or not at all.

    pipeline: as `people.moments.load` makes it
    progress, drawn: hear how far the first and the second reading are

    Raises VideoError, OutputError, InputError for a suffix that is no container's and for persons
    whom the clip does not show.
    """
    options, kind = options or AnnotateOptions(), kind_of(out, CONTAINERS)
    path = os.fspath(path)
    with local_copy(path) if is_url(path) else nullcontext(path) as here:
        seen = watch(pipeline, here, start=options.start, end=options.end, progress=progress)
        _check_persons(seen.moments, options.persons)
        painter = _Painter(seen.moments, pipeline, options)
        sound = Sound(here, options.start, options.end) if options.sound else None
        with open_file(out) as sink, sink.guard(), open_again(here, pipeline) as video:
            with VideoWriter(sink.file, kind, sound) as writer:
                _write(video, options, painter, writer, drawn)
            sink.close()
    return seen


def _check_persons(moments: Moments, persons: Collection[int]) -> None:
    missing = sorted({*persons} - {*moments.persons})
    if missing:
        there = ", ".join(map(str, moments.persons)) or "none"
        raise InputError(f"person {missing[0]} is not seen; there is {there}: choose --persons")


def open_again(path: str, pipeline: Pipeline) -> Decoder:
    """Open a clip as the pipeline does, for its pixels."""
    engine = pipeline.engine
    return open_video(
        path, engine.decoder,
        batch_bytes=engine.batch_mb << 20, pixels=round(engine.megapixels * 1e6),
        frame_rate=pipeline.recipe.sampling.frame_rate,
    )  # fmt: skip


def _write(
    video: Decoder, options: AnnotateOptions, painter: _Painter, writer: VideoWriter, drawn: Told
) -> None:
    """Write every frame at its time."""
    begin, rate = options.start or 0.0, video.info.rate or 25.0
    frames = prefetch(video.read(Sampling(start=options.start, end=options.end)))
    with closing(frames):
        for batch in frames:
            for pixels, time in zip(batch.pixels, batch.time.tolist(), strict=True):
                writer.write(painter.paint(pixels, time), time - begin, rate)
            drawn(len(batch))


class _Painter:
    """Draws what is known of a clip on its frames, whose times rise."""

    def __init__(self, moments: Moments, pipeline: Pipeline, options: AnnotateOptions) -> None:
        faces = moments.faces
        sides = (faces.box[:, 2:] - faces.box[:, :2]).max(1, initial=0)
        keep = (faces.score >= options.score) & (sides >= options.min_face)
        if options.persons:
            keep &= np.isin(moments.person, [*options.persons])
        shown = moments if keep.all() else moments[keep]
        self._labels, self._all = moments.labels, not (options.blur or options.persons)
        self._trails = Trails(trails_of(shown, pipeline))
        self._answer = RunningAnswer(shown, pipeline)
        self._hidden = Trails(trails_of(moments, pipeline) if options.blur else iter(()), _HELD)
        self._overlay: Overlay | None = None

    def paint(self, pixels: U8, time: float) -> U8:
        """Return the frame (H, W, 3) of a time with all that is to be seen on it."""
        if self._overlay is None:
            self._overlay = Overlay(*pixels.shape[:2])
        hidden = [trail.box(time) for trail in self._hidden.at(time)]
        if hidden:
            veil(pixels, hidden)
        marks = [
            Mark(trail.box(time), trail.person, best(self._labels, trail.scores(time), _SHOWN))
            for trail in self._trails.at(time)
        ]
        return self._overlay.draw(pixels, marks, self._caption(time, marks))

    def _caption(self, time: float, marks: Sequence[Mark]) -> str:
        """Return the time, and what all faces until then say together."""
        told = self._answer.at(time)
        so_far = ""
        if told is not None:
            ((label, p),) = best(self._labels, told, 1)
            so_far = f"   so far {label} {100 * p:.0f} %"
        nobody = not marks and self._all  # of those who are not marked nothing is told
        return f"{clock(time)}{so_far}{'   no face' if nobody else ''}"
