"""Features of the faces of one clip in a file of their own, batch by batch, and the way back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from typing import IO

import numpy as np

from videmo.data import F64, Faces, Features
from videmo.write.sink import output_errors

_FRAMES = ("times", "cuts")  # of a batch, beside its faces


def spooled(path: str) -> Callable[[Iterator[Features]], Iterator[Features]]:
    """Return what passes features on and keeps them in a file, for `unspooled` to read."""

    def through(river: Iterator[Features]) -> Iterator[Features]:
        with begun(path) as file:
            for features in river:
                with spool_errors(path):
                    put(file, features)
                yield features

    return through


@contextmanager
def begun(path: str) -> Iterator[IO[bytes]]:
    """Yield a new file, whose last bytes may find no room as well as the first."""
    with spool_errors(path):
        file = open(path, "wb")  # noqa: SIM115
    try:
        yield file
    finally:
        with spool_errors(path):
            file.close()


def spool_errors(path: str) -> AbstractContextManager[None]:
    """Return what turns an OSError into an OutputError for where the output lies, which is known.

    path: of a file in a scratch folder there
    """
    return output_errors(os.path.abspath(os.path.join(path, *[os.pardir] * 2)))


def put(file: IO[bytes], features: Features) -> None:
    """Append one batch; its outputs are left out."""
    columns = [getattr(features.faces, column.name) for column in fields(Faces)]
    for array in (*_frames(features), features.values, *columns):
        np.save(file, array, allow_pickle=False)


def unspooled(file: IO[bytes], end: int) -> Iterator[Features]:
    """Yield the features that `put` kept, from where the file is up to `end`."""
    count = len(_FRAMES) + 1 + len(fields(Faces))
    while file.tell() < end:
        times, cuts, values, *columns = (np.load(file, allow_pickle=False) for _ in range(count))
        yield Features(values, Faces(*columns), len(times), times=times, cuts=cuts)


def _frames(features: Features) -> tuple[F64, F64]:
    """Return times and cuts, also of features that were made without them."""
    times = np.full(features.seen, np.nan) if features.times is None else features.times
    return times, np.zeros(0) if features.cuts is None else features.cuts
