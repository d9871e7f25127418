"""What a backbone learns to tell, and how far off it is: one loss a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from videmo.data import F32

if TYPE_CHECKING:
    import torch

LIKENESS = "likeness"  # targets (K, E) of the output "identity": a teacher's embeddings
EMBEDDING_SIZE = 128  # numbers of the embedding by which people are compared


@dataclass(frozen=True)
class LossOptions:
    """How the tasks' losses are made and added up."""

    weights: Mapping[str, float]  # task -> its weight in the sum; 1 where it is not named
    smoothing: float = 0.0  # share of every target that is spread over all labels
    balance: bool = False  # classes weigh max(n) / n
    adjust: float = 0.0  # this much of log(share of a class) is added to logits while learning
    scale: float = 0.0  # of the cosines to people; 0: plain softmax over people
    margin: float = 0.0  # that the right person's cosine is held back by
    years: float = 0.0  # weight of the distance between the years that are expected, of age


class TaskLoss:
    """The loss of one task whose targets are shares of labels.

    shares: (K, C) all the training targets, from which the classes' frequencies are taken
    """

    def __init__(self, shares: F32, options: LossOptions) -> None:
        import torch

        count = np.nansum(shares, 0).clip(1e-3)
        self.options = options
        self.prior = torch.from_numpy(np.log(count / count.sum()).astype(np.float32))
        rarity = count.max() / count
        self.rarity = torch.from_numpy(rarity.astype(np.float32)) if options.balance else None

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the sum over rows (B, C) of -sum_c w_c q_c log p_c, q smoothed."""
        q, smoothing = targets, self.options.smoothing
        if smoothing:
            q = (1 - smoothing) * q + smoothing / q.shape[1]
        if self.options.adjust:  # logit adjustment, Menon et al. 2021
            logits = logits + self.options.adjust * self.prior.to(logits.device)
        off = self._years_off(logits, q) if self.options.years else 0.0
        if self.rarity is not None:
            q = q * self.rarity.to(q.device)
        return -(q * logits.log_softmax(1)).sum() + off

    def _years_off(self, logits: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        """Return how far apart the means of both distributions are, squared within 3 years."""
        import torch
        from torch.nn.functional import smooth_l1_loss

        years = torch.arange(float(q.shape[1]), device=q.device)
        expected, truth = logits.softmax(1) @ years, q @ years
        off: torch.Tensor = smooth_l1_loss(expected, truth, reduction="sum", beta=3.0)
        return self.options.years * off


class EmbeddingLoss:
    """The loss of embeddings beside a teacher's: the same directions, the same angles."""

    def __call__(self, embeddings: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Return the sum over rows (B, E) of 1 - cosine, and of the pairs' squared differences.

        What counts in the end is who is like whom, so the cosines between the faces of a batch
        are to be the teacher's too (relational distillation; Park et al. 2019).
        """
        from torch.nn.functional import normalize

        ours, theirs = normalize(embeddings), normalize(wanted)
        apart = (ours @ ours.T - theirs @ theirs.T) ** 2
        return (1 - (ours * theirs).sum(1)).sum() + 2 * apart.sum() / max(1, len(ours))


class IdentityLoss:
    """The loss of recognising people: a softmax over all of them, by cosine or plain."""

    def __init__(self, options: LossOptions) -> None:
        self.options = options

    def __call__(
        self, embeddings: torch.Tensor, people: torch.Tensor, centres: torch.Tensor
    ) -> torch.Tensor:
        """Return the sum over rows of the cross entropy.

        embeddings: (B, E); people: (B,) int64; centres: (P, E), one row a person
        """
        from torch.nn.functional import cross_entropy, normalize, one_hot

        if not self.options.scale:
            return cross_entropy(embeddings @ centres.T, people, reduction="sum")
        cosine = normalize(embeddings) @ normalize(centres).T
        held = cosine - self.options.margin * one_hot(people, len(centres))  # Wang et al. 2018
        return cross_entropy(self.options.scale * held, people, reduction="sum")


def known_rows(targets: torch.Tensor) -> torch.Tensor:
    """Return which rows of a task's targets are known, (B,) bool."""
    return targets >= 0 if targets.ndim == 1 else targets[:, 0].isfinite()
