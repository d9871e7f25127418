"""A run in N shards: which clips are whose, and who says which shard this is.

All clips and K/N go in, the K-th share comes out; `merge` makes of what the shards wrote the
output that one run would have written.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from videmo.errors import InputError
from videmo.runs.inputs import Clip
from videmo.write.sink import to_bytes


@dataclass(frozen=True)
class Shard:
    """One of the shares that the clips of a run are dealt into."""

    number: int  # from 1
    count: int
    source: str = ""  # the variable that said so, and its value

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(
                f"there is no shard {self.number}/{self.count}; give one from 1/N to N/N"
            )

    def __str__(self) -> str:
        return f"shard {self.number} of {self.count}{f' ({self.source})' if self.source else ''}"


def shard_of(text: str, environ: Mapping[str, str]) -> Shard:
    """Return the shard that "K/N" names or, for "auto", the one that a scheduler has numbered.

    What auto reads; ranks and indices count from 0:

    - Slurm: SLURM_ARRAY_TASK_ID, the number in an array of _COUNT tasks evenly spaced from _MIN
      to _MAX (slurm.schedmd.com/job_array.html), else SLURM_PROCID of SLURM_NTASKS. A batch
      script is process 0 of all the job's tasks, but runs once; so within a job those two count
      only under srun, which sets SLURM_STEP_ID.
    - Grid Engine: SGE_TASK_ID, from _FIRST to _LAST by _STEPSIZE; "undefined" outside of arrays
      (man qsub)
    - torchrun: RANK of WORLD_SIZE (pytorch.org/docs/stable/elastic/run.html)
    - Open MPI: OMPI_COMM_WORLD_RANK of _SIZE (docs.open-mpi.org, tuning-apps/environment-var)
    - Kubernetes: JOB_COMPLETION_INDEX (kubernetes.io/docs, indexed-parallel-processing-static);
      it does not tell of how many, so VIDEMO_SHARDS has to

    Where several number this process, one that says 1 of 1 is passed over, and the others must
    agree. VIDEMO_SHARDS, where it is set, must be the count: so an array of which some tasks are
    submitted again, which counts only those, is refused. PBS tells a task its number alone.

    Raises InputError.
    """
    if text == "auto":
        return _numbered(environ)
    if not (found := re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)):
        raise InputError(f"--shard {text!r} is neither K/N, such as 2/8, nor auto")
    return Shard(int(found[1]), int(found[2]))


def deal(
    clips: Sequence[Clip], shard: Shard, *, named: Iterable[str] = (), manifest: str | None = None
) -> list[Clip]:
    """Return the clips of one shard in their order; each clip is in exactly one.

    named: the files, folders and patterns that were given; manifest: the list that was

    The shard is the BLAKE2b (8 bytes, as a number) of the clip's name, start and end, modulo
    the count; the parts of one file are clips of their own. The name is the way to the clip from
    the root of all inputs, with slashes, its bytes as they are. So neither the order, nor the
    other clips below the root, nor the place of the root changes a clip's shard. The root is the
    deepest folder that holds

    - the folders that were named, and the folders of patterns before the first wildcard,
    - the folder of each clip, which is all that counts for files and for lists of them.

    With a manifest the name is the path as it is written there.
    """
    names = _written(clips, manifest) if manifest else _relative(clips, named)
    pairs = zip(clips, names, strict=True)
    return [clip for clip, name in pairs if _number(clip, name, shard.count) == shard.number]


_RANKS = (  # the number of this process, from 0, and how many there are
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("JOB_COMPLETION_INDEX", "VIDEMO_SHARDS"),
)
_STEPS = ("SLURM_STEP_ID", "SLURM_STEPID")  # the second is the older name
_PBS = ("PBS_ARRAY_INDEX", "PBS_ARRAYID")  # of PBS Pro, of Torque


def _numbered(environ: Mapping[str, str]) -> Shard:
    found = [*_arrays(environ), *_ranks(environ)]
    found = [shard for shard in found if shard.count > 1] or found[:1]
    if not found:
        raise InputError(_unnumbered(environ))
    first = found[0]
    for other in found[1:]:
        if (other.number, other.count) != (first.number, first.count):
            raise InputError(f"--shard auto: {first} contradicts {other}; give --shard K/N")
    if "VIDEMO_SHARDS" in environ:
        wanted = _integer(environ, "VIDEMO_SHARDS")
        if wanted != first.count:
            reason = f"{first} contradicts VIDEMO_SHARDS {wanted}"
            raise InputError(f"--shard auto: {reason}; give --shard K/{wanted}")
    return first


def _arrays(environ: Mapping[str, str]) -> Iterator[Shard]:
    """Yield what array jobs say."""
    if "SLURM_ARRAY_TASK_ID" in environ:
        names = (f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT"))
        task, first, last, count = (_integer(environ, name) for name in names)
        step = (last - first) // max(1, count - 1)  # not _STEP: a list has none of its own
        yield _even("SLURM_ARRAY_TASK_ID", task, range(first, last + 1, max(1, step)), count)
    if environ.get("SGE_TASK_ID", "undefined") != "undefined":
        names = (f"SGE_TASK_{name}" for name in ("ID", "FIRST", "LAST", "STEPSIZE"))
        task, first, last, step = (_integer(environ, name) for name in names)
        tasks = range(first, last + 1, max(1, step))
        yield _even("SGE_TASK_ID", task, tasks, len(tasks))


def _even(name: str, task: int, tasks: range, count: int) -> Shard:
    """Return the shard of one task, of which there are `count` as evenly spaced as `tasks`."""
    if len(tasks) != count or task not in tasks:
        reason = f"{name} {task} is none of {count} even steps from {tasks.start} to"
        raise InputError(f"--shard auto: {reason} {tasks.stop - 1}; give --shard K/N")
    return Shard(tasks.index(task) + 1, count, f"{name} {task}")


def _ranks(environ: Mapping[str, str]) -> Iterator[Shard]:
    """Yield what those say that number processes from 0."""
    alone = "SLURM_JOB_ID" in environ and not any(name in environ for name in _STEPS)
    for rank, size in _RANKS:
        if rank not in environ or (alone and rank == "SLURM_PROCID"):
            continue
        number, count = _integer(environ, rank), _integer(environ, size)
        if number >= count:
            reason = f"{rank} {number} contradicts {size} {count}"
            raise InputError(f"--shard auto: {reason}; give --shard K/N")
        yield Shard(number + 1, count, f"{rank} {number}")


def _integer(environ: Mapping[str, str], name: str) -> int:
    if name not in environ:
        raise InputError(f"--shard auto: {name} is not set; set it, or give --shard K/N")
    if not re.fullmatch(r"\d{1,9}", environ[name], re.ASCII):
        raise InputError(
            f"--shard auto: {name} is {environ[name]!r}, no number from 0; give --shard K/N"
        )
    return int(environ[name])


def _unnumbered(environ: Mapping[str, str]) -> str:
    for name in _PBS:
        if name in environ:
            return (
                f"--shard auto: {name} does not tell of how many; "
                f"submit an array from 1 to N and give --shard ${name}/N"
            )
    looked = ("SLURM_ARRAY_TASK_ID", "SGE_TASK_ID", *(rank for rank, _ in _RANKS))
    text = ", ".join(looked).replace("SLURM_PROCID", "SLURM_PROCID (under srun)")
    return f"--shard auto: none of {text} is set; give --shard K/N"


def _written(clips: Sequence[Clip], manifest: str) -> list[str]:
    folder = os.path.join(os.path.dirname(manifest), "")
    return [os.path.normpath(clip.path.removeprefix(folder)) for clip in clips]


def _relative(clips: Sequence[Clip], named: Iterable[str]) -> list[str]:
    paths = [os.path.abspath(clip.path) for clip in clips]
    folders = {os.path.dirname(path) for path in paths}
    folders |= {os.path.abspath(folder) for path in named if (folder := _folder(path))}
    try:
        root = os.path.commonpath(folders)
    except ValueError:  # drives of Windows have no root in common
        return paths
    return [os.path.relpath(path, root) for path in paths]


def _folder(path: str) -> str | None:
    """Return the folder that `path` is or, of a pattern, the one before the first wildcard."""
    if os.path.isdir(path):
        return path
    if os.path.lexists(path) or not glob.has_magic(path):
        return None
    while glob.has_magic(path):
        path = os.path.dirname(path)
    return path or os.curdir


def _number(clip: Clip, name: str, count: int) -> int:
    times = ("" if time is None else repr(float(time)) for time in (clip.start, clip.end))
    text = "\0".join((name.replace(os.sep, "/"), *times))
    digest = hashlib.blake2b(to_bytes(text), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count + 1
