"""Paths, folders, patterns, lists and manifests go in; one Clip for each input comes out."""

from __future__ import annotations

import glob
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from videmo.errors import InputError, ManifestError, NothingToDo
from videmo.files import remote
from videmo.runs.csv_text import (
    is_binary,
    lines_of,
    manifest_rows,
    os_reason,
    read_bytes,
    read_standard_input,
)
from videmo.runs.patterns import (
    PathFilter,
    compiled,
    fixed_part,
    matches_any,
    regex_of,
    with_slashes,
)
from videmo.runs.times import seconds

VIDEO_SUFFIXES = frozenset({
    ".264", ".265", ".3g2", ".3gp", ".amv", ".apng", ".asf", ".av1", ".avc", ".avi", ".dav",
    ".divx", ".dv", ".evo", ".f4v", ".flv", ".gif", ".h261", ".h263", ".h264", ".h265", ".hevc",
    ".insv", ".ivf", ".lrv", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg",
    ".mk3d", ".mkv", ".mod", ".mov", ".mp2v", ".mp4", ".mp4v", ".mpe", ".mpeg", ".mpg", ".mpg4",
    ".mpv", ".mts", ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".ogx", ".ps", ".qt", ".rm", ".rmvb",
    ".tod", ".trp", ".ts", ".vob", ".vro", ".webm", ".wmv", ".wtv", ".y4m",
})  # fmt: skip
_OURS = (".journal", ".receipt")  # of outputs that lie among the clips
_COLUMNS = ("path", "label", "split", "subject", "start", "end")
_UNPAIRED = re.compile("[\ud800-\udfff]")  # a byte that is not UTF-8, as os.fsdecode escapes it
_log = logging.getLogger(__name__)

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]


@dataclass(frozen=True)
class Clip:
    """One input, as it will be named in its record."""

    path: str  # as given; for what a folder holds: the folder as given, joined with the way to it
    start: float | None = None  # s, from a manifest, as all that follow
    end: float | None = None  # s
    label: str | None = None
    split: str | None = None
    subject: str | None = None


def find_clips(
    paths: PathLike | Iterable[PathLike],
    *,
    ext: Iterable[str] = (),
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    manifest: PathLike | None = None,
    files0_from: PathLike | None = None,
    frames_of: Iterable[PathLike] = (),
    stdin: IO[bytes] | IO[str] | None = None,
) -> list[Clip]:
    """Return the clips that are meant, in the order in which they were named.

    paths: files, taken as they are, missing ones too, for every input gets its record; folders,
        searched for videos; quoted patterns ("clips/**/*.mp4"); URLs of all of these
        ("s3://bucket/clips/"); "-" reads a list of files and folders from `stdin`, one a line
    ext: suffixes that are videos as well (".dat" or "dat"); "*" takes every file
    include, exclude: patterns for what a folder or a pattern yields, not for files that were named.
        They are read as in a .gitignore: one without / matches at any depth, one that names a
        folder stands for all in it, ** crosses folders. An excluded folder is not entered.
    manifest: a CSV with the header path[,label][,split][,subject][,start][,end]
    files0_from: a file (or "-") that lists files and folders, each ended by a NUL
    frames_of: folders of pictures, each of which is one clip

    Within a folder the order is that of the names' code points, part by part, in every locale.
    Hidden files and folders are passed over, links to folders are followed but not round in a
    circle. An input that is named twice, with the same start and end, is one clip: the first
    place counts, and what the manifest says of it. Inputs of which that is so, and files of
    folders whose suffix is not a video's, are counted in one warning each (logging).

    Raises NothingToDo, ManifestError, InputError for a folder or list that cannot be read or a
    URL that cannot be used, MissingDependency where a URL wants a package.
    """
    search = _Search(_suffixes(ext), [*filter(None, include)], [*filter(None, exclude)])
    if isinstance(paths, (str, bytes, os.PathLike)):
        paths = [paths]
    named = [os.fsdecode(path) for path in paths]
    if "-" in named and files0_from is not None and os.fsdecode(files0_from) == "-":
        raise InputError("standard input cannot be two lists; give - or --files0-from -, not both")
    found: dict[tuple[str, float | None, float | None], Clip] = {}
    again = 0  # how many name a clip that was named before
    for path in _named(named, files0_from, stdin, search):
        again += found.setdefault((_same(path), None, None), clip := Clip(path)) is not clip
    for folder in map(os.fsdecode, frames_of):
        found.setdefault((_same(folder), None, None), Clip(folder))
    lists = [] if manifest is None else [os.fsdecode(manifest)]
    for clip in (clip for path in lists for clip in read_manifest(path)):
        found[_same(clip.path), clip.start, clip.end] = clip
    if not found:
        raise NothingToDo(search.without(named, files0_from, lists))
    search.tell_passed()
    if again:
        _log.warning("%s named more than once; each clip counts once", _inputs(again))
    for clip in found.values():
        if remote.is_url(clip.path):
            remote.checked_url(clip.path)
    return list(found.values())


