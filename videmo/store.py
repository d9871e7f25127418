"""Models on disk: one folder each, `card.json` beside the files it vouches for.

A card is JSON with `kind` (backbone or head), `name`, `spec`, `files` (name -> SHA-256), for a
head the whole `recipe` it was trained with, and what a reader wants to know: `trained`,
`measured`, `license`, `source`, `intended`, `limits`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videmo.data import Array
from videmo.embed import BackboneSpec
from videmo.errors import CorruptModel, ModelError, ModelNotFound, OutputError
from videmo.files import cache_dir, sha256
from videmo.heads import HeadSpec
from videmo.recipe import Recipe

EMBEDDED = Path(__file__).parent / "models"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Model:
    """A folder whose files are what its card says."""

    folder: Path
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name it is found by."""
        return str(self.card["name"])

    @property
    def sha256(self) -> str:
        """The SHA-256 of its weights, in hex."""
        return str(self.card["files"][WEIGHTS])

    @property
    def recipe(self) -> Recipe:
        """How a head's descriptors are made; raises ModelError where the card does not say it."""
        if "recipe" not in self.card:
            raise ModelError(
                f"{self.name}: learned from a table of numbers, so its card has no recipe by which "
                "a clip becomes such a row; choose a head that was trained on clips"
            )
        return Recipe.from_dict(self.card["recipe"])

    def head_spec(self) -> HeadSpec:
        """What kind of head this is; raises CorruptModel for a card of something else."""
        spec = self._spec("head")
        return HeadSpec(spec["type"], tuple(spec["labels"]), spec["level"])

    def backbone_spec(self) -> BackboneSpec:
        """What kind of backbone this is; raises CorruptModel for a card of something else."""
        spec = dict(self._spec("backbone"))
        for name in ("mean", "std", "changes"):
            spec[name] = tuple(spec[name])
        spec["outputs"] = {name: tuple(of) for name, of in spec["outputs"].items()}
        return BackboneSpec(**spec)

    def weights(self) -> dict[str, Array]:
        """Return its tensors by name; raises CorruptModel where they cannot be read."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self.folder / WEIGHTS
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise CorruptModel(str(path), "a safetensors file", str(error)) from error

    def _spec(self, kind: str) -> Mapping[str, Any]:
        if self.card["kind"] != kind:
            raise CorruptModel(str(self.folder), f"a {kind}", f"a {self.card['kind']}")
        spec: Mapping[str, Any] = self.card["spec"]
        return spec


def names(kind: str | None = None) -> list[str]:
    """Return the names of the models that are here, of one kind or of all."""
    folders = [EMBEDDED, cache_dir() / "models"]
    cards = [card for folder in folders for card in sorted(folder.glob("*/card.json"))]
    return [c.parent.name for c in cards if kind is None or _read_card(c)["kind"] == kind]


def load(name: str | Path) -> Model:
    """Return the model of that name, or in that folder, after its files have been checked.

    Raises ModelNotFound; CorruptModel where a file is missing or has another SHA-256.
    """
    folder = _find(str(name))
    card = _read_card(folder / "card.json")
    for file, expected in card["files"].items():
        _verify(folder, file, str(expected))
    return Model(folder, card)


def save(
    folder: Path, card: Mapping[str, Any], weights: Mapping[str, Array], *, half: bool = False
) -> Model:
    """Write a model folder and return it; `files` of the card is filled in here.

    The folder is made under another name and renamed, so that half a model is never seen.
    half: floating tensors are stored in 16 bits
    """
    import numpy as np
    from safetensors.numpy import save_file

    dtype = np.float16 if half else np.float32
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        raise OutputError(str(folder), "is there already; remove it or choose another name")
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        arrays = {k: np.ascontiguousarray(v, dtype) for k, v in sorted(weights.items())}
        save_file(arrays, part / WEIGHTS)
        write_card(part, card)
        (part / WEIGHTS).chmod(0o644)
        part.chmod(0o755)
        part.rename(folder)
    except OSError as error:
        raise OutputError(str(folder), error.strerror or str(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # gone already if all went well
    return load(folder)


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write `card.json` with the sums of the files that lie in `folder` now."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".onnx"))
    whole = {**card, "files": {p.name: sha256(p) for p in files}}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    part = folder / ".card.json.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / "card.json")


def _find(name: str) -> Path:
    here = [Path(name)] if os.sep in name or (Path(name) / "card.json").is_file() else []
    for folder in (*here, EMBEDDED / name, cache_dir() / "models" / name):
        if (folder / "card.json").is_file():
            return folder
    raise ModelNotFound(name, names())


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptModel(str(path), "a card in JSON", str(error)) from error
    kinds = {"kind": str, "name": str, "spec": dict, "files": dict}
    for key, kind in kinds.items():
        if not isinstance(card, dict) or not isinstance(card.get(key), kind):
            raise CorruptModel(str(path), f"a card with {', '.join(kinds)}", f"no {key}")
    whole: dict[str, Any] = card
    return whole


def _verify(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if name != os.path.basename(name):
        raise CorruptModel(str(path), "a plain file name", repr(name))
    if not path.is_file():
        raise CorruptModel(str(path), f"a file of SHA-256 {expected[:12]}", "no file")
    got = sha256(path)
    if got != expected:
        raise CorruptModel(str(path), f"SHA-256 {expected[:12]}", got[:12])
