"""Models on disk: one folder each, `card.json` beside the files it vouches for.

A name or a folder goes in, a `Model` whose files have been checked comes out, and the other way.

A card is JSON with `kind` (backbone or head), `name`, `spec`, `files` (name -> SHA-256), for a
head the whole `recipe` it was trained with, for a backbone perhaps the stages of one that it is
at its best with, and what a reader wants to know: `trained`, `measured`, `license`, `source`,
`intended`, `limits`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from videmo.data import Array
from videmo.errors import (
    CorruptModel,
    InputError,
    ModelError,
    ModelNotFound,
    OutputError,
    UnknownName,
)
from videmo.files import cache_dir, sha256
from videmo.files.download import checked_name
from videmo.files.scratch import scratch
from videmo.recipe import Recipe
from videmo.stages.budget import Budget
from videmo.stages.embed import BackboneSpec
from videmo.stages.heads import Head, HeadSpec, make_head
from videmo.stages.heads.attributes import EMOTION
from videmo.stages.heads.prior import ClassShares
from videmo.store import cards
from videmo.store.cards import is_plain, read_card
from videmo.store.tensors import read_tensors

EMBEDDED = Path(__file__).parents[1] / "models"
CARD, WEIGHTS = "card.json", "weights.safetensors"
PUBLISHED = {"detector": "mtcnn", "faces": "largest"}  # how faces were found for those networks


@dataclass(frozen=True)
class Model:
    """A folder whose files are what its card says."""

    folder: Path
    card: Mapping[str, Any]
    digest: str = ""  # its `sha256`, where the card was changed since

    @property
    def name(self) -> str:
        """The name it is found by."""
        return str(self.card["name"])

    @property
    def sha256(self) -> str:
        """The SHA-256 of all that decides its answers, in hex: the same of the JSON of its spec, of
        a head's recipe, and of the sums of its files, graph and weights among them."""
        return self.digest or _digest(self.card)

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of its weights alone, by which recipes of 0.1.0 know it."""
        return str(self.card["files"][WEIGHTS])

    def is_meant(self, sha256: str) -> bool:
        """Return whether a recipe or a record of it has this sum."""
        return sha256 in (self.sha256, self.weights_sha256)

    @property
    def handle(self) -> str:
        """What `load` finds it by: its name where that leads here, else its folder."""
        for folder in _candidates(self.name):
            if (folder / CARD).is_file() and folder.samefile(self.folder):
                return self.name
        inner = os.sep in str(self.folder)
        return str(self.folder) if inner else os.path.join(os.curdir, self.folder)

    @property
    def recipe(self) -> Recipe:
        """How descriptors are made: those a head was trained with, or a backbone's own.

        Of a backbone whose card does not say it, every frame's largest face is found by MTCNN
        and cut out as the published networks want it: the tight box, not aligned, stretched to
        their square.

        Raises ModelError where the card of a head does not say it.
        """
        if self.card["kind"] == "backbone":
            return self._own_recipe()
        if "recipe" not in self.card:
            raise ModelError(
                f"{self.name}: learned from a table of numbers, so its card has no recipe by which "
                "a clip becomes such a row; choose a head that was trained on clips"
            )
        return Recipe.from_dict(self.card["recipe"])

    def as_head(self) -> Model:
        """Return what answers for a clip: a head itself; of a backbone, what it says of faces.

        A backbone's own answer is the mean over the faces of the probabilities of its output
        "emotion". Raises ModelError for a backbone that has no such output.
        """
        if self.card["kind"] != "backbone":
            return self
        outputs = self.backbone_spec().outputs
        if EMOTION not in outputs:
            raise ModelError(
                f"backbone {self.name} names no emotion, it has {', '.join(['features', *outputs])}"
                f"; train a head on videmo extract-features --backbone {self.name}"
            )
        pooling = {"stats": ("mean",), "within": (), "normalise": None, "of": EMOTION}
        recipe = self.recipe.with_changes(pooling=pooling).to_dict()
        spec = {"type": "given", "level": "clip", "labels": [*outputs[EMOTION]]}
        card = {**self.card, "kind": "head", "spec": spec, "recipe": recipe}
        return replace(self, card=card, digest=self.sha256)

    def head_spec(self) -> HeadSpec:
        """What kind of head this is; raises CorruptModel for a card of something else."""
        with self._understood():
            return cards.head_spec(self._spec("head"))

    def backbone_spec(self) -> BackboneSpec:
        """What kind of backbone this is; raises CorruptModel for a card of something else."""
        with self._understood():
            return cards.backbone_spec(self._spec("backbone"))

    def head(self) -> Head:
        """Return the head, over its arrays; raises CorruptModel where they do not fit its card."""
        spec = self.head_spec()
        try:
            return make_head(spec, {} if spec.type == "given" else self.weights())
        except (ValueError, UnknownName) as error:
            raise CorruptModel(str(self.folder), "a sound head", str(error)) from error

    def shares(self, output: str) -> ClassShares:
        """Return how common the labels of an output were in the training; raises ModelError."""
        labels, told = self.backbone_spec().outputs[output], self.card.get("shares", {})
        return ClassShares.of_card(told.get(output), labels, self.name)

    def budget(self) -> Budget:
        """Return how sure its answers from some of the frames must be, as its card says.

        Raises ModelError where it does not say it, or says that it is not worth it.
        """
        told = self.card.get("budget")
        if not isinstance(told, Mapping) or not told.get("strides"):
            why = str(told["note"]) if isinstance(told, Mapping) and told.get("note") else (
                "its card does not tell how sure an answer from some of the frames must be"
            )  # fmt: skip
            raise ModelError(f"{self.name}: budget=fast is not for it: {why}; use budget=exact")
        facts = {key: told[key] for key in ("strides", "leads", "fewest") if key in told}
        return Recipe.from_dict({**self.recipe.to_dict(), "budget": facts}).budget

    def weights(self) -> dict[str, Array]:
        """Return its tensors by name; raises CorruptModel where they cannot be read."""
        path = self.folder / WEIGHTS
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CorruptModel(str(path), "a safetensors file", str(error)) from error
        return read_tensors(str(path), content)

    def _own_recipe(self) -> Recipe:
        size, stages = self.backbone_spec().input_size, self.card.get("recipe", {})
        if not isinstance(stages, Mapping):
            raise CorruptModel(str(self.folder), "stages of a recipe", type(stages).__name__)
        published = {"detection": PUBLISHED, "cropping": {"size": size}}
        here = {"backbone": self.handle, "backbone_sha256": self.sha256}
        return Recipe.from_dict({**published, **stages, **here})

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn what goes wrong with a spec that is not whole into CorruptModel."""
        try:
            yield
        except (ValueError, InputError) as error:
            raise CorruptModel(str(self.folder / CARD), "a sound spec", str(error)) from error

    def _spec(self, kind: str) -> Mapping[str, Any]:
        if self.card["kind"] != kind:
            raise CorruptModel(str(self.folder), f"a {kind}", f"a {self.card['kind']}")
        spec: Mapping[str, Any] = self.card["spec"]
        return spec


