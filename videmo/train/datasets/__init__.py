"""Published data sets of clips: a folder as it was unpacked goes in, labelled clips come out.

    dataset = read_dataset("ravdess", "RAVDESS", fold=1)
    dataset.clips[0]  # Clip(path, label='neutral', split='test', subject='01')

A data set is a function that yields clips and a row of DATASETS. Labels go by their names, in the
words and order of the set in videmo.labels. No video is opened: a folder is walked once, and only
files small enough to be a git-lfs pointer are looked into. A folder that holds pictures alone is
one clip, for the decoder of folders reads it.

Where facts come from: the sets' own READMEs where they are public (CREMA-D, MELD, RAVDESS), and
the readers that others have published (sunlicai/MAE-DFER: `preprocess/` and `saved/data/`; the
notebooks of HSEmotion). AFEW, VGAF, DFEW, FERV39k, MAFW and eNTERFACE'05 are under agreements:
their readers have met trees of the same names only. Not verified: the words of the header of
VGAF's lists (a first row that has no label is passed over, whatever it says), whether a label
of FERV39k's lists always agrees with its folder (the list decides, differences are told), and
where MAFW's archive puts clips other than in data/clips and data/frames.
"""

from __future__ import annotations

import csv
import io
import os
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from videmo.errors import InputError, ManifestError, UnknownName
from videmo.labels import label_set
from videmo.runs.inputs import VIDEO_SUFFIXES, Clip, read_manifest
from videmo.stages.decode import PICTURES
from videmo.stages.decode.files import LFS

SPLITS = {
    "train": "train", "training": "train", "train_afew": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "val_afew": "val",
    "test": "test", "testing": "test", "test_afew": "test",
}  # fmt: skip
SUBJECT_FOLDS = 5  # of a manifest with subjects and no split
_POINTER = 1024  # bytes; a git-lfs pointer is smaller (git-lfs, docs/spec.md)
_SHOWN = 3  # names in a note

# The last subject of each fold, so that a missing actor moves nobody: the folds of MAE-DFER
# (saved/data/{ravdess,crema-d,enterface}/split0*/test.csv).
_RAVDESS_FOLDS = (4, 8, 12, 16, 20, 24)
_CREMA_D_FOLDS = (1018, 1036, 1054, 1072, 1091)
_ENTERFACE_FOLDS = (10, 19, 28, 37, 44)

