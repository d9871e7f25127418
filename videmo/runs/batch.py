"""Many clips: one record each, in order; one bad clip costs its own record and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from videmo.data import Failure
from videmo.errors import InputError, NoFaceError, VidemoError
from videmo.pipeline import Answer, Pipeline, Through

SCHEMA_VERSION = 1

Record = dict[str, Any]


class Input(Protocol):
    """What a batch needs to know of one input."""

    @property
    def path(self) -> str: ...
    @property
    def start(self) -> float | None: ...
    @property
    def end(self) -> float | None: ...


def classify(clips: Iterable[Input], pipeline: Pipeline) -> Iterator[Record]:
    """Yield one record for every clip, in the order given; no clip raises.

    A record's `status` is ok, no_face (`label` and `scores` are None) or error (`error` holds
    `type` and `message`). README lists every key.
    """
    for clip in clips:
        yield record(clip, attempt(clip, pipeline), pipeline.provenance, pipeline.also)


def attempt(clip: Input, pipeline: Pipeline, through: Through | None = None) -> Answer | Failure:
    """Return the answer for one clip, or the failure that took its place.

    through: as in `Pipeline.answer`
    """
    more = {"through": through} if through else {}
    try:
        answer = pipeline.answer(clip.path, start=clip.start, end=clip.end, **more)
    except InputError as error:
        return Failure(clip.path, type(error).__name__, reason(error))
    except (MemoryError, OSError, RuntimeError, ValueError, ArithmeticError, LookupError) as error:
        text = " ".join(str(error).split()) or "no further words"
        return Failure(clip.path, type(error).__name__, f"unexpected: {text}; please report it")
    if not answer.descriptor.seen:  # which tells nothing of faces
        return Failure(clip.path, "VideoError", _unseen(answer.info.duration))
    return answer


def record(
    clip: Input,
    answer: Answer | Failure,
    provenance: dict[str, str | None],
    also: Sequence[str] = (),
) -> Record:
    """Return the record of one clip, as plain types.

    also: keys that this run's records have beside the others, as in `Pipeline.also`
    """
    if isinstance(answer, Failure):
        facts, decoder, affect = _nothing(answer), None, None
    else:
        facts, decoder, affect = _found(answer), answer.info.decoder, answer.affect
    part = {k: v for k, v in (("start", clip.start), ("end", clip.end)) if v is not None}
    return {
        "schema_version": SCHEMA_VERSION,
        "path": clip.path,
        **part,
        **facts,
        **{key: getattr(affect, key, None) for key in also},
        "provenance": {**provenance, "decoder": decoder},
    }


def reason(error: VidemoError) -> str:
    """Return an error's text without the path that the record names anyway."""
    path = getattr(error, "path", None)
    return str(error).removeprefix(f"{path}: ") if path else str(error)


def _unseen(duration: float | None) -> str:
    lasts = "" if duration is None else f" (it lasts {duration:.2f} s)"
    return f"has no frame where it is looked at{lasts}; change --start, --end, --fps or --every"


def _found(answer: Answer) -> Record:
    descriptor, prediction = answer.descriptor, answer.prediction
    no_face = NoFaceError(answer.info.path, descriptor.seen)
    scores = None
    if prediction is not None:
        pairs = zip(prediction.labels, prediction.scores, strict=True)
        scores = {label: float(score) for label, score in pairs}
    return {
        "status": "ok" if descriptor.faces else "no_face",
        "label": prediction.label if prediction else None,
        "scores": scores,
        "frames": descriptor.seen,
        "face_frames": descriptor.frames,
        "faces": descriptor.faces,
        "coverage": descriptor.coverage,
        "duration": answer.info.duration,
        "warnings": [*answer.warnings, *([] if descriptor.faces else [reason(no_face)])],
        "error": None,
    }


def _nothing(failure: Failure) -> Record:
    return {
        "status": "error",
        "label": None,
        "scores": None,
        "frames": 0,
        "face_frames": 0,
        "faces": 0,
        "coverage": 0.0,
        "duration": None,
        "warnings": [],
        "error": {"type": failure.error, "message": failure.message},
    }
