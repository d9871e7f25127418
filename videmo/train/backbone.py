"""The training loop for backbones: labelled faces in, a network and its facts out.

One network learns several tasks at once (Savchenko 2021): which emotion a crowd sees, age,
gender, ethnicity, and who it is. Each picture teaches the tasks that it has labels for.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.data import F32, Array
from videmo.errors import InputError
from videmo.evaluate.metrics import label_metrics
from videmo.stages.decode import prefetch
from videmo.stages.heads import softmax
from videmo.train.augment import Augmentation
from videmo.train.batches import batch_sizes, epoch_batches
from videmo.train.face_dataset import FaceDataset
from videmo.train.gradients import GradientComputer
from videmo.train.losses import (
    LossOptions,
)
from videmo.train.network import (
    TaskLabels,
    build_network,
    load_pretrained,
    predict_logits,
    torch_device,
)
from videmo.train.sam import perturbed_weights

if TYPE_CHECKING:
    import torch
    from torch import nn

OnStep = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class BackboneTraining:
    """What is trained, and how."""

    architecture: str = "resnet18"  # a name in timm
    arguments: Mapping[str, Any] = field(default_factory=dict)  # more for timm.create_model
    changes: tuple[str, ...] = ()  # layers of it that are left out, such as "maxpool"
    input_size: int = 64  # px
    colour: bool = False  # RGB; otherwise grey in three equal channels
    mean: tuple[float, ...] = (0.5,)  # of RGB or grey in 0..1, taken off
    std: tuple[float, ...] = (0.25,)  # divided by
    epochs: int = 30  # times over the first data set; the others are drawn beside it
    head_epochs: int = 0  # of them, at first, in which only the outputs learn
    head_rate: float = 1e-3  # of these
    batch: int = 128  # faces a step, of all data sets
    shares: tuple[float, ...] = ()  # of a batch, by data set; by their sizes if empty
    rate: float = 2e-3  # Adam's, at its highest
    schedule: str = "cosine"  # or constant
    warmup: float = 0.1  # part of the steps in which a cosine's rate rises from 0
    decay: float = 0.05  # AdamW's weight decay
    dropout: float = 0.0  # before the outputs
    mixup: float = 0.0  # Beta(a, a) mixing of two faces of a data set; 0 is none
    weights: Mapping[str, float] = field(default_factory=dict)  # task -> part in the loss; else 1
    smoothing: float = 0.0  # of the labels
    balance: bool = False  # classes weigh max(n) / n
    adjust: float = 0.0  # logit adjustment: 0 follows the classes' shares, 1 ignores them
    adjusts: Mapping[str, float] = field(default_factory=dict)  # task -> its own adjustment
    years: float = 0.0  # of age's loss: weight of the error of the age that is expected
    rarity: float = 0.0  # faces of the first data set are drawn by (count of their emotion)^-rarity
    scale: float = 0.0  # of the cosines to people; 0: plain softmax
    margin: float = 0.0  # of the right person's cosine
    ema: float = 0.998  # of the averaged weights that is kept at each step; 0: no average
    rho: float = 0.0  # SAM's radius; 0: plain Adam, in half the time
    sides: tuple[tuple[float, int], ...] = ()  # (from this part of the epochs, px): small at first
    teacher: tuple[str, ...] = ()  # models whose mean answer is mixed into the targets
    teaching: float = 0.3  # its share where a label is known
    filling: float = 1.0  # its weight in the loss where none is known
    likeness: str = ""  # who a model says that each face is: its name, or an .npz of embeddings
    start: str = ""  # weights to begin with: a best.pt, a .safetensors, or a package that has some
    seed: int = 0  # of the weights, the order and the changes to the pictures
    device: str = "cpu"  # cpu, cuda, cuda:N, mps or auto
    precision: str = "float32"  # or bfloat16: autocast, on processors that have it
    parts: int = 1  # of a batch, each on a thread of its own: where other work shares the cores,
    # two threads that meet once a step lose far less time than two that meet at every layer
    augmentation: Augmentation = field(default_factory=Augmentation)

    def losses(self) -> LossOptions:
        """Return the options of the losses."""
        return LossOptions(
            self.weights, self.smoothing, self.balance, self.adjust, self.scale, self.margin,
            self.years,
        )  # fmt: skip


def train(
    data: Sequence[FaceDataset],
    val: Sequence[FaceDataset],
    labels: TaskLabels,
    options: BackboneTraining,
    out: str | Path,
    on_step: OnStep = lambda line: None,
) -> dict[str, torch.Tensor]:
    """Train, and return the (averaged) weights of the epoch that is best on val.

    After each epoch `out/last.pt` holds everything that is needed to go on: the same call
    made again after a stop ends with the same weights. `out/best.pt` holds the best epoch's
    weights, `out/log.jsonl` a line an epoch. Best is the mean accuracy of the tasks, weighed
    as in the loss.

    raises: InputError if `out` holds a run with other options
    """
    import torch

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    model, average = (build_network(options, labels).to(torch_device(options)) for _ in range(2))
    if options.start:
        load_pretrained(model, options.start)
        average.load_state_dict(model.state_dict())
    learner = GradientComputer(model, data, options)
    optimiser = torch.optim.AdamW(_parameter_groups(model, options.decay), lr=options.rate)
    generator = torch.Generator().manual_seed(options.seed)
    words = ", ".join(f"{len(faces)} of {faces.source}" for faces in data)
    state = _Checkpoint(model, average, optimiser, generator, options, words)
    epoch, best = state.load(out / "last.pt")
    steps = math.ceil(len(data[0]) / batch_sizes(data, options)[0])

    while epoch < options.epochs:
        began, losses = time.perf_counter(), []
        model.body.requires_grad_(epoch >= options.head_epochs)
        batches = prefetch(epoch_batches(data, options, generator, epoch))
        for step, batch in enumerate(batches):
            now = epoch * steps + step
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(now / steps, options)
            losses.append(learner.backward(batch))
            if options.rho:
                with perturbed_weights(model, options.rho):
                    learner.backward(batch)
            optimiser.step()
            optimiser.zero_grad()
            _update_average(average, model, min(options.ema, (1 + now) / (10 + now)))
            on_step({"epoch": epoch + 1, "step": step + 1, "steps": steps, "loss": losses[-1]})

        epoch += 1
        found = validate(average, val, options)
        value = weighted_accuracy(found, options)
        if value > best:
            best = value
            _save_file(average.state_dict(), out / "best.pt")
        state.save(out / "last.pt", epoch, best)
        seconds = time.perf_counter() - began
        line = {"epoch": epoch, "loss": float(np.mean(losses)), **found, "seconds": seconds}
        line = {key: round(number, 4) for key, number in line.items()}
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        on_step(line)
    return _load_file(out / "best.pt")


def learning_rate(epoch: float, options: BackboneTraining) -> float:
    """Return the learning rate at a (broken) number of epochs.

    A constant schedule has the outputs' own rate first; a cosine's goes up in a line and down
    in half a cosine.
    """
    if epoch < options.head_epochs:
        return options.head_rate
    if options.schedule == "constant":
        return options.rate
    progress = (epoch - options.head_epochs) / max(1, options.epochs - options.head_epochs)
    if progress < options.warmup:
        return options.rate * max(progress / options.warmup, 0.01)
    done = (progress - options.warmup) / (1 - options.warmup)
    return options.rate * max(0.5 * (1 + math.cos(math.pi * done)), 0.001)


def validate(
    model: nn.Module, val: Sequence[FaceDataset], options: BackboneTraining
) -> dict[str, float]:
    """Return the accuracy of each task on the faces that have its label, and emotion's UAR.

    Age counts as right within five years; identity is right where the centre
    that answers most is that person's.
    """
    answers = [predict_logits(model, faces, options) for faces in val]
    centres = model.people.detach().float().cpu().numpy()
    if options.scale:
        centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    found: dict[str, float] = {}
    for task in sorted({task for faces in val for task in faces.targets}):
        pairs = [
            (answer[task], faces.targets[task])
            for answer, faces in zip(answers, val, strict=True)
            if task in faces.targets and task in answer
        ]
        logits, targets = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        found |= _accuracy_of_task(task, logits, targets, centres)
    return found


def _accuracy_of_task(task: str, logits: F32, targets: Array, centres: F32) -> dict[str, float]:
    if task == "identity":
        nearest = (logits @ centres.T).argmax(1)
        return {task: float((nearest == targets)[targets >= 0].mean())}
    there = np.isfinite(targets[:, 0])
    logits, targets = logits[there], targets[there]
    if task == "age":
        years = np.arange(targets.shape[1])
        return {task: float((np.abs(softmax(logits) @ years - targets @ years) < 5).mean())}
    found = label_metrics(logits.argmax(1), targets.argmax(1), range(targets.shape[1]))
    return {task: found["accuracy"]} | ({"uar": found["uar"]} if task == "emotion" else {})


def weighted_accuracy(found: Mapping[str, float], options: BackboneTraining) -> float:
    """Return the mean of the tasks' accuracies, weighed as in the loss."""
    weight = {task: options.weights.get(task, 1.0) for task in found if task != "uar"}
    return sum(found[task] * part for task, part in weight.items()) / sum(weight.values())


