"""How well a backbone tells people apart: pairs of pictures and of videos, whole people drawn."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from videmo.data import F64, I64, U8, Array, Faces, FrameBatch
from videmo.evaluate.metrics import wilson_interval
from videmo.stages.crop import Cropping, crop
from videmo.stages.heads.attributes import unit_rows
from videmo.train.face_tables import LFW_TEST, LFW_VAL, read_table
from videmo.train.measure import DRAWS, BackboneRunner, Split, decode_picture

FIVE = ("eyeL", "eyeR", "nose", "mouthL", "mouthR")  # points in the tables of YouTube Faces


def measure_verification(
    model: BackboneRunner, path: Path, pairs: Path, split: Split
) -> dict[str, Any]:
    """Return how well two pictures of LFW are told to show one person or two, by cosine.

    test is folds 0-4, val is fold 9 in five parts; no training of identity may meet their people.
    A fold's (or part's) threshold is the best of the other four.
    """
    model.require_outputs("identity")
    folds = LFW_TEST if split == "test" else LFW_VAL
    with pairs.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["fold"]) in folds]
    table = read_table("lfw", path)
    files = sorted({row[side] for row in rows for side in "ab"})
    where = {name: number for number, name in enumerate(table.names)}
    shown = [table.pictures[where[name]] for name in files]
    found = model(map(decode_picture, shown))
    mirrored = model(decode_picture(picture)[:, ::-1] for picture in shown)
    place = {name: number for number, name in enumerate(files)}
    a, b = (np.array([place[row[side]] for row in rows]) for side in "ab")
    who = np.unique([name.rsplit("_", 1)[0] for name in files], return_inverse=True)[1]
    asked = FacePairs(who[a], who[b], np.array([row["same"] == "1" for row in rows]))
    fold = np.array([int(row["fold"]) for row in rows])
    if split == "val":
        fold = np.arange(len(rows)) % 5
    values = {
        "identity": unit_rows(found["identity"]),
        "identity, both ways round": unit_rows(found["identity"]) + unit_rows(mirrored["identity"]),
        "features": unit_rows(found["features"]),
    }
    return {
        name: verification_accuracy(pair_cosines(of, a, b), asked, fold)
        for name, of in values.items()
    }


@dataclass(frozen=True, eq=False)
class FacePairs:
    """P pairs of pictures: who is on either, and whether that is one person."""

    a: I64  # (P,) numbers of people
    b: I64
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.same)


def verification_accuracy(similarity: F64, pairs: FacePairs, fold: I64) -> dict[str, Any]:
    """Return the accuracy over folds (K,) with thresholds from the others, AUC and TAR.

    The standard error is that of the mean over folds, as LFW's protocol has it (Huang et al.
    2007); the interval is Wilson's over all pairs.
    """
    right = np.zeros(len(pairs), bool)
    for number in np.unique(fold):
        other = fold != number
        least = thresholds(similarity[other], pairs.same[other])["balanced"]
        right[~other] = (similarity[~other] >= least) == pairs.same[~other]
    each = [float(right[fold == number].mean()) for number in np.unique(fold)]
    negative = thresholds(similarity, pairs.same)["FAR 1 %"]
    return {
        "n": len(pairs),
        "accuracy": round(float(np.mean(each)), 4),
        "standard error": round(float(np.std(each, ddof=1) / len(each) ** 0.5), 4),
        "interval": wilson_interval(int(right.sum()), len(pairs)),
        **_auc_with_interval(similarity, pairs),
        "TAR at FAR 1 %": round(float((similarity[pairs.same] >= negative).mean()), 4),
    }


def thresholds(similarity: F64, same: NDArray[np.bool_]) -> dict[str, float]:
    """Return the least similarity of one person: where the two errors sum to the least, and
    where 1 % of the pairs of two people are taken for one."""
    order = np.argsort(-similarity, kind="stable")
    values, hits = similarity[order], same[order]
    last = np.append(values[1:] < values[:-1], True)  # equals are taken together or not at all
    true, false = hits.cumsum() / hits.sum(), (~hits).cumsum() / (~hits).sum()
    gain = np.where(last, true - false, -1.0)
    allowed = np.flatnonzero(last & (false <= 0.01))
    return {
        "balanced": _between(values, int(gain.argmax())),
        "FAR 1 %": _between(values, int(allowed[-1])) if len(allowed) else float(values[0]) + 1e-6,
    }


def _between(values: F64, number: int) -> float:
    """Return what lies half way from a value of a falling row to the next one."""
    return float(values[number : number + 2].mean())


def auc(similarity: F64, same: NDArray[np.bool_], weight: F64 | None = None) -> float:
    """Return the chance that a pair of one person is more alike than a pair of two."""
    return _auc_of_ranks(np.unique(similarity, return_inverse=True)[1], same, weight)


def _auc_of_ranks(rank: I64, same: NDArray[np.bool_], weight: F64 | None) -> float:
    weight = np.ones(len(same)) if weight is None else weight
    one, two = np.bincount(rank, weight * same), np.bincount(rank, weight * ~same)
    below = two.cumsum() - two / 2  # equals count half
    return float((one * below).sum() / (one.sum() * two.sum()))


def _auc_with_interval(similarity: F64, pairs: FacePairs) -> dict[str, Any]:
    rank = np.unique(similarity, return_inverse=True)[1]
    found = interval_by_people(partial(_auc_of_ranks, rank, pairs.same), pairs)
    return {"AUC": found["value"], "AUC interval": found["interval"]}


def interval_by_people(statistic: Callable[[F64], float], pairs: FacePairs) -> dict[str, Any]:
    """Return a statistic of weighted pairs with its interval when people are drawn anew.

    A person drawn twice counts twice: a pair of one person by its number, a pair of two by the
    product, since pairs that share a person are not independent.
    """
    people, number = np.unique(np.concatenate([pairs.a, pairs.b]), return_inverse=True)
    a, b = number[: len(pairs)], number[len(pairs) :]
    rng, drawn = np.random.default_rng(0), []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(0, len(people), len(people)), minlength=len(people))
        weight = np.where(pairs.same, times[a], times[a] * times[b]).astype(np.float64)
        if weight[pairs.same].any() and weight[~pairs.same].any():  # a small set may draw none
            drawn.append(statistic(weight))
    whole = statistic(np.ones(len(pairs)))
    return {"value": round(whole, 4), "interval": _middle95(drawn, 4)}


def _middle95(drawn: Sequence[float], digits: int) -> list[float]:
    return [round(float(edge), digits) for edge in np.percentile(drawn, [2.5, 97.5])]


def pair_cosines(rows: F64, a: I64, b: I64) -> F64:
    """Return the cosine of the angle between rows a (P,) and b (P,)."""
    rows = unit_rows(rows)
    return np.asarray((rows[a] * rows[b]).sum(1), np.float64)


def measure_persons(model: BackboneRunner, path: Path, split: Split) -> dict[str, Any]:
    """Return how well videos, and frames, of YouTube Faces are told to show one person or two.

    A video is the mean of its frames' unit vectors. test is the people whom no training of
    identity may meet, neither here nor in LFW beside it; val is those of the training. Half of
    the people, by their CRC-32, choose the thresholds, the others say what these are worth.
    """
    model.require_outputs("identity")
    faces = read_ytf(path, split)
    found = unit_rows(model(faces.crops(model.cropping))["identity"])
    people, who = np.unique(faces.name, return_inverse=True)
    _, first, video = np.unique(faces.video, return_index=True, return_inverse=True)
    mean = unit_rows(np.stack([np.bincount(video, column) for column in found.T], 1))
    a, b = np.triu_indices(len(mean), 1)
    alike, pairs = pair_cosines(mean, a, b), _face_pairs(who[first], a, b)
    of_frames = _frame_pairs(found, who, video)
    return {
        "people": len(people),
        "frames": len(faces.name),
        "left out": faces.left_out,
        "videos": {"n": len(mean), "pairs": len(pairs), **_auc_with_interval(alike, pairs)},
        "frames of two videos": {"pairs": len(of_frames[1]), **_auc_with_interval(*of_frames)},
        **_chosen_thresholds(alike, pairs, people),
    }


def _face_pairs(who: I64, a: I64, b: I64) -> FacePairs:
    return FacePairs(who[a], who[b], who[a] == who[b])


def _frame_pairs(found: F64, who: I64, video: I64) -> tuple[F64, FacePairs]:
    """Return the pairs of frames that are not of one video, which would be too easy."""
    a, b = np.triu_indices(len(found), 1)
    apart = video[a] != video[b]
    a, b = a[apart], b[apart]
    return np.asarray((found @ found.T)[a, b], np.float64), _face_pairs(who, a, b)


def _chosen_thresholds(similarity: F64, pairs: FacePairs, people: Array) -> dict[str, Any]:
    """Return the thresholds of one half of the people and their rates in the other half."""
    half = np.array([crc32(name.encode()) % 2 for name in people])
    a, b = half[pairs.a], half[pairs.b]
    mine, theirs = (a == 0) & (b == 0), (a == 1) & (b == 1)
    chosen = thresholds(similarity[mine], pairs.same[mine])
    others = FacePairs(pairs.a[theirs], pairs.b[theirs], pairs.same[theirs])
    rates = {
        name: {"threshold": round(least, 4), **_rates(similarity[theirs] >= least, others)}
        for name, least in chosen.items()
    }
    # of the two, a stranger taken for somebody is the worse mistake
    return {"threshold": rates["FAR 1 %"]["threshold"], "thresholds": rates}


def _rates(taken: NDArray[np.bool_], pairs: FacePairs) -> dict[str, Any]:
    """Return the shares of the pairs of one person, and of two, that were taken for one."""

    def share(of: NDArray[np.bool_], weight: F64) -> float:
        return float((weight * of * taken).sum() / (weight * of).sum())

    return {
        "TPR": interval_by_people(partial(share, pairs.same), pairs),
        "FPR": interval_by_people(partial(share, ~pairs.same), pairs),
        "pairs": len(pairs),
    }


@dataclass(frozen=True, eq=False)
class VideoFaces:
    """K frames of videos with the box of the face in each, and its five points where known."""

    images: Sequence[bytes]
    box: F64  # (K, 4) x0 y0 x1 y1, shares of the frame's width and height
    points: F64  # (K, 5, 2), the same, or NaN
    name: Array  # (K,) whose face
    video: Array  # (K,) name and number
    left_out: Mapping[str, int]  # frames without a box, people met in LFW

    def crops(self, cropping: Cropping) -> Iterator[U8]:
        """Yield each face as `cropping` cuts it, (S, S, 3)."""
        for image, box, points in zip(self.images, self.box, self.points, strict=True):
            pixels = decode_picture(image)[None]
            frames = FrameBatch(pixels, np.zeros(1, np.int64), np.zeros(1))
            size = np.array(pixels.shape[2:0:-1])
            found = (box * np.tile(size, 2))[None], np.ones(1), (points * size)[None]
            (cut,) = crop([(frames, Faces.on(frames, np.zeros(1), *found))], cropping)
            yield cut.pixels[0]


def read_ytf(path: Path, split: Split) -> VideoFaces:
    """Return the frames of the people of one split; lfw_gray112.parquet lies beside the table.

    test leaves out the people of the tables' test whom LFW's training part shows.
    """
    import pyarrow.parquet as pq

    table, met = read_table("ytf", path), _met_in_lfw(path.parent / "lfw_gray112.parquet")
    corners, size = ("x1", "y1", "x2", "y2"), ("img_w", "img_h")
    marks = [f"{name}_{axis}" for name in FIVE for axis in "xy"]
    there = {*pq.read_schema(path).names}
    marks = marks if there.issuperset(marks) else []
    columns = pq.read_table(path, columns=["video", *corners, *marks, *size]).to_pydict()
    column = {key: np.array(values, np.float64) for key, values in columns.items()}
    box = np.stack([column[key] for key in corners], 1)
    frame = np.stack([column[key] for key in size], 1)
    box /= np.tile(frame, 2)
    points = np.full((len(box), 5, 2), np.nan)
    if marks:
        points = np.stack([column[key] for key in marks], 1).reshape(-1, 5, 2) / frame[:, None]
    name = np.array(table.known["identity"])
    wanted = np.array(table.split) == {"test": "test", "val": "train"}[split]
    boxed, unmet = np.isfinite(box).all(1), ~np.isin(name, [*met])
    rows = np.flatnonzero(wanted & boxed & (unmet if split == "test" else True))
    images = [picture for i in rows if isinstance(picture := table.pictures[i], bytes)]
    video = np.char.add(np.char.add(name, " "), column["video"].astype(int).astype(str))
    left_out = {"frames without a box": int((~boxed).sum())}
    if split == "test":
        left_out["people met in LFW"] = len(set(name[wanted & boxed & ~unmet]))
    return VideoFaces(images, box[rows], points[rows], name[rows], video[rows], left_out)


def _met_in_lfw(path: Path) -> set[str]:
    table = read_table("lfw", path)
    files = zip(table.names, table.split, strict=True)  # of a single picture, too, a teacher told
    return {file.rsplit("_", 1)[0] for file, split in files if split == "train"}
