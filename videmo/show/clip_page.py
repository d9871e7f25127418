"""A clip goes in; a page of it comes out: the answer, its doubt, who showed what when, and why.

The page is one file. It shows the faces that were counted, unless they are to be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from videmo import __version__
from videmo.data import I64
from videmo.people.baseline import mean_probabilities
from videmo.people.moments import Moments, Watched
from videmo.people.timeline import Row, Timing, rows
from videmo.pipeline import Pipeline
from videmo.show.drawing import HIGH, WIDE, draw, ticks
from videmo.show.film import face_picture
from videmo.show.page import colour_rules, percent, render
from videmo.show.strips import Cell, Strip, name_of, strips_of
from videmo.show.trails import best, clock
from videmo.stages.decode import Decoder, Sampling, prefetch
from videmo.stages.detect import select
from videmo.stages.quality import NAMES
from videmo.write.doubts import COVERED, NEAR

_PERSONS = 24  # who have a strip of their own
_PICTURES, _OF_EACH = 120, (3, 24)  # pictures of a page; of a person, at least and at most
_CELLS, _OF_PERSON = 2400, (60, 300)  # of all strips, about; of a person
_NOTHING = 0.005  # a probability that is 0 % in words
_SEGMENTS = 200  # rows of the table
_RULES = {
    "largest": "The largest face of each frame counts, as in videmo classify",
    "best": "The face of the highest score in each frame counts, as in videmo classify",
    "all": "All faces count",
}


@dataclass(frozen=True)
class ClipPageOptions:
    """What a page of a clip shows."""

    faces: bool = True  # pictures of the faces that were counted
    start: float | None = None  # s, of the part that was looked at
    end: float | None = None


def clip_page(
    name: str, seen: Watched, pipeline: Pipeline, video: Decoder, options: ClipPageOptions
) -> str:
    """Return the page of a clip as HTML.

    name: what it is called; seen: as `people.moments.watch` found it
    video: the clip once more, for pictures of its faces; it is read only where these are shown
    """
    moments, info = seen.moments, seen.answer.info
    begin = options.start or 0.0
    last = float(moments.times[-1]) if len(moments.times) else begin
    end = max(last, min(options.end or np.inf, info.duration or last)) + 1e-9
    shown = moments.persons[:_PERSONS]
    strips = _strips(moments, pipeline, shown, begin, end)
    film = _film(moments, shown, video, options) if options.faces and len(moments) else {}
    persons = [_person(strip, moments, pipeline, film, begin, end) for strip in strips]
    segments = [_segment(row) for row in rows(moments, pipeline, Timing(by="segment"))]
    axis = ticks(begin, end)
    page = {
        "title": f"{name}: videmo", "name": name, "version": __version__,
        "answer": _answer(moments, pipeline), "frames": len(moments.times),
        "notes": [*_doubts(moments, pipeline), *seen.answer.warnings],
        "facts": _facts(moments, begin, end),
        "labels": moments.labels, "used": _used(strips), "cuts": len(moments.cuts),
        "persons": persons, "others": _others(moments, shown),
        "wide": WIDE, "high": HIGH, "clock": clock,
        "axis": [{"text": _tick(t), "last": (t - begin) > 0.95 * (end - begin)} for t in axis],
        "segments": segments[:_SEGMENTS], "more_segments": max(0, len(segments) - _SEGMENTS),
        "provenance": _provenance(seen, pipeline, options),
    }  # fmt: skip
    places = [100 * (tick - begin) / (end - begin) for tick in axis]
    return render("clip.html", page, rules=_rules(moments.labels, places))


def _rules(labels: Sequence[str], places: Sequence[float]) -> str:
    at = "".join(f".axis .t{n} {{ left: {place:.2f}%; }}\n" for n, place in enumerate(places))
    return colour_rules(labels) + at


def _policy(pipeline: Pipeline) -> str:
    """Return the head's own choice of faces, by which `classify` answers."""
    return pipeline.head_model.recipe.detection.faces if pipeline.head_model else "all"