def _parameter_groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and the scales of normalisations do not."""
    flat = [weight for weight in model.parameters() if weight.ndim < 2]
    deep = [weight for weight in model.parameters() if weight.ndim >= 2]
    return [{"params": deep, "weight_decay": decay}, {"params": flat, "weight_decay": 0.0}]


def _update_average(average: nn.Module, model: nn.Module, keep: float) -> None:
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
class _Checkpoint:
    """All that changes while training, as one file."""

    model: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    options: BackboneTraining
    data: str  # what it learns from, in words

    def save(self, path: Path, epoch: int, best: float) -> None:
        import torch

        state = {
            "data": self.data,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "order": self.generator.get_state(),  # the order of faces and their changes
            "dropout": torch.get_rng_state(),
            "dropout_cuda": torch.cuda.get_rng_state_all(),  # empty without such devices
            "epoch": epoch,
            "best": best,
            "options": json.dumps(asdict(self.options)),
        }
        _save_file(state, path)

    def load(self, path: Path) -> tuple[int, float]:
        """Take up the run at `path` and return its epoch and best accuracy; (0, -1.0) if none."""
        import torch

        if not path.exists():
            torch.manual_seed(self.options.seed)
            return 0, -1.0
        state = _load_file(path)
        if state["options"] != json.dumps(asdict(self.options)):
            raise InputError(f"{path}: a run with other options; give another --out or remove it")
        if state["data"] != self.data:
            raise InputError(f"{path}: a run with other faces; give another --out or remove it")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["order"])
        torch.set_rng_state(state["dropout"])
        torch.cuda.set_rng_state_all(state.get("dropout_cuda", []))
        return state["epoch"], state["best"]


def _save_file(state: Any, path: Path) -> None:
    import torch

    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)  # whole or not at all


def _load_file(path: Path) -> dict[str, Any]:
    import torch

    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
