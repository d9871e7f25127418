"""Published data sets of clips: a folder as it was unpacked goes in, labelled clips come out.

    dataset = read_dataset("ravdess", "RAVDESS", fold=1)
    dataset.clips[0]  # Clip(path, label='neutral', split='test', subject='01')

A data set is a module of this package that has LAYOUTS: each a function that yields clips, and
what is to be known of them. Whatever stands here is found; no list names it. Labels go by their
names, in the words and order of the set in videmo.labels. No video is opened: a folder is walked
once, and only files small enough to be a git-lfs pointer are looked into. A folder that holds
pictures alone is one clip, for the decoder of folders reads it.

Where facts come from: the sets' own READMEs where they are public (CREMA-D, MELD, RAVDESS), and
the readers that others have published (sunlicai/MAE-DFER: `preprocess/` and `saved/data/`; the
notebooks of HSEmotion). AFEW, VGAF, DFEW, FERV39k, MAFW and eNTERFACE'05 are under agreements:
their readers have met trees of the same names only. EmotiW scores AFEW and VGAF by accuracy, MELD
has weighted F1 (Poria et al. 2019), the others UAR and then WAR, which is accuracy (MAE-DFER,
engine_for_finetuning.py).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from videmo.errors import UnknownName
from videmo.evaluate import EvaluationProtocol
from videmo.runs.inputs import Clip
from videmo.train.datasets.files import first_few
from videmo.train.datasets.reader import DatasetReader, Layout

__all__ = ["DATASETS", "Dataset", "Layout", "protocol_of", "read_dataset"]


def _layouts() -> dict[str, Layout]:
    """Return the layouts of every module here: alphabetical, and `yours` last."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return {k: v for module in modules for k, v in getattr(module, "LAYOUTS", {}).items()}


DATASETS = _layouts()


@dataclass(frozen=True)
class Dataset:
    """A data set of labelled clips."""

    name: str
    labels: tuple[str, ...]  # in their published order; of your own folders and lists, sorted
    metric: str  # the official one, as in metrics.shares: accuracy, uar or weighted_f1
    clips: tuple[Clip, ...]  # each with a label; split is train, val, test, or None (no such)
    notes: tuple[str, ...] = ()  # one line each: what was left out, what is not as published
    missing: tuple[str, ...] = ()  # clips that its lists name and that are not there

    @property
    def shared(self) -> tuple[str, ...]:
        """The subjects that are in more than one split, as MELD's speakers are."""
        splits: dict[str, set[str | None]] = {}
        for clip in self.clips:
            if clip.subject is not None:
                splits.setdefault(clip.subject, set()).add(clip.split)
        return tuple(sorted(subject for subject, of in splits.items() if len(of) > 1))


def protocol_of(name: str) -> EvaluationProtocol:
    """Return how a published data set is judged; raises UnknownName."""
    published = [known for known, layout in DATASETS.items() if layout.labels]
    if name not in published:
        raise UnknownName("protocol", name, published)
    layout = DATASETS[name]
    clips = layout.sizes.get(layout.judged or "")
    return EvaluationProtocol(name, layout.metrics, layout.judged, clips)


def read_dataset(name: str, root: str | os.PathLike[str], fold: int | None = None) -> Dataset:
    """Return the clips of a data set with label, split and subject, in a fixed order.

    name: a key of DATASETS
    root: the folder that it was unpacked to; of "manifest" the CSV file
    fold: of a cross-validated set, from 1: its clips are the split test, all others train.
        Without it such a set has no split (None), to be parted by subject where there are some.
        A list with subjects and no split is parted into five, whole subjects in each.

    Raises UnknownName, ManifestError(path, line) for a row of a list, and InputError where the
    folders are not those of the set or videos are git-lfs pointers.
    """
    if name not in DATASETS:
        raise UnknownName("data set", name, DATASETS)
    layout = DATASETS[name]
    reader = DatasetReader(name, layout, os.fspath(root), fold)
    clips = tuple(layout.read(reader))
    if not clips:
        raise reader.unexpected()
    labels = reader.labels or tuple(sorted({clip.label or "" for clip in clips}))
    notes = [
        *reader.notes,
        *_missing_labels(clips, labels),
        *_unexpected_sizes(clips, layout.sizes),
    ]
    if reader.missing:
        count = len(reader.missing)
        notes.insert(0, f"in its lists and not there ({count}): {first_few(reader.missing)}")
    return Dataset(name, labels, layout.metrics[0], clips, tuple(notes), tuple(reader.missing))


def _missing_labels(clips: Iterable[Clip], labels: Sequence[str]) -> Iterator[str]:
    """Yield a note for each split that lacks a label."""
    counts = Counter((clip.split, clip.label) for clip in clips)
    for split in sorted({split for split, _ in counts}, key=str):
        lacking = [label for label in labels if not counts[split, label]]
        if lacking:
            yield f"no clip {f'of {split} ' if split else ''}is labelled {' or '.join(lacking)}"


def _unexpected_sizes(clips: Sequence[Clip], published: Mapping[str, int]) -> Iterator[str]:
    """Yield a note for each split whose number of clips is not the published one."""
    for split, expected in published.items():
        there = sum(not split or clip.split == split for clip in clips)
        if there != expected:
            yield f"clips{f' of {split}' if split else ''}: {there} here, {expected} published"
