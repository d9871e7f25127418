"""Persons counted, and numbers that change, on clips joined of videos of YouTube Faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from filmed import Filmed

from videmo.data import Features, FrameBatch, VideoInfo
from videmo.evaluate.metrics import wilson_interval
from videmo.people.linking import NOBODY, Linking, PersonLinker, persons_of
from videmo.people.moments import load
from videmo.stages.image import resize
from videmo.train.measure import decode_picture
from videmo.train.verification import VideoFaces, read_ytf

RATE = 12.5  # frames/s
HOLD = 6  # frames that a still is shown for, sliding a little
AROUND = 0.9  # of a face's side, from its middle to the edge of its panel
SIDE = 240  # px, a panel; two people side by side are two panels
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


@dataclass(frozen=True)
class Shot:
    """Stills of one or two people side by side, between two cuts."""

    people: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]  # of each the frames of one video


class Joined:
    """A clip in memory, of shots; says of each face who it is."""

    warnings: Sequence[str] = ()

    def __init__(self, faces: VideoFaces, shots: Sequence[Shot]) -> None:
        self.shots = shots
        self.pixels = np.concatenate([_film(faces, shot) for shot in shots])
        count = len(self.pixels)
        self.who = [shot.people for shot in shots for _ in range(_length(shot))]
        self.info = VideoInfo("joined", SIDE, 2 * SIDE, count, count / RATE, RATE, "memory")

    def read(self, sampling: Any) -> Iterator[FrameBatch]:
        """Yield the frames, some at a time."""
        for at in range(0, len(self.pixels), 16):
            index = np.arange(at, min(at + 16, len(self.pixels)))
            yield FrameBatch(self.pixels[index], index, index / RATE)

    def close(self) -> None:
        """Do nothing."""

    def truth(self, features: Features) -> list[str]:
        """Return whose each face is, "" for one that is beside the labelled one."""
        box = features.faces.box
        centres = np.column_stack([box[:, [0, 2]].mean(1), box[:, [1, 3]].mean(1)])
        return [self._name(n, c) for n, c in zip(features.faces.index, centres, strict=True)]

    def _name(self, index: int, centre: np.ndarray) -> str:
        people, near = self.who[index], SIDE / (4 * AROUND)  # half a face
        for place, name in enumerate(people):
            middle = SIDE if len(people) == 1 else SIDE // 2 + place * SIDE
            if (abs(centre - (middle, SIDE / 2)) < near + HOLD).all():
                return name
        return ""


def _length(shot: Shot) -> int:
    return HOLD * max(map(len, shot.rows))


def _film(faces: VideoFaces, shot: Shot) -> np.ndarray:
    """Return the frames (N, SIDE, 2 SIDE, 3): one panel in the middle, or two."""
    wide = 2 // len(shot.rows)  # panels
    frames = np.empty((_length(shot), SIDE, 2 * SIDE, 3), np.uint8)
    for place, rows in enumerate(shot.rows):
        stills = [_panel(faces.images[row], faces.box[row], wide) for row in rows]
        for n in range(len(frames)):
            picture = stills[min(n // HOLD, len(stills) - 1)]
            slid = np.roll(picture, n % HOLD, axis=1)
            frames[n, :, place * SIDE : (place + wide) * SIDE] = slid
    return frames


def _panel(encoded: bytes, box: np.ndarray, wide: int) -> np.ndarray:
    """Return the face of a frame in panels side by side, without most of those beside it."""
    picture = decode_picture(encoded)
    x0, y0, x1, y1 = (box * np.tile(picture.shape[1::-1], 2)).tolist()
    reach = round(max(x1 - x0, y1 - y0) * AROUND)
    edge = reach * wide
    edged = np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), mode="edge")
    top, left = round((y0 + y1) / 2) + edge - reach, round((x0 + x1) / 2)
    return resize(edged[top : top + 2 * reach, left : left + 2 * edge], SIDE, wide * SIDE)


def schedules(faces: VideoFaces, half: int, clips: int, seed: int = 0) -> Iterator[list[Shot]]:
    """Yield the shots of clips of two to four people of one half of the names.

    Everyone appears two or three times, from another video where there is one; one shot in four
    shows two people side by side.
    """
    rng = np.random.default_rng(seed)
    names = [n for n in np.unique(faces.name).tolist() if crc32(n.encode()) % 2 == half]
    for _ in range(clips):
        people = rng.choice(names, rng.integers(2, 5), replace=False).tolist()
        turns = [name for name in people for _ in range(rng.integers(2, 4))]
        order = [turns[i] for i in rng.permutation(len(turns))]
        shots, used = [], dict.fromkeys(people, 0)
        while order:
            others = [i for i, name in enumerate(order) if name != order[0]]
            pair = bool(others) and rng.random() < 0.25
            cast = [order.pop(0), *([order.pop(others[0] - 1)] if pair else [])]
            rows = tuple(_video(faces, name, used) for name in cast)
            shots.append(Shot(tuple(cast), rows))
        yield shots


def _video(faces: VideoFaces, name: str, used: dict[str, int]) -> tuple[int, ...]:
    """Return the frames of the next video of a person, from the first again after the last."""
    videos = np.unique(faces.video[faces.name == name])
    video = videos[used[name] % len(videos)]
    used[name] += 1
    return tuple(np.flatnonzero(faces.video == video)[:4].tolist())


@dataclass(frozen=True, eq=False)
class Seen:
    """What was found in one clip, whatever the threshold."""

    people: int
    batches: list[Features]
    truth: list[list[str]]


def look(data: Path, half: int, clips: int, head: str) -> list[Seen]:
    """Return what detection, tracking and the network found in every clip."""
    made = load(head)
    pipeline = Filmed(made.recipe, made.head_model, outputs=("identity",))
    faces, seen = read_ytf(data, "test"), []
    for shots in schedules(faces, half, clips):
        clip = Joined(faces, shots)
        batches = list(pipeline.features(clip))  # type: ignore[arg-type]
        people = len({name for shot in shots for name in shot.people})
        seen.append(Seen(people, batches, [clip.truth(batch) for batch in batches]))
    return seen


def score(seen: Seen, linking: Linking) -> tuple[int, int, float, int]:
    """Return persons counted, numbers that changed, the share of faces with theirs, and faces.

    Faces beside the labelled ones, of whom nobody knows who they are, do not count.

    A number changes where a face has another than the last one of the same person had. A
    person's number is the one that most of the faces have, each number being one person's.
    """
    from scipy.optimize import linear_sum_assignment

    linker = PersonLinker(linking)
    pieces = np.concatenate([linker.add(batch) for batch in seen.batches])
    persons = linker.persons()
    truth = [name for names in seen.truth for name in names]
    number = persons_of(pieces, persons)[[bool(name) for name in truth]]
    truth = [name for name in truth if name]
    last: dict[str, int] = {}
    switches = 0
    for name, one in zip(truth, number.tolist(), strict=True):
        if one:
            switches += last.get(name, one) != one
            last[name] = one
    names = sorted(set(truth))
    table = np.zeros((len(names), max(persons.values(), default=0) + 1))
    np.add.at(table, ([names.index(name) for name in truth], number), 1)
    rows, columns = linear_sum_assignment(-table[:, 1:])
    right = float(table[:, 1:][rows, columns].sum())
    return len({*number.tolist()} - {NOBODY}), switches, right / max(1, len(truth)), len(truth)


def report(data: Path, clips: int, head: str) -> None:
    """Choose the threshold on one half of the people, and print what it is worth on the other."""
    chosen_on = look(data, 0, clips, head)
    print(f"{clips} clips of 2 to 4 people of one half of the names, by the threshold:")
    shares = {}
    for threshold in THRESHOLDS:
        scores = [score(one, Linking(threshold=threshold)) for one in chosen_on]
        shares[threshold] = float(np.mean([right for _, _, right, _ in scores]))
        exact = np.mean([s[0] == one.people for s, one in zip(scores, chosen_on, strict=True)])
        print(f"  {threshold:.2f}: faces with their person's number {shares[threshold]:.3f}, "
              f"persons counted right in {exact:.3f} of clips")  # fmt: skip
    best = max(shares, key=lambda one: shares[one])
    print(f"best {best}; used {Linking().threshold}. The other half of the names:")
    others = look(data, 1, clips, head)
    for name, linking in (("identity", Linking()), ("overlap alone", Linking(by="overlap"))):
        _show(name, others, [score(one, linking) for one in others])


def _show(name: str, seen: list[Seen], scores: list[tuple[int, int, float, int]]) -> None:
    count = np.array([found for found, *_ in scores])
    people = np.array([one.people for one in seen])
    low, high = wilson_interval(int((count == people).sum()), len(seen))
    right, switches = (np.array(column) for column in list(zip(*scores, strict=True))[2:0:-1])
    print(
        f"  {name}: persons counted right in {(count == people).mean():.3f} ({low:.3f}-{high:.3f}) "
        f"of {len(seen)} clips, off by {np.abs(count - people).mean():.2f} on average; "
        f"faces with their person's number {right.mean():.3f} ({_interval(right)}); "
        f"numbers that change, a clip: {switches.mean():.2f} ({_interval(switches)})"
    )


def _interval(values: np.ndarray) -> str:
    """Return the 95 % interval of a mean, clips drawn anew 2,000 times."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(values, (2000, len(values))).mean(1)
    return "-".join(f"{edge:.3f}" for edge in np.quantile(drawn, (0.025, 0.975)))
