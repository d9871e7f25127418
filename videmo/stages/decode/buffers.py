"""Memory for the pixels of batches, used again once nobody holds a batch any more."""

from __future__ import annotations

import mmap
import weakref

import numpy as np

from videmo.data import U8

PRIVATE = {"flags": mmap.MAP_PRIVATE} if hasattr(mmap, "MAP_PRIVATE") else {}  # Windows has none


class Buffers:
    """Hands out memory that comes back by itself.

    Pages that were touched once are not asked of the system again: for each batch that takes as
    long as a third of decoding it. And none of it is the heap's, which keeps what threads that
    ended have freed: the last batch of a clip goes back to the system.
    """

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def take(self, count: int, height: int, width: int) -> U8:
        """Return room for frames (count, height, width, 3); what stands in it means nothing."""
        size = count * height * width * 3
        if not size:
            return np.empty((count, height, width, 3), np.uint8)
        memory = self._of_size(size)
        flat = np.frombuffer(memory, np.uint8)
        # every view of it refers to it, so that it lives as long as the last of them
        weakref.finalize(flat, self._free.append, memory).atexit = False
        return flat.reshape(count, height, width, 3)

    def _of_size(self, size: int) -> mmap.mmap:
        while self._free:
            memory = self._free.pop()
            if len(memory) == size:
                return memory
        return mmap.mmap(-1, size, **PRIVATE)
