"""The heads that ship are made: FER+ stills become synthetic clips, and these become heads.

python -m videmo.train.stills --data FERPLUS.parquet --backbone NAME --out heads

How sure they must be to answer from some of the frames, `videmo.train.still_budgets` learns next.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from videmo import store
from videmo.data import F32, I64
from videmo.evaluate import leaks
from videmo.labels import label_set, meaning
from videmo.stages.embed import make_backbone
from videmo.stages.heads import softmax
from videmo.stages.heads.attributes import EMOTION
from videmo.stages.heads.prior import BALANCED
from videmo.stages.image import resize
from videmo.stages.pool import Pooling
from videmo.train.ferplus import read_ferplus
from videmo.train.head import TrainedHead, evaluate_head, fit_best_on_val, fit_temperature
from videmo.train.synthetic import (
    FaceTrack,
    FeatureExtractor,
    GroupOptions,
    TrackOptions,
    group_descriptors,
    make_tracks,
    mean_probabilities,
    track_descriptors,
)


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
    return read_tracks(path, data, TRACK_SPLITS[part], each, backbone, TRACK_OPTIONS, seed)


def read_tracks(
    path: Path,
    data: str,
    pictures: tuple[str, slice],
    each: int,
    backbone: store.Model,
    options: TrackOptions,
    seed: int,
) -> list[FaceTrack]:
    """Return the tracks in a file, which is made if it is not there.

    pictures: FER+'s split, and which of its pictures; each: tracks of a label
    """
    if not path.exists():
        split, chosen = pictures
        faces = read_ferplus(data, split)
        faces = replace(faces, pixels=faces.pixels[chosen], votes=faces.votes[chosen])
        labels = [meaning(label) for label in label_set("afew7")]
        tracks = make_tracks(faces, labels, each, _extract(backbone), options, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
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
