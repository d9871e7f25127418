"""Where output goes: a file that appears whole or not at all, or a stream that is open already."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO, TypeVar

from videmo.errors import OutputError, ReaderGone
from videmo.files import remote
from videmo.files.scratch import part_in

Out = str | os.PathLike[str] | None
Self = TypeVar("Self", bound="AtomicOutput")

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or write to another disk",
    errno.EDQUOT: "the disk quota is used up; free some space or write to another disk",
    errno.EFBIG: "the file would be larger than this disk allows; write to another disk",
    errno.EACCES: "no permission to write there; choose another place",
    errno.EPERM: "no permission to write there; choose another place",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.ENOENT: "its folder is not there; make it first",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another place",
    errno.EISDIR: "is a folder; name a file in it",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "its symbolic links run in a circle; choose another place",
}
# These name an open file, whatever it is: replacing it would hide the rest of its output.
_OPEN_FILES = ("/dev/fd/", "/dev/std", "/proc/")


class AtomicOutput(ABC):
    """Output that is whole or nothing: leaving a `with` by an exception discards it."""

    @abstractmethod
    def close(self) -> None:
        """Complete the output; a second time does nothing."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what is unfinished; what was there before stays as it was."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class Sink(AtomicOutput):
    """One place for output; its errors name it, and nothing half written stays behind.

    file: open, binary for what we opened ourselves, text for a stream of the caller
    part: the unfinished file, which becomes `target` on close; None is written directly
    owned: whether closing the sink closes the file
    lock: tells others that the unfinished file is in use
    """

    def __init__(
        self,
        name: str,
        file: IO[Any],
        *,
        part: str | None = None,
        target: str = "",
        owned: bool = True,
        lock: IO[bytes] | None = None,
    ) -> None:
        self._lock = lock
        self.name, self.file, self.open = name, file, True
        self._part, self._target, self._owned = part, target, owned

    @property
    def tty(self) -> bool:
        """Whether a person looks at a terminal there."""
        return bool(self.file.isatty())

    @property
    def encoding(self) -> str:
        """What a terminal there understands; files are always UTF-8."""
        return "utf-8" if self._owned else getattr(self.file, "encoding", None) or "utf-8"

    @property
    def folder(self) -> str:
        """Where there is room for what is not finished: beside the output, or its copy here."""
        return os.path.dirname(os.path.realpath(self._part or self.name))

    def write(self, text: str, encoding: str = "utf-8") -> None:
        """Write `text` and flush it.

        Escaped bytes of a file name that is not UTF-8 are written as they were.

        Raises OutputError; ReaderGone when the reader of a pipe has gone.
        """
        with self.guard():
            self._put(text, encoding)
            self.file.flush()

    def close(self) -> None:
        """Finish: only now is an existing file replaced."""
        if not self.open:
            return
        with self.guard():
            self.file.flush()
            if self._part:
                os.fsync(self.file.fileno())
            if self._owned:
                self.file.close()
            if self._part:
                os.replace(self._part, self._target)
                _sync_folder(os.path.dirname(self._target))
        self._let_go()

    def discard(self) -> None:
        """Give up: what was there before stays as it was."""
        if not self.open:
            return
        if self._owned:
            with suppress(OSError):
                self.file.close()
        if self._part:
            with suppress(OSError):
                os.unlink(self._part)
        self._let_go()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what the system says into an OutputError, after removing the unfinished file."""
        if not self.open:
            raise ValueError(f"{self.name} is closed")
        try:
            with output_errors(self.name):
                yield
        except BaseException:
            self.discard()
            raise

    def _let_go(self) -> None:
        self.open = False
        if self._lock:
            self._lock.close()

    def _put(self, text: str, encoding: str) -> None:
        if self._owned:
            self.file.write(to_bytes(text, encoding))
        elif hasattr(self.file, "buffer"):
            # past the text layer, which would translate line ends and refuse escaped bytes
            self.file.flush()
            self.file.buffer.write(to_bytes(text, encoding))
            self.file.buffer.flush()
        else:
            self.file.write(text)


class Upload(Sink):
    """Output for a URL: a file here, which is uploaded whole when the sink is closed."""

    def __init__(self, url: str) -> None:
        where = os.getcwd() if os.access(os.curdir, os.W_OK) else tempfile.gettempdir()
        part, lock = part_in(where)
        super().__init__(url, _open(part, os.O_WRONLY), part=part, lock=lock)

    def close(self) -> None:
        """Finish: only now is anything at the URL replaced."""
        if not self.open:
            return
        with self.guard():
            self.file.close()
            remote.upload(str(self._part), self.name)
            os.unlink(str(self._part))
        self._let_go()


def open_sink(out: Out, stream: TextIO | None = None) -> Sink:
    """Return the sink for `out`; None and "-" are `stream`, by default the standard output."""
    if out is not None and os.fspath(out) != "-":
        return open_file(out)
    stream = sys.stdout if stream is None else stream
    if stream is None:
        raise OutputError("standard output", "is closed; name a file with --out")
    return Sink("standard output", stream, owned=False)


def open_file(out: str | os.PathLike[str]) -> Sink:
    """Return a sink for the file `out`, binary, which appears or is replaced when it is closed.

    `out` may be a URL, such as s3://bucket/emotions.csv, for which a file here is uploaded. A
    symbolic link is followed and stays. Pipes and devices are written directly. A new file
    has the permissions that the umask leaves, a replaced one keeps its own.

    Raises OutputError for a folder, a missing folder, or a place that cannot be written;
    InputError, MissingDependency for a URL that cannot be used.
    """
    name = os.fspath(out)
    if not name:
        raise OutputError(repr(name), "is an empty name; name a file, or - for standard output")
    if remote.is_url(name):
        return Upload(remote.checked_url(name))
    with output_errors(name):
        mode = _mode(name)
        if (mode is not None and stat.S_ISDIR(mode)) or name.endswith(os.sep):
            raise OSError(errno.EISDIR, "")
        if name.startswith(_OPEN_FILES) or (mode is not None and not stat.S_ISREG(mode)):
            # appending, because the shell may have sent an open file there with >>
            return Sink(name, _open(name, os.O_WRONLY | os.O_APPEND))
        return _beside(name, os.path.realpath(name), mode)


def refuse_existing(out: str, *, overwrite: bool) -> None:
    """Raise OutputError for an output that is there already, unless it may be replaced."""
    there = os.path.isfile(out) or os.path.isdir(out)
    if there and not overwrite and not out.startswith(_OPEN_FILES):
        raise OutputError(out, "is there already; give --overwrite, or another --out")


def refuse_source(out: str, sources: Iterable[str]) -> None:
    """Raise OutputError for an output that is one of the files that are read, by any name.

    A file of a model is one as well, whichever model is read; so is a picture of a folder that is
    a clip, but not what else lies in a folder.
    """
    place, here = os.path.realpath(out), _identity(out)
    for source in sources:
        same = out == source or place == os.path.abspath(source)
        same = same or (here is not None and here == _identity(source))
        if same and not os.path.isdir(source):
            raise OutputError(out, f"is read as {source}; choose another --out")
    if here and _is_of_a_model(place):
        raise OutputError(out, "is a file of a model; choose another --out")


def _identity(path: str) -> tuple[int, int] | None:
    """Return what a file is known by whatever it is called; of a device or none nothing."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _is_of_a_model(path: str) -> bool:
    folder, name = os.path.split(path)
    try:
        with open(os.path.join(folder, "card.json"), encoding="utf-8") as file:
            return name == "card.json" or name in json.load(file)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def check_place(out: str) -> None:
    """Raise OutputError, before any work, for a place where a file could not be put at its end.

    A link is followed: to what it names, whether that is there or not.
    """
    if remote.is_url(out) or out.startswith(_OPEN_FILES):
        return
    with output_errors(out):
        target = os.path.realpath(out, strict=False)
        if os.path.isdir(target) or out.endswith(os.sep):
            raise OSError(errno.EISDIR, "")
        os.stat(folder := os.path.dirname(target))
        if not os.access(target if os.path.exists(target) else folder, os.W_OK):
            raise OSError(errno.EACCES, "")


def _sync_folder(folder: str) -> None:
    """Have the disk note a new name, where it can be asked to."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def output_errors(name: str) -> Iterator[None]:
    """Turn an OSError into an OutputError for `name`, a closed pipe into ReaderGone."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone(name) from error
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        step = "is the disk full? free some space or write to another disk"  # NumPy gives no number
        reason = _REASONS.get(error.errno or 0, f"cannot be written ({said}); {step}")
        raise OutputError(name, reason) from error


def to_bytes(text: str, encoding: str = "utf-8") -> bytes:
    """Return `text` encoded; a byte that os.fsdecode has escaped is that byte again."""
    try:
        return text.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace")


def _beside(name: str, target: str, mode: int | None) -> Sink:
    """Open an unfinished file in the folder of `target`, hidden, so that no search finds it."""
    if mode is not None and not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, "")
    part, lock = part_in(os.path.dirname(target))
    sink = Sink(name, _open(part, os.O_WRONLY), part=part, target=target, lock=lock)
    if mode is not None:
        with sink.guard():
            os.chmod(part, stat.S_IMODE(mode))
    return sink


def _open(path: str, flags: int) -> io.BufferedWriter:
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return open(os.open(path, flags, 0o666), "wb")


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
