"""What a run has found out so far, in a file beside its output that outlives the run.

    emotions.csv.journal   one entry a clip, as each was done; the output is made of it at the end

    owner    a line of JSON, of one length: the process that writes, and where
    kind     a line of JSON: what makes the numbers, as `differences` compares it
    entries  each a line of JSON with its key, its record, the number of bytes that follow and the
             CRC-32 of all that; and those bytes: a descriptor, and the features of faces as
             `write.spool.spooled` wrote them

The file is locked from the moment it is opened, so that two runs cannot write one output. A run
that was killed leaves whole entries and perhaps half a last one, which is cut off when the journal
is opened again; one that was damaged is passed over, and the next good one is looked for. Clips
are known by path, part, size, time of change and a sum of the kind, so a file that was replaced
is read again; so is one that failed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import socket
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from videmo.data import Descriptor, Features
from videmo.errors import InputError, OutputError
from videmo.files import remote
from videmo.files.lock import claim
from videmo.runs.batch import Record
from videmo.runs.executor import ClipResult
from videmo.runs.inputs import Clip
from videmo.write.sink import output_errors
from videmo.write.spool import unspooled

SUFFIX = ".journal"
SYNC = 1.0  # s at most that a power failure costs: fsync of every entry would halve tiny clips
_OWNER = 160  # bytes of the first line
_SUM = b', "sum": '  # stands last in the line, so that what comes before it can be summed
_BEGINNING = b'{"videmo": "journal"'
_ENTRY = b'{"key": ['  # begins every entry
_LONGEST = 16 << 20  # bytes of a line
_BLOCK = 1 << 20  # bytes read at once
Key = tuple[Any, ...]
State = tuple[int, int | str]  # size in bytes, ns or tag of the last change; -1 where none is
RunFacts = Mapping[str, Any]


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
    """The entries of a run, appended one by one and found again by clip; use it in a `with`.

    out: the output it belongs to
    Raises OutputError where it cannot be written or another run writes it, InputError if it is no
    journal.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.path = os.fspath(out) + SUFFIX
        self.kind: RunFacts = {}  # of the run that was stopped, if one was
        self.adds = False  # whether that run added to an output that was whole
        self.killed = False  # whether that run ended without a word, perhaps because of a clip
        self._sum = ""  # of the kind
        self._where: dict[Key, int] = {}
        self._keys: dict[Clip, Key] = {}  # as the files were when they were asked for
        self._synced, self._dirty = time.monotonic(), False
        with output_errors(self.path):
            self._file = self._claimed()
        try:
            with output_errors(self.path):
                self._end = self._read()
                if self.begun:
                    self._file.truncate(self._end)
                self._sign(os.getpid())
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it; one that nothing was written into goes."""
        if self._file.closed:
            return
        with suppress(OSError):
            if self.begun:
                self._sign(None)
                self._sync()
            else:
                self._delete()
        with suppress(OSError):
            self._file.close()

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, clip: Clip) -> bool:
        return self._key(clip) in self._where

    @property
    def begun(self) -> bool:
        """Whether a run was stopped here, or is on."""
        return bool(self.kind or self._where)

    def begin(self, kind: RunFacts, *, adds: bool = False) -> None:
        """Begin a run of a kind, whatever was here before."""
        self.resume(kind)
        self.adds = adds
        self._where.clear()
        with output_errors(self.path):
            self._file.truncate(0)
            self._sign(os.getpid())
            line = json.dumps({"kind": dict(kind), "adds": adds}).encode("ascii") + b"\n"
            self._end = _OWNER
            self._append([line])

    def resume(self, kind: RunFacts) -> None:
        """Go on with a run of a kind; what was found by one of another kind is not found now."""
        self.kind, self._sum = kind, _sum_of(kind)
        self._keys.clear()

    def add(self, clip: Clip, result: ClipResult, record: Record) -> None:
        """Append what was found of a clip; once this returns, a kill does not lose it.

        A failure of the machine or its power may lose what was added in the last `SYNC` seconds.
        """
        key, vector = self._key(clip), _packed(getattr(result.answer, "descriptor", None))
        faces = os.path.getsize(result.faces) if result.faces else 0
        entry = {"key": key, "record": record, "vector": len(vector), "faces": faces}
        place = self._end
        with output_errors(self.path):
            self._append([_line(entry, vector, result.faces), vector], result.faces)
            if time.monotonic() - self._synced >= SYNC:
                self._sync()
        self._where[key] = place

    def __getitem__(self, clip: Clip) -> Entry:
        """Return what was found of a clip; raises KeyError where nothing is, OutputError."""
        key = self._key(clip)
        self._file.seek(self._where[key])
        line = _loads(self._file.readline())
        if line is None or tuple(line["key"]) != key:
            raise self._meddled()
        vector = self._file.read(line["vector"])
        end = self._file.tell() + line["faces"]
        return Entry(line["record"], vector, unspooled(self._file, end))

    def state(self, clip: Clip) -> State:
        """Return size and time of change of a clip's file, as they were when it was asked for."""
        size, changed = self._key(clip)[3:5]
        return size, changed

    def remove(self) -> None:
        """Take the file away: its output is complete."""
        with output_errors(self.path):
            self._delete()
        self._file.close()

    def _delete(self) -> None:
        if sys.platform == "win32":  # which removes no open file; elsewhere the lock ends last
            self._file.close()
        os.unlink(self.path)

    def _claimed(self) -> IO[bytes]:
        """Return the file, locked where the disk knows locks."""
        try:
            file, locked = claim(Path(self.path))
        except BlockingIOError as error:
            with suppress(OSError), open(self.path, "rb") as other:
                raise OutputError(self.path, _writing(_owner(other.readline()))) from error
            raise OutputError(self.path, _writing({})) from error
        if not locked and _alive(owner := _owner(file.readline())):
            file.close()
            step = f"its disk knows no locks: if that has ended, remove {self.path}"
            raise OutputError(self.path, f"{_writing(owner)}; {step}")
        return file

    def _sync(self) -> None:
        if self._dirty:
            os.fsync(self._file.fileno())
        self._synced, self._dirty = time.monotonic(), False

    def _sign(self, pid: int | None) -> None:
        """Write into the first line who writes, None for nobody."""
        owner = {"videmo": "journal", "process": pid, "host": socket.gethostname()[:64]}
        self._file.seek(0)
        self._file.write(json.dumps(owner).encode("ascii").ljust(_OWNER - 1) + b"\n")
        self._file.flush()

    def _append(self, parts: list[bytes], faces: str | None = None) -> None:
        """Write at the end; what was half written there before is written over."""
        self._file.seek(self._end)
        for part in parts:
            self._file.write(part)
        if faces:
            with open(faces, "rb") as source:
                shutil.copyfileobj(source, self._file)
        self._file.flush()
        self._end, self._dirty = self._file.tell(), True

    def _meddled(self) -> OutputError:
        return OutputError(self.path, "another program has changed it meanwhile; --resume goes on")

    def _key(self, clip: Clip) -> Key:
        """Return what an entry is found by, even if its file changes or vanishes before the end."""
        if clip not in self._keys:
            self._keys[clip] = (
                clip.path, clip.start, clip.end, *state_of(clip.path), self._sum,
            )  # fmt: skip
        return self._keys[clip]

    def _read(self) -> int:
        """Note every whole entry and return where they end; those that failed are left out."""
        size = os.fstat(self._file.fileno()).st_size
        self._file.seek(0)
        owner, head = self._file.read(_OWNER), self._file.readline(_LONGEST)
        header = _loads(head) or {}
        self.killed = _owner(owner).get("process") is not None
        self.kind, self.adds = header.get("kind") or {}, header.get("adds") is True
        if not (self.kind or _owner(owner) or _BEGINNING.startswith(owner[: len(_BEGINNING)])):
            raise InputError(
                f"{self.path}: is no journal of this videmo; move it away, or choose another --out"
            )
        return self._entries(_OWNER + (len(head) if self.kind else 0), size)

    def _entries(self, place: int, size: int) -> int:
        """Note the good entries from a place on, and return where the last one ends."""
        end = place
        while place < size:
            self._file.seek(place)
            found = _entry(self._file, size)
            if found is None:  # damaged, or half written
                place = _find(self._file, _ENTRY, place + 1, size)
                continue
            if found.status == "error":
                self._where.pop(found.key, None)
            else:
                self._where[found.key] = place
            place = end = found.end
        return end