def _inputs(count: int) -> str:
    return "1 input is" if count == 1 else f"{count} inputs are"


def read_manifest(path: str) -> list[Clip]:
    """Return the clips of a CSV file with a header, or of the first sheet of a workbook, in order.

    UTF-8 with or without a mark; commas, semicolons or tabs, whichever makes a column "path" of
    the header. Relative paths start at the manifest's folder, start and end are seconds or times
    (90, 1:30), other columns are passed over, and so are empty rows and rows that say the same
    again.

    Raises ManifestError(path, line, reason), InputError for a file that cannot be read.
    """
    rows = manifest_rows(path)
    _, header = next(rows)
    names = [cell.strip().lower() for cell in header]
    for name in _COLUMNS:
        if names.count(name) > 1:
            raise ManifestError(path, 1, f"two columns are called {name!r}; remove one")
    found: dict[tuple[str, float | None, float | None], tuple[int, Clip]] = {}
    for line, cells in rows:
        clip = _clip(path, line, names, cells)
        key = _same(clip.path), clip.start, clip.end
        before, known = found.setdefault(key, (line, clip))
        if (known.label, known.split, known.subject) != (clip.label, clip.split, clip.subject):
            reason = f"says otherwise of {clip.path} than line {before}; remove one"
            raise ManifestError(path, line, reason)
    return [clip for _, clip in found.values()]


class _Search:
    """Finds the videos of folders and patterns, and remembers what it looked at."""

    def __init__(
        self, suffixes: tuple[str, ...] | None, include: Sequence[str], exclude: Sequence[str]
    ) -> None:
        self.suffixes, self._shown, self.files = suffixes, (tuple(include), tuple(exclude)), 0
        self._passed: Counter[str] = Counter()  # files whose suffix is not asked for
        self._include, self._exclude = matches_any(include), matches_any(exclude)

    def folder(self, folder: str) -> Iterator[str]:
        """Yield the videos in `folder` and below."""
        if remote.is_url(folder):
            yield from self._prefix(folder)
            return
        for inner in _walk(folder, self._exclude):
            if self._takes(inner, self.suffixes):
                yield os.path.join(folder, inner)

    def pattern(self, pattern: str) -> Iterator[str]:
        """Yield what `pattern` matches; one that spells no suffix (clips/*) takes videos only."""
        suffix = os.path.splitext(pattern)[1]
        suffixes = None if suffix and not glob.has_magic(suffix) else self.suffixes
        base, rest = fixed_part(with_slashes(pattern))
        if remote.is_url(pattern):
            yield from self._prefix(base, rest, suffixes)
            return
        if "**" in rest.split("/"):
            yield from self._deep(base, rest, suffixes)
            return
        if os.path.isdir(base):
            with _readable(base):
                os.scandir(base).close()  # or what may not be looked at matches nothing
        for path in sorted(glob.glob(pattern), key=lambda path: path.split(os.sep)):
            inner = os.path.relpath(path, base or os.curdir)
            if self._exclude(inner):
                continue
            if os.path.isdir(path):
                yield from self.folder(path)
            elif self._takes(inner, suffixes):
                yield path

    def _prefix(
        self, url: str, rest: str = "", suffixes: tuple[str, ...] | None = ()
    ) -> Iterator[str]:
        """Yield the videos below a URL; with `rest`, what that pattern matches and what is in it.

        suffixes: of what the pattern matches itself; what lies in a folder is a video anyway
        """
        if not remote.is_url(url.rstrip("/")):
            raise InputError(f"{url}/{rest}: names no place to look in; name a bucket or folder")
        itself, within = (compiled(regex_of(rest) + more) for more in ("", "/.*"))
        for inner in _remote_walk(url):
            if self._exclude(inner):
                continue
            direct = bool(rest) and itself(inner)
            if (direct or not rest or ("**" not in rest and within(inner))) and self._takes(
                inner, suffixes if direct else self.suffixes
            ):
                yield f"{url.rstrip('/')}/{inner}"

    def without(self, named: list[str], files0_from: PathLike | None, lists: list[str]) -> str:
        """Return a line that says where nothing was found, and what was looked for."""
        places = [*named, *([os.fsdecode(files0_from)] if files0_from is not None else []), *lists]
        if not places:
            return "no input was given; name a video, a folder, or - for a list on standard input"
        what = f"no clip in {', '.join(places[:3])}{', ...' if len(places) > 3 else ''}"
        if lists and not named:
            return f"{what}: it lists none"
        counted = f"{self.files} {'file' if self.files == 1 else 'files'} looked at"
        wanted = "any file" if self.suffixes is None else " ".join(sorted(self.suffixes))
        filters = "".join(
            f", {option} {' '.join(patterns)}"
            for option, patterns in zip(("--include", "--exclude"), self._shown, strict=True)
            if patterns
        )
        return f"{what}: {counted} for {wanted}{filters}; --ext adds a suffix, --ext '*' takes all"

    def _deep(self, base: str, rest: str, suffixes: tuple[str, ...] | None) -> Iterator[str]:
        """Match ** by a walk, for that of `glob` follows links round in circles."""
        matches = compiled(regex_of(rest))
        if not os.path.isdir(base or os.curdir):
            return
        for inner in _walk(base or os.curdir, self._exclude):
            if matches(inner) and self._takes(inner, suffixes):
                yield os.path.join(base, inner)

    def _takes(self, path: str, suffixes: tuple[str, ...] | None) -> bool:
        self.files += 1
        if self._shown[0] and not self._include(path):
            return False
        fits = suffixes is None or path.lower().endswith(suffixes)
        if not fits and not path.endswith(_OURS):
            self._passed[os.path.splitext(path)[1].lower()] += 1
        return fits

    def tell_passed(self) -> None:
        """Say how many files of folders were passed over, by suffix."""
        if count := self._passed.total():
            kinds = ", ".join(f"{n} {end or 'without'}" for end, n in self._passed.most_common(6))
            more = ", ..." if len(self._passed) > 6 else ""
            _log.warning(
                "%s passed over in folders (%s%s); --ext adds a suffix, --ext '*' takes all",
                "1 file was" if count == 1 else f"{count} files were",
                kinds, more,
            )  # fmt: skip


