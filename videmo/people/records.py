"""The rows of a timeline as records, as `videmo.write.schema` lists them: plain types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from videmo.data import F32
from videmo.people.baseline import Baseline, risen, rises
from videmo.people.linking import Linking
from videmo.people.moments import Moments
from videmo.people.timeline import Row, Timing, rows
from videmo.pipeline import LEFT_OUT, Pipeline
from videmo.stages.heads.attributes import AFFECT, Affect, affect
from videmo.stages.quality import NAMES as QUALITY

Record = dict[str, Any]

RISES = ("rise", "rises")  # the keys of a row that a baseline adds
NAME = "frame_name"  # the key of a row of a picture of a folder


class Part(Protocol):
    """What is to be known of an input."""

    @property
    def start(self) -> float | None: ...
    @property
    def end(self) -> float | None: ...


def described(timing: Timing, linking: Linking, baseline: Baseline | None = None) -> str:
    """Return what makes the rows of two timelines comparable."""
    usual = asdict(Linking())
    odd = [f"{key} {value}" for key, value in asdict(linking).items() if value != usual[key]]
    above = [f"baseline {baseline.name}"] if baseline else []
    return ", ".join([str(timing), *odd, *above])


def timeline_records(
    record: Mapping[str, Any],
    moments: Moments | None,
    pipeline: Pipeline,
    timing: Timing,
    linking: Linking,
    clip: Part,
    baseline: Baseline | None = None,
) -> Iterator[Record]:
    """Yield a record for each row of a clip; for one without any its own, with its status.

    record: as `classify` tells of the clip, with width and height, and frame_names of a folder of
        pictures whose rows tell them
    moments: None for a clip that failed
    baseline: above which rises are told
    """
    told = [*(Affect._fields if AFFECT in pipeline.outputs else ()), *(RISES if baseline else ())]
    base = _base(record, described(timing, linking, baseline), clip, told)
    usual = baseline.of(moments, pipeline) if baseline and moments is not None else {}
    found = rows(moments, pipeline, timing) if moments is not None else iter(())
    base["persons"] = None if moments is None else len(moments.persons)
    if baseline and moments is not None:
        base["warnings"] = [*base["warnings"], *_unknown(baseline, moments, usual)]
    row = None
    for row in found:
        change = _rises(row, moments, usual)
        yield {**base, **_row(row, moments, pipeline, record.get("frame_names")), **change}
        base["warnings"] = []  # they are the clip's: said once
    if row is None:
        yield {**base, **_nobody(base, moments)}


def _base(record: Mapping[str, Any], by: str, clip: Part, told: Sequence[str]) -> Record:
    """Return all keys in their order, empty where they are a row's."""
    empty = dict.fromkeys(("person", "start", "end", "label", "scores"))
    head = {key: record[key] for key in ("schema_version", "path", "status")}
    empty |= dict.fromkeys(told)
    row = {**empty, "faces": 0, "frames": record["frames"], "coverage": 0.0, "box": None}
    row |= dict.fromkeys((*QUALITY, "frame"))
    row |= dict.fromkeys((*([NAME] if "frame_names" in record else []), "track", "face_score"))
    parts = {"part_start": clip.start, "part_end": clip.end, "persons": None}
    size = {key: record.get(key) or None for key in ("width", "height")}
    size |= {LEFT_OUT: record[LEFT_OUT]} if LEFT_OUT in record else {}
    tail = {key: record[key] for key in ("duration", "warnings", "error", "provenance")}
    return {**head, **row, "by": by, **parts, **size, **tail}


def _nobody(base: Mapping[str, Any], moments: Moments | None) -> Record:
    """Return what is said of a clip without a row, though it may show faces."""
    if moments is None or not len(moments):
        return {}
    said = (
        f"{len(moments)} faces, each too small or seen for too short to be a person's; "
        "--by window tells them"
    )
    return {"status": "no_face", "warnings": [*base["warnings"], said]}


def _unknown(baseline: Baseline, moments: Moments, usual: Mapping[int, F32]) -> Iterator[str]:
    """Yield that persons have no usual face, where there are such."""
    if none := [str(person) for person in moments.persons if person not in usual]:
        who = f"person{'' if len(none) == 1 else 's'} {', '.join(none)}"
        yield f"baseline {baseline.name} does not show {who}, of whom no rise is told"


def _rises(row: Row, moments: Moments | None, usual: Mapping[int, F32]) -> Record:
    """Return how far labels are above the person's own, where that is known."""
    if moments is None or row.person is None or row.person not in usual:
        return {}
    change = rises(row.probabilities, usual[row.person])
    most = risen(change)
    return {
        "rise": None if most is None else moments.labels[most],
        "rises": dict(zip(moments.labels, change.tolist(), strict=True)),
    }


def _name(frame: int, names: Sequence[str] | None) -> Record:
    """Return the name of a picture of a folder, where names are told."""
    if names is None:
        return {}
    return {NAME: names[frame] if frame < len(names) else None}


def _row(
    row: Row, moments: Moments | None, pipeline: Pipeline, names: Sequence[str] | None
) -> Record:
    assert moments is not None
    scores = dict(zip(moments.labels, map(float, row.probabilities), strict=True))
    known = {
        "person": row.person, "start": row.start, "end": row.end, "label": row.label,
        "scores": scores, "faces": row.faces, "frames": row.frames, "coverage": row.coverage,
        "box": row.box.tolist(),
    }  # fmt: skip
    if AFFECT in pipeline.outputs:
        known |= affect(row.affect, pipeline.outputs[AFFECT])._asdict()
    quality = zip(QUALITY, row.quality.tolist(), strict=True)
    known |= {name: None if np.isnan(value) else value for name, value in quality}
    if row.frame is not None:
        at = int(row.rows[0])
        known |= {
            "frame": row.frame,
            **_name(row.frame, names),
            "track": int(moments.faces.track[at]),
        }
        known["face_score"] = float(moments.faces.score[at])
    return known