def _writing(owner: Mapping[str, Any]) -> str:
    who = f", process {owner['process']} on {owner['host']}," if owner else ""
    return f"another videmo{who} is writing this; wait for it, or choose another --out"


def _owner(line: bytes) -> dict[str, Any]:
    """Return who the first line says writes, nobody as an empty one."""
    owner = _loads(line) or {}
    return owner if owner.get("videmo") == "journal" else {}


def _alive(owner: Mapping[str, Any]) -> bool:
    """Return whether the process may still be there; of another host nobody can say."""
    if not owner or owner["process"] in (None, os.getpid()):
        return False
    if owner["host"] != socket.gethostname()[:64]:
        return True
    try:
        os.kill(owner["process"], 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _sum_of(kind: RunFacts) -> str:
    text = json.dumps(dict(kind), sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def state_of(path: str) -> State:
    """Return the size of a file and when it was changed, or its tag at a URL; -1 where none is."""
    if remote.is_url(path):
        return remote.file_state(path)
    try:
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns
    except (OSError, ValueError):
        return -1, -1


def differences(made: RunFacts, wanted: RunFacts) -> list[str]:
    """Return a line for each fact in which two runs differ: `recipe.sampling.fps None -> 5`."""
    plain = json.loads(json.dumps(dict(wanted)))
    names = [*made, *(name for name in plain if name not in made)]
    return [
        f"{name} {made.get(name)} -> {plain.get(name)}"
        for name in names
        if made.get(name) != plain.get(name)
    ]


def beside(out: str) -> str:
    """Return the name beside which the journal of an output lies.

    For a URL that is a name in the working folder, made of its last part and a sum of the whole.
    """
    if not remote.is_url(out):
        return out
    name = re.sub(r"[^\w.-]", "_", out.rpartition("/")[2]) or "out"
    return f"{name}.{hashlib.sha256(out.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


class _Entry(NamedTuple):
    """What is known of a good entry."""

    key: Key
    status: str
    end: int  # byte behind it


def _entry(file: IO[bytes], size: int) -> _Entry | None:
    """Return the entry that begins where the file stands, None if there is no whole one."""
    head = file.readline(_LONGEST)
    line = _loads(head) or {}
    try:
        key, status = tuple(line["key"]), line["record"]["status"]
        length = line["vector"] + line["faces"]
        hash(key)
    except (KeyError, TypeError):
        return None
    if type(length) is not int or length < 0 or file.tell() + length > size:
        return None
    if _sum(head, file, length) != line.get("sum"):
        return None
    return _Entry(key, status, file.tell())


def _find(file: IO[bytes], mark: bytes, begin: int, size: int) -> int:
    """Return where a mark stands next, or the size where it does not."""
    while begin < size:
        file.seek(begin)
        found = (block := file.read(_BLOCK)).find(mark)
        if found >= 0:
            return begin + found
        begin += max(1, len(block) - len(mark) + 1)
    return size


def _loads(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _line(entry: dict[str, Any], vector: bytes, faces: str | None) -> bytes:
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