_RAVDESS = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d-\d\d-\d\d)-(\d\d)")
_CREMA_D = re.compile(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_(?:LO|MD|HI|XX|X)", re.IGNORECASE)
_ENTERFACE = re.compile(r"s_?(\d+)_(an|di|fe|ha|sa|su)_\d+", re.IGNORECASE)
_MELD = re.compile(r"(final_videos_test)?dia(\d+)_utt(\d+)", re.IGNORECASE)

_VGAF_CODES = {"1": "Positive", "2": "Neutral", "3": "Negative"}  # HSEmotion VGAF_train.ipynb
# summaryTable.csv and the third field of a name
_CREMA_D_CODES = {
    "A": "Anger", "D": "Disgust", "F": "Fear", "H": "Happy", "N": "Neutral", "S": "Sad",
    "ANG": "Anger", "DIS": "Disgust", "FEA": "Fear", "HAP": "Happy", "NEU": "Neutral",
    "SAD": "Sad",
}  # fmt: skip
_ENTERFACE_CODES = {
    "an": "anger", "di": "disgust", "fe": "fear", "ha": "happiness", "sa": "sadness",
    "su": "surprise",
}  # fmt: skip
# From the picture that a detector would meet to frames that others have cut and thinned out
_DFEW_CLIPS = ("original", "clip_224x224", "jpg_256", "clip_224x224_avi", "clip_224x224_16f")
_MELD_SPLITS = {  # split -> its list, and the folder of its clips
    "train": ("train_sent_emo.csv", ("train/train_splits", "train_splits", "train")),
    "val": ("dev_sent_emo.csv", ("dev/dev_splits_complete", "dev_splits_complete", "dev")),
    "test": (
        "test_sent_emo.csv",
        ("test/output_repeated_splits_test", "output_repeated_splits_test", "test"),
    ),
}


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


def read_dataset(name: str, root: str | os.PathLike[str], fold: int | None = None) -> Dataset:
    """Return the clips of a data set with label, split and subject, in a fixed order.

    name: a row of DATASETS
    root: the folder that it was unpacked to; of "manifest" the CSV file
    fold: of a cross-validated set, from 1: its clips are the split test, all others train.
        Without it such a set has no split (None), to be parted by subject where there are some.
        A list with subjects and no split is parted into five, whole subjects in each.

    Raises UnknownName, ManifestError(path, line) for a row of a list, and InputError where the
    folders are not those of the set or videos are git-lfs pointers.
    """
    if name not in DATASETS:
        raise UnknownName("data set", name, DATASETS)
    layout, reading = DATASETS[name], Reading(name, os.fspath(root), fold)
    reading.check()
    clips = tuple(layout.read(reading))
    if not clips:
        raise reading.wrong()
    labels = reading.labels or tuple(sorted({clip.label or "" for clip in clips}))
    notes = [*reading.notes, *_gaps(clips, labels), *_sizes(clips, layout.sizes)]
    if reading.missing:
        count = len(reading.missing)
        notes.insert(0, f"in its lists and not there ({count}): {_some(reading.missing)}")
    return Dataset(name, labels, layout.metric, clips, tuple(notes), tuple(reading.missing))


@dataclass(frozen=True)
class Found:
    """A clip on the disk: a video file, or a folder that holds pictures alone."""

    path: str
    inside: tuple[str, ...]  # its name and the folders above it, from the folder walked
    size: int | None  # bytes, None for a folder

    @property
    def stem(self) -> str:
        """Its name without the suffix of a video."""
        return self.inside[-1] if self.size is None else _stem(self.inside[-1])


@dataclass(frozen=True)
class Row:
    """One row of a list: which clip is meant, and what is said of it."""

    key: object  # finds the clip among those on the disk
    name: str  # for people
    label: str
    split: str | None
    where: tuple[str, int]  # the list and the line
    subject: str | None = None


class Reading:
    """One data set being read: its root and labels, and what there is to say of it."""

    def __init__(self, name: str, root: str, fold: int | None) -> None:
        self.name, self.root, self.fold = name, root, fold
        labels = DATASETS[name].labels
        self.labels = label_set(labels) if labels else ()
        self.notes: list[str] = []
        self.missing: list[str] = []
        self._words = {label.casefold(): label for label in self.labels}

    def check(self) -> None:
        """Raise InputError where the root or the fold cannot be meant."""
        layout = DATASETS[self.name]
        if not os.path.exists(self.root):
            raise InputError(f"{self.root}: no such file or folder; check the path")
        if layout.file == os.path.isdir(self.root):
            raise self.wrong()
        if self.fold is not None and not 1 <= self.fold <= layout.folds:
            has = f"folds 1 to {layout.folds}" if layout.folds else "its own split and no folds"
            raise InputError(f"fold {self.fold} is not there: {self.name} has {has}")

    def wrong(self) -> InputError:
        """Return the error that names what was expected and what is there."""
        there = "a file"
        if os.path.isdir(self.root):
            there = _some(sorted(_names(self.root)), 6) or "nothing"
        return InputError(
            f"{self.root}: for {self.name} expected {DATASETS[self.name].wants}; there is {there}"
        )

    def label(self, word: str) -> str | None:
        """Return the label of this name, whatever the case of its letters."""
        return self._words.get(word.strip().casefold())

    def find(self, *ways: str, below: str | None = None) -> str | None:
        """Return the first of these files or folders that is there, in any case of letters.

        A folder that holds one of its own name, as archives leave them, stands for that one.
        """
        for way in ways:
            place: str | None = below or self.root
            for part in way.split("/"):
                place = place and _child(place, part)
            if place:
                return _child(place, os.path.basename(place)) or place
        return None

    def need(self, *ways: str) -> str:
        """Return what `find` finds; raises the error that says what was expected."""
        place = self.find(*ways)
        if place is None:
            raise self.wrong()
        return place

    def split(self, number: int, ends: Sequence[int]) -> str | None:
        """Return the split of a subject, where the n-th fold ends with the n-th of `ends`."""
        if self.fold is None:
            return None
        return "test" if min(bisect_left(ends, number) + 1, len(ends)) == self.fold else "train"

    def walk(self, folder: str | None = None) -> list[Found]:
        """Return the clips below `folder`, by name; raises InputError for git-lfs pointers."""
        top = folder or self.root
        found = sorted(_walk(top), key=lambda clip: clip.inside)
        videos = [clip for clip in found if clip.size is not None]
        _refuse_pointers(top, videos)
        empty = [clip.stem for clip in videos if clip.size == 0]
        self.note(empty, "empty files, which their records will say")
        return found

    def note(self, names: Sequence[str], what: str) -> None:
        """Note that this holds for these clips, if there are any."""
        if names:
            self.notes.append(f"{what} ({len(names)}): {_some(sorted(names))}")

    def listed(self, rows: Iterable[Row], found: Mapping[object, Found]) -> Iterator[Clip]:
        """Yield the clips that rows name; note those that are missing, and those not named."""
        seen: dict[object, Row] = {}
        for row in rows:
            before = seen.setdefault(row.key, row)
            if before is not row:
                _refuse_other(before, row)
            elif row.key in found:
                yield Clip(
                    found[row.key].path, label=row.label, split=row.split, subject=row.subject
                )
            else:
                self.missing.append(row.name)
        others = [clip.stem for key, clip in found.items() if key not in seen]
        self.note(others, "in no list of this set, left out")


def _afew(reading: Reading) -> Iterator[Clip]:
    """Read {Train,Val,Test}_AFEW/<Emotion>/*.avi, also as train/<Emotion> and so on."""
    others = []
    for clip in reading.walk():
        split, label = _place(reading, clip)
        if any(_aligned(part) for part in clip.inside):
            continue
        if split and label:
            yield Clip(clip.path, label=label, split=split)
        else:
            others.append("/".join(clip.inside))  # the test clips, which have no published labels
    reading.note(others, "not in folders of a split and an emotion, left out")


def _afew_aligned(reading: Reading) -> Iterator[Clip]:
    """Read the aligned faces: AlignedFaces_LBPTOP_Points[_Val]/Faces/<clip>/*.jpg.

    A clip is labelled by its video of the same name, or by a folder of an emotion above it.
    """
    found = reading.walk()
    places = [(clip, *_place(reading, clip)) for clip in found]
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
    reading.note(others, "faces without a video of their name that tells the label, left out")


def _place(reading: Reading, clip: Found) -> tuple[str | None, str | None]:
    """Return the split, told by the first folder that names one, and the label, by the last."""
    splits = [SPLITS[part.casefold()] for part in clip.inside[:-1] if part.casefold() in SPLITS]
    label = reading.label(clip.inside[-2]) if len(clip.inside) > 1 else None
    return (splits[0] if splits else None), label


def _aligned(part: str) -> bool:
    return part.casefold().startswith("alignedfaces")


def _vgaf(reading: Reading) -> Iterator[Clip]:
    """Read Train/, Val/ and their lists: a header, then `name 1|2|3` a row."""
    for split, names in {"train": ("Train",), "val": ("Val", "Validation")}.items():
        folder = reading.find(*names)
        if folder is None:
            continue
        lists = [f"{name}_labels.txt" for name in names]
        path = reading.find(*lists) or reading.find(*lists, below=folder)
        if path is None:
            raise InputError(f"{folder}: {lists[0]} is neither in it nor beside it; add the list")
        found: dict[object, Found] = {clip.stem: clip for clip in reading.walk(folder)}
        pairs = _pairs(reading, path, lambda name, word: _VGAF_CODES.get(word))
        rows = (Row(_stem(n), n, label, split, (path, line)) for line, n, label in pairs)
        yield from reading.listed(rows, found)


def _ravdess(reading: Reading, channels: Sequence[str] = ("01",)) -> Iterator[Clip]:
    """Read MM-VC-EM-IN-ST-RE-AC.mp4 in any folder: what is in the name decides.

    MM 01 (picture and sound) and 02 (picture alone) are one take, of which 01 is kept; 03 is
    sound alone. VC 01 is speech, 02 song. Neutral (01) and calm (02) are two labels.
    """
    takes: dict[tuple[str, ...], tuple[str, Found]] = {}
    songs, others, twice = [], [], []
    for clip in reading.walk():
        name = _RAVDESS.fullmatch(clip.stem)
        if not name or name[1] not in ("01", "02") or not 1 <= int(name[3]) <= len(reading.labels):
            others.append(clip.stem)
        elif name[2] not in channels:
            songs.append(clip.stem)
        else:
            known = takes.get(name.groups()[1:])
            if known:
                twice.append(max(known[0], name[1]) + clip.stem[2:])
            if not known or name[1] < known[0]:
                takes[name.groups()[1:]] = name[1], clip
    for (_, emotion, _, actor), (_, clip) in sorted(
        takes.items(), key=lambda item: item[1][1].path
    ):
        split = reading.split(int(actor), _RAVDESS_FOLDS)
        yield Clip(clip.path, label=reading.labels[int(emotion) - 1], split=split, subject=actor)
    reading.note(twice, "second copies of a take, left out")
    reading.note(songs, "song, left out")
    reading.note(others, "not named as RAVDESS names clips with a picture, left out")


def _ravdess_all(reading: Reading) -> Iterator[Clip]:
    """Read speech and song."""
    return _ravdess(reading, ("01", "02"))


def _crema_d(reading: Reading) -> Iterator[Clip]:
    """Read <actor>_<sentence>_<emotion>_<level>.flv (or re-encoded): the emotion that was acted."""
    return (clip for _, clip in _acted(reading))


def _crema_d_votes(reading: Reading) -> Iterator[Clip]:
    """Read the same clips with what most people saw in the silent video.

    That is the column FaceVote of processedResults/summaryTable.csv, in which a tie is `A:F`:
    such clips have no label and are left out.
    """
    places = ("processedResults", "data/InfoAndStats/processedResults", "docs/processedResults")
    path = reading.need(*(f"{place}/summaryTable.csv" for place in places), "summaryTable.csv")
    votes = {row["FileName"]: row["FaceVote"] for _, row in _table(path, "FileName", "FaceVote")}
    tied, silent = [], []
    for name, clip in _acted(reading):
        if name not in votes:
            silent.append(name)
        elif votes[name] not in _CREMA_D_CODES:
            tied.append(name)
        else:
            yield replace(clip, label=_CREMA_D_CODES[votes[name]])
    reading.note(tied, "as many votes for one emotion as for another, left out")
    reading.note(silent, f"not in {os.path.basename(path)}, left out")


def _acted(reading: Reading) -> Iterator[tuple[str, Clip]]:
    kept: dict[str, tuple[re.Match[str], Found]] = {}
    others, twice = [], []
    for clip in reading.walk():
        name = _CREMA_D.fullmatch(clip.stem)
        key = re.sub("_X$", "_XX", clip.stem.upper())  # 1040_ITH_SAD_X, in the table with XX
        if not name or name[2].upper() not in _CREMA_D_CODES:
            others.append(clip.stem)
        elif key in kept:
            twice.append("/".join(clip.inside))
        else:
            kept[key] = name, clip
    for key, (name, clip) in kept.items():
        label = _CREMA_D_CODES[name[2].upper()]
        split = reading.split(int(name[1]), _CREMA_D_FOLDS)
        yield key, Clip(clip.path, label=label, split=split, subject=name[1])
    reading.note(twice, "second copies in another folder or format, left out")
    reading.note(others, "not named as CREMA-D names clips, left out")


def _enterface(reading: Reading) -> Iterator[Clip]:
    """Read subject n/<emotion>/sentence n/*.avi, with spaces, _ or - in the names.

    Folders decide, for file names disagree with them here and there (s2_an_2 in sentence 1).
    Subject 6 is not cut into sentences, and is left out as by MAE-DFER.
    """
    others = []
    for clip in reading.walk():
        subject, label = _enterface_name(reading, clip)
        if subject is None or label is None:
            others.append("/".join(clip.inside))
            continue
        split = reading.split(subject, _ENTERFACE_FOLDS)
        yield Clip(clip.path, label=label, split=split, subject=str(subject))
    reading.note(others, "not in folders of a subject, an emotion and a sentence, left out")


def _enterface_name(reading: Reading, clip: Found) -> tuple[int | None, str | None]:
    """Return the subject and label that the folders tell or, of a flat copy, the file's name."""
    subject, label, cut = None, None, False
    for part in clip.inside[:-1]:
        numbered = re.fullmatch(r"(subject|sentence)[ _-]*(\d+)", part.strip(), re.IGNORECASE)
        if numbered and numbered[1].casefold() == "subject":
            subject = int(numbered[2])
        cut = cut or bool(numbered and numbered[1].casefold() == "sentence")
        label = reading.label(part) or label
    name = _ENTERFACE.fullmatch(clip.stem)
    if subject is None and label is None and name:
        return int(name[1]), _ENTERFACE_CODES[name[2].casefold()]
    return (subject, label) if cut else (None, None)


def _dfew(reading: Reading) -> Iterator[Clip]:
    """Read EmoLabel_DataSplit/{train,test}(single-labeled)/set_<fold>.csv and one folder of Clip.

    The lists say 1, the clips 00001: numbers are compared. Labels are 1 to 7, or their names.
    """
    lists, clips = reading.need("EmoLabel_DataSplit"), reading.need("Clip")
    kept = reading.find(*_DFEW_CLIPS, below=clips) or clips
    reading.notes.append(f"the clips are those of {os.path.relpath(kept, reading.root)}")
    found: dict[object, Found] = {
        int(clip.stem): clip for clip in reading.walk(kept) if clip.stem.isdigit()
    }
    rows: list[Row] = []
    for split in ("train", "test"):
        ways = [
            f"{folder}/set_{reading.fold or 1}.csv"
            for folder in (f"{split}(single-labeled)", split)
        ]
        path = reading.find(*ways, below=lists)
        if path is None:
            raise InputError(f"{lists}: {ways[0]} is not there; unpack all lists of DFEW")
        rows += _dfew_rows(reading, path, split if reading.fold else None)
    yield from reading.listed(rows, found)


def _dfew_rows(reading: Reading, path: str, split: str | None) -> Iterator[Row]:
    for line, row in _table(path, "video_name", "label"):
        name, word = _stem(row["video_name"]), row["label"]
        code = int(word) if word.isdigit() else 0
        label = reading.labels[code - 1] if 1 <= code <= len(reading.labels) else None
        label = label or reading.label(word)
        if not name.isdigit() or label is None:
            reason = f"{row['video_name']},{word} is not a number and a label 1 to 7"
            raise ManifestError(path, line, reason)
        yield Row(int(name), f"{int(name):05d}", label, split, (path, line))


def _ferv39k(reading: Reading) -> Iterator[Clip]:
    """Read 2_ClipsforFaceCrop/<Scene>/<Emotion>/<number>/ and 4_setups/All_scenes/*_All.csv.

    A row is `Action/Sad/0010 Sad`. Others have rewritten these lists with numbers, in two
    orders that agree on no label: there the folder tells the emotion.
    """
    clips = reading.need("2_ClipsforFaceCrop")
    lists = reading.need("4_setups/All_scenes", "All_scenes")
    found: dict[object, Found] = {}
    for clip in reading.walk(clips):
        found["/".join((*clip.inside[:-1], clip.stem)).casefold()] = clip
    rows, other = list[Row](), list[str]()
    for split in ("train", "test"):
        path = reading.find(f"{split}_All.csv", f"{split}.csv", below=lists)
        if path is None:
            raise InputError(f"{lists}: {split}_All.csv is not there; add it")
        for line, name, label in _pairs(reading, path, lambda n, w: _ferv39k_label(reading, n, w)):
            key = name.replace("\\", "/").strip("/")
            rows.append(Row(_stem(key).casefold(), key, label, split, (path, line)))
            other += [key] if label not in key.split("/") else []
    reading.note(other, "in the folder of another emotion than listed")
    yield from reading.listed(rows, found)


def _ferv39k_label(reading: Reading, name: str, word: str) -> str | None:
    parts = name.replace("\\", "/").strip("/").split("/")
    return reading.label(parts[-2] if word.isdigit() and len(parts) > 1 else word)


def _mafw(reading: Reading) -> Iterator[Clip]:
    """Read Train & Test Set/single/no_caption/set_<fold>/{train,test}.txt and data/clips.

    A row is `00001.mp4 anger`. Numbers in its place are refused, for it is not told whether
    they begin at 0 or at 1. Without data/clips, the frames in data/frames are taken.
    """
    tops = ("Train & Test Set", "Train_Test_Set", "split", "anno")
    within = ("single/no_caption", "single")
    ways = [f"{top}/{way}/set_{reading.fold or 1}" for top in tops for way in within]
    lists = reading.need(*ways)
    clips = reading.need("data/clips", "data/frames", "clips", "frames")
    found: dict[object, Found] = {_number(clip.stem): clip for clip in reading.walk(clips)}
    rows: list[Row] = []
    for split in ("train", "test"):
        path = reading.find(f"{split}.txt", f"{split}.csv", below=lists)
        if path is None:
            raise InputError(f"{lists}: {split}.txt is not there; unpack all lists of MAFW")
        kept = split if reading.fold else None
        for line, name, label in _pairs(reading, path, lambda _, word: reading.label(word)):
            rows.append(Row(_number(_stem(name)), name, label, kept, (path, line)))
    yield from reading.listed(rows, found)


def _meld(reading: Reading) -> Iterator[Clip]:
    """Read dia<D>_utt<U>.mp4 of each split and {train,dev,test}_sent_emo.csv.

    The same names are in every split, for other utterances. In test, final_videos_test<name>
    holds the right cut of an utterance whose plain file is wrong, and takes its place. The
    split dev is called val here. The subject is the speaker, who is not the only face of a
    clip; the main characters speak in all three splits, as published (`Dataset.shared`).
    """
    for split, (list_, folders) in _MELD_SPLITS.items():
        folder = reading.find(*folders)
        ways = [list_, *(f"{way}/{list_}" for way in (list_.split("_")[0], "data/MELD", "data"))]
        path = reading.find(*ways)
        if folder is None:
            continue
        if path is None:
            raise InputError(
                f"{folder}: {list_} is neither in the root nor beside it; add the list"
            )
        found: dict[object, Found] = {}
        for clip in reading.walk(folder):  # final_... comes after dia..., and so replaces it
            name = _MELD.fullmatch(clip.stem)
            if name and name[3]:
                found[int(name[2]), int(name[3])] = clip
        yield from reading.listed(_meld_rows(reading, path, split), found)


def _meld_rows(reading: Reading, path: str, split: str) -> Iterator[Row]:
    for line, row in _table(path, "Dialogue_ID", "Utterance_ID", "Emotion", "Speaker"):
        label, dialogue, utterance = (
            reading.label(row["Emotion"]),
            *(row[name].strip() for name in ("Dialogue_ID", "Utterance_ID")),
        )
        if label is None or not (dialogue.isdigit() and utterance.isdigit()):
            reason = f"dialogue {dialogue!r}, utterance {utterance!r}, emotion {row['Emotion']!r}"
            raise ManifestError(path, line, f"{reason} is not two numbers and a label of MELD")
        key, speaker = (int(dialogue), int(utterance)), row["Speaker"].strip() or None
        name = f"dia{key[0]}_utt{key[1]} ({split})"
        yield Row(key, name, label, split, (path, line), speaker)


def _folders(reading: Reading) -> Iterator[Clip]:
    """Read <split>/<label>/... or <label>/...: the names of the folders are the labels."""
    clips, others = list[Clip](), list[str]()
    for clip in reading.walk():
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
    reading.note(others, "in no folder of a class, left out")
    reading.note(_empty(reading.root), "folders that hold nothing")
    return iter(_one_way(reading.root, clips))


def _one_way(root: str, clips: list[Clip]) -> list[Clip]:
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


def _manifest(reading: Reading) -> Iterator[Clip]:
    """Read a CSV with path,label[,split][,subject][,start][,end]."""
    clips = read_manifest(reading.root)
    bare = next((clip for clip in clips if clip.label is None), None)
    if bare:
        raise InputError(f"{reading.root}: {bare.path} has no label; fill the column 'label'")
    there = [(clip, _size(clip.path)) for clip in clips if os.path.exists(clip.path)]
    if clips and not there:
        raise InputError(
            f"{reading.root}: none of its {len(clips)} clips is there, such as {clips[0].path}; "
            "relative paths start at the folder of the list"
        )
    files = [Found(c.path, (os.path.basename(c.path),), size) for c, size in there if size]
    _refuse_pointers(reading.root, files)
    gone = {clip.path for clip in clips} - {clip.path for clip, _ in there}
    reading.note(sorted(gone), "not there, which their records will say")
    return iter(clips if reading.fold is None else _by_subject(reading, clips))


def _by_subject(reading: Reading, clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips with the splits of a fold that parts no subject."""
    bare = next((clip for clip in clips if clip.subject is None or clip.split), None)
    if bare:
        why = f"the split {bare.split}" if bare.split else "no subject"
        raise InputError(
            f"{reading.root}: {bare.path} has {why}; "
            "folds want a column 'subject', filled, and no column 'split'"
        )
    subjects = sorted({clip.subject or "" for clip in clips}, key=_in_order)
    of = {subject: number % SUBJECT_FOLDS + 1 for number, subject in enumerate(subjects)}
    return [
        replace(clip, split="test" if of[clip.subject or ""] == reading.fold else "train")
        for clip in clips
    ]


@dataclass(frozen=True)
class Layout:
    """How a data set is read and judged."""

    read: Callable[[Reading], Iterator[Clip]]
    labels: str  # a set of videmo.labels; empty: the names that are found
    metric: str  # the official one
    wants: str  # what lies under the root, for the error
    folds: int = 0  # of its cross-validation; 0: it has a split of its own
    sizes: Mapping[str, int] = field(default_factory=dict)  # published clips by split, "" all
    file: bool = False  # the root is a file


_CREMA_D_WANTS = "VideoFlash/1001_DFA_ANG_XX.flv and so on"

DATASETS: dict[str, Layout] = {
    "afew": Layout(
        _afew, "afew7", "accuracy", "Train_AFEW/<Emotion>/*.avi and Val_AFEW/<Emotion>/*.avi",
        sizes={"train": 773, "val": 383},
    ),
    "afew-aligned": Layout(
        _afew_aligned, "afew7", "accuracy",
        "Train_AFEW and Val_AFEW with AlignedFaces_LBPTOP_Points[_Val]/Faces/<clip>/*.jpg "
        "beside <Emotion>/<clip>.avi",
        sizes={"train": 773, "val": 383},
    ),
    "vgaf": Layout(
        _vgaf, "vgaf3", "accuracy", "Train/*.mp4, Train_labels.txt, Val/*.mp4, Val_labels.txt",
        sizes={"train": 2661, "val": 766},
    ),
    "ravdess": Layout(
        _ravdess, "ravdess8", "uar", "Actor_01/01-01-01-01-01-01-01.mp4 and so on",
        folds=len(_RAVDESS_FOLDS), sizes={"": 1440},
    ),
    "ravdess-all": Layout(
        _ravdess_all, "ravdess8", "uar", "Actor_01/01-01-01-01-01-01-01.mp4 and so on",
        folds=len(_RAVDESS_FOLDS),
    ),
    "crema-d": Layout(
        _crema_d, "cremad6", "uar", _CREMA_D_WANTS,
        folds=len(_CREMA_D_FOLDS), sizes={"": 7442},
    ),
    "crema-d-votes": Layout(
        _crema_d_votes, "cremad6", "uar",
        f"{_CREMA_D_WANTS}, and processedResults/summaryTable.csv", folds=len(_CREMA_D_FOLDS),
    ),
    "enterface": Layout(
        _enterface, "enterface6", "uar", "subject 1/anger/sentence 1/s1_an_1.avi and so on",
        folds=len(_ENTERFACE_FOLDS),
    ),
    "dfew": Layout(
        _dfew, "dfew7", "uar",
        "EmoLabel_DataSplit/{train,test}(single-labeled)/set_1.csv and Clip/<kind>/00001",
        folds=5, sizes={"": 11697},
    ),
    "ferv39k": Layout(
        _ferv39k, "ferv39k7", "uar",
        "2_ClipsforFaceCrop/<Scene>/<Emotion>/<number>/ and "
        "4_setups/All_scenes/{train,test}_All.csv",
        sizes={"train": 31088, "test": 7847},
    ),
    "mafw": Layout(
        _mafw, "mafw11", "uar",
        "Train & Test Set/single/no_caption/set_1/{train,test}.txt and data/clips/00001.mp4",
        folds=5, sizes={"": 9172},
    ),
    "meld": Layout(
        _meld, "meld7", "weighted_f1",
        "train_sent_emo.csv and train/train_splits/dia0_utt0.mp4, dev_sent_emo.csv and "
        "dev/dev_splits_complete, test_sent_emo.csv and test/output_repeated_splits_test",
        sizes={"train": 9989, "val": 1109, "test": 2610},
    ),
    "folders": Layout(
        _folders, "", "accuracy", "<split>/<label>/clip.mp4 or <label>/clip.mp4, "
        "the splits called train, val, test",
    ),
    "manifest": Layout(
        _manifest, "", "accuracy", "a CSV file with path,label[,split][,subject][,start][,end]",
        folds=SUBJECT_FOLDS, file=True,
    ),
}  # fmt: skip


def _walk(top: str) -> Iterator[Found]:
    """Yield the clips below `top`; what is hidden is passed over."""
    todo = [(tuple[str, ...](), frozenset[tuple[int, int]]())]
    while todo:
        inside, above = todo.pop()
        place, pictures, kept = os.path.join(top, *inside), False, False
        entries, here = _entries(place), os.stat(place)
        key = here.st_dev, here.st_ino
        if key in above:
            continue  # a link to a folder that we are in
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1].lower()
            if _is_folder(entry):
                kept = True
                todo.append(((*inside, entry.name), above | {key}))
            elif suffix in VIDEO_SUFFIXES:
                kept = True
                yield Found(entry.path, (*inside, entry.name), _size(entry.path))
            pictures = pictures or suffix in PICTURES
        if inside and pictures and not kept:
            yield Found(place, inside, None)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _empty(top: str) -> list[str]:
    """Return the folders of `top`, and of its splits, that hold nothing."""
    folders = [name for name in _names(top) if os.path.isdir(os.path.join(top, name))]
    splits = [name for name in folders if name.casefold() in SPLITS]
    folders += [f"{split}/{name}" for split in splits for name in _names(os.path.join(top, split))]
    places = {name: os.path.join(top, name) for name in folders}
    return [name for name, way in places.items() if os.path.isdir(way) and not _names(way)]


def _entries(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(
            f"{place}: the folder cannot be read ({said}); change its permissions"
        ) from error


def _names(place: str) -> list[str]:
    return [entry.name for entry in _entries(place)]


def _child(place: str, name: str) -> str | None:
    """Return the file or folder of this name, or of one that differs in case."""
    if not os.path.isdir(place):
        return None
    same = [other for other in _names(place) if other.casefold() == name.casefold()]
    return os.path.join(place, name if name in same else min(same)) if same else None


def _size(path: str) -> int:
    """Return the bytes of a file, -1 for a link to nowhere, which reading it will tell."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _refuse_pointers(top: str, videos: Sequence[Found]) -> None:
    """Raise InputError where git-lfs left a pointer in the place of a video."""
    small = [clip for clip in videos if 0 < (clip.size or 0) < _POINTER]
    pointers = [clip for clip in small if _begins(clip.path) == LFS]
    if pointers:
        names = _some(["/".join(clip.inside) for clip in pointers])
        raise InputError(
            f"{top}: git-lfs pointers in the place of videos "
            f"({len(pointers)} of {len(videos)}): {names}; run git lfs pull there"
        )


def _begins(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(len(LFS))
    except OSError:
        return b""


def _pairs(
    reading: Reading, path: str, label_of: Callable[[str, str], str | None]
) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and label of a list of `name label`; a first row without one is a header."""
    for line, text in enumerate(_text(path).splitlines(), 1):
        if not text.strip():
            continue
        name, word = [*text.rsplit(None, 1), ""][:2]
        label = label_of(name.strip(), word)
        if label:
            yield line, name.strip(), label
        elif line > 1 or word.isdigit():
            reason = f"{word or text.strip()!r} is no label of {reading.name}"
            raise ManifestError(path, line, f"{reason}; there is {', '.join(reading.labels)}")


def _table(path: str, *columns: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV, each with its line; raises ManifestError for a missing column."""
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), skipinitialspace=True)
    absent = [name for name in columns if name not in (rows.fieldnames or ())]
    if absent:
        there = ", ".join(rows.fieldnames or ()) or "nothing"
        raise ManifestError(path, 1, f"no column is called {absent[0]!r}; there is {there}")
    try:
        for row in rows:
            yield rows.line_num, {name: (row[name] or "").strip() for name in columns}
    except csv.Error as error:
        raise ManifestError(path, rows.line_num, f"is no CSV ({error}); copy it again") from error


def _text(path: str) -> str:
    """Return the text of a list; an odd byte in what somebody said costs no row."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            return file.read()
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: the list cannot be read ({said})") from error


def _refuse_other(before: Row, row: Row) -> None:
    """Raise ManifestError where two rows of a clip do not say the same."""
    if (before.label, before.split) != (row.label, row.split):
        was = " ".join(filter(None, (before.label, before.split)))
        at = f"{os.path.basename(before.where[0])}:{before.where[1]}"
        raise ManifestError(*row.where, f"{row.name} is {was} at {at}; one of the two is wrong")


def _gaps(clips: Iterable[Clip], labels: Sequence[str]) -> Iterator[str]:
    """Yield a note for each split that lacks a label."""
    counts = Counter((clip.split, clip.label) for clip in clips)
    for split in sorted({split for split, _ in counts}, key=str):
        lacking = [label for label in labels if not counts[split, label]]
        if lacking:
            yield f"no clip {f'of {split} ' if split else ''}is labelled {' or '.join(lacking)}"


def _sizes(clips: Sequence[Clip], published: Mapping[str, int]) -> Iterator[str]:
    """Yield a note for each split whose number of clips is not the published one."""
    for split, expected in published.items():
        there = sum(not split or clip.split == split for clip in clips)
        if there != expected:
            yield f"clips{f' of {split}' if split else ''}: {there} here, {expected} published"


def _some(names: Sequence[str], shown: int = _SHOWN) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def _stem(name: str) -> str:
    """Return a name without the suffix of a video; other dots are part of it."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES else name


def _number(text: str) -> int | str:
    """Return what 1 and 00001 have in common."""
    return int(text) if text.isdecimal() else text


def _in_order(name: str) -> tuple[bool, int | str]:
    """Return a key that sorts numbers as numbers, before words."""
    number = _number(name)
    return isinstance(number, str), number
