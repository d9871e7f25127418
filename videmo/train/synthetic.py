"""Clips made of still faces, for heads that learn where no labelled clips are at hand.

A picture of a face becomes a track: the same face as a detector and a camera would have seen
it for some frames. Tracks of one or several faces become the descriptors of clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from videmo.data import F32, I64
from videmo.labels import label_set, meaning
from videmo.stages.pool import reweigh, statistics, unit
from videmo.train.ferplus import StillFaces

if TYPE_CHECKING:
    import torch


Bool = NDArray[np.bool_]
# grey faces (M, S, S) -> features (M, D) and the probabilities of the network's emotions (M, E)
FeatureExtractor = Callable[[NDArray[np.uint8]], tuple[F32, F32]]


@dataclass(frozen=True)
class TrackOptions:
    """How a still face is turned into a track of frames."""

    frames: tuple[int, int] = (4, 150)  # a track's length, evenly on a log scale
    least_votes: float = 0.5  # of a picture's votes that its label must have
    pictures: int = 3  # of one label in a track, at most
    one_picture: float = 0.5  # share of the tracks that keep to one
    onset: float = 0.3  # share that begins with a neutral face
    offset: tuple[float, float] = (0.04, 0.06)  # std of a track's shift and scale, in sides
    drift: float = 0.03  # std of a slow movement, in sides
    jitter: float = 0.01  # std of the detector's error in one frame, in sides
    rotation: float = 6.0  # degrees, std of a track; a third of it drifts
    contrast: float = 0.15  # std about 1
    brightness: float = 0.06  # std
    gamma: float = 0.2  # std of its logarithm
    flicker: float = 0.01  # std of the brightness of one frame
    coarse: float = 0.25  # share of the tracks that are small in their video
    coarse_side: tuple[int, int] = (24, 44)  # px
    blur: float = 0.5  # share of the tracks
    blur_sigma: tuple[float, float] = (0.3, 1.0)  # px of the 64 px face
    jpeg_quality: tuple[int, int] = (30, 95)
    noise_sigma: float = 0.015  # at most


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face through time."""

    label: str  # the meaning of what it shows
    values: F32  # (N, D) features of its frames
    probabilities: F32  # (N, E) what the network says of them, probabilities


SIDE = 64  # px of a filmed face


