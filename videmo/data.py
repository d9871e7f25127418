"""The nouns that travel between the stages.

N frames, M faces, S crop side in px, D features, C labels. Columns are NumPy arrays of one
length, checked on construction. Colour is RGB, boxes are x0 y0 x1 y1 in px of the upright
source frame, times are seconds. No face is zero rows, never a sentinel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from html import escape
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from videmo.errors import InputError

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Range:
    """The finite numbers that an option may be: for the command line, Python and recipes alike."""

    low: float = -math.inf
    high: float = math.inf
    open: bool = False  # whether these two are left out
    whole: bool = False  # whether there is nothing between 1 and 2

    def __contains__(self, value: object) -> bool:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, np.number)):
            return False
        try:
            number = float(value)
        except OverflowError:  # an integer beyond all floats
            return False
        if not math.isfinite(number) or (self.whole and not number.is_integer()):
            return False
        return self.low < number < self.high if self.open else self.low <= number <= self.high

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if math.isfinite(self.high):
            words = ("between", "and") if self.open else ("from", "to")
            return f"{kind} {words[0]} {self.low:g} {words[1]} {self.high:g}"
        if math.isfinite(self.low):
            return f"{kind} above {self.low:g}" if self.open else f"{kind} of {self.low:g} or more"
        return "a finite number"

    def check(self, name: str, value: object) -> None:
        """Raise InputError, which names the option, for what is not in the range."""
        if value not in self:
            raise InputError(f"{name} is {value}; give {self}")

    def check_given(self, name: str, value: object) -> None:
        """Do so for an option that may be None."""
        if value is not None:
            self.check(name, value)


POSITIVE, NOT_NEGATIVE, SHARE = Range(0, open=True), Range(0), Range(0, 1)
COUNT, FINITE = Range(1, whole=True), Range()


class _Columns:
    """Prints shapes instead of pixels."""

    def __repr__(self) -> str:
        parts = (f"{f.name}={_brief(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True)
class VideoInfo:
    """What a container says about its picture, before it is decoded."""

    path: str
    height: int  # px, upright
    width: int  # px, upright
    frames: int | None  # as declared; None where the container does not say or talks nonsense
    duration: float | None  # s, when the picture ends; None where unknown
    rate: float | None  # frames/s, mean; presentation times decide, not this
    decoder: str | None  # which decoder read it
    begins: float = 0.0  # s, the first frame
    names: tuple[str, ...] = ()  # of the pictures of a folder, in order


@dataclass(frozen=True, eq=False, repr=False)
class FrameBatch(_Columns):
    """Some frames of one clip, in order of presentation."""

    pixels: U8  # (N, H, W, 3) RGB, upright
    index: I64  # (N,) number of the frame in the source, from 0
    time: F64  # (N,) presentation time in s
    scale: float = 1.0  # px of these pixels per px of the source (--max-side makes it < 1)
    cuts: F64 | None = None  # (K,) s, the frames of these behind a cut; None before tracking

    def __post_init__(self) -> None:
        n = len(self.pixels)
        _check("FrameBatch.pixels", self.pixels, np.uint8, (n, None, None, 3))
        _check("FrameBatch.index", self.index, np.int64, (n,))
        _check("FrameBatch.time", self.time, np.float64, (n,))

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, eq=False, repr=False)
class Faces(_Columns):
    """The faces of some frames; `row` says in which frame of the batch each lies."""

    row: I64  # (M,) into the FrameBatch
    index: I64  # (M,) number of the source frame
    time: F64  # (M,) s
    box: F32  # (M, 4) x0 y0 x1 y1, source px, inside the frame
    score: F32  # (M,) 0..1
    landmarks: F32  # (M, 5, 2) eyes, nose, mouth corners (image left first), source px, or NaN
    track: I64 = None  # type: ignore[assignment]  # (M,) -1 before tracking
    sharpness: F32 = None  # type: ignore[assignment]  # (M,) grey levels; NaN before cropping
    brightness: F32 = None  # type: ignore[assignment]  # (M,) 0..1; NaN before cropping

    def __post_init__(self) -> None:
        m = len(self.row)
        if self.track is None:
            object.__setattr__(self, "track", np.full(m, -1, np.int64))
        for name in ("sharpness", "brightness"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(m, np.nan, np.float32))
        _check("Faces.row", self.row, np.int64, (m,))
        _check("Faces.index", self.index, np.int64, (m,))
        _check("Faces.time", self.time, np.float64, (m,))
        _check("Faces.box", self.box, np.float32, (m, 4))
        _check("Faces.score", self.score, np.float32, (m,))
        _check("Faces.landmarks", self.landmarks, np.float32, (m, 5, 2))
        _check("Faces.track", self.track, np.int64, (m,))
        _check("Faces.sharpness", self.sharpness, np.float32, (m,))
        _check("Faces.brightness", self.brightness, np.float32, (m,))

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, keep: Array | slice) -> Faces:
        """Return the faces that `keep` (a mask, indices or a slice) selects."""
        return Faces(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    @classmethod
    def none(cls) -> Faces:
        """Return zero faces."""
        i, f = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return cls(i, i, np.zeros(0), f.reshape(0, 4), f, f.reshape(0, 5, 2))

    @classmethod
    def on(
        cls,
        frames: FrameBatch,
        row: Array,
        box: Array,
        score: Array,
        landmarks: Array | None = None,
    ) -> Faces:
        """Return faces found on `frames`, from boxes and points in px of those pixels.

        Boxes are mapped to source px and clipped to the frame; a box without area is dropped.
        """
        m, (height, width) = len(row), frames.pixels.shape[1:3]
        row = np.asarray(row, np.int64).reshape(m)
        box = np.asarray(box, np.float32).reshape(m, 4).clip(0, [width, height, width, height])
        if landmarks is None:
            landmarks = np.full((m, 5, 2), np.nan)
        faces = cls(
            row=row,
            index=frames.index[row],
            time=frames.time[row],
            box=(box / frames.scale).astype(np.float32),
            score=np.asarray(score, np.float32).reshape(m),
            landmarks=(np.asarray(landmarks).reshape(m, 5, 2) / frames.scale).astype(np.float32),
        )
        return faces[(box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])]

    def tracked(self, track: Array) -> Faces:
        """Return the same faces with their track numbers."""
        return replace(self, track=np.asarray(track, np.int64))

    def pictured(self, sharpness: Array, brightness: Array) -> Faces:
        """Return the same faces with what their pictures are like."""
        sharp, bright = (np.asarray(column, np.float32) for column in (sharpness, brightness))
        return replace(self, sharpness=sharp, brightness=bright)


@dataclass(frozen=True, eq=False, repr=False)
class Crops(_Columns):
    """Square pictures of faces, as the network wants them."""

    pixels: U8  # (M, S, S, 3) RGB
    faces: Faces  # M of them
    seen: int  # frames looked at, also when M = 0
    times: F64 | None = None  # (seen,) s, when each of them is shown
    cuts: F64 | None = None  # (K,) s, those of them behind a cut

    def __post_init__(self) -> None:
        side = self.pixels.shape[1] if self.pixels.ndim == 4 else None
        _check("Crops.pixels", self.pixels, np.uint8, (len(self.faces), side, side, 3))


@dataclass(frozen=True, eq=False, repr=False)
class Features(_Columns):
    """What a backbone says of faces."""

    values: F32  # (M, D)
    faces: Faces  # M of them
    seen: int  # frames looked at, also when M = 0
    outputs: Mapping[str, F32] = field(default_factory=dict)  # name -> (M, C), e.g. emotion logits
    times: F64 | None = None  # (seen,) s, when each of the frames looked at is shown
    cuts: F64 | None = None  # (K,) s, those of them behind a cut

    def __post_init__(self) -> None:
        _check("Features.values", self.values, np.float32, (len(self.faces), None))
        for name, columns in self.outputs.items():
            _check(f"Features.outputs[{name!r}]", columns, np.float32, (len(self.faces), None))


@dataclass(frozen=True, eq=False, repr=False)
class Descriptor(_Columns):
    """One vector for a clip, a track or a window, with the counts that keep it honest."""

    values: F32  # (X,) statistics of the features, side by side; empty where there was no face
    faces: int  # faces pooled
    frames: int  # frames with a face
    seen: int  # frames looked at
    track: int | None = None  # None is the whole clip
    start: float | None = None  # s, of the first frame with a face
    end: float | None = None  # s, of the last frame with a face

    def __post_init__(self) -> None:
        _check("Descriptor.values", self.values, np.float32, (None,))

    @property
    def coverage(self) -> float:
        """The share of the frames looked at that hold a face, 0 to 1."""
        return self.frames / self.seen if self.seen else 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(_Columns):
    """The probability of each label for one descriptor."""

    labels: tuple[str, ...]
    scores: F32  # (C,) summing to 1
    descriptor: Descriptor

    def __post_init__(self) -> None:
        _check("Prediction.scores", self.scores, np.float32, (len(self.labels),))

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[int(np.argmax(self.scores))]

    def to_dict(self) -> dict[str, Any]:
        """Return label, probabilities and counts in plain types, under the keys of a record."""
        shown = self.descriptor
        return {
            "label": self.label,
            "scores": dict(zip(self.labels, (float(s) for s in self.scores), strict=True)),
            "frames": shown.seen,
            "face_frames": shown.frames,
            "faces": shown.faces,
            "coverage": shown.coverage,
        }

    def __repr__(self) -> str:
        return f"Prediction({self.label!r} {self._share:.2f}, {self._counts})"

    def _repr_html_(self) -> str:
        """Return a table for notebooks: each label with its share, the most probable first."""
        rows = sorted(zip(self.scores.tolist(), self.labels, strict=True), reverse=True)
        cells = "".join(
            f"<tr><td>{escape(label)}</td><td>{100 * share:.0f} %</td>"
            f'<td><progress max="1" value="{share:.4f}"></progress></td></tr>'
            for share, label in rows
        )
        head = f"<b>{escape(self.label)}</b> {100 * self._share:.0f} %, {self._counts}"
        return f"<table><caption>{head}</caption>{cells}</table>"

    @property
    def _share(self) -> float:
        return float(self.scores.max())

    @property
    def _counts(self) -> str:
        return f"a face in {self.descriptor.frames} of {self.descriptor.seen} frames"


@dataclass(frozen=True)
class Failure:
    """An input that gave no answer: a row like any other."""

    path: str
    error: str  # class name
    message: str
    trace: str = field(default="", compare=False, repr=False)  # of what nobody foresaw


def _check(name: str, got: Array, dtype: Any, shape: Sequence[int | None]) -> None:
    """Refuse an array whose dtype or shape is not what the column holds (None is any length)."""
    fits = got.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, got.shape, strict=False)
    )
    if not fits or got.dtype != dtype:
        want = ", ".join("?" if n is None else str(n) for n in shape)
        raise ValueError(
            f"{name} is {got.dtype} {got.shape}, expected {np.dtype(dtype).name} ({want})"
        )


def _brief(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_brief(v)}" for k, v in value.items()) + "}"
    return repr(value)