def _named(
    named: list[str],
    files0_from: PathLike | None,
    stdin: IO[bytes] | IO[str] | None,
    search: _Search,
) -> Iterator[str]:
    """Yield the path of every clip that the arguments and lists name."""
    for path in dict.fromkeys(named):
        if path == "-":
            yield from _named_paths(lines_of(read_standard_input(stdin)), search)
        elif not path:
            raise InputError("an input is an empty text; is a variable of the shell not set?")
        elif glob.has_magic(path) and not remote.is_web(path) and not os.path.lexists(path):
            yield from _counted(path, search.pattern(path))
        else:
            yield from _named_paths([path], search)
    if files0_from is not None:
        source = os.fsdecode(files0_from)
        content = read_standard_input(stdin) if source == "-" else read_bytes(source)
        if is_binary(content):
            raise InputError(f"{source}: is no list of paths; name a video without --files0-from")
        yield from _named_paths(filter(None, os.fsdecode(content).split("\0")), search)


def _named_paths(paths: Iterable[str], search: _Search) -> Iterator[str]:
    """Yield files as they are, and the videos of folders."""
    for path in paths:
        if remote.is_url(path):
            yield from _at_url(path, search)
        elif os.path.isdir(path):
            yield from search.folder(path)
        else:
            yield path


def _at_url(url: str, search: _Search) -> Iterator[str]:
    """Yield a URL that ends as a video does as it is, unasked; else the videos of a folder."""
    if not url.lower().endswith(tuple(VIDEO_SUFFIXES)) and _asked(url):
        yield from search.folder(url)
    else:
        yield url


def _asked(url: str) -> bool:
    """Return whether a URL is a folder; raises InputError where its service does not say."""
    try:
        return remote.is_remote_folder(remote.checked_url(url))
    except OSError as error:
        raise InputError(f"{url}: cannot be looked at ({os_reason(error)})") from error


def _remote_walk(url: str) -> Iterator[str]:
    try:
        yield from remote.walk(remote.checked_url(url))
    except OSError as error:
        raise InputError(f"{url}: the folder cannot be read ({os_reason(error)})") from error