def make_frames(
    faces: StillFaces, label: str, options: TrackOptions, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a track (N, 64, 64) of grey frames that shows `label`.

    raises: ValueError if no face has `least_votes` for the label
    """
    import torch

    count = round(math.exp(rng.uniform(*np.log(options.frames))))
    shown = torch.from_numpy(_expressions(faces, label, count, options, rng))[:, None]
    shown = _as_detected(shown, options, rng)
    shown = _as_lit(shown, options, rng)
    shown = _as_recorded(shown, options, rng)
    return np.asarray((shown[:, 0] * 255).round().clamp(0, 255).byte().numpy())


def make_tracks(
    faces: StillFaces,
    labels: Sequence[str],
    each: int,
    extract: FeatureExtractor,
    options: TrackOptions,
    seed: int,
) -> list[FaceTrack]:
    """Return `each` tracks of every label, as features."""
    rng = np.random.default_rng(seed)
    names = [label for label in labels for _ in range(each)]
    return [FaceTrack(label, *extract(make_frames(faces, label, options, rng))) for label in names]


def track_descriptors(tracks: Sequence[FaceTrack]) -> tuple[F32, I64]:
    """Return descriptors (K, 4 D) and labels (K,) of clips with one face, in the order of afew7.

    A row is mean, std (population), min, max over the frames, divided by its length.
    """
    rows = [unit(statistics(track.values, ("mean", "std", "min", "max"))) for track in tracks]
    return np.stack(rows), _label_numbers(tracks)


def mean_probabilities(tracks: Sequence[FaceTrack], prior: Sequence[float] = ()) -> tuple[F32, I64]:
    """Return the mean probabilities (K, E) of clips with one face, and their labels (K,)."""
    rows = np.stack([track.probabilities.mean(0, dtype=np.float64) for track in tracks])
    rows = reweigh(rows, prior) if prior else rows
    return rows.astype(np.float32), _label_numbers(tracks)


def _label_numbers(tracks: Sequence[FaceTrack]) -> I64:
    order = [meaning(label) for label in label_set("afew7")]
    return np.array([order.index(track.label) for track in tracks])


@dataclass(frozen=True)
class GroupOptions:
    """How tracks are put together into clips of groups."""

    clips: int = 1500  # in all, equally many of each valence
    faces: tuple[int, int] = (1, 6)  # in a frame
    frames: tuple[int, int] = (4, 100)  # a clip's length, evenly on a log scale
    bystanders: float = 0.35  # chance that a face of a charged group is neutral, at most
    missed: float = 0.1  # chance that the detector misses a face in a frame, at most


VALENCES = {  # of VGAF; surprise may go either way, contempt is rare: both left out
    "positive": ("happiness",),
    "neutral": ("neutral",),
    "negative": ("anger", "sadness", "fear", "disgust"),
}


def group_descriptors(
    tracks: Sequence[FaceTrack], options: GroupOptions, seed: int
) -> tuple[F32, I64]:
    """Return descriptors (K, 4 D) and labels (K,) of clips of groups, in the order of vgaf3.

    First mean and std over the faces of a frame (std is 0 for one), then mean and std of both
    over the frames, divided by the row's length (HSEmotion VGAF_train.ipynb).
    """
    clips, truth = group_clips(tracks, options, seed), group_labels(options)
    return np.stack([_group_descriptor(*clip) for clip in clips]), truth


def group_labels(options: GroupOptions) -> I64:
    """Return the labels (K,) of the clips of groups, in the order of vgaf3."""
    return np.arange(options.clips, dtype=np.int64) % len(label_set("vgaf3"))


def group_clips(
    tracks: Sequence[FaceTrack], options: GroupOptions, seed: int
) -> Iterator[tuple[F32, Bool]]:
    """Yield each clip of a group: features (N, P, D) of P people, and whether they are seen (N, P).

    In each frame one is seen at least.
    """
    rng = np.random.default_rng(seed)
    by_label: dict[str, list[FaceTrack]] = {}
    for track in tracks:
        by_label.setdefault(track.label, []).append(track)
    order = [meaning(label) for label in label_set("vgaf3")]
    for label in group_labels(options):
        yield _group(by_label, order[label], options, rng)


def _expressions(
    faces: StillFaces, label: str, count: int, options: TrackOptions, rng: np.random.Generator
) -> F32:
    """Return what the face shows in each frame, (N, H, W) in 0..1, before the camera."""
    pictures = (
        1 if rng.random() < options.one_picture else int(rng.integers(2, options.pictures + 1))
    )
    shown = faces.pixels[rng.choice(_faces_of_label(faces, label, options), pictures)]
    changes = np.sort(rng.random(pictures - 1))
    if label != "neutral" and rng.random() < options.onset:
        shown = np.concatenate(
            [faces.pixels[rng.choice(_faces_of_label(faces, "neutral", options), 1)], shown]
        )
        changes = np.sort(np.append(rng.uniform(0.1, 0.4), 0.4 + 0.6 * changes))
    time = (np.arange(count) + 0.5) / count
    width = min(rng.uniform(1, 8) / count, 0.3)  # a change takes 1 to 8 frames
    on = np.clip((time[:, None] - changes) / width, 0, 1)  # (N, pictures - 1)
    share = np.concatenate([np.ones((count, 1)), on], 1) - np.concatenate(
        [on, np.zeros((count, 1))], 1
    )
    mixed = np.tensordot(share.clip(0), shown / 255.0, 1)  # (N, P) with (P, H, W)
    return np.asarray(mixed.clip(0, 1), np.float32)


def _faces_of_label(faces: StillFaces, label: str, options: TrackOptions) -> I64:
    number = [meaning(name) for name in faces.labels].index(label)
    sure = (faces.majority == number) & (faces.votes[:, number] >= options.least_votes)
    if not sure.any():
        raise ValueError(f"no face with {options.least_votes:.0%} of its votes for {label}")
    return np.flatnonzero(sure)


def _slow_movement(count: int, rng: np.random.Generator) -> torch.Tensor:
    """Return a slow movement (N,) of mean 0 and std about 1: two waves, 1 to 5 s of 25 frames."""
    import torch

    time = np.arange(count)[:, None] / 25
    waves = np.sin(2 * np.pi * (time / rng.uniform(1, 5, 2) + rng.random(2)))
    return torch.from_numpy(waves.sum(1)).float()


def _normal(count: int, spread: float, rng: np.random.Generator) -> torch.Tensor:
    import torch

    return torch.from_numpy(rng.normal(0, spread, count)).float()


def _as_detected(
    shown: torch.Tensor, options: TrackOptions, rng: np.random.Generator
) -> torch.Tensor:
    import torch

    from videmo.train.augment import warp_faces

    count = len(shown)
    shift_std, scale_std = options.offset

    def path(spread: float, drift: float, jitter: float) -> torch.Tensor:
        slow = rng.normal(0, spread) + drift * rng.random() * _slow_movement(count, rng)
        return slow + _normal(count, jitter, rng)

    turn = math.radians(options.rotation)
    return warp_faces(
        shown,
        SIDE,
        shift=torch.stack([path(shift_std, options.drift, options.jitter) for _ in range(2)], 1),
        scale=1 + path(scale_std, options.drift, options.jitter),
        stretch=1 + path(scale_std / 2, 0, options.jitter),
        angle=path(turn, turn / 3, 0),
        mirror=torch.full((count,), bool(rng.random() < 0.5)),
    )


def _as_lit(shown: torch.Tensor, options: TrackOptions, rng: np.random.Generator) -> torch.Tensor:
    import torch

    from videmo.train.augment import adjust_light

    count = len(shown)
    slow = rng.normal(0, options.brightness) + options.flicker * _slow_movement(count, rng)
    return adjust_light(
        shown,
        gamma=torch.full((count,), math.exp(rng.normal(0, options.gamma))),
        contrast=torch.full((count,), max(0.4, rng.normal(1, options.contrast))),
        brightness=slow + _normal(count, options.flicker, rng),
    )


def _as_recorded(
    shown: torch.Tensor, options: TrackOptions, rng: np.random.Generator
) -> torch.Tensor:
    """Return the frames as a lens, a sensor and a codec leave them; the same for a whole track."""
    import torch

    from videmo.train.augment import blur, coarsen, jpeg

    count = len(shown)
    if rng.random() < options.coarse:
        shown = coarsen(shown, int(rng.integers(*options.coarse_side)))
    if rng.random() < options.blur:
        shown = blur(shown, torch.full((count,), rng.uniform(*options.blur_sigma)))
    noise = torch.from_numpy(rng.standard_normal(shown.shape, np.float32))
    shown = (shown + noise * rng.uniform(0, options.noise_sigma)).clamp(0, 1)
    return jpeg(shown, torch.full((count,), float(rng.integers(*options.jpeg_quality))))


def _group(
    by_label: dict[str, list[FaceTrack]],
    valence: str,
    options: GroupOptions,
    rng: np.random.Generator,
) -> tuple[F32, Bool]:
    """Return one group that shows `valence`; see `group_clips`."""
    faces = int(rng.integers(options.faces[0], options.faces[1] + 1))
    frames = round(math.exp(rng.uniform(*np.log(options.frames))))
    calm = rng.random(faces) < rng.uniform(0, options.bystanders)
    calm[0] = False  # one shows it at least
    main = str(rng.choice(VALENCES[valence]))
    names = ["neutral" if still else main for still in calm]
    people = [_fit_to_length(by_label[name], frames, rng) for name in names]
    seen = rng.random((frames, faces)) >= rng.uniform(0, options.missed)
    seen[~seen.any(1), 0] = True
    return np.stack(people, 1), seen


def _group_descriptor(values: F32, seen: Bool) -> F32:
    """Return the descriptor of a group's clip."""
    rows = [
        statistics(frame[here], ("mean", "std")) for frame, here in zip(values, seen, strict=True)
    ]
    return unit(statistics(np.stack(rows), ("mean", "std")))


def _fit_to_length(tracks: list[FaceTrack], frames: int, rng: np.random.Generator) -> F32:
    """Return `frames` rows of one of the tracks, there and back again where it is shorter."""
    values = tracks[int(rng.integers(len(tracks)))].values
    there_and_back = np.concatenate([np.arange(len(values)), np.arange(len(values))[::-1]])
    start = int(rng.integers(len(values)))
    place = there_and_back[(start + np.arange(frames)) % len(there_and_back)]
    return np.asarray(values[place], np.float32)
