"""What a run has found out so far, in a file beside its output that outlives the run.

    emotions.csv.journal   one entry a clip, as each was done; the output is made of it at the end

An entry is a line of JSON with its key, its record, the number of bytes that follow and the CRC-32
of all that, and those bytes: a descriptor, and the features of faces as `workers.keeping` wrote
them. A run that was killed leaves whole entries and perhaps half a last one, which is cut off when
the journal is opened again; one that was damaged is passed over. Clips are known by path, part,
size, time of change and the recipe, so a file that was replaced, or another recipe, is read again;
so is one that failed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np

from videmo.data import Descriptor, Features
from videmo.errors import InputError, OutputError
from videmo.files import remote
from videmo.runs.batch import Record
from videmo.runs.inputs import Clip
from videmo.runs.workers import Done, kept
from videmo.write.sink import told

SUFFIX = ".journal"
_SUM = b', "sum": '  # stands last in the line, so that what comes before it can be summed
_BLOCK = 1 << 20  # bytes read at once
Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Entry:
    """What was found of one clip."""

    record: Record
    vector: bytes  # the descriptor, as it is kept
    faces: Iterator[Features]  # to be read before the next entry

    @property
    def descriptor(self) -> Descriptor | None:
        """The clip's one vector; made when it is asked for, since records do without."""
        return _unpacked(self.vector)


class Journal:
    """The entries of a run, appended one by one and found again by clip.

    out: the output it belongs to; recipe: the fingerprint of what makes the numbers
    Raises OutputError where it cannot be written, InputError if it is of another kind of run.
    """

    def __init__(self, out: str | os.PathLike[str], recipe: str) -> None:
        self.path, self.recipe = os.fspath(out) + SUFFIX, recipe
        self._where: dict[Key, int] = {}
        self._keys: dict[Clip, Key] = {}  # as the files were when they were asked for
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
        self._keys.pop(clip, None)
        return self._key(clip) in self._where

    def add(self, clip: Clip, done: Done, record: Record) -> None:
        """Append what was found of a clip; once this returns, a kill does not lose it."""
        key, vector = self._key(clip), _packed(getattr(done.answer, "descriptor", None))
        faces = os.path.getsize(done.faces) if done.faces else 0
        entry = {"key": key, "record": record, "vector": len(vector), "faces": faces}
        with told(self.path):
            head = _head(entry, vector, done.faces)
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
        vector = self._file.read(line["vector"])
        end = self._file.tell() + line["faces"]
        return Entry(line["record"], vector, kept(self._file, end))

    def remove(self) -> None:
        """Take the file away: its output is complete."""
        self._file.close()
        with told(self.path):
            os.unlink(self.path)

    def _key(self, clip: Clip) -> Key:
        """Return what an entry is found by, even if its file changes or vanishes before the end."""
        if clip not in self._keys:
            state = _state(clip.path)
            self._keys[clip] = (clip.path, clip.start, clip.end, *state, self.recipe)
        return self._keys[clip]

    def _read(self) -> int:
        """Note every whole entry and return where they end; those that failed are left out."""
        place, size = 0, os.fstat(self._file.fileno()).st_size
        while place < size:
            self._file.seek(place)
            head = self._file.readline()
            facts = _facts(head)
            if facts is None and head.endswith(b"\n") and place == 0:
                raise InputError(
                    f"{self.path}: is no journal of videmo; move it away, or choose another --out"
                )
            if facts is None or not head.endswith(b"\n"):
                break  # half an entry: the run was killed while it wrote
            end = place + len(head) + facts.length
            if end > size:
                break
            if facts.status != "error" and _sum(head, self._file, facts.length) == facts.sum:
                self._where[facts.key] = place
            place = end
        return place


def _state(path: str) -> tuple[int, int | str]:
    """Return the size of a file and when it was changed, or its tag at a URL; -1 where none is."""
    if remote.is_url(path):
        return remote.state(path)
    try:
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns
    except (OSError, ValueError):
        return -1, -1


def place_of(out: str) -> str:
    """Return the name beside which the journal of an output lies.

    For a URL that is a name in the working folder, made of its last part and a sum of the whole.
    """
    if not remote.is_url(out):
        return out
    name = re.sub(r"[^\w.-]", "_", out.rpartition("/")[2]) or "out"
    return f"{name}.{hashlib.sha256(out.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


class _Facts(NamedTuple):
    """What the line of an entry says of it."""

    key: Key
    status: str
    length: int  # bytes that follow
    sum: int


def _facts(head: bytes) -> _Facts | None:
    """Return what a line says, None if it is no entry's."""
    try:
        line = json.loads(head)
        key, status = tuple(line["key"]), line["record"]["status"]
        length, sum_ = line["vector"] + line["faces"], line.get("sum")
        hash(key)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return _Facts(key, status, length, sum_) if type(length) is int and length >= 0 else None


def _head(entry: dict[str, Any], vector: bytes, faces: str | None) -> bytes:
    """Return the line of an entry, with the sum of it and of what will follow."""
    head = json.dumps(entry).encode("ascii")
    total = zlib.crc32(vector, zlib.crc32(head))
    if faces:
        with open(faces, "rb") as file:
            total = _added(total, file, entry["faces"])
    return head[:-1] + _SUM + b"%d}\n" % total


def _sum(head: bytes, file: IO[bytes], length: int) -> int:
    """Return the sum of an entry of which the line was read, and `length` bytes follow."""
    return _added(zlib.crc32(head.rpartition(_SUM)[0] + b"}"), file, length)


def _added(total: int, file: IO[bytes], length: int) -> int:
    """Return a CRC-32 gone on with over the next `length` bytes of a file."""
    while length > 0 and (block := file.read(min(length, _BLOCK))):
        total, length = zlib.crc32(block, total), length - len(block)
    return total


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


def there(out: str) -> bool:
    """Return whether an output is there already; raises OutputError where nobody can say."""
    if not remote.is_url(out):
        return os.path.isfile(out)
    with told(out):
        return remote.exists(remote.checked(out))


def refuse_existing(out: str, *, overwrite: bool) -> None:
    """Raise OutputError for an output, or what a stopped run left of it, that is there already."""
    if overwrite:
        return
    journal = place_of(out) + SUFFIX
    if os.path.exists(journal):
        step = "--resume goes on, --overwrite begins again"
        raise OutputError(journal, f"a run was stopped here; {step}")
    if there(out):
        raise OutputError(out, "is there already; give --overwrite, or another --out")
