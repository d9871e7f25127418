"""Clips of your own: folders whose names are the labels, or a CSV manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from videmo.errors import InputError
from videmo.runs.inputs import Clip, read_manifest
from videmo.train.datasets.files import SPLITS, ClipFile, empty_folders, file_size, refuse_pointers
from videmo.train.datasets.lists import as_number
from videmo.train.datasets.reader import DatasetReader, Layout

SUBJECT_FOLDS = 5  # of a manifest with subjects and no split


def _folders(reader: DatasetReader) -> Iterator[Clip]:
    """Read <split>/<label>/... or <label>/...: the names of the folders are the labels."""
    clips, others = list[Clip](), list[str]()
    for clip in reader.walk():
        split = SPLITS.get(clip.inside[0].casefold()) if len(clip.inside) > 1 else None
        label, *rest = clip.inside[1 if split else 0 :]
        if rest:
            clips.append(Clip(clip.path, label=label, split=split))
        elif clip.size is None:
            raise InputError(
                f"{clip.path}: pictures lie right in the folder of a class; "
                "give each clip a folder of its own below it"
            )
        else:
            others.append("/".join(clip.inside))
    reader.note(others, "in no folder of a class, left out")
    reader.note(empty_folders(reader.root), "folders that hold nothing")
    return iter(_check_layout(reader.root, clips))


def _check_layout(root: str, clips: list[Clip]) -> list[Clip]:
    """Return the clips; raises InputError where splits or the case of letters are mixed."""
    if len({clip.split is None for clip in clips}) > 1:
        raise InputError(
            f"{root}: folders of splits lie beside folders of classes; "
            "put every class into train, val or test, or none"
        )
    spelled: dict[str, str] = {}
    for label in sorted({clip.label or "" for clip in clips}):
        other = spelled.setdefault(label.casefold(), label)
        if other != label:
            raise InputError(f"{root}: {other} and {label} differ by case alone; rename one")
    return clips


def _manifest(reader: DatasetReader) -> Iterator[Clip]:
    """Read a CSV with path,label[,split][,subject][,start][,end]."""
    clips = read_manifest(reader.root)
    bare = next((clip for clip in clips if clip.label is None), None)
    if bare:
        raise InputError(f"{reader.root}: {bare.path} has no label; fill the column 'label'")
    there = [(clip, file_size(clip.path)) for clip in clips if os.path.exists(clip.path)]
    if clips and not there:
        raise InputError(
            f"{reader.root}: none of its {len(clips)} clips is there, such as {clips[0].path}; "
            "relative paths start at the folder of the list"
        )
    files = [ClipFile(c.path, (os.path.basename(c.path),), size) for c, size in there if size]
    refuse_pointers(reader.root, files)
    gone = {clip.path for clip in clips} - {clip.path for clip, _ in there}
    reader.note(sorted(gone), "not there, which their records will say")
    return iter(clips if reader.fold is None else _by_subject(reader, clips))


def _by_subject(reader: DatasetReader, clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips with the splits of a fold that parts no subject."""
    bare = next((clip for clip in clips if clip.subject is None or clip.split), None)
    if bare:
        why = f"the split {bare.split}" if bare.split else "no subject"
        raise InputError(
            f"{reader.root}: {bare.path} has {why}; "
            "folds want a column 'subject', filled, and no column 'split'"
        )
    subjects = sorted({clip.subject or "" for clip in clips}, key=_natural_key)
    of = {subject: n % SUBJECT_FOLDS + 1 for n, subject in enumerate(subjects)}
    return [
        replace(clip, split="test" if of[clip.subject or ""] == reader.fold else "train")
        for clip in clips
    ]


def _natural_key(name: str) -> tuple[bool, int | str]:
    """Return a key that sorts numbers as numbers, before words."""
    key = as_number(name)
    return isinstance(key, str), key


LAYOUTS = {
    "folders": Layout(
        _folders,
        labels="",
        metrics=("accuracy",),
        wants="<split>/<label>/clip.mp4 or <label>/clip.mp4, the splits called train, val, test",
        remark="<split>/<label>/clip.mp4",
    ),
    "manifest": Layout(
        _manifest,
        labels="",
        metrics=("accuracy",),
        wants="a CSV file with path,label[,split][,subject][,start][,end]",
        folds=SUBJECT_FOLDS,
        file=True,
        remark="a CSV",
    ),
}
