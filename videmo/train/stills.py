"""Clips made of still faces, for heads that learn where no labelled clips are at hand.

A picture of a face becomes a track: the same face as a detector and a camera would have seen
it for some frames. Tracks of one or several faces become the descriptors of clips.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from videmo import store
from videmo.evaluate import leaks
from videmo.labels import label_set, meaning
from videmo.stages.embed import make_backbone
from videmo.stages.heads import softmax
from videmo.stages.heads.attributes import EMOTION
from videmo.stages.heads.prior import BALANCED
from videmo.stages.image import resize
from videmo.stages.pool import Pooling, reweigh, statistics, unit
from videmo.train.ferplus import StillFaces, read_ferplus
from videmo.train.head import TrainedHead, evaluate_head, fit_best_on_val, fit_temperature

if TYPE_CHECKING:
    import torch

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
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
    rng = np.random.default_rng(seed)
    by_label: dict[str, list[FaceTrack]] = {}
    for track in tracks:
        by_label.setdefault(track.label, []).append(track)
    order = [meaning(label) for label in label_set("vgaf3")]
    truth = np.arange(options.clips) % len(order)
    rows = [_group_descriptor(by_label, order[label], options, rng) for label in truth]
    return np.stack(rows), truth.astype(np.int64)


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


def _group_descriptor(
    by_label: dict[str, list[FaceTrack]],
    valence: str,
    options: GroupOptions,
    rng: np.random.Generator,
) -> F32:
    """Return the descriptor of one group that shows `valence`."""
    faces = int(rng.integers(options.faces[0], options.faces[1] + 1))
    frames = round(math.exp(rng.uniform(*np.log(options.frames))))
    calm = rng.random(faces) < rng.uniform(0, options.bystanders)
    calm[0] = False  # one shows it at least
    main = str(rng.choice(VALENCES[valence]))
    names = ["neutral" if still else main for still in calm]
    people = [_fit_to_length(by_label[name], frames, rng) for name in names]
    seen = rng.random((frames, faces)) >= rng.uniform(0, options.missed)
    seen[~seen.any(1), 0] = True
    values = np.stack(people, 1)  # (frames, faces, D)
    rows = [statistics(values[i, seen[i]], ("mean", "std")) for i in range(frames)]
    return unit(statistics(np.stack(rows), ("mean", "std")))


def _fit_to_length(tracks: list[FaceTrack], frames: int, rng: np.random.Generator) -> F32:
    """Return `frames` rows of one of the tracks, there and back again where it is shorter."""
    values = tracks[int(rng.integers(len(tracks)))].values
    there_and_back = np.concatenate([np.arange(len(values)), np.arange(len(values))[::-1]])
    start = int(rng.integers(len(values)))
    place = there_and_back[(start + np.arange(frames)) % len(there_and_back)]
    return np.asarray(values[place], np.float32)


@dataclass(frozen=True)
class SyntheticHead:
    """A head that is made of filmed stills."""

    about: str
    faces: Literal["all", "largest"]  # of a frame
    pooling: Pooling


HEADS = {
    "afew7": SyntheticHead(
        "The seven emotions of AFEW, of the largest face of each frame: the mean of what the "
        "network says of each, with the shares of its training divided out.",
        "largest",
        Pooling(stats=("mean",), normalise=None, of=EMOTION),
    ),
    "vgaf3": SyntheticHead(
        "The three group emotions of VGAF, of all faces of a frame; learned from clips made of "
        "FER+ stills, since no labelled clip was at hand.",
        "all",
        Pooling(stats=("mean", "std"), within=("mean", "std"), normalise="l2"),
    ),
}
TERMS = {
    "license": {
        "code": "Apache-2.0",
        "weights": "research use: the terms of the pictures they learned from are not established",
        "data": "FER+ votes: MIT (Microsoft, FERPlus); FER2013 pictures: collected by web search, "
        "terms not established, not redistributed here",
    },
    "source": "trained from scratch by this project, with python -m videmo.train.stills",
    "intended": "research on clips whose people agreed to be analysed; it names the expression "
    "that a crowd would see, not what a person feels",
    "limits": "frontal faces of 24 px and more; disgust and fear are rare in the data and "
    "recognised poorly; not for decisions about people, nor for work or education "
    "(EU AI Act, Article 5(1)(f))",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Film the faces, and write the heads afew7 and vgaf3 as model folders."""
    parser = argparse.ArgumentParser(prog="videmo.train.stills", description=main.__doc__)
    parser.add_argument("--data", required=True, help="FER+ as Parquet")
    parser.add_argument("--backbone", required=True, help="a name or a model folder")
    parser.add_argument("--out", required=True, help="a folder; tracks in it are used again")
    parser.add_argument("--each", type=int, default=60, help="tracks of a label in each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="score the test faces; do so once")
    given = parser.parse_args(arguments)
    out, backbone = Path(given.out), store.load(given.backbone)
    tracks = {
        part: _tracks(given.data, part, given.each, backbone, given.seed + number, out)
        for number, part in enumerate(TRACK_SPLITS if given.test else ("learned", "val"))
    }
    facts: dict[str, Any] = {
        "data": Path(given.data).name,
        "pictures": "FER+ val, which the backbone has not met: every other one to learn from, the "
        "others to choose on",
        "seed": given.seed,
        "command": f"python -m videmo.train.stills --data {Path(given.data).name} "
        f"--backbone {backbone.name} --out heads --each {given.each} --seed {given.seed}",
        "filming": asdict(TRACK_OPTIONS),
    }
    _afew7(tracks, facts, backbone, out)
    gathered = {
        part: group_descriptors(of, GroupOptions(clips=3 * given.each), given.seed)
        for part, of in tracks.items()
    }
    head, tried = fit_best_on_val(*gathered["learned"], *gathered["val"])
    more = {"gathering": asdict(GroupOptions()), "tried": tried}
    _write_head("vgaf3", head, gathered, facts | more, HEADS["vgaf3"].pooling, backbone, out)


TRACK_OPTIONS = TrackOptions(frames=(4, 60))
TRACK_SPLITS = {  # of the tracks -> FER+'s split, and which of its pictures
    # a network is surer of pictures that it learned from than of any others, and so is a head
    # that learned from what it says of them: heads learn from pictures that it has not met
    "learned": ("val", slice(0, None, 2)),
    "val": ("val", slice(1, None, 2)),
    "test": ("test", slice(None)),
}


def _afew7(
    tracks: dict[str, list[FaceTrack]], facts: dict[str, Any], backbone: store.Model, out: Path
) -> None:
    """Write the head that reads what the network says, beside what else was tried on val."""
    labels = label_set("afew7")
    emotions = backbone.backbone_spec().outputs[EMOTION]
    onto = np.array([[meaning(a) == meaning(b) for b in emotions] for a in labels], np.float32)
    prior = backbone.shares(EMOTION).factors(BALANCED)
    plain = TrainedHead("sums", len(labels), {"onto": onto})
    clips = {part: mean_probabilities(of, prior) for part, of in tracks.items()}
    head = plain.calibrated(fit_temperature(plain.logits(clips["learned"][0]), clips["learned"][1]))
    features = {part: track_descriptors(of) for part, of in tracks.items()}
    other, _ = fit_best_on_val(*features["learned"], *features["val"])
    rivals = {
        "mean of probabilities, balanced (shipped)": evaluate_head(head, *clips["val"], labels),
        "mean of probabilities, natural": evaluate_head(
            plain, *mean_probabilities(tracks["val"]), labels
        ),
        "logistic regression on features": evaluate_head(other, *features["val"], labels),
    }
    tried = [{"what": k, **{key: v[key] for key in ("accuracy", "uar", "ece")}}
             for k, v in rivals.items()]  # fmt: skip
    pooling = replace(HEADS["afew7"].pooling, prior=prior)
    _write_head("afew7", head, clips, facts | {"tried": tried}, pooling, backbone, out)


def _tracks(
    data: str, part: str, each: int, backbone: store.Model, seed: int, out: Path
) -> list[FaceTrack]:
    """Return the tracks of one part, from `out` if they lie there."""
    path = out / f"tracks_{part}.npz"
    if not path.exists():
        split, chosen = TRACK_SPLITS[part]
        faces = read_ferplus(data, split)
        faces = replace(faces, pixels=faces.pixels[chosen], votes=faces.votes[chosen])
        labels = [meaning(label) for label in label_set("afew7")]
        tracks = make_tracks(faces, labels, each, _extract(backbone), TRACK_OPTIONS, seed)
        out.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            values=np.concatenate([track.values for track in tracks]),
            probabilities=np.concatenate([track.probabilities for track in tracks]),
            frames=[len(track.values) for track in tracks],
            labels=[track.label for track in tracks],
        )
    with np.load(path) as kept:
        ends = np.cumsum(kept["frames"])[:-1]
        values, probabilities = (np.split(kept[name], ends) for name in ("values", "probabilities"))
        return [
            FaceTrack(str(n), v, p)
            for n, v, p in zip(kept["labels"], values, probabilities, strict=True)
        ]


