"""All models there are to choose from: in the package, installed, in the cache, published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from videmo import store
from videmo.errors import ModelError, ModelNotFound
from videmo.files import cache_dir
from videmo.files.checksums import read_sum, verify_file
from videmo.files.download import Download, checked_name, files_dir
from videmo.files.fetch import remove_download
from videmo.files.wheels import BUNDLED, built_in
from videmo.stages.detect import MEASURED
from videmo.stages.embed import BackboneSpec
from videmo.stages.registry import resolve
from videmo.store.zoo import ZOO, PublishedModel

STATES = ("embedded", "installed", "cached", "published")

DETECTOR_FILES = {  # what is fetched for a detector whose weights are in no package
    "retinaface-mobilenet": "videmo.stages.detect.mobilenet:FILE",
    "centerface": "videmo.stages.detect.centerface:FILE",
    "retinaface-resnet50": "videmo.stages.detect.retinaface:FILE",
}


MTCNN = "mtcnn"  # its weights are in the package of that name


@dataclass(frozen=True)
class CatalogueEntry:
    """A model as far as it is here."""

    name: str
    state: str  # the nearest of STATES that holds, or elsewhere, of a folder that was named
    kind: str  # "backbone", "head", "engagement", "detector", "file", "" where no card tells it
    folder: Path | None = None  # of the model
    file: Path | None = None  # in the cache, as it was fetched
    card: Mapping[str, Any] = field(default_factory=dict)
    published: PublishedModel | None = None


def entries() -> list[CatalogueEntry]:
    """Return all there is: embedded, installed, then detectors, published, and other files."""
    here = {folder.name: _of_folder(folder) for folder in reversed(store.folders())}
    names = [*reversed(here), *(n for n in (MTCNN, *DETECTOR_FILES, *ZOO) if n not in here)]
    known = {download_of(name).name for name in (*DETECTOR_FILES, *ZOO)}
    others = [path for path in cached_files() if path.name not in known]
    return [
        *(here.get(name) or _of_name(name) for name in names),
        *(CatalogueEntry(path.name, "cached", "file", file=path) for path in others),
    ]


def entry(name: str) -> CatalogueEntry:
    """Return the model, detector or cached file of that name; raises ModelNotFound, InputError."""
    found = {one.name: one for one in entries()}
    found.update({one.file.name: one for one in found.values() if one.file})
    if checked_name(name) not in found:
        near = get_close_matches(name, found)
        here = store.folder_called(name)
        step = "" if near else "videmo models list has those that are here or can be fetched"
        step = f"write {here} for the folder of that name" if here else step
        raise ModelNotFound(name, near or [one.name for one in store.folders()], step=step)
    return found[name]


def entry_or_model(name: str) -> CatalogueEntry:
    """Return the same, or the model in a folder that is written as a path."""
    return _of_folder(store.load(name).folder) if store.is_path(name) else entry(name)


def download_of(name: str) -> Download:
    """Return what is fetched for a published network or a detector; raises ModelNotFound."""
    if name in DETECTOR_FILES:
        file: Download = resolve("detector", DETECTOR_FILES, name)
        return file
    if name not in ZOO:
        raise ModelNotFound(name, (*ZOO, *DETECTOR_FILES))
    row = ZOO[name]
    return Download(row.file, row.urls, row.sha256, row.git_blob)


def path_of(name: str) -> Path:
    """Return the folder of a model, or the file of a detector; raises ModelError, which tells how
    to get it."""
    one = entry(name)
    place = one.file if one.kind in ("detector", "file") else one.folder
    if place is None:
        have = f"only its file is here, {one.file}" if one.file else "it is published, not here"
        raise ModelError(f"{name}: {have}; videmo models pull {name}")
    return place


def verify(names: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Yield a row for each model and cached file that is here, or of those names: all are read.

    name, state ("ok", "corrupt" or "missing"), path, and why where it is not ok
    """
    for one in [entry(name) for name in names] or entries():
        places = [(one.folder, store.verify), (one.file, verify_file)]
        rows = [(str(place), *look(place)) for place, look in places if place]
        if names and not rows and one.state == "published":
            rows = [
                (str(files_dir() / download_of(one.name).name), "missing", f"{one.name}: not here")
            ]
        for place, state, why in rows:
            yield {"name": one.name, "state": state, "path": place, "why": why}