def folders() -> list[Path]:
    """Return the folders of the models that are here, the embedded ones first."""
    places = [EMBEDDED, cache_dir() / "models"]
    cards = [card for place in places for card in sorted(place.glob("*/card.json"))]
    return [card.parent for card in cards if not card.parent.name.startswith(".")]


def names(kind: str | None = None) -> list[str]:
    """Return the names of the models that are here, of one kind or of all whose card is sound."""
    return [folder.name for folder in folders() if kind is None or _kind(folder) == kind]


def verify(folder: Path) -> tuple[str, str]:
    """Return "ok", "corrupt" or "missing" for a model's files, all read, and in words why."""
    try:
        model = load(folder)
        if model.card["kind"] == "head":
            model.head()
    except CorruptModel as error:
        return ("corrupt" if os.path.exists(error.path) else "missing"), str(error)
    except ModelNotFound:
        return "missing", f"{folder}: no model"
    return "ok", ""


def remove(name: str) -> Path:
    """Remove an installed model, at once for everybody else, and return its folder.

    Raises InputError for one that is part of the package, ModelNotFound, OutputError.
    """
    if name in (folder.name for folder in EMBEDDED.glob("*")):
        raise InputError(f"{name}: is part of the package; it cannot be removed alone")
    folder = cache_dir() / "models" / checked_name(name)
    if not folder.is_symlink() and not folder.is_dir():
        raise ModelNotFound(name, names())
    gone = folder.with_name(f".{name}.{secrets.token_hex(4)}")
    try:
        folder.rename(gone)
        gone.unlink() if gone.is_symlink() else shutil.rmtree(gone)
    except OSError as error:
        raise OutputError(str(folder), f"cannot be removed ({error.strerror})") from error
    return folder


