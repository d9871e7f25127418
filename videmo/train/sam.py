"""Sharpness-aware minimisation: the gradient is taken where the loss near by is highest.

Foret et al. 2021, arXiv 2010.01412; the paper trains every network with it, around Adam.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def perturbed_weights(model: nn.Module, rho: float) -> Iterator[None]:
    """Move the weights by rho * g / |g| while the context lasts, and forget their gradients g.

    |g| is one norm over all weights. Batch norm keeps the statistics it had, so that each step
    counts its batch once.
    """
    import torch

    weights = [weight for weight in model.parameters() if weight.grad is not None]
    norm = torch.stack([weight.grad.norm() for weight in weights]).norm()
    steps = [weight.grad * (rho / (norm + 1e-12)) for weight in weights]
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, step in zip(weights, steps, strict=True):
            weight += step
            weight.grad = None
    try:
        with _fixed_statistics(model):
            yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)  # to the last bit, which w + e - e would not be


@contextmanager
def _fixed_statistics(model: nn.Module) -> Iterator[None]:
    """Keep batch norm's statistics; it still normalises by the batch, as in the first pass."""
    norms = [m for m in model.modules() if getattr(m, "track_running_stats", False)]
    kept = [(m.momentum, m.num_batches_tracked.clone()) for m in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
