"""What looks at clips: the seam that this process, processes beside it and a cluster share.

One policy says when work is tried again:

    a clip whose worker ended                    once more, with its machine to itself
    workers that end before they have a result   RESTARTS in a row, then the run stops

What failed in another way is a result: --resume tries it again, for the cause may have passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from videmo.data import Failure
from videmo.pipeline import Answer
from videmo.runs.inputs import Clip

RESTARTS = 3
WORKER_DIED, CLIP_TIMEOUT = "WorkerDied", "ClipTimeout"

OnStart = Callable[[str], None]  # is told the path of the clip that is looked at
Provenance = dict[str, str | None]


@dataclass(frozen=True, eq=False)
class ClipResult:
    """What a worker sends back of one clip."""

    answer: Answer | Failure
    faces: str | None = None  # where it left the features of the faces

    @property
    def worker_died(self) -> bool:
        """Whether it is no word of the clip's, but of the worker that ended on it."""
        return isinstance(self.answer, Failure) and self.answer.error == WORKER_DIED


def timed_out(clip: Clip, limit: float) -> ClipResult:
    """Return the result of a clip that takes more than `limit` s."""
    text = f"took more than {limit:g} s and was given up; raise --clip-timeout, or look at the file"
    return ClipResult(Failure(clip.path, CLIP_TIMEOUT, text))


def worker_died(clip: Clip, how: str) -> ClipResult:
    """Return the result of a clip whose worker ended.

    how: such as "SIGKILL"
    """
    text = f"its process ended ({how}), also when nothing else ran; "
    return ClipResult(
        Failure(clip.path, WORKER_DIED, f"{text}the file may be damaged, or memory ran out")
    )


class Executor(Protocol):
    """What looks at clips: this process, others beside it, or those of a cluster."""

    @property
    def provenance(self) -> Provenance:
        """What makes the numbers."""

    def map(self, clips: Iterable[Clip], on_start: OnStart) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield every clip with its result, in their order."""

    def again(self, clips: Sequence[Clip]) -> Iterator[tuple[Clip, ClipResult]]:
        """Yield clips with their results, looked at while nothing else is; `map` may be half-way.

        At most one for each machine is looked at at once.
        """


class Restarts:
    """Counts workers that ended in a row before one of them had a result."""

    def __init__(self) -> None:
        self.ended = 0

    def add(self) -> bool:
        """Count one, and return whether another may be begun."""
        self.ended += 1
        return self.ended < RESTARTS

    def clear(self) -> None:
        """Hear of a result."""
        self.ended = 0


def with_retries(
    executor: Executor, clips: Iterable[Clip], on_start: OnStart, *, ordered: bool
) -> Iterator[tuple[Clip, ClipResult]]:
    """Yield every clip with its result, after a second try where its worker ended.

    Memory that ran out is the usual cause, and it is there again when nothing else runs. Whoever
    needs the results in order has the second try in its turn; else it comes at the very end.
    """
    again = []
    for clip, result in executor.map(clips, on_start):
        if not result.worker_died:
            yield clip, result
        elif ordered:
            yield from executor.again([clip])
        else:
            again.append(clip)
    yield from executor.again(again)