def remove(name: str) -> list[Path]:
    """Remove an installed model and its cached file, or either; return what was there.

    Raises InputError for an embedded model, ModelNotFound, OutputError.
    """
    one = entry(name)
    if one.file and one.file.name == name != one.name:
        return remove_download(one.file)  # its file alone was named
    gone = [store.remove(name)] if one.folder else []
    file = one.file or (files_dir() / download_of(name).name if one.published else None)
    gone += remove_download(file) if file else []
    if not gone:
        raise ModelError(f"{name}: it is published, not here; there is nothing to remove")
    return gone


def cached_files() -> list[Path]:
    """Return the fetched files, without what is unfinished and the sums beside them."""
    there = (path for path in files_dir().glob("*") if path.is_file())
    return sorted(path for path in there if path.name[0] != "." and path.suffix != ".sha256")


def describe(one: CatalogueEntry) -> dict[str, Any]:
    """Return what is known of a model, for JSON: as of its card, or as it was published."""
    card, row = one.card, one.published
    spec = _spec(one)
    said: dict[str, Any] = {
        "name": one.name, "state": one.state, "kind": one.kind,
        "about": card.get("about") or (row.about if row else ""),
        **spec,
        "license": card.get("license") or (row.terms if row else None),
        "folder": str(one.folder) if one.folder else None,
        "file": str(one.file) if one.file else None,
        "sha256": dict(card.get("files") or {}) or (read_sum(one.file) if one.file else None),
    }  # fmt: skip
    if measured := card.get("measured") or MEASURED.get(one.name):
        said["measured"] = measured
    if row or one.name in DETECTOR_FILES:
        source = download_of(one.name)
        said["published"] = {
            "file": source.name, "urls": list(source.urls), "sha256": source.sha256 or None,
            "git_blob": source.git_blob or None, "format": row.format if row else None,
            "colour": row.colour if row else None,
            "figures": [asdict(figure) for figure in row.figures] if row else [],
        }  # fmt: skip
    return said


def _spec(one: CatalogueEntry) -> dict[str, Any]:
    """Return what a program must know to use it: architecture, labels, size, colours."""
    spec = one.card.get("spec") or {}
    if one.card.get("kind") == "head":
        return {"outputs": {str(spec.get("level")): spec.get("labels")}}
    specs: Sequence[BackboneSpec] = one.published.specs if one.published else ()
    if not spec and not specs:
        return {"outputs": {}}
    if not spec:
        spec = asdict(specs[0])
    names = ("architecture", "outputs", "dim", "input_size", "mean", "std")
    said = {name: spec.get(name) for name in names}
    if not one.card and len(specs) > 1:  # which of them, only the tensors tell
        said.update(architecture=[each.architecture for each in specs], dim=None)
    return {**said, "colour": "rgb"}


def _of_folder(folder: Path) -> CatalogueEntry:
    """Return the entry of a model that is here, also of one whose card cannot be read."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        kind = str(card["kind"])
    except (OSError, ValueError, TypeError, KeyError):
        card, kind = {}, ""
    name = folder.name
    places = {store.EMBEDDED: "embedded", cache_dir() / "models": "installed"}
    state = places.get(folder.parent, "elsewhere")
    return CatalogueEntry(name, state, kind, folder, _cached_file(name), card, ZOO.get(name))


def _of_name(name: str) -> CatalogueEntry:
    """Return the entry of a published network or detector that is at most a file here."""
    if name == MTCNN or name in _built_in():
        return CatalogueEntry(name, "embedded", "detector")
    file, row = _cached_file(name), ZOO.get(name)
    return CatalogueEntry(
        name, "cached" if file else "published", row.kind if row else "detector", file=file,
        published=row,
    )  # fmt: skip


def _built_in() -> list[str]:
    """Return the names of the networks of others that the build laid beside the package."""
    return [packed.name for packed in BUNDLED if built_in(packed)]


def _cached_file(name: str) -> Path | None:
    if name not in ZOO and name not in DETECTOR_FILES:
        return None
    path = files_dir() / download_of(name).name
    return path if path.is_file() else None
