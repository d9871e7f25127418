"""AFEW of EmotiW: folders of splits and emotions; as videos, or as the aligned faces."""

from __future__ import annotations

from collections.abc import Iterator

from videmo.runs.inputs import Clip
from videmo.train.datasets.files import SPLITS, ClipFile
from videmo.train.datasets.reader import DatasetReader, Layout


def _afew(reader: DatasetReader) -> Iterator[Clip]:
    """Read {Train,Val,Test}_AFEW/<Emotion>/*.avi, also as train/<Emotion> and so on."""
    others = []
    for clip in reader.walk():
        split, label = _place(reader, clip)
        if any(_aligned(part) for part in clip.inside):
            continue
        if split and label:
            yield Clip(clip.path, label=label, split=split)
        else:
            others.append("/".join(clip.inside))  # the test clips, which have no published labels
    reader.note(others, "not in folders of a split and an emotion, left out")


def _afew_aligned(reader: DatasetReader) -> Iterator[Clip]:
    """Read the aligned faces: AlignedFaces_LBPTOP_Points[_Val]/Faces/<clip>/*.jpg.

    A clip is labelled by its video of the same name, or by a folder of an emotion above it.
    """
    found = reader.walk()
    places = [(clip, *_place(reader, clip)) for clip in found]
    known = {(split, c.stem): label for c, split, label in places if c.size is not None and label}
    others = []
    for clip, split, label in places:
        if clip.size is not None or not any(_aligned(part) for part in clip.inside):
            continue
        label = label or known.get((split, clip.stem))
        if split and label:
            yield Clip(clip.path, label=label, split=split)
        else:
            others.append("/".join(clip.inside))
    reader.note(others, "faces without a video of their name that tells the label, left out")


def _place(reader: DatasetReader, clip: ClipFile) -> tuple[str | None, str | None]:
    """Return the split, told by the first folder that names one, and the label, by the last."""
    splits = [SPLITS[part.casefold()] for part in clip.inside[:-1] if part.casefold() in SPLITS]
    label = reader.label(clip.inside[-2]) if len(clip.inside) > 1 else None
    return (splits[0] if splits else None), label


def _aligned(part: str) -> bool:
    return part.casefold().startswith("alignedfaces")


LAYOUTS = {
    "afew": Layout(
        _afew,
        labels="afew7",
        metrics=("accuracy",),
        judged="val",
        wants="Train_AFEW/<Emotion>/*.avi and Val_AFEW/<Emotion>/*.avi",
        sizes={"train": 773, "val": 383},
    ),
    "afew-aligned": Layout(
        _afew_aligned,
        labels="afew7",
        metrics=("accuracy",),
        judged="val",
        wants="Train_AFEW and Val_AFEW with AlignedFaces_LBPTOP_Points[_Val]/Faces/<clip>/*.jpg "
        "beside <Emotion>/<clip>.avi",
        sizes={"train": 773, "val": 383},
    ),
}
