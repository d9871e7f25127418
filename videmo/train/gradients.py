"""The gradients of a batch, on one thread or several, and the losses that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.train.batches import Batch
from videmo.train.face_dataset import FaceDataset
from videmo.train.losses import LIKENESS, EmbeddingLoss, IdentityLoss, TaskLoss, known_rows
from videmo.train.network import autocast, normalise

if TYPE_CHECKING:
    import torch
    from torch import nn

    from videmo.train.backbone import BackboneTraining


_OUTPUT_OF_TASK = {LIKENESS: "identity"}  # task -> its output, where that has another name


class GradientComputer:
    """Finds the gradients of a batch, in `options.parts` parts at a time.

    Each part has a copy of the network that shares its weights, and batch norm of its own; the
    statistics of the first are kept. With dropout the parts race for random numbers, so that
    only a run with one part, or without dropout, can be repeated to the last bit.
    """

    def __init__(
        self, model: nn.Module, data: Sequence[FaceDataset], options: BackboneTraining
    ) -> None:
        import torch

        self.options, self.models, self.losses = options, [model], _make_losses(data, options)
        for _ in range(options.parts - 1):
            twin = deepcopy(model)
            for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
                mine.data = theirs.data
            self.models.append(twin)
        one = {"initializer": torch.set_num_threads, "initargs": (1,)} if options.parts > 1 else {}
        self.threads = ThreadPoolExecutor(options.parts, **one)

    def backward(self, batch: Batch) -> float:
        """Add to the gradients of the network and return the loss of the batch."""
        faces, targets = batch
        parts = self.options.parts
        if parts == 1:
            return self._part(self.models[0], batch, len(faces))
        shares = [
            (faces[i::parts], {k: q[i::parts] for k, q in targets.items()}) for i in range(parts)
        ]
        found = self.threads.map(self._part, self.models, shares, [len(faces)] * parts)
        loss = sum(found)
        for twin in self.models[1:]:
            for mine, theirs in zip(self.models[0].parameters(), twin.parameters(), strict=True):
                if theirs.grad is not None and mine.grad is not None:
                    mine.grad += theirs.grad
                theirs.grad = None
        return loss

    def _part(self, model: nn.Module, batch: Batch, total: int) -> float:
        """Add the gradients of some of the `total` faces of a batch and return their loss."""
        faces, targets = batch
        model.train()
        model.body.train(next(model.body.parameters()).requires_grad)  # or its statistics drift
        device = next(model.parameters()).device
        with autocast(self.options):
            outputs = model(normalise(faces.to(device), self.options))
        loss = (
            sum(
                self._task(
                    task, outputs[_OUTPUT_OF_TASK.get(task, task)].float(), target.to(device), model
                )
                for task, target in targets.items()
            )
            / total
        )
        loss.backward()
        return float(loss.item())

    def _task(
        self, task: str, logits: torch.Tensor, target: torch.Tensor, model: nn.Module
    ) -> torch.Tensor:
        there = known_rows(target)
        loss = self.losses[task]
        more = (model.people,) if task == "identity" else ()
        return self.options.weights.get(task, 1.0) * loss(logits[there], target[there], *more)


def _make_losses(data: Sequence[FaceDataset], options: BackboneTraining) -> dict[str, Any]:
    losses: dict[str, Any] = {}
    for task in {task for faces in data for task in faces.targets}:
        targets = [faces.targets[task] for faces in data if task in faces.targets]
        made = options.losses()
        if task == LIKENESS:
            losses[task] = EmbeddingLoss()
        elif task == "identity":
            losses[task] = IdentityLoss(made)
        else:
            adjust = options.adjusts.get(task, options.adjust)
            made = replace(made, adjust=adjust, years=made.years if task == "age" else 0.0)
            losses[task] = TaskLoss(np.concatenate(targets), made)
    return losses