def load(name: str | Path) -> Model:
    """Return the model of that name, or in that folder, after its files have been checked.

    name: a name; or a folder, as a Path, or as text with a separator or a dot in front
    Raises ModelNotFound; CorruptModel where a file is missing or has another SHA-256, or the card
    is not sound.
    """
    folder = find_folder(name)
    card = read_card(folder / CARD)
    if WEIGHTS not in card["files"]:
        raise CorruptModel(str(folder / CARD), f"the sum of {WEIGHTS}", "none")
    for file, expected in card["files"].items():
        _verify(folder, file, str(expected))
    return Model(folder, card)


def save(
    folder: Path,
    card: Mapping[str, Any],
    weights: Mapping[str, Array],
    *,
    half: bool = False,
    overwrite: bool = False,
) -> Model:
    """Write a model folder and return it; `files` of the card is filled in here.

    The folder is made under another name and renamed, so that half a model is never seen.
    half: floating tensors are stored in 16 bits
    overwrite: replace a model that is there
    """
    import numpy as np
    from safetensors.numpy import save_file

    dtype = np.float16 if half else np.float32
    folder.parent.mkdir(parents=True, exist_ok=True)
    check_free(folder, overwrite=overwrite)
    try:
        with scratch(folder.parent) as room:
            part = Path(room) / folder.name
            part.mkdir()
            arrays = {k: np.ascontiguousarray(v, dtype) for k, v in sorted(weights.items())}
            save_file(arrays, part / WEIGHTS)
            write_card(part, card)
            (part / WEIGHTS).chmod(0o644)
            part.chmod(0o755)
            put_in_place(part, folder)
    except OSError as error:
        raise OutputError(str(folder), error.strerror or str(error)) from error
    return load(folder)


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Raise OutputError for a folder that is there, unless it is a model that may be replaced."""
    if folder.exists() and not overwrite:
        raise OutputError(str(folder), "is there already; give --overwrite or another name")
    if folder.exists() and not (folder / "card.json").is_file():
        raise OutputError(str(folder), "is no model, and is not replaced; choose another name")


def put_in_place(part: Path, folder: Path) -> None:
    """Give a folder its name; a model that had it goes, whole, once the new one is there."""
    if not folder.exists():
        part.rename(folder)
        return
    with scratch(folder.parent) as aside:
        folder.rename(Path(aside) / folder.name)
        part.rename(folder)


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write `card.json` with the sums of the files that lie in `folder` now."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".onnx"))
    whole = {**card, "files": {p.name: sha256(p) for p in files}}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    part = folder / ".card.json.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / CARD)


def is_path(name: str | Path) -> bool:
    """Return whether what stands for a model is a folder: a name becomes a path only where it is
    written as one, with a separator or a dot in front."""
    if isinstance(name, Path):
        return True
    marks = {os.sep, os.altsep or os.sep}
    return name.startswith(".") or any(mark in name for mark in marks)


def folder_called(name: str) -> str:
    """Return how a model's folder of that name in the working folder is to be written, or nothing.

    It is never taken for the name: whoever shares a folder of clips could plant one there.
    """
    there = is_plain(name) and (Path(name) / CARD).is_file()
    return os.path.join(os.curdir, name) if there else ""


def find_folder(name: str | Path) -> Path:
    """Return the folder of a model, which is not looked at; raises ModelNotFound."""
    for folder in _candidates(name):
        if (folder / CARD).is_file():
            return folder
    if is_path(name):
        raise ModelNotFound(str(name), names(), why="no folder with a card.json is there")
    here = folder_called(str(name))
    step = f"write {here} for the folder of that name" if here else ""
    raise ModelNotFound(str(name), names(), step=step)


def _candidates(name: str | Path) -> list[Path]:
    """Return the folders that a name may mean, the first of which that is there it does."""
    if is_path(name):
        return [Path(name)]
    return [EMBEDDED / name, cache_dir() / "models" / name] if is_plain(name) else []


def _kind(folder: Path) -> str:
    try:
        return str(read_card(folder / CARD)["kind"])
    except CorruptModel:
        return ""


def _digest(card: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what decides a model's answers; of a path only its name counts."""
    facts = {key: card[key] for key in ("kind", "spec", "files")}
    if card["kind"] == "head" and isinstance(recipe := card.get("recipe"), Mapping):
        facts["recipe"] = {**recipe, "backbone": os.path.basename(str(recipe.get("backbone")))}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _verify(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if not path.is_file():
        raise CorruptModel(str(path), f"a file of SHA-256 {expected[:12]}", "no file")
    got = sha256(path)
    if got != expected:
        raise CorruptModel(str(path), f"SHA-256 {expected[:12]}", got[:12])
