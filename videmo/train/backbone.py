"""The training loop for backbones: still faces in, a folder with weights and their facts out.

Run it as
    python -m videmo.train.backbone --data ferplus48.parquet --out backbone
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from videmo.errors import InputError, MissingDependency
from videmo.metrics import scores
from videmo.train.augment import Augmentation, augment, enlarge
from videmo.train.faces import StillFaces, read_ferplus
from videmo.train.measure import WORSENED, classifier, write_json

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class BackboneTraining:
    """What is trained, and how."""

    architecture: str = "resnet18"  # a name in timm
    arguments: Mapping[str, Any] = field(default_factory=dict)  # more for timm.create_model
    changes: tuple[str, ...] = ()  # layers of it that are left out, such as "maxpool"
    input_size: int = 64  # px
    mean: float = 0.5  # of grey 0..1, taken off
    std: float = 0.25  # of grey 0..1, divided by
    epochs: int = 20  # times over the training faces
    batch: int = 128  # faces a step
    rate: float = 2e-3  # AdamW, at its highest
    warmup: float = 0.1  # part of the steps in which the rate rises from 0
    decay: float = 0.05  # AdamW's weight decay
    dropout: float = 0.0  # before the last layer
    mixup: float = 0.0  # Beta(a, a) mixing of two faces; 0 is none
    ema: float = 0.998  # of the averaged weights that is kept at each step
    seed: int = 0  # of the weights, the order and the changes to the pictures
    precision: str = "float32"  # or bfloat16: autocast, on processors that have it
    start: str = ""  # a best.pt to begin with; none: random weights
    parts: int = 1  # of a batch, each on a thread of its own: where other work shares the cores,
    # two threads that meet once a step lose far less time than two that meet at every layer
    augmentation: Augmentation = field(default_factory=Augmentation)


def build(options: BackboneTraining, labels: int) -> nn.Module:
    """Return an untrained network: (B, 3, S, S) to logits (B, labels); `body` is timm's."""
    try:
        import torch
        from torch import nn

        from videmo.embed.timm import body
    except ImportError as error:
        raise MissingDependency(error.name or "timm", "train") from error
    torch.manual_seed(options.seed)
    network = body(options.architecture, options.arguments, options.changes)
    parts = {
        "body": network,
        "dropout": nn.Dropout(options.dropout),
        "output": nn.Linear(network.num_features, labels),
    }
    return nn.Sequential(OrderedDict(parts)).to(memory_format=torch.channels_last)


def as_input(faces: torch.Tensor, options: BackboneTraining) -> torch.Tensor:
    """Return grey faces (B, 1, S, S) in 0..1 normalised, in three equal channels."""
    import torch

    faces = ((faces - options.mean) / options.std).expand(-1, 3, -1, -1)
    return faces.contiguous(memory_format=torch.channels_last)


def train(
    train_faces: StillFaces, val_faces: StillFaces, options: BackboneTraining, out: str | Path
) -> dict[str, torch.Tensor]:
    """Train, and return the averaged weights of the epoch that is best on val.

    After each epoch `out/last.pt` holds everything that is needed to go on: the same call
    made again after a stop ends with the same weights. `out/best.pt` holds the best epoch's
    averaged weights, `out/log.jsonl` a line an epoch.

    raises: InputError if `out` holds a run with other options
    """
    import torch

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    model, average = (build(options, len(train_faces.labels)) for _ in range(2))
    if options.start:
        model.load_state_dict(_load(Path(options.start)))
    learner = _Learner(model, options)
    optimiser = torch.optim.AdamW(_groups(model, options.decay), lr=options.rate)
    generator = torch.Generator().manual_seed(options.seed)
    state = _State(model, average, optimiser, generator, options)
    epoch, best = state.load(out / "last.pt")
    steps = math.ceil(len(train_faces) / options.batch)

    while epoch < options.epochs:
        began, losses = time.perf_counter(), []
        for step, (faces, votes) in enumerate(_batches(train_faces, options, generator)):
            now = epoch * steps + step
            for group in optimiser.param_groups:
                group["lr"] = rate_at(now / (options.epochs * steps), options)
            losses.append(learner.backward(faces, votes))
            optimiser.step()
            optimiser.zero_grad()
            _follow(average, model, min(options.ema, (1 + now) / (10 + now)))

        epoch += 1
        found = evaluate(average, val_faces, options)
        if found["accuracy"] > best:
            best = found["accuracy"]
            _save(average.state_dict(), out / "best.pt")
        state.save(out / "last.pt", epoch, best)
        seconds = time.perf_counter() - began
        line = {"epoch": epoch, "loss": float(np.mean(losses)), **found, "seconds": seconds}
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps({k: round(v, 4) for k, v in line.items()}) + "\n")
    return _load(out / "best.pt")


