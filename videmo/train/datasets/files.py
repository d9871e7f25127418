"""The files of a data set: a folder is walked once, clips on the disk come out; none is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from videmo.errors import InputError
from videmo.runs.inputs import VIDEO_SUFFIXES, is_folder
from videmo.stages.decode import PICTURE_SUFFIXES
from videmo.stages.decode.probe import LFS_POINTER

SPLITS = {  # names of folders
    "train": "train", "training": "train", "train_afew": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "val_afew": "val",
    "test": "test", "testing": "test", "test_afew": "test",
}  # fmt: skip
_POINTER = 1024  # bytes; a git-lfs pointer is smaller (git-lfs, docs/spec.md)


@dataclass(frozen=True)
class ClipFile:
    """A clip on the disk: a video file, or a folder that holds pictures alone."""

    path: str
    inside: tuple[str, ...]  # its name and the folders above it, from the folder walked
    size: int | None  # bytes, None for a folder

    @property
    def stem(self) -> str:
        """Its name without the suffix of a video."""
        return self.inside[-1] if self.size is None else clip_stem(self.inside[-1])


def walk(top: str) -> Iterator[ClipFile]:
    """Yield the clips below `top`; what is hidden is passed over."""
    todo = [(tuple[str, ...](), frozenset[tuple[int, int]]())]
    while todo:
        inside, above = todo.pop()
        place, pictures, kept = os.path.join(top, *inside), False, False
        entries, here = _visible_entries(place), os.stat(place)
        key = here.st_dev, here.st_ino
        if key in above:
            continue  # a link to a folder that we are in
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1].lower()
            if is_folder(entry):
                kept = True
                todo.append(((*inside, entry.name), above | {key}))
            elif suffix in VIDEO_SUFFIXES:
                kept = True
                yield ClipFile(entry.path, (*inside, entry.name), file_size(entry.path))
            pictures = pictures or suffix in PICTURE_SUFFIXES
        if inside and pictures and not kept:
            yield ClipFile(place, inside, None)


def refuse_pointers(top: str, videos: Sequence[ClipFile]) -> None:
    """Raise InputError where git-lfs left a pointer in the place of a video."""
    small = [clip for clip in videos if 0 < (clip.size or 0) < _POINTER]
    pointers = [clip for clip in small if _first_bytes(clip.path) == LFS_POINTER]
    if pointers:
        names = first_few(["/".join(clip.inside) for clip in pointers])
        raise InputError(
            f"{top}: git-lfs pointers in the place of videos "
            f"({len(pointers)} of {len(videos)}): {names}; run git lfs pull there"
        )


def empty_folders(top: str) -> list[str]:
    """Return the folders of `top`, and of its splits, that hold nothing."""
    folders = [name for name in names_in(top) if os.path.isdir(os.path.join(top, name))]
    splits = [name for name in folders if name.casefold() in SPLITS]
    folders += [f"{up}/{name}" for up in splits for name in names_in(os.path.join(top, up))]
    places = {name: os.path.join(top, name) for name in folders}
    return [name for name, way in places.items() if os.path.isdir(way) and not names_in(way)]


def find_child(place: str, name: str) -> str | None:
    """Return the file or folder of this name, or of one that differs in case."""
    if not os.path.isdir(place):
        return None
    same = [other for other in names_in(place) if other.casefold() == name.casefold()]
    return os.path.join(place, name if name in same else min(same)) if same else None


def names_in(place: str) -> list[str]:
    """Return the names in a folder but the hidden; raises InputError where it cannot be read."""
    return [entry.name for entry in _visible_entries(place)]


def file_size(path: str) -> int:
    """Return the bytes of a file, -1 for a link to nowhere, as reading it will tell."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def clip_stem(name: str) -> str:
    """Return a name without the suffix of a video; other dots are part of it."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES else name


def first_few(names: Sequence[str], shown: int = 3) -> str:
    """Return the first of these names, for a note of one line."""
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def _visible_entries(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(
            f"{place}: the folder cannot be read ({said}); change its permissions"
        ) from error


def _first_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(len(LFS_POINTER))
    except OSError:
        return b""
