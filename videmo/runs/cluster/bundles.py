"""The models and files that a pipeline's spec names, sent to machines that lack them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from videmo import store
from videmo.errors import CorruptModel
from videmo.files import cache_dir, sha256
from videmo.recipe import Recipe
from videmo.runs.cluster.connection import ray_library
from videmo.runs.worker import PipelineSpec


@dataclass(frozen=True)
class Bundle:
    """A file or a model's folder that a spec names, with its content for other machines."""

    place: str
    files: Mapping[str, tuple[str, Any]]  # name -> SHA-256, reference to the bytes

    def is_in(self, folder: Path) -> bool:
        """Return whether these very files are in a folder."""
        return all(
            (folder / name).is_file() and sha256(folder / name) == expected
            for name, (expected, _) in self.files.items()
        )

    def unpack(self, folder: Path) -> Path:
        """Write the files into a new folder, and return it; raises CorruptModel."""
        folder.mkdir(parents=True)
        for name, (_, ref) in self.files.items():
            (folder / name).write_bytes(ray_library().get(ref))
        if not self.is_in(folder):
            raise CorruptModel(self.place, "the files that were sent", "others")
        return folder


def bundles_of(spec: PipelineSpec, put: Any) -> dict[str, Bundle]:
    """Return what a spec names, packed: head, backbone and the detector's own weights."""
    bundles, recipe = {}, _recipe(spec)
    models = {"head": spec.head, "backbone": recipe.backbone if recipe else None}
    for role, name in models.items():
        if name:
            model = store.load(name)
            files = ["card.json", *map(str, model.card["files"])]
            bundles[role] = _bundle(name, model.folder, files, put)
    if weights := spec.engine.detector_weights:
        path = Path(weights)
        bundles["detector"] = _bundle(weights, path.parent, [path.name], put)
    return bundles


def _bundle(place: str, folder: Path, names: Iterable[str], put: Any) -> Bundle:
    files = {name: (sha256(folder / name), put((folder / name).read_bytes())) for name in names}
    return Bundle(place, files)


def resolved(
    spec: PipelineSpec, bundles: Mapping[str, Bundle], spare: Callable[[], Path]
) -> PipelineSpec:
    """Return the spec with every file it names where this machine has it; else it is unpacked.

    spare: makes a new folder
    """
    recipe = _recipe(spec)
    for role, bundle in bundles.items():
        name = Path(bundle.place).name
        if role == "detector":
            places = [Path(bundle.place).parent]
        else:
            places = [Path(bundle.place), store.EMBEDDED / name, cache_dir() / "models" / name]
        folder = next(filter(bundle.is_in, places), None)
        folder = folder or bundle.unpack(spare() / name)
        if role == "head":
            spec = replace(spec, head=str(folder))
        elif role == "backbone" and recipe:
            spec = replace(spec, recipe=replace(recipe, backbone=str(folder)))
        else:
            engine = replace(spec.engine, detector_weights=str(folder / name))
            spec = replace(spec, engine=engine)
    return spec


def _recipe(spec: PipelineSpec) -> Recipe | None:
    """Return the recipe of a spec; a stand-in may have none."""
    return spec.recipe