def rate_at(progress: float, options: BackboneTraining) -> float:
    """Return the learning rate at `progress` (0..1): up in a line, down in half a cosine."""
    if progress < options.warmup:
        return options.rate * max(progress / options.warmup, 0.01)
    done = (progress - options.warmup) / (1 - options.warmup)
    return options.rate * max(0.5 * (1 + math.cos(math.pi * done)), 0.001)


def evaluate(model: nn.Module, faces: StillFaces, options: BackboneTraining) -> dict[str, float]:
    """Return accuracy and UAR (mean recall of the labels that occur) on the majority label."""
    found = logits_of(model, faces.pixels, options).argmax(1)
    measured = scores(found, faces.majority, faces.labels)
    return {key: measured[key] for key in ("accuracy", "uar")}


def logits_of(
    model: nn.Module, pixels: NDArray[np.uint8], options: BackboneTraining
) -> NDArray[np.float32]:
    """Return the logits (K, C) of grey faces (K, H, W), unchanged but for their size."""
    import torch

    model.eval()
    parts = []
    with torch.inference_mode(), _autocast(options):
        for start in range(0, len(pixels), 256):
            faces = torch.from_numpy(pixels[start : start + 256, None]).float() / 255
            parts.append(
                model(as_input(enlarge(faces, options.input_size), options)).float().numpy()
            )
    return np.concatenate(parts)


def _batches(
    faces: StillFaces, options: BackboneTraining, generator: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield one epoch of (B, 1, S, S) faces and (B, C) votes, in random order."""
    import torch

    for rows in torch.randperm(len(faces), generator=generator).split(options.batch):
        pixels = torch.from_numpy(faces.pixels[rows.numpy()])[:, None].float() / 255
        votes = torch.from_numpy(faces.votes[rows.numpy()])
        pixels = augment(pixels, options.input_size, options.augmentation, generator)
        if options.mixup:
            seed = int(torch.randint(2**31, (1,), generator=generator))
            part = float(np.random.default_rng(seed).beta(options.mixup, options.mixup))
            pixels = part * pixels + (1 - part) * pixels.flip(0)
            votes = part * votes + (1 - part) * votes.flip(0)
        yield pixels, votes


class _Learner:
    """Finds the gradients of a batch, in `options.parts` parts at a time.

    Each part has a copy of the network that shares its weights, and batch norm of its own; the
    statistics of the first are kept. With dropout the parts race for random numbers, so that
    only a run with one part, or without dropout, can be repeated to the last bit.
    """

    def __init__(self, model: nn.Module, options: BackboneTraining) -> None:
        import torch

        self.options, self.models = options, [model]
        for _ in range(options.parts - 1):
            twin = deepcopy(model)
            for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
                mine.data = theirs.data
            self.models.append(twin)
        one = {"initializer": torch.set_num_threads, "initargs": (1,)} if options.parts > 1 else {}
        self.threads = ThreadPoolExecutor(options.parts, **one)

    def backward(self, faces: torch.Tensor, votes: torch.Tensor) -> float:
        """Add to the gradients of the network and return the loss of the batch."""

        def part(model: nn.Module, faces: torch.Tensor, votes: torch.Tensor) -> float:
            loss = _loss(model.train(), faces, votes, self.options) * (len(faces) / total)
            loss.backward()
            return float(loss.item())

        total, size = len(faces), math.ceil(len(faces) / self.options.parts)
        if self.options.parts == 1:
            return part(self.models[0], faces, votes)
        found = self.threads.map(part, self.models, faces.split(size), votes.split(size))
        loss = sum(found)
        for twin in self.models[1:]:
            for mine, theirs in zip(self.models[0].parameters(), twin.parameters(), strict=True):
                if theirs.grad is not None and mine.grad is not None:
                    mine.grad += theirs.grad
                theirs.grad = None
        return loss


def _loss(
    model: nn.Module, faces: torch.Tensor, votes: torch.Tensor, options: BackboneTraining
) -> torch.Tensor:
    """Return the cross entropy with all the votes, not only with the majority's."""
    from torch.nn.functional import cross_entropy

    with _autocast(options):
        logits = model(as_input(faces, options))
    return cross_entropy(logits.float(), votes)


def _autocast(options: BackboneTraining) -> Any:
    import torch

    return torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16")


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and the scales of normalisations do not."""
    flat = [weight for weight in model.parameters() if weight.ndim < 2]
    deep = [weight for weight in model.parameters() if weight.ndim >= 2]
    return [{"params": deep, "weight_decay": decay}, {"params": flat, "weight_decay": 0.0}]


def _follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    """Move the averaged weights, and the statistics of batch norm, towards the model's."""
    import torch

    theirs = model.state_dict()
    with torch.no_grad():
        for name, mine in average.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(theirs[name], 1 - keep)
            else:
                mine.copy_(theirs[name])


@dataclass(frozen=True)
class _State:
    """All that changes while training, as one file."""

    model: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    options: BackboneTraining

    def save(self, path: Path, epoch: int, best: float) -> None:
        import torch

        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "order": self.generator.get_state(),  # the order of faces and their changes
            "dropout": torch.get_rng_state(),
            "epoch": epoch,
            "best": best,
            "options": json.dumps(asdict(self.options)),
        }
        _save(state, path)

    def load(self, path: Path) -> tuple[int, float]:
        """Take up the run at `path` and return its epoch and best accuracy; (0, -1.0) if none."""
        import torch

        if not path.exists():
            torch.manual_seed(self.options.seed)
            return 0, -1.0
        state = _load(path)
        if state["options"] != json.dumps(asdict(self.options)):
            raise InputError(f"{path}: a run with other options; give another --out or remove it")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["order"])
        torch.set_rng_state(state["dropout"])
        return state["epoch"], state["best"]