def _extract(backbone: store.Model) -> FeatureExtractor:
    """Return the backbone as a function of grey frames, on the engine that predicts."""
    spec = backbone.backbone_spec()
    run = make_backbone(spec, backbone.folder, engine="openvino", device="cpu", outputs=(EMOTION,))

    def extract(frames: NDArray[np.uint8]) -> tuple[F32, F32]:
        side = spec.input_size
        rgb = np.repeat(frames[..., None], 3, -1)
        values, outputs = run(np.stack([resize(frame, side, side) for frame in rgb]))
        return values, softmax(outputs[EMOTION])

    return extract


def _write_head(
    name: str,
    head: TrainedHead,
    clips: dict[str, tuple[F32, I64]],
    facts: dict[str, Any],
    pooling: Pooling,
    backbone: store.Model,
    out: Path,
) -> None:
    """Write a head as a model folder."""
    labels, made, own = label_set(name), HEADS[name], backbone.recipe
    recipe = replace(own, detection=replace(own.detection, faces=made.faces), pooling=pooling)
    counts = {"n": len(clips["learned"][1]), "n_val": len(clips["val"][1])}
    card = {
        "kind": "head",
        "name": name,
        "about": made.about,
        "spec": {"type": head.type, "level": "clip", "labels": list(labels)},
        "trained": facts | counts | {leaks.CARD_KEY: leaks.digests((), ())},  # of clips it met none
        "measured": {
            part: evaluate_head(head, *of, labels)
            for part, of in clips.items()
            if part != "learned"
        },
        **TERMS,
        "recipe": replace(recipe, backbone=backbone.name).to_dict(),
    }
    store.save(out / name, card, head.arrays)


if __name__ == "__main__":
    main()
