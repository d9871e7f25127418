"""How sure the models that ship must be to answer from some of the frames, on filmed stills.

python -m videmo.train.still_budgets --data FERPLUS.parquet --out TRACKS videmo/models/*
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from videmo import store
from videmo.data import F32, I64
from videmo.labels import meaning
from videmo.stages.pool import FEATURES
from videmo.train.budget import (
    Pooled,
    SeenFaces,
    card_part,
    judge,
    learn_leads,
    pooled,
    readings,
)
from videmo.train.head import TrainedHead, fit
from videmo.train.stills import TRACK_OPTIONS, read_tracks
from videmo.train.synthetic import FaceTrack, GroupOptions, group_clips, group_labels

FRAMES = (24, 150)  # of a track, evenly on a log scale
SHORTEST = 13  # frames of a clip that is looked at in levels; see `_parts`
TRIED = (0.0025, 0.005, 0.01, 0.02, 0.05)  # shares of clips that may get another label
GROUPS = {"fit": 600, "learned": 2000, "val": 600}  # clips; a lead hangs on the surest few
SPLITS = {  # FER+'s split, and which of its pictures: of people whom the backbone has not met
    "fit": ("val", slice(0, None, 4)),  # what a classifier learns from that is tried on the next
    "learned": ("val", slice(2, None, 4)),  # what the leads are learnt on
    "val": ("val", slice(1, None, 2)),
}
Tracks = dict[str, list[FaceTrack]]
Facts = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn the leads of heads, and write them into their cards."""
    parser = argparse.ArgumentParser(prog="videmo.train.still_budgets", description=main.__doc__)
    parser.add_argument("heads", nargs="+", type=Path, help="folders, on one backbone, or its own")
    parser.add_argument("--data", required=True, help="FER+ as Parquet")
    parser.add_argument("--out", required=True, type=Path, help="a folder; tracks are used again")
    parser.add_argument("--each", type=int, default=60, help="tracks of a label in each part")
    parser.add_argument("--seed", type=int, default=20)
    given = parser.parse_args(arguments)
    learn(given.heads, given.data, given.out, given.each, given.seed)


def learn(heads: Sequence[Path], data: str, out: Path, each: int, seed: int) -> None:
    """Learn the leads of heads on one backbone, and write them into their cards."""
    backbone = store.load(store.load(heads[0]).recipe.backbone)
    options = replace(TRACK_OPTIONS, frames=FRAMES)
    tracks = {
        part: read_tracks(
            out / f"tracks_budget_{part}.npz", data, of, each, backbone, options, seed + number
        )
        for number, (part, of) in enumerate(SPLITS.items())
    }
    learnt = {
        "data": Path(data).name,
        "pictures": "FER+ val, which the backbone has not met: filmed for 13 to 150 frames",
        "command": f"python -m videmo.train.still_budgets --data {Path(data).name} --out tracks "
        f"--each {each} --seed {seed} {' '.join(head.name for head in heads)}",
    }
    for folder in heads:
        model = store.load(folder)
        told = _budget(model.as_head(), tracks, learnt, seed)
        store.write_card(folder, {**model.card, "budget": told})


def _budget(model: store.Model, tracks: Tracks, learnt: Facts, seed: int) -> Facts:
    """Return what the card of a head is to say under `budget`."""
    of_features = model.recipe.pooling.of == FEATURES
    clips = (_groups if of_features else _singles)(model, tracks, seed)
    shipped = model.head()
    apart = _refitted(model, *clips["fit"]) if of_features else shipped
    heard, val = readings(clips["learned"][0], apart), readings(clips["val"][0], shipped)
    truth = clips["val"][1]
    tried = [_row(share, judge(val, learn_leads(heard, changed=share), truth)) for share in TRIED]
    budget = learn_leads(heard)
    facts = learnt | {"n": len(heard.frames)}
    return card_part(budget, facts, {"val": judge(val, budget, truth)}) | {"tried": tried}


def _row(share: float, found: Facts) -> Facts:
    kept = ("changed", "frames_share", "accuracy", "difference")
    return {"changed_at_most": share, **{key: found[key] for key in kept}}


def _singles(model: store.Model, tracks: Tracks, seed: int) -> dict[str, tuple[Pooled, I64]]:
    """Return the clips of one person each. Nothing was learned from any that the leads are of."""
    order = [meaning(label) for label in model.head_spec().labels]
    # nothing but a temperature is fitted, so that there is nothing to keep apart
    parts = {
        "learned": _parts([*tracks["fit"], *tracks["learned"]], seed),
        "val": _parts(tracks["val"], seed),
    }
    return {
        part: (
            pooled(map(_single, of), model.recipe.pooling),
            np.array([order.index(track.label) for track in of], np.int64),
        )
        for part, of in parts.items()
    }


def _parts(tracks: Sequence[FaceTrack], seed: int) -> list[FaceTrack]:
    """Return tracks, each whole and up to some frame, so that short ones are as many as long."""
    rng, parts = np.random.default_rng(seed), []
    for track in tracks:
        frames = len(track.values)
        some = round(float(np.exp(rng.uniform(np.log(SHORTEST), np.log(frames)))))
        parts += [track, replace(track, values=track.values[:some],
                                 probabilities=track.probabilities[:some])]  # fmt: skip
    return parts


def _single(track: FaceTrack) -> SeenFaces:
    frames = len(track.probabilities)
    return SeenFaces(track.probabilities, np.arange(frames), frames)


def _groups(model: store.Model, tracks: Tracks, seed: int) -> dict[str, tuple[Pooled, I64]]:
    found = {}
    for part, of in tracks.items():
        options = GroupOptions(clips=GROUPS[part], frames=(SHORTEST, FRAMES[1]))
        rows = pooled(_grouped(of, options, seed), model.recipe.pooling)
        found[part] = rows, group_labels(options)
    return found


def _grouped(tracks: Sequence[FaceTrack], options: GroupOptions, seed: int) -> Iterator[SeenFaces]:
    for values, seen in group_clips(tracks, options, seed):
        number, _ = np.nonzero(seen)
        yield SeenFaces(values[seen], number.astype(np.int64), len(seen))


def _refitted(model: store.Model, clips: Pooled, truth: I64) -> TrainedHead:
    """Return the head as its own choices make it of other clips, as sure of itself as it is."""
    chosen = next(facts for facts in model.card["trained"]["tried"] if facts.get("chosen"))
    params = {name: chosen[name] for name in ("balanced", "C") if name in chosen}
    heat: F32 = model.weights().get("temperature", np.ones(1, np.float32))
    return fit(clips.rows[1], truth, params).calibrated(float(heat[0]))


if __name__ == "__main__":
    main()