def _counted(pattern: str, paths: Iterator[str]) -> Iterator[str]:
    """Pass `paths` on, and say so where there are none: another input may still have some."""
    empty = True
    for path in paths:
        empty = False
        yield path
    if empty and not set("*?") & set(pattern):
        yield pattern  # take[2].mp4 is rather the name of a file that is missing
    elif empty:
        _log.warning("%s: the pattern matches no clip", pattern)


def _walk(folder: str, excluded: PathFilter) -> Iterator[str]:
    """Yield the way from `folder` to each of its files, by name, depth first."""
    todo = [("", True, frozenset[tuple[int, int]]())]
    while todo:
        inner, is_dir, above = todo.pop()
        if not is_dir:
            yield inner
            continue
        place = os.path.join(folder, inner)
        with _readable(place):
            here = os.stat(place)
            key = here.st_dev, here.st_ino
            if key in above:
                continue  # a link to a folder that we are in
            with os.scandir(place) as entries:
                names = [(e.name, is_folder(e)) for e in entries if _is_input(e)]
        inside = [(os.path.join(inner, name), is_dir) for name, is_dir in sorted(names)]
        todo += [(i, d, above | {key}) for i, d in reversed(inside) if not excluded(i)]


@contextmanager
def _readable(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{place}: the folder cannot be read ({os_reason(error)}); "
            "change its permissions, or leave it out with --exclude"
        ) from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether `entry` is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_input(entry: os.DirEntry[str]) -> bool:
    """Tell whether to look at `entry`: not if hidden, nor a pipe or device, which might block.

    A link to nowhere stays: its clip is missing, and that is to be said.
    """
    if entry.name.startswith("."):
        return False
    try:
        return entry.is_dir() or entry.is_file() or not os.path.exists(entry.path)
    except OSError:
        return True


def _suffixes(ext: Iterable[str]) -> tuple[str, ...] | None:
    """Return the suffixes that count as video, None for all."""
    more = [text.strip().lower() for text in ext]
    if "*" in more:
        return None
    return (*VIDEO_SUFFIXES, *(f".{text.lstrip('.')}" for text in more if text.strip(".")))


def _same(path: str) -> str:
    """Return `path` without its empty parts and dots; .. stays, for a link may stand before it.

    A URL stays as it is: an empty part may belong to the name of an object.
    """
    if remote.is_url(path):
        return path
    parts = [part for part in path.split(os.sep) if part not in ("", os.curdir)]
    return (os.sep if path.startswith(os.sep) else "") + os.sep.join(parts)


def _clip(path: str, line: int, names: Sequence[str], cells: Sequence[str]) -> Clip:
    """Return the clip of one row."""
    if any(cell.strip() for cell in cells[len(names) :]):
        reason = f"has {len(cells)} cells under {len(names)} columns"
        raise ManifestError(
            path, line, f"{reason}; put quotes around a cell with a separator in it"
        )
    row = dict(zip(names, cells, strict=False))
    where = row.get("path", "")
    if not where.strip():
        raise ManifestError(path, line, "has no path")
    facts = {name: row.get(name, "").strip() or None for name in ("label", "split", "subject")}
    for name, fact in facts.items():
        if fact and _UNPAIRED.search(fact):
            raise ManifestError(path, line, f"its {name} is not UTF-8; save the file as UTF-8")
    start, end = (_seconds(path, line, name, row.get(name, "")) for name in ("start", "end"))
    if end is not None and (start or 0.0) >= end:
        raise ManifestError(path, line, f"start {start or 0.0:g} s is not before end {end:g} s")
    return Clip(_beside(path, where), start, end, **facts)


def _beside(manifest: str, where: str) -> str:
    """Return a path of a manifest as it is meant: from the manifest's folder."""
    if remote.is_url(where):
        return where
    if remote.is_url(manifest) and not os.path.isabs(where):
        return f"{manifest.rpartition('/')[0]}/{where}"
    return os.path.join(os.path.dirname(manifest), where)


def _seconds(path: str, line: int, name: str, text: str) -> float | None:
    text = text.strip()
    if not text:
        return None
    value = seconds(text)
    if not (math.isfinite(value) and value >= 0):
        raise ManifestError(
            path, line, f"{name} is {text!r}, expected seconds such as 1.5, or a time such as 1:30"
        )
    return value
