"""Everything that can go wrong, as one tree.

VidemoError
  InputError            the clip, folder, manifest or option that was given
    VideoError            cannot be opened or decoded          .path .reason
    NoFaceError           decoded, but no face was found       .path .seen
    FewFacesError         fewer faces than a head reads        .path .faces .needed
    ManifestError         a row of a list cannot be read       .path .line .reason
    UnknownName           nothing of that name is there        .kind .name .known
    NothingToDo           no input matched
  ModelError            a card or its weights
    ModelNotFound         no model of that name or path        .name .near
    CorruptModel          a file is not what its card says     .path .expected .got
    RecipeMismatch        a head and its features disagree     .differences
  MissingDependency     an optional package is absent          .package .extra
  OutputError           a result cannot be written             .path .reason
  OutOfMemory           memory ran out, or a limit is too low  .reason
  MergeError            the parts of a run make no whole
  ReaderGone            nobody reads an output any more      .path
  InputGone             a folder of a run's inputs is not there any more    .path

Each carries its facts as attributes, and its text names the thing, the fact and the next
step in one line. A wrong *program* (an array of the wrong shape) gets ValueError or TypeError.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable
from functools import partial


class VidemoError(Exception):
    """The root of every error that videmo raises on purpose."""


class InputError(VidemoError):
    """What was given cannot be used."""


class VideoError(InputError):
    """A video cannot be opened or decoded."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.reason)


class NoFaceError(InputError):
    """A video was decoded to its end and no face was found in it."""

    def __init__(
        self, path: str, seen: int, min_face: int | None = None, score: float | None = None
    ) -> None:
        frames = "frame" if seen == 1 else "frames"
        step = "a smaller min_face= or score="
        if min_face is not None and score is not None:
            step = f"less than min_face={min_face} or score={score:g}"
        super().__init__(f"{path}: no face in {seen} sampled {frames}; try {step}")
        self.path, self.seen, self.min_face, self.score = path, seen, min_face, score

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.seen, self.min_face, self.score)


class FewFacesError(InputError):
    """A video shows a face in fewer frames than a head needs for its one answer."""

    def __init__(self, path: str, faces: int, needed: int) -> None:
        frames = "face frame" if faces == 1 else "face frames"
        super().__init__(
            f"{path}: {faces} {frames}, the head needs {needed}; give a longer part, or look at "
            "more frames (every=1)"
        )
        self.path, self.faces, self.needed = path, faces, needed

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.faces, self.needed)


class ManifestError(InputError):
    """A row of a list of clips cannot be read."""

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path, self.line, self.reason = path, line, reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.line, self.reason)


class UnknownName(InputError):
    """Nothing of this kind has that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"no {kind} is called {name!r}; there is {', '.join(self.known)}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.kind, self.name, self.known)


class NothingToDo(InputError):
    """The paths and filters that were given match no clip."""


class ModelError(VidemoError):
    """A model cannot be used."""


class ModelNotFound(ModelError):
    """No model of that name is in the package, in the cache or at that path."""

    def __init__(self, name: str, known: Iterable[str], *, why: str = "", step: str = "") -> None:
        self.name, self.known, self.why, self.step = name, tuple(known), why, step
        self.near = tuple(difflib.get_close_matches(name, self.known))
        near = f"did you mean {' or '.join(self.near)}?" if self.near else _there_is(self.known)
        fact = f"{name}: {why}" if why else f"no model is called {name!r}"
        super().__init__(f"{fact}; {step or near}")

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), why=self.why, step=self.step), (self.name, self.known)


class CorruptModel(ModelError):
    """A file of a model is not what its card says."""

    def __init__(self, path: str, expected: str, got: str) -> None:
        super().__init__(
            f"{path}: expected {expected}, got {got}; fetch or install the model again"
        )
        self.path, self.expected, self.got = path, expected, got

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.expected, self.got)


class RecipeMismatch(ModelError):
    """A head was trained with another recipe than the one its features were made with."""

    def __init__(self, differences: Iterable[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            f"the head expects another recipe ({'; '.join(self.differences)}); "
            "extract the features again with the head's own recipe"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.differences,)


class MissingDependency(VidemoError):
    """A package that this choice needs is not installed, or cannot be loaded."""

    def __init__(
        self,
        package: str,
        extra: str | None = None,
        *,
        reason: str = "is not installed",
        step: str | None = None,
    ) -> None:
        self.package, self.extra, self.reason = package, extra, reason
        self.step = step or (
            f"pip install 'videmo[{extra}]'" if extra else f"pip install {package}"
        )
        super().__init__(f"{package} {reason}; {self.step}")

    def __reduce__(self) -> tuple[object, ...]:
        build = partial(type(self), reason=self.reason, step=self.step)
        return build, (self.package, self.extra)


class OutputError(VidemoError):
    """A result cannot be written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.reason)


class OutOfMemory(VidemoError):
    """Memory ran out, or a limit on it is too low."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"memory ran out ({reason}); give fewer jobs, or max_side=, or raise its limit "
            "(ulimit -v)"
        )
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason,)


class MergeError(VidemoError):
    """The parts that the shards of a run wrote make no whole."""


class ReaderGone(VidemoError):
    """Nobody reads an output any more, or nobody ever did."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: nobody reads it any more")
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path,)


class InputGone(VidemoError):
    """The folder of a run's inputs went while they were read."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: is not there any more; bring it back, and --resume goes on")
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path,)


def _there_is(known: tuple[str, ...]) -> str:
    return f"there is {', '.join(known)}" if known else "none is installed"


_MEMORY = re.compile(
    "bad_alloc|can't alloc|(?:cannot|unable to|failed to) alloc|(?:out of|insufficient) memory|"
    "failed to map segment|can't start new thread",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> OutOfMemory | None:
    """Return what to say where memory was the cause, which libraries call by many names."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OutOfMemory):
            return cause
        lacks = isinstance(cause, MemoryError) or getattr(cause, "errno", 0) == errno.ENOMEM
        if lacks or _MEMORY.search(str(cause)):
            said = " ".join(str(cause).split()) or type(cause).__name__
            return OutOfMemory(said if len(said) <= 200 else f"... {said[-196:]}")
        cause = cause.__cause__ or cause.__context__
    return None


def reason(error: VidemoError) -> str:
    """Return an error's text without the path that a record names anyway."""
    path = getattr(error, "path", None)
    return str(error).removeprefix(f"{path}: ") if path else str(error)