def _save(state: Any, path: Path) -> None:
    import torch

    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)  # whole or not at all


def _load(path: Path) -> dict[str, Any]:
    import torch

    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def save(
    weights: Mapping[str, torch.Tensor],
    labels: Sequence[str],
    options: BackboneTraining,
    folder: str | Path,
) -> None:
    """Write weights.safetensors and spec.json, from which the network can be built again.

    Tensors have timm's names, and `outputs.emotion.weight` (C, D) and `.bias` (C,); they are
    float16. The counters of batch norm are left out: they only matter in training.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {
        name.removeprefix("body.").replace("output.", "outputs.emotion."): tensor
        for name, tensor in weights.items()
        if not name.endswith("num_batches_tracked")
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in tensors.items()}
    save_file(halves, folder / "weights.safetensors")
    spec = {
        "architecture": options.architecture,
        "arguments": dict(options.arguments),
        "changes": dict.fromkeys(options.changes, "identity"),
        "input_size": options.input_size,
        "mean": [options.mean] * 3,
        "std": [options.std] * 3,
        "dim": tensors["outputs.emotion.weight"].shape[1],
        "outputs": {"emotion": {"labels": list(labels)}},
    }
    write_json(spec, folder / "spec.json")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says, then write and measure what came out."""
    parser = argparse.ArgumentParser(prog="videmo.train.backbone", description=__doc__)
    parser.add_argument("--data", required=True, help="FER+ as Parquet")
    parser.add_argument("--out", required=True, help="a folder; a run in it goes on")
    parser.add_argument("--test", action="store_true", help="score the test faces; do so once")
    for name, value in asdict(BackboneTraining()).items():
        if name != "augmentation":
            kind = json.loads if isinstance(value, (dict, tuple)) else type(value)
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    given = vars(parser.parse_args(arguments))
    data, out, test = given.pop("data"), Path(given.pop("out")), given.pop("test")
    options = BackboneTraining(**{**given, "changes": tuple(given["changes"])})
    train_faces, val_faces = read_ferplus(data, "train"), read_ferplus(data, "val")
    weights = train(train_faces, val_faces, options, out)
    save(weights, train_faces.labels, options, out)
    write_json(_trained(weights, len(train_faces), options, data, out), out / "trained.json")
    splits = {"val": val_faces, **({"test": read_ferplus(data, "test")} if test else {})}
    write_json(measure(out, splits), out / "measured.json")


def measure(folder: Path, splits: Mapping[str, StillFaces]) -> dict[str, Any]:
    """Return the scores of the weights in `folder`, as loaded back, and test's when worsened."""
    classify = classifier(folder)
    measured: dict[str, Any] = {"bytes": (folder / "weights.safetensors").stat().st_size}
    for name, faces in splits.items():
        measured[name] = scores(classify(faces.pixels), faces.majority, faces.labels)
    if "test" in splits:
        faces = splits["test"]
        for name, change in WORSENED.items():
            found = scores(classify(change(faces.pixels)), faces.majority, faces.labels)
            measured.setdefault("worsened", {})[name] = {
                key: found[key] for key in ("accuracy", "interval", "uar")
            }
    return measured


def _trained(
    weights: Mapping[str, torch.Tensor], n: int, options: BackboneTraining, data: str, out: Path
) -> dict[str, Any]:
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    best = max(log, key=lambda line: line["accuracy"])
    usual = asdict(BackboneTraining())
    given = {k: v for k, v in asdict(options).items() if v != usual[k]}
    return {
        "data": Path(data).name,
        "split": "train",
        "n": n,
        "seed": options.seed,
        "command": " ".join(
            ["python -m videmo.train.backbone", f"--data {Path(data).name}", "--out backbone"]
            + [f"--{k.replace('_', '-')} {_argument(v)}" for k, v in given.items()]
        ),
        "epochs": options.epochs,
        "best_epoch": best["epoch"],
        "minutes": round(sum(line["seconds"] for line in log) / 60, 1),
        "parameters": sum(v.numel() for k, v in weights.items() if "running" not in k and v.ndim),
        "options": asdict(options),
        "log": log,
    }


def _argument(value: Any) -> str:
    return f"'{json.dumps(value)}'" if isinstance(value, (dict, tuple)) else str(value)


if __name__ == "__main__":
    main()
