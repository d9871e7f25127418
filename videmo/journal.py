"""What a run has found out so far, in a file beside its output that outlives the run.

    emotions.csv.journal   one entry a clip, as each was done; the output is made of it at the end

An entry is a line of JSON with its key, its record and the number of bytes that follow, and those
bytes: a descriptor, and the features of faces as `workers.keeping` wrote them. A run that was
killed leaves whole entries and perhaps half a last one, which is cut off when the journal is
opened again. Clips are known by path, part, size, time of change and the recipe, so a file that
was replaced, or another recipe, is read again; so is one that failed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from videmo.batch import Record
from videmo.data import Descriptor, Features
from videmo.errors import InputError, OutputError
from videmo.inputs import Clip
from videmo.workers import Done, kept
from videmo.write.sink import told

SUFFIX = ".journal"
Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Entry:
    """What was found of one clip."""

    record: Record
    descriptor: Descriptor | None
    faces: Iterator[Features]  # to be read before the next entry


class Journal:
    """The entries of a run, appended one by one and found again by clip.

    out: the output it belongs to; recipe: the fingerprint of what makes the numbers
    Raises OutputError where it cannot be written, InputError if it is of another kind of run.
    """

    def __init__(self, out: str | os.PathLike[str], recipe: str) -> None:
        self.path, self.recipe = os.fspath(out) + SUFFIX, recipe
        self._where: dict[Key, int] = {}
        with told(self.path):
            self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            with told(self.path):
                self._end = self._read()
                self._file.truncate(self._end)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, clip: Clip) -> bool:
        return self._key(clip) in self._where

    def add(self, clip: Clip, done: Done, record: Record) -> None:
        """Append what was found of a clip; once this returns, a kill does not lose it."""
        key, vector = self._key(clip), _packed(getattr(done.answer, "descriptor", None))
        faces = os.path.getsize(done.faces) if done.faces else 0
        entry = {"key": key, "record": record, "vector": len(vector), "faces": faces}
        head = json.dumps(entry).encode("ascii") + b"\n"
        with told(self.path):
            self._file.seek(self._end)
            self._file.write(head + vector)
            if done.faces:
                with open(done.faces, "rb") as source:
                    shutil.copyfileobj(source, self._file)
            self._file.flush()
        self._where[key] = self._end
        self._end += len(head) + len(vector) + faces

    def __getitem__(self, clip: Clip) -> Entry:
        """Return what was found of a clip; raises KeyError where nothing is."""
        self._file.seek(self._where[self._key(clip)])
        line = json.loads(self._file.readline())
        descriptor = _unpacked(self._file.read(line["vector"]))
        end = self._file.tell() + line["faces"]
        return Entry(line["record"], descriptor, kept(self._file, end))

    def remove(self) -> None:
        """Take the file away: its output is complete."""
        self._file.close()
        with told(self.path):
            os.unlink(self.path)

    def _key(self, clip: Clip) -> Key:
        try:
            found = os.stat(clip.path)
            state = (found.st_size, found.st_mtime_ns)
        except (OSError, ValueError):
            state = (-1, -1)
        return (clip.path, clip.start, clip.end, *state, self.recipe)

    def _read(self) -> int:
        """Note every whole entry and return where they end; those that failed are left out."""
        place, size = 0, os.fstat(self._file.fileno()).st_size
        while place < size:
            self._file.seek(place)
            head = self._file.readline()
            try:
                line = json.loads(head)
                end = place + len(head) + line["vector"] + line["faces"]
                key, status = tuple(line["key"]), line["record"]["status"]
            except (ValueError, KeyError, TypeError) as error:
                if head.endswith(b"\n") and place == 0:
                    raise InputError(
                        f"{self.path}: is no journal of videmo; move it away, or choose another "
                        "--out"
                    ) from error
                break  # half an entry: the run was killed while it wrote
            if end > size or not head.endswith(b"\n"):
                break
            if status != "error":
                self._where[key] = place
            place = end
        return place


def _packed(descriptor: Descriptor | None) -> bytes:
    """Return values and counts of a descriptor as bytes, or none."""
    if descriptor is None:
        return b""
    file = io.BytesIO()
    counts = np.array([descriptor.faces, descriptor.frames, descriptor.seen])
    for array in (descriptor.values, counts):
        np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _unpacked(body: bytes) -> Descriptor | None:
    if not body:
        return None
    file = io.BytesIO(body)
    values, counts = (np.load(file, allow_pickle=False) for _ in range(2))
    return Descriptor(values, *counts.tolist())


def refuse_existing(out: str, *, overwrite: bool) -> None:
    """Raise OutputError for an output, or what a stopped run left of it, that is there already."""
    if overwrite:
        return
    if os.path.exists(out + SUFFIX):
        step = "--resume goes on, --overwrite begins again"
        raise OutputError(out + SUFFIX, f"a run was stopped here; {step}")
    if os.path.isfile(out):
        raise OutputError(out, "is there already; give --overwrite, or another --out")
