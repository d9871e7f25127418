"""What a file is, before and after a decoder fails on it: reasons in words."""

from __future__ import annotations

import os
import struct
import unicodedata
import zlib
from collections.abc import Iterator

from videmo.errors import VideoError
from videmo.stages.decode.formats import kind_of_list

DAMAGED = (  # what parsers of pictures meet in a file that is broken
    OSError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, EOFError,
    AttributeError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
LFS_POINTER = b"version https://git-lfs"
MAX_BOXES = 10_000  # that are looked at; a recording in fragments has two a fragment
NO_SUCH_FILE = "no such file; check the path"
NOT_ALLOWED = "permission denied; ask for the right to read it"


def check_readable(path: str) -> None:
    """Raise VideoError where the file system already says that there is nothing to decode."""
    try:
        if os.path.isdir(path):
            raise VideoError(path, "is a folder; name the videos in it")
        if os.path.exists(path) and not os.path.isfile(path):
            return  # a pipe: looking would take away its first bytes
        with open(path, "rb") as file:
            head = file.read(len(LFS_POINTER))
    except ValueError as error:
        raise VideoError(path, "not a file name") from error
    except FileNotFoundError as error:
        raise VideoError(path, why_missing(path)) from error
    except PermissionError as error:
        raise VideoError(path, NOT_ALLOWED) from error
    except OSError as error:
        raise VideoError(path, error.strerror or str(error)) from error
    if not head:
        raise VideoError(path, "empty file (0 bytes); copy or download it again")
    if head == LFS_POINTER:
        raise VideoError(path, "git-lfs pointer, not the video itself; run git lfs pull")


def check_rereadable(path: str) -> None:
    """Raise VideoError for a pipe or a device, of whose bytes a second reading finds none."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise VideoError(path, "a pipe, and this reads a clip twice; write it to a file first")


def why_missing(path: str) -> str:
    """Return that there is no such file, and what in its name may be why, as lists go wrong."""
    if os.path.islink(path):
        return f"no such file; a link to {os.readlink(path)}, which is not there; mend the link"
    for fact, other, step in _mistakes(path):
        there = ", and without there is one" if os.path.lexists(other) else ""
        return f"no such file; {fact}{there}; {step}"
    return NO_SUCH_FILE


def _mistakes(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield what may be wrong with a name, the name without it, and what to do."""
    bare = os.sep.join(part.strip() for part in path.split(os.sep))
    if bare != path:
        yield "its name has spaces around it", bare, "take them out of the list"
    if os.sep == "/" and "\\" in path:
        slashes = path.replace("\\", "/")
        yield "its name has backslashes, which part no folders here", slashes, "write / for them"
    if any("\ud800" <= letter <= "\udfff" for letter in path):
        latin = os.fsencode(path).decode("latin-1")
        yield "its name is no UTF-8, but may be Latin-1", latin, "save the list as UTF-8"
    for form in ("NFC", "NFD"):
        composed = unicodedata.normalize(form, path)
        if composed != path and os.path.lexists(composed):
            yield "its accents are composed otherwise", composed, "copy it from a listing"


def why_unreadable(path: str) -> str:
    """Return why a file that no demuxer knows is no video, as far as its first bytes tell."""
    if not os.path.isfile(path):
        return "not a video"
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if b"encv" in head or b"pssh" in head:  # ISO/IEC 23001-7, common encryption
        return "encrypted; decrypt it first"
    if head[4:8] in (b"ftyp", b"moof", b"mdat", b"wide", b"free", b"styp", b"sidx"):
        if all(name != b"moov" for name, _, _ in boxes(path)):
            return (
                "its index (moov) is missing: a recording that was cut off, or one fragment of "
                "a stream; copy it again, or join it to its first fragment"
            )
        return "damaged beyond its header; copy or download it again"
    if kind := kind_of_list(path):
        return f"a list ({kind}) that names other files, not a video; give the files themselves"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head[:1024]):
        return "text, not a video; check the path"
    return "not a video, or damaged from its first bytes; try to play it"


def boxes(path: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and length of the outer boxes of an MP4 (ISO/IEC 14496-12, 4.2)."""
    at, size = 0, os.path.getsize(path)
    with open(path, "rb") as file:
        for _ in range(MAX_BOXES):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return
            length = int.from_bytes(head[:4], "big")
            if length == 1:  # the true length is in the next 8 bytes
                length = int.from_bytes(head[8:16], "big")
            if length < 8:  # 0: to the end of the file
                length = size - at
            yield head[4:8], at, length
            at += max(8, length)
