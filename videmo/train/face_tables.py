"""Data sets of still faces: a file or folder in its own layout in, a table of labels out.

To add a layout, write a function from a path to a `FaceTable` and name it in `READERS`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from videmo.data import F32, Array
from videmo.errors import InputError
from videmo.files.extras import missing_dependency
from videmo.labels import label_set
from videmo.stages.decode import pictures

Label = str | None
TASKS = ("emotion", "age", "gender", "ethnicity", "identity")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
PICTURE_FORMATS = (*pictures.PICTURE_FORMATS, "TIFF")  # what Pillow may take a picture for
LFW_TEST, LFW_VAL = (0, 1, 2, 3, 4), (9,)  # folds of LFW's pairs whose people are not learned
HELD_OUT = 20  # where a data set has no split of its own, one picture in so many is for choosing


@dataclass(frozen=True, eq=False)
class FaceTable:
    """Pictures, a row each, and what is known of them."""

    source: str  # the file or folder, for messages
    pictures: list[bytes | Path]  # encoded, or where they lie
    names: list[str]  # how a message names a row
    known: Mapping[str, list[Label]]  # task -> a label a row, or None
    split: list[str]  # train, val or test
    votes: F32 | None = None  # (K, C): shares of the votes for `voted`, in place of one emotion
    voted: tuple[str, ...] = ()
    boxes: F32 | None = None  # (K, 4): the part of a picture that is the face, x0 y0 x1 y1 px
    subjects: Sequence[Label] = ()  # who is not to be on both sides, where the data tell

    def __post_init__(self) -> None:
        lengths = {len(self.names), len(self.split), *map(len, self.known.values())}
        if lengths != {len(self.pictures)}:
            raise ValueError(f"columns of {lengths} rows for {len(self.pictures)} pictures")

    def __len__(self) -> int:
        return len(self.pictures)

    def of_split(self, split: str, limit: int = 0) -> FaceTable:
        """Return the rows of one split, `limit` of them at most, spread evenly."""
        rows = [i for i, name in enumerate(self.split) if name == split]
        if limit and len(rows) > limit:
            rows = [rows[int(i)] for i in np.linspace(0, len(rows) - 1, limit)]
        return self.take(rows)

    def take(self, rows: Sequence[int]) -> FaceTable:
        """Return some of the rows."""
        return replace(
            self,
            pictures=[self.pictures[i] for i in rows],
            names=[self.names[i] for i in rows],
            known={task: [column[i] for i in rows] for task, column in self.known.items()},
            split=[self.split[i] for i in rows],
            votes=None if self.votes is None else self.votes[rows],
            boxes=None if self.boxes is None else self.boxes[rows],
            subjects=[self.subjects[i] for i in rows] if self.subjects else (),
        )


def read_table(layout: str, path: str | Path) -> FaceTable:
    """Return the table of the data set at `path`, whose layout is a name in `READERS`.

    layout: a name, or `name:task` where the layout leaves open what a label means
    raises: InputError for an unknown layout, or a path that does not hold it, naming the row
    """
    name, _, task = layout.partition(":")
    if name not in READERS:
        raise InputError(f"no layout {name!r}; there are {', '.join(READERS)}")
    if task and task not in TASKS:
        raise InputError(f"{layout}: no task {task!r}; there are {', '.join(TASKS)}")
    table = READERS[name](Path(path), task)
    if not len(table):
        raise InputError(f"{path}: no labelled face in the layout {name!r}; give another --data")
    return table


def _ferplus(path: Path, task: str) -> FaceTable:
    """FER+ (Barsoum et al. 2016): ten crowd votes a picture, of which eight are emotions."""
    table, emotions = _parquet_columns(path), label_set("ferplus8")
    try:
        repeated = np.where(
            table["split"] == "train", table["repeat_in_train"], table["leak_from_train"]
        )
        rows = np.flatnonzero((table["usable"] == 1) & (repeated == 0))
        votes = np.stack([table[f"v_{name}"] for name in emotions], 1)[rows].astype(np.float32)
    except KeyError as error:
        raise InputError(f"{path}: no column {error}; it wants a FER+ table with votes") from error
    return FaceTable(
        path.name,
        list(table["image"][rows]),
        [f"row {i}" for i in rows],
        {},
        list(table["split"][rows]),
        votes / votes.sum(1, keepdims=True),
        emotions,
    )


def _fairface(path: Path, task: str) -> FaceTable:
    """FairFace (Kärkkäinen and Joo 2021): its val is the test; of train, one in 20 is val."""
    table = _parquet_columns(path)
    try:
        number = [int(Path(name).stem) for name in table["file"]]
        split = [
            "test" if of == "val" else "val" if n % HELD_OUT == 0 else "train"
            for of, n in zip(table["split"], number, strict=True)
        ]
        known: dict[str, list[Label]] = {
            "age": [_age_text(age) for age in table["age"]],
            "gender": [str(gender).lower() for gender in table["gender"]],
            "ethnicity": [str(race).lower().replace("_", " ") for race in table["race"]],
        }
    except KeyError as error:
        raise InputError(f"{path}: no column {error}; it wants a FairFace table") from error
    return FaceTable(path.name, list(table["image"]), [str(f) for f in table["file"]], known, split)


def _lfw(path: Path, task: str) -> FaceTable:
    """LFW (Huang et al. 2007): people of the pairs' folds 0-4 are the test, those of fold 9 val.

    `lfw_pairs.csv` lies beside the table. Of the others, those with two pictures or more are
    learned by name; a single picture has no name, for a teacher of likeness alone. Of four
    pictures or more the last is val too, so that there is somebody to recognise.
    """
    table, pairs = _parquet_columns(path), path.parent / "lfw_pairs.csv"
    tested, chosen_on = lfw_people(pairs, LFW_TEST), lfw_people(pairs, LFW_VAL)
    people = [str(name) for name in table["identity"]]
    count, seen = {name: people.count(name) for name in set(people)}, dict[str, int]()
    split = []
    for name in people:
        seen[name] = seen.get(name, 0) + 1
        last = seen[name] == count[name] >= 4
        held_out = name in chosen_on or last
        split.append("test" if name in tested else "val" if held_out else "train")
    files = [str(name) for name in table["file"]]
    known: list[Label] = [name if count[name] > 1 else None for name in people]
    return FaceTable(path.name, list(table["image"]), files, {"identity": known}, split)


def lfw_people(pairs: Path, folds: Sequence[int]) -> set[str]:
    """Return the people in the verification pairs of these folds."""
    with _CSVFile(pairs) as rows:
        return {
            row[side].rsplit("_", 1)[0] for row in rows if int(row["fold"]) in folds
            for side in ("a", "b")
        }  # fmt: skip


def _ytf(path: Path, task: str) -> FaceTable:
    """Frames of YouTube Faces (Wolf et al. 2011): people who are tested elsewhere are left out.

    One name in three, by its CRC-32, and whoever is in folds 0-4 or 9 of LFW's pairs beside it.
    """
    table, pairs = _parquet_columns(path), path.parent / "lfw_pairs.csv"
    tested = lfw_people(pairs, (*LFW_TEST, *LFW_VAL))
    x0, y0, x1, y1 = (table[name].astype(float) for name in ("x1", "y1", "x2", "y2"))
    width, height = (
        np.array(size) for size in zip(*map(_picture_size, table["image"]), strict=True)
    )
    x0, x1 = x0 * width / table["img_w"], x1 * width / table["img_w"]  # some are stored smaller
    y0, y1 = y0 * height / table["img_h"], y1 * height / table["img_h"]
    side = 0.95 * np.maximum(x1 - x0, y1 - y0) / 2  # FER+'s own frame about a detector's box
    boxes = np.stack([(x0 + x1) / 2 - side, (y0 + y1) / 2 - side], 1)
    boxes = np.concatenate([boxes, boxes + 2 * side[:, None]], 1).astype(np.float32)
    people = [str(name) for name in table["name"]]
    there = np.isfinite(side)
    split = [
        "test" if not ok or name in tested or crc32(name.encode()) % 3 == 0 else "train"
        for ok, name in zip(there, people, strict=True)
    ]
    names = [f"{video} frame {n}" for video, n in zip(table["video"], table["frame"], strict=True)]
    known: dict[str, list[Label]] = {"identity": list(people)}
    return FaceTable(path.name, list(table["image"]), names, known, split, boxes=boxes)


def _picture_size(encoded: bytes) -> tuple[int, int]:
    """Return width and height of an encoded picture, from its head alone."""
    from PIL import Image

    with Image.open(io.BytesIO(encoded), formats=PICTURE_FORMATS) as image:
        return image.size


def _folder(path: Path, task: str) -> FaceTable:
    """A folder for each label, as in torchvision's ImageFolder; or train/ and val/ of these."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give one with a folder for each label")
    splits = [name for name in ("train", "val", "test") if (path / name).is_dir()]
    found = [
        (split, label.name, file)
        for split in splits or [""]
        for label in sorted(p for p in (path / split).iterdir() if p.is_dir())
        for file in sorted(p for p in label.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    ]
    files = [file for _, _, file in found]
    known: dict[str, list[Label]] = {task or "emotion": [label for _, label, _ in found]}
    names = [file.relative_to(path).as_posix() for file in files]
    split = [own if own else _split_of(names[i]) for i, (own, _, _) in enumerate(found)]
    return FaceTable(str(path), list(files), names, known, split)


def _manifest(path: Path, task: str) -> FaceTable:
    """A CSV with `path` and any of the tasks as columns; `label` is the task after the colon."""
    with _CSVFile(path) as reader:
        rows = list(reader)
    if not rows or "path" not in rows[0]:
        raise InputError(f"{path}: no column 'path'; it wants path,emotion,... with a header")
    files = [path.parent / row["path"] for row in rows]
    for line, file in enumerate(files, 2):
        if not file.is_file():
            raise InputError(f"{path}: line {line}: no file {rows[line - 2]['path']!r}")
    return _from_columns(
        path, list(files), {k: [r[k] or None for r in rows] for k in rows[0]}, task
    )


def _parquet(path: Path, task: str) -> FaceTable:
    """A Parquet file with `image` (encoded bytes) and any of the tasks as columns."""
    columns = _parquet_columns(path)
    if "image" not in columns:
        raise InputError(f"{path}: no column 'image' with encoded pictures; there are "
                         f"{', '.join(columns)}")  # fmt: skip
    plain = {
        name: [None if v is None or v != v else str(v) for v in column]
        for name, column in columns.items()
        if name != "image"
    }
    return _from_columns(path, list(columns["image"]), plain, task)


def _from_columns(
    path: Path, pictures: list[bytes | Path], columns: Mapping[str, list[Label]], task: str
) -> FaceTable:
    """Return the table of a manifest's columns."""
    known = {name: columns[name] for name in TASKS if name in columns}
    if "label" in columns and (task or "emotion") not in known:
        known[task or "emotion"] = columns["label"]
    if not known:
        raise InputError(f"{path}: none of the columns {', '.join(TASKS)} or label")
    if "age" in known:
        known["age"] = [None if age is None else _age_text(age) for age in known["age"]]
    names = [f"line {i}" for i in range(2, len(pictures) + 2)]
    own = columns.get("split")
    split = [(own[i] if own else None) or _split_of(names[i]) for i in range(len(names))]
    return FaceTable(
        str(path), pictures, names, known, split, subjects=columns.get("subject") or ()
    )


def _affectnet(path: Path, task: str) -> FaceTable:
    """AffectNet (Mollahosseini et al. 2017): training.csv and validation.csv beside the folders.

    Expression codes 0-7 only; the box of the row is the face, with no margin.
    """
    codes = (
        "Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt",
    )  # fmt: skip
    files, names, emotion, split, boxes = [], [], [], [], []
    for name, kind in (("training.csv", "train"), ("validation.csv", "val")):
        with _CSVFile(path / name) as rows:
            for line, row in enumerate(rows, 2):
                code, width = int(row["expression"]), float(row["face_width"])
                if code >= len(codes) or width < 0:
                    continue
                x, y, height = (float(row[k]) for k in ("face_x", "face_y", "face_height"))
                files.append(
                    _find_picture(path, row["subDirectory_filePath"], f"{name}: line {line}")
                )
                names.append(f"{name} line {line}")
                emotion.append(codes[code])
                split.append(kind)
                boxes.append((x, y, x + width, y + height))
    known: dict[str, list[Label]] = {"emotion": list(emotion)}
    return FaceTable(str(path), list(files), names, known, split, boxes=np.array(boxes, np.float32))


def _find_picture(root: Path, name: str, where: str) -> Path:
    for folder in (root, root / "Manually_Annotated_Images", root / "Manually_Annotated"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{root}: {where}: no picture {name!r}")


def _utkface(path: Path, task: str) -> FaceTable:
    """UTKFace (Zhang et al. 2017): files named [age]_[gender]_[race]_[date]...; 0 is male.

    The few files whose names lack a part are left out.
    """
    races, genders = label_set("utkface5"), ("male", "female")
    pattern = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+")
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give UTKFace's")
    found = [
        (file, match)
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in PICTURE_SUFFIXES and (match := pattern.match(file.name))
    ]
    known: dict[str, list[Label]] = {
        "age": [m[1] for _, m in found],
        "gender": [genders[int(m[2])] for _, m in found],
        "ethnicity": [races[int(m[3])] for _, m in found],
    }
    names = [file.name for file, _ in found]
    return FaceTable(str(path), [f for f, _ in found], names, known, [_split_of(n) for n in names])


READERS: dict[str, Callable[[Path, str], FaceTable]] = {
    "ferplus": _ferplus,
    "fairface": _fairface,
    "lfw": _lfw,
    "ytf": _ytf,
    "folder": _folder,
    "manifest": _manifest,
    "parquet": _parquet,
    "affectnet": _affectnet,
    "utkface": _utkface,
}


def _age_text(age: str) -> str:
    """Return an age as a number or as first-last: 'more than 70' is 70-89."""
    found = re.fullmatch(r"more than (\d+)", str(age).strip())
    return f"{found[1]}-{int(found[1]) + 19}" if found else str(age).strip()


def _split_of(name: str) -> str:
    """Return val for one name in `HELD_OUT`, the same on every machine; train for the others."""
    return "val" if crc32(name.encode()) % HELD_OUT == 0 else "train"


class _CSVFile:
    """A CSV as dictionaries, with its faults as one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Iterator[dict[str, str]]:
        try:
            self.file = self.path.open(encoding="utf-8-sig", newline="")
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}") from error
        return csv.DictReader(self.file)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.file.close()
        if isinstance(error, (KeyError, TypeError, ValueError, UnicodeError, csv.Error)):
            raise InputError(f"{self.path}: not read as its layout has it: {error!r}") from error


def _parquet_columns(path: Path) -> dict[str, Array]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise missing_dependency("pyarrow") from error
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not read as Parquet ({error}); give such a table") from error
    return {name: table[name].to_numpy() for name in table.column_names}
