"""From what a training left behind to the model folders that ship.

python -m videmo.train.pack --backbone runs/backbone --heads runs/afew7 runs/vgaf3 --into models
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videmo import store
from videmo.crop import Cropping
from videmo.detect import Detection
from videmo.embed.timm import write_graph
from videmo.pool import Pooling
from videmo.recipe import Recipe

NAME = "resnet18n_ferplus"

# A FER+ picture lies about a face as a square of 0.95 times the longer side of the box that
# MTCNN finds in it, centred on that box (medians over its validation pictures).
CROPPING = Cropping(size=64, shape="square", scale=0.95, colour="grey")

COMMON = {
    "license": {
        "code": "Apache-2.0",
        "weights": "research use: the terms of the pictures they learned from are not established",
        "data": "FER+ votes: MIT (Microsoft, FERPlus); FER2013 pictures: collected by web search, "
        "terms not established, not redistributed here",
    },
    "source": "trained from scratch by this project, with python -m videmo.train.*",
    "intended": "research on clips whose people agreed to be analysed; it names the expression "
    "that a crowd would see, not what a person feels",
    "limits": "frontal faces of 24 px and more; contempt, disgust and fear are rare in the data "
    "and recognised poorly; not for decisions about people, nor for work or education "
    "(EU AI Act, Article 5(1)(f))",
}
ABOUT = {
    NAME: "Eight FER+ emotions and the features behind them, from grey faces of 64 px.",
    "afew7": "The seven emotions of AFEW, of the largest face of each frame; learned from clips "
    "made of FER+ stills, since no labelled clip was at hand.",
    "vgaf3": "The three group emotions of VGAF, of all faces of a frame; learned from clips made "
    "of FER+ stills, since no labelled clip was at hand.",
}
FACES = {"afew7": "largest", "vgaf3": "all"}


def pack_backbone(source: Path, into: Path) -> store.Model:
    """Write the model folder of a trained backbone: card, weights and graph."""
    spec = _read(source / "spec.json")
    spec["outputs"] = {name: of["labels"] for name, of in spec["outputs"].items()}
    spec["changes"] = list(spec["changes"])
    card = _card("backbone", NAME, spec, source)
    model = store.save(into / NAME, card, _weights(source), half=True)
    write_graph(model.backbone_spec(), model.folder)
    store.write_card(model.folder, card)
    return store.load(model.folder)


def pack_head(source: Path, backbone: store.Model, into: Path) -> store.Model:
    """Write the model folder of a trained head, with the recipe it was trained for."""
    spec, name = _read(source / "spec.json"), source.name
    pooling = Pooling(
        stats=tuple(spec.pop("stats")),
        within=tuple(spec.pop("within")),
        normalise=spec.pop("normalise"),
    )
    recipe = Recipe(
        backbone.name,
        backbone.sha256,
        detection=Detection(faces=FACES[name]),
        cropping=CROPPING,
        pooling=pooling,
    )
    card = _card("head", name, spec, source) | {"recipe": recipe.to_dict()}
    return store.save(into / name, card, _weights(source))


def _card(kind: str, name: str, spec: Mapping[str, Any], source: Path) -> dict[str, Any]:
    facts = {key: _read(source / f"{key}.json") for key in ("trained", "measured")}
    return {"kind": kind, "name": name, "about": ABOUT[name], "spec": spec, **facts, **COMMON}


def _weights(source: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return dict(load_file(source / store.WEIGHTS))


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack what the command line names."""
    parser = argparse.ArgumentParser(prog="videmo.train.pack", description=__doc__)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--heads", type=Path, nargs="*", default=[])
    parser.add_argument("--into", type=Path, default=store.EMBEDDED)
    given = parser.parse_args(arguments)
    backbone = pack_backbone(given.backbone, given.into)
    for source in given.heads:
        pack_head(source, backbone, given.into)


if __name__ == "__main__":
    main()
