"""Many clips: one record each, in order; one bad clip costs its own record and nothing else."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from videmo.data import Descriptor, Failure, VideoInfo
from videmo.errors import (
    InputError,
    MissingDependency,
    ModelError,
    OutputError,
    out_of_memory,
    reason,
)
from videmo.pipeline import Answer, FeatureHook, OpenHook, Pipeline
from videmo.write.schema import Findings, record_of

ENDS_A_RUN = (OutputError, ModelError, MissingDependency)  # the next clip would meet it as well

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
        yield record(clip, attempt(clip, pipeline), pipeline.provenance, pipeline.extra_keys)


def attempt(
    clip: Input,
    pipeline: Pipeline,
    through: FeatureHook | None = None,
    on_open: OpenHook | None = None,
) -> Answer | Failure:
    """Return the answer for one clip, or the failure that took its place.

    through, on_open: as in `Pipeline.answer`

    Whatever is raised is the failure of this clip, but for `ENDS_A_RUN`.
    """
    hooks = {"through": through, "on_open": on_open}
    more: dict[str, Any] = {name: hook for name, hook in hooks.items() if hook}
    try:
        answer = pipeline.answer(clip.path, start=clip.start, end=clip.end, **more)
    except InputError as error:
        return Failure(clip.path, type(error).__name__, reason(error))
    except ENDS_A_RUN:
        raise
    except Exception as error:  # a decoder, and a damaged file, may raise anything
        return _unforeseen(clip, error)
    if not answer.descriptor.seen:  # which tells nothing of faces
        return Failure(clip.path, "VideoError", _unseen(answer.info))
    return answer


def record(
    clip: Input,
    answer: Answer | Failure,
    provenance: Mapping[str, str | None],
    also: Sequence[str] = (),
    *,
    doubts: bool = True,
) -> Record:
    """Return the record of one clip, as plain types; `videmo.write.schema` lists its keys.

    also: keys that this run's records have beside the others, as in `Pipeline.extra_keys`
    doubts: whether its warnings tell where one answer for the clip is too little
    """
    error = None
    if isinstance(answer, Failure):
        error = {"type": answer.error, "message": answer.message}
        answer = _nothing(clip.path)
    return record_of(Findings(clip, answer, error, provenance, doubts), also)


def _nothing(path: str) -> Answer:
    """Return an answer in which nothing was seen."""
    info = VideoInfo(path, 0, 0, None, None, None, None)
    return Answer(info, Descriptor(np.zeros(0, np.float32), 0, 0, 0), None, ())


def _unforeseen(clip: Input, error: Exception) -> Failure:
    trace = "".join(traceback.format_exception(error))
    if lack := out_of_memory(error):
        return Failure(clip.path, type(lack).__name__, str(lack), trace)
    text = " ".join(str(error).split()) or "no further words"
    return Failure(clip.path, type(error).__name__, f"unexpected: {text}; please report it", trace)


def _unseen(info: VideoInfo) -> str:
    until = "" if info.duration is None else f" to {info.duration:.2f} s"
    shown = f"its picture is from {info.begins:.2f} s{until}"
    return f"has no frame where it is looked at ({shown}); change start=, end=, fps= or every="
