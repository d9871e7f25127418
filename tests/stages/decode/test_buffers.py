"""Memory of batches comes back when nobody holds them, and not before."""

from __future__ import annotations

import gc

import numpy as np

from videmo.stages.decode import Frame, batches
from videmo.stages.decode.buffers import Buffers


def address(pixels: np.ndarray) -> int:
    return int(pixels.__array_interface__["data"][0])


def test_what_is_let_go_is_handed_out_again() -> None:
    buffers = Buffers()
    first = buffers.take(4, 50, 60)
    where, held = address(first), first[2:3, ::-1]
    del first
    second = buffers.take(4, 50, 60)
    assert address(second) != where  # a view is still held
    held[:], second[:] = 1, 2
    assert (held == 1).all()
    del held
    gc.collect()
    assert address(buffers.take(4, 50, 60)) == where


def test_room_of_another_size_is_new() -> None:
    buffers = Buffers()
    buffers.take(4, 50, 60)
    assert buffers.take(3, 50, 60).shape == (3, 50, 60, 3)
    assert buffers.take(0, 0, 0).shape == (0, 0, 0, 3)


def test_batches_that_are_kept_keep_their_pixels() -> None:
    frames = (Frame(np.full((5, 6, 3), n, np.uint8), n, n / 25, 1.0) for n in range(20))
    kept = list(batches(frames, 3 * 5 * 6 * 3))
    assert [int(p.max()) for batch in kept for p in batch.pixels] == list(range(20))


def test_a_long_clip_takes_the_memory_of_a_few_batches() -> None:
    frames = (Frame(np.zeros((5, 6, 3), np.uint8), n, n / 25, 1.0) for n in range(300))
    places = {address(batch.pixels) for batch in batches(frames, 3 * 5 * 6 * 3)}
    assert len(places) <= 3
