"""The batches of an epoch: faces of every data set side by side, augmented, with their targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.errors import InputError
from videmo.train.augment import augment
from videmo.train.face_dataset import FaceDataset
from videmo.train.network import to_tensor, torch_device

if TYPE_CHECKING:
    import torch

    from videmo.train.backbone import BackboneTraining


Batch = tuple[Any, dict[str, Any]]  # faces (B, C, S, S) and targets by task


def input_side(epoch: int, options: BackboneTraining) -> int:
    """Return the side in px that faces have in this epoch: small ones first save time."""
    done = epoch / options.epochs
    return [px for start, px in ((0.0, options.input_size), *options.sides) if start <= done][-1]


def batch_sizes(data: Sequence[FaceDataset], options: BackboneTraining) -> list[int]:
    """Return how many faces of each data set a batch has."""
    if options.shares and len(options.shares) != len(data):
        raise InputError(f"{len(options.shares)} shares for {len(data)} data sets; give one each")
    shares = np.array(options.shares or [len(faces) for faces in data], float)
    return [max(1, round(n)) for n in options.batch * shares / shares.sum()]


def epoch_batches(
    data: Sequence[FaceDataset], options: BackboneTraining, generator: torch.Generator, epoch: int
) -> Iterator[Batch]:
    """Yield one epoch of the first data set, in random order, with faces of the others beside."""
    import torch

    side, rows = input_side(epoch, options), batch_sizes(data, options)
    steps = math.ceil(len(data[0]) / rows[0])
    orders = [
        _shuffled(len(faces), count * steps, generator)
        for faces, count in zip(data, rows, strict=True)
    ]
    orders[0] = orders[0][: len(data[0])]
    if options.rarity:
        orders[0] = _sample_by_rarity(data[0], options.rarity, generator)
    for step in range(steps):
        parts = [
            _load_batch(faces, order[step * count : (step + 1) * count], side, options, generator)
            for faces, order, count in zip(data, orders, rows, strict=True)
        ]
        tasks = {task for _, targets in parts for task in targets}
        yield (
            torch.cat([pixels for pixels, _ in parts]),
            {
                task: _concatenate([(targets.get(task), len(pixels)) for pixels, targets in parts])
                for task in sorted(tasks)
            },
        )


def _shuffled(count: int, wanted: int, generator: torch.Generator) -> Any:
    """Return `wanted` numbers below `count`, each as often as the others give or take one."""
    import torch

    rounds = math.ceil(wanted / count)
    orders = [torch.randperm(count, generator=generator) for _ in range(rounds)]
    return torch.cat(orders)[:wanted].numpy()


def _sample_by_rarity(faces: FaceDataset, rarity: float, generator: torch.Generator) -> Any:
    """Return as many numbers as there are faces; those of rare emotions come more often."""
    import torch

    label = np.nan_to_num(faces.targets["emotion"]).argmax(1)
    weight = torch.from_numpy(np.bincount(label)[label] ** -rarity)
    return torch.multinomial(weight, len(faces), True, generator=generator).numpy()


def _load_batch(
    faces: FaceDataset, rows: Any, side: int, options: BackboneTraining, generator: torch.Generator
) -> Batch:
    """Return the faces in these rows, changed as a video would, and what is known of them."""
    import torch

    pixels = to_tensor(faces.pictures[rows]).to(torch_device(options))
    targets = {task: torch.from_numpy(of[rows]) for task, of in faces.targets.items()}
    pixels = augment(pixels, side, options.augmentation, generator)
    if options.mixup and "identity" not in targets:
        seed = int(torch.randint(2**31, (1,), generator=generator))
        part = float(np.random.default_rng(seed).beta(options.mixup, options.mixup))
        pixels = part * pixels + (1 - part) * pixels.flip(0)
        targets = {task: part * q + (1 - part) * q.flip(0) for task, q in targets.items()}
    return pixels, targets


def _concatenate(parts: Sequence[tuple[torch.Tensor | None, int]]) -> torch.Tensor:
    """Return one task's targets of a whole batch; unknown where a data set does not tell."""
    import torch

    like = next(part for part, _ in parts if part is not None)
    unknown = -1 if like.ndim == 1 else math.nan
    return torch.cat(
        [
            torch.full((count, *like.shape[1:]), unknown, dtype=like.dtype)
            if part is None
            else part
            for part, count in parts
        ]
    )