def _answer(moments: Moments, pipeline: Pipeline) -> dict[str, str] | None:
    """Return what `classify` says of the clip."""
    if not len(moments):
        return None
    policy = _policy(pipeline)
    first, second = best(
        moments.labels, mean_probabilities(moments, _counted(moments, policy), pipeline), 2
    )
    return {
        "told": f"{first[0]} {percent(first[1])}", "next": _next(second), "rule": _RULES[policy],
    }  # fmt: skip


def _doubts(moments: Moments, pipeline: Pipeline) -> Iterator[str]:
    """Yield where that answer is too little, by the limits of `classify`."""
    if not len(moments):
        return
    counted = _counted(moments, _policy(pipeline))
    (a, p), (b, q) = best(moments.labels, mean_probabilities(moments, counted, pipeline), 2)
    if p - q < NEAR:
        yield f"{a} {percent(p)} and {b} {percent(q)} are a near tie"
    frames = len(np.unique(moments.faces.index))
    if frames < COVERED * len(moments.times):
        yield f"A face is seen in {frames} of {len(moments.times)} frames only"
    who, count = np.unique(moments.person[counted], return_counts=True)
    if len(who) > 1:
        shares = [
            f"{name_of(n or None)} in {k} frames"
            for n, k in zip(who.tolist(), count.tolist(), strict=True)
        ]
        yield f"The answer is of several persons: {', '.join(shares)}; each has a strip below"
    others = [name_of(n) for n in np.unique(moments.person).tolist() if n and n not in who]
    if others:
        yield f"Others are seen and do not count: {', '.join(others)}; each has a strip below"


def _tick(time: float) -> str:
    """Return a time for an axis, without hundredths of a second where there are none."""
    return clock(time).removesuffix(".00")


def _next(second: tuple[str, float]) -> str:
    """Return the second label, if there is anything to it."""
    label, p = second
    return f"{label} {percent(p)}" if p >= _NOTHING else ""


def _counted(moments: Moments, policy: str) -> I64:
    """Return the places of the faces that a policy counts."""
    faces = moments.faces.tracked(np.arange(len(moments)))
    return select(replace(faces, row=faces.index), policy).track


def _facts(moments: Moments, begin: float, end: float) -> list[tuple[str, str]]:
    """Return what the answer rests on."""
    frames, with_face = len(moments.times), len(np.unique(moments.faces.index))
    facts = [
        ("Frames with a face", f"{with_face} of {frames} ({percent(with_face / max(1, frames))})"),
        ("Faces", str(len(moments))),
        ("Persons", str(len(moments.persons))),
        ("Looked at", f"{_tick(begin)} to {_tick(end)}"),
        ("Cuts", str(len(moments.cuts))),
    ]
    if len(moments):
        known = {n: moments.quality[:, i] for i, n in enumerate(NAMES)}
        medians = {n: float(np.median(v)) for n, of in known.items() if len(v := of[~np.isnan(of)])}
        forms = {
            "side": ("Face side, median", "{:.0f} px"),
            "sharpness": ("Sharpness, median", "{:.1f} grey levels"),
            "brightness": ("Brightness, median", "{:.2f} of 1"),
            "frontal": ("Frontal, median", "{:.2f} of 1"),
        }
        facts += [(forms[n][0], forms[n][1].format(medians[n])) for n in NAMES if n in medians]
    return facts


def _strips(
    moments: Moments, pipeline: Pipeline, persons: Sequence[int], begin: float, end: float
) -> list[Strip]:
    """Return a strip for each person, of windows that lie side by side."""
    if not persons:
        return []
    cells = float(np.clip(_CELLS / len(persons), *_OF_PERSON))
    usual = float(np.median(np.diff(moments.times))) if len(moments.times) > 1 else 1.0
    width = max((end - begin) / cells, 2 * usual, 0.1)
    timing = Timing(by="window", window=width, step=width)
    return strips_of(
        Cell(row.person, row.start, row.end, row.probabilities.tolist(), row.coverage)
        for row in rows(moments, pipeline, timing)
        if row.person in persons
    )


def _used(strips: Sequence[Strip]) -> list[int]:
    """Return the labels that are to be seen."""
    if not strips:
        return []
    most = np.max([strip.scores.max(0) for strip in strips], axis=0)
    return [int(n) for n in np.flatnonzero(most >= 0.02)]


