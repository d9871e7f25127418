"""A small random network in a model folder, for every test of what runs one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from videmo import store
from videmo.stages.embed import BackboneSpec

SIDE = 32
SPEC = BackboneSpec(
    architecture="resnet18",
    input_size=SIDE,
    mean=(0.5, 0.4, 0.3),  # unequal, so that a mix-up of the channels shows
    std=(0.2, 0.25, 0.3),
    dim=64,
    outputs={"emotion": ("angry", "happy", "sad"), "age": ("years",)},
    arguments={"layers": (1, 1, 1, 1), "channels": (8, 16, 32, 64)},
    changes=("maxpool",),
)


def random_tensors(spec: BackboneSpec = SPEC, seed: int = 0) -> dict[str, Any]:
    """Return weights in 16 bits, as models are kept, whose features are not all alike."""
    import torch

    from videmo.stages.embed.timm import create_network

    torch.manual_seed(seed)
    net = create_network(spec)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return {
        name.removeprefix("body."): tensor.half().contiguous()
        for name, tensor in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def save(folder: Path, spec: BackboneSpec = SPEC, seed: int = 0) -> store.Model:
    """Write a model folder without a graph, as an imported network has."""
    card = {
        "kind": "backbone", "name": folder.name, "spec": vars(spec), "license": {"code": "none"},
    }  # fmt: skip
    tensors = {name: tensor.numpy() for name, tensor in random_tensors(spec, seed).items()}
    return store.save(folder, card, tensors, half=True)