def _person(
    strip: Strip, moments: Moments, pipeline: Pipeline, film: Mapping[int, list[dict[str, str]]],
    begin: float, end: float,
) -> dict[str, Any]:  # fmt: skip
    """Return what the page tells of one person."""
    number = strip.person or 0
    here = np.flatnonzero(moments.person == number)
    first, second = best(moments.labels, mean_probabilities(moments, here, pipeline), 2)
    times = moments.faces.time[here]
    share = len(here) / max(1, len(moments.times))
    after = _next(second)
    runs = ", ".join(f"{moments.labels[n]} {clock(a)} to {clock(b)}" for a, b, n in strip.runs())
    return {
        "name": f"Person {number}",
        "answer": f"{first[0]} {percent(first[1])}{', next ' + after if after else ''}",
        "seen": f"Seen in {len(here)} frames ({percent(share)}), from {clock(float(times[0]))} "
        f"to {clock(float(times[-1]))}",
        "told": f"Most probable label of person {number} over time: {runs}",
        "drawing": draw(strip, begin, end, moments.cuts.tolist()),
        "film": film.get(number, []),
    }


def _others(moments: Moments, shown: Sequence[int]) -> str:
    more = len(moments.persons) - len(shown)
    return f"and {more} more persons, who have no strip here: videmo timeline tells" if more else ""


def _segment(row: Row) -> dict[str, str]:
    return {
        "person": str(row.person), "start": clock(row.start), "end": clock(row.end),
        "label": row.label, "percent": percent(float(row.probabilities.max())),
        "coverage": percent(row.coverage),
    }  # fmt: skip


def _film(
    moments: Moments, persons: Sequence[int], video: Decoder, options: ClipPageOptions
) -> dict[int, list[dict[str, str]]]:
    """Return for each person pictures of the faces that were counted, in order of time."""
    wanted: dict[int, list[int]] = {}  # number of the source frame -> places
    each = int(np.clip(_PICTURES // max(1, len(persons)), *_OF_EACH))
    for number in persons:
        here = np.flatnonzero(moments.person == number)
        for place in here[np.unique(np.linspace(0, len(here) - 1, each).round().astype(int))]:
            wanted.setdefault(int(moments.faces.index[place]), []).append(int(place))
    film: dict[int, list[dict[str, str]]] = {number: [] for number in persons}
    frames = prefetch(video.read(Sampling(start=options.start, end=options.end)))
    with closing(frames):
        for batch in frames:
            for pixels, index in zip(batch.pixels, batch.index.tolist(), strict=True):
                for place in wanted.pop(index, ()):
                    picture = face_picture(pixels, moments.faces.box[place])
                    film[int(moments.person[place])].append(_face(moments, place, picture))
            if not wanted:
                break
    return film


def _face(moments: Moments, place: int, picture: str) -> dict[str, str]:
    ((label, p),) = best(moments.labels, moments.probabilities[place], 1)
    time = clock(float(moments.faces.time[place]))
    return {"src": picture, "time": time, "answer": f"{label} {percent(p)}"}


def _provenance(
    seen: Watched, pipeline: Pipeline, options: ClipPageOptions
) -> list[tuple[str, str]]:
    """Return what made the numbers, and how well the head has done."""
    info = seen.answer.info
    told = {**pipeline.provenance, "decoder": info.decoder}
    facts = [(name, str(value)) for name, value in told.items() if value]
    model = pipeline.head_model
    measured = model.card.get("measured", {}) if model else {}
    for name, of in measured.items():
        if isinstance(of, Mapping) and {"accuracy", "interval", "n"} <= {*of}:
            low, high = of["interval"]
            right = f"{100 * of['accuracy']:.1f} % ({100 * low:.1f}-{100 * high:.1f}, n {of['n']})"
            facts.append((f"right, {name.replace('_', ' ')}", right))
    size = f"{info.width} x {info.height} px"
    length = "" if info.duration is None else f", {info.duration:.2f} s"
    return [("clip", f"{size}{length}"), *facts]
