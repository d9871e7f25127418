"""A training from data sets to a model folder: what `videmo train backbone` does."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from videmo import store
from videmo.data import F32, F64, I64, Array
from videmo.errors import InputError, OutputError
from videmo.evaluate.metrics import label_metrics
from videmo.files.scratch import scratch
from videmo.stages.detect import Detection
from videmo.stages.embed.timm import can_write_graphs, write_graph
from videmo.stages.follow import Following
from videmo.train import backbone, network
from videmo.train.augment import Augmentation
from videmo.train.backbone import BackboneTraining, OnStep
from videmo.train.distillation import Distillation, with_embedding_targets, with_teacher_targets
from videmo.train.face_dataset import FaceDataset, decoded_side, labels_of, make_dataset
from videmo.train.face_tables import TASKS, FaceTable, read_table
from videmo.train.likeness import likeness_file
from videmo.train.losses import EMBEDDING_SIZE
from videmo.train.presets import PRESETS

TaskLabels = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class TrainingJob:
    """What is to be learned from, and where the model goes."""

    data: tuple[tuple[str, str], ...]  # (layout, path)
    out: Path  # the model folder
    val: tuple[tuple[str, str], ...] = ()  # to choose on; by default the val rows of `data`
    run: Path | None = None  # checkpoints; <out>.run by default
    emotions: str = ""  # label set; rows of other emotions are left out
    limit: int = 0  # rows of each data set, 0 for all
    rare: float = 0.0  # of val accuracy that may be given up for the recall of rare emotions
    command: str = ""  # for the card
    card: Mapping[str, Any] | None = None  # facts of the card: license, source, limits ...
    overwrite: bool = False  # replace a model that is at `out`


def options_of(preset: str, **changes: Any) -> BackboneTraining:
    """Return the options of a preset, some of them changed: `augmentation.blur=0` reaches inside.

    Raises InputError for a preset or option that there is not.
    """
    if preset and preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    options = BackboneTraining(**PRESETS[preset] if preset else {})
    for name, value in changes.items():
        options = _with_change(options, name, value)
    return options


def _with_change(options: Any, name: str, value: Any) -> Any:
    head, _, rest = name.partition(".")
    known = {f.name for f in fields(options)}
    if head not in known:
        raise InputError(f"no option {name!r}; there are {', '.join(sorted(known))}")
    old = getattr(options, head)
    if rest:
        if not is_dataclass(old):
            raise InputError(f"option {head!r} has no part {rest!r}")
        return replace(options, **{head: _with_change(old, rest, value)})
    if head == "augmentation":
        return replace(options, augmentation=Augmentation(**{**asdict(Augmentation()), **value}))
    return replace(options, **{head: _in_type_of(old, value, name)})


def _in_type_of(old: Any, value: Any, name: str) -> Any:
    """Return the value in the old one's type; raises InputError where it is of another kind."""
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(tuple(part) if isinstance(part, list) else part for part in value)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, type(old)):
        raise InputError(f"option {name}: {value!r} is no {type(old).__name__}, as {old!r} is")
    return value


def train_backbone(
    job: TrainingJob, options: BackboneTraining, on_step: OnStep = lambda _: None
) -> store.Model:
    """Train a backbone and write its model folder; a run that was stopped goes on.

    Everything that can be wrong with the data is said before the first step.

    raises: InputError naming file and row, OutputError if `job.out` is there unasked
    """
    store.check_free(job.out, overwrite=job.overwrite)
    _refuse_read(job, options)
    can_write_graphs()
    tables = [_with_emotions(read_table(*source), job.emotions) for source in job.data]
    train = [table.of_split("train", job.limit) for table in tables]
    if not (options.teacher or options.likeness):
        train = [_labelled(table) for table in train]
    others = [_with_emotions(read_table(*source), job.emotions) for source in job.val]
    val = [table.of_split("val", job.limit) for table in others or tables]
    labels = labels_of(train, job.emotions)
    _check_tables(train, val, labels)
    val = [_known_people(table, labels) for table in val if len(table)]
    learned = [_load_faces(table, labels, options) for table in train]
    chosen_on = [_load_faces(table, labels, options) for table in val]
    shares = emotion_shares(learned)  # of the labels, before a teacher says more
    if options.teacher:
        teaching = Distillation(options.teacher, options.teaching, options.filling, options.device)
        learned = [with_teacher_targets(faces, labels, teaching) for faces in learned]
    run = job.run or job.out.with_name(f"{job.out.name}.run")
    if options.likeness:
        file = likeness_file(options.likeness, train, run)
        learned = [with_embedding_targets(faces, file, EMBEDDING_SIZE) for faces in learned]
    weights = backbone.train(learned, chosen_on, labels, options, run, on_step)
    facts = _counts(train, val)
    if job.rare and "emotion" in labels:
        facts["rare"] = adjust_bias(weights, learned, chosen_on, labels, options, job.rare)
    if shares is not None and any("emotion" in faces.targets for faces in chosen_on):
        found = emotion_logits(weights, chosen_on, labels, options)
        prior = prior_of(shares, *found, labels["emotion"])
        job = replace(job, card={**(job.card or {}), "shares": {"emotion": prior}})
    return write_model(weights, labels, options, job, run, facts)


def _refuse_read(job: TrainingJob, options: BackboneTraining) -> None:
    """Raise OutputError where the model that would be replaced is one that is learned from."""
    read = [Path(name).resolve() for name in (*options.teacher, options.start) if name]
    if job.out.resolve() in {*read, *(path.parent for path in read)}:
        raise OutputError(str(job.out), "is read here; choose another --out")


def _with_emotions(table: FaceTable, emotions: str) -> FaceTable:
    """Return the rows whose emotion is in the label set that was asked for."""
    from videmo.labels import label_set

    if not emotions or "emotion" not in table.known:
        return table
    there = {*label_set(emotions), None}
    return table.take([i for i, e in enumerate(table.known["emotion"]) if e in there])


def _labelled(table: FaceTable) -> FaceTable:
    """Return the rows of which a label is known: others are for a teacher to tell of."""
    columns = [*table.known.values()]
    if table.votes is not None:
        return table
    rows = [i for i in range(len(table)) if any(column[i] is not None for column in columns)]
    return table if len(rows) == len(table) else table.take(rows)


def _known_people(table: FaceTable, labels: TaskLabels) -> FaceTable:
    """Return the table with people who are not learned as unknown: they cannot be recognised."""
    if "identity" not in table.known:
        return table
    people = set(labels.get("identity", ()))
    known = [name if name in people else None for name in table.known["identity"]]
    return replace(table, known={**table.known, "identity": known})


def _check_tables(train: Sequence[FaceTable], val: Sequence[FaceTable], labels: TaskLabels) -> None:
    """Raise InputError for data that nothing, or nothing honest, can be learned from."""
    for table in train:
        if not len(table):
            raise InputError(f"{table.source}: no row of split train; name one so, or leave it out")
    if not any(len(table) for table in val):
        raise InputError(f"{val[0].source}: no row of split val; give some with --val")
    for task in TASKS:
        seen = {label for table in train for label in table.known.get(task, ())} - {None}
        if len(seen) == 1:
            raise InputError(
                f"{train[0].source}: {task} is {next(iter(seen))!r} in every row; "
                "nothing can be told apart"
            )
    if not labels:
        raise InputError(f"{train[0].source}: no row has a label of {', '.join(TASKS)}")
    _check_people_apart(train, val)


def _check_people_apart(train: Sequence[FaceTable], val: Sequence[FaceTable]) -> None:
    """Raise InputError for a subject that is on both sides."""
    taught_from = {subject for table in train for subject in table.subjects if subject}
    for table in val:
        for name, subject in zip(table.names, table.subjects, strict=False):
            if subject in taught_from:
                raise InputError(
                    f"{table.source}: {name}: subject {subject!r} is in train too; "
                    "give each person to one side"
                )


def _load_faces(table: FaceTable, labels: TaskLabels, options: BackboneTraining) -> FaceDataset:
    side = decoded_side(table, options.input_size)
    return make_dataset(table, labels, side=side, colour=options.colour)


def _counts(train: Sequence[FaceTable], val: Sequence[FaceTable]) -> dict[str, Any]:
    return {
        "train": {os.path.basename(table.source): len(table) for table in train},
        "val": {os.path.basename(table.source): len(table) for table in val},
    }


def adjust_bias(
    weights: dict[str, Any],
    data: Sequence[FaceDataset],
    val: Sequence[FaceDataset],
    labels: TaskLabels,
    options: BackboneTraining,
    most: float,
) -> dict[str, Any]:
    """Move the bias of emotion's output towards rare emotions; return what was tried on val.

    The bias moves along the logarithm of the emotions' shares in the data (Menon et al. 2021,
    after the fact). Of the moves that keep val accuracy within `most` of the best, the one of
    the highest UAR is taken.
    """
    import torch

    logits, truth = emotion_logits(weights, val, labels, options)
    known = emotion_shares(data)
    assert known is not None
    shares = np.log(known)
    moves = [round(0.1 * step, 1) for step in range(-10, 11)]
    found = [
        label_metrics((logits - m * shares).argmax(1), truth, labels["emotion"]) for m in moves
    ]
    tried = [(m, f["accuracy"], f["uar"]) for m, f in zip(moves, found, strict=True)]
    best = max(accuracy for _, accuracy, _ in tried)
    move, accuracy, uar = max((t for t in tried if t[1] >= best - most), key=lambda t: t[2])
    weights["outputs.emotion.bias"] -= torch.from_numpy((move * shares).astype(np.float32))
    return {"move": move, "val accuracy": accuracy, "val uar": uar, "tried": tried}


def emotion_shares(data: Sequence[FaceDataset]) -> F64 | None:
    """Return how common each emotion (C,) is in what is learned from; None without any."""
    known = [faces.targets["emotion"] for faces in data if "emotion" in faces.targets]
    if not known:
        return None
    return np.asarray(np.nanmean(np.concatenate(known), 0, dtype=np.float64).clip(1e-6))


def emotion_logits(
    weights: Mapping[str, Any],
    val: Sequence[FaceDataset],
    labels: TaskLabels,
    options: BackboneTraining,
) -> tuple[F32, I64]:
    """Return the network's answers (K, C) to the val faces of a known emotion, and which (K,)."""
    model = network.build_network(options, labels).to(network.torch_device(options))
    model.load_state_dict(weights)
    there = [faces for faces in val if "emotion" in faces.targets]
    logits = np.concatenate([network.predict_logits(model, f, options)["emotion"] for f in there])
    targets = np.concatenate([faces.targets["emotion"] for faces in there])
    known = np.isfinite(targets[:, 0])
    return logits[known], targets[known].argmax(1)


POWERS = [round(0.05 * step, 2) for step in range(26)]
NEAR = 0.006  # of UAR: the least power that gives up no more is taken, for it costs least accuracy


def prior_of(shares: F64, logits: F32, truth: I64, labels: Sequence[str]) -> dict[str, Any]:
    """Return what a card tells of the shares of a training, for answers that are freed of them.

    The probabilities are divided by the shares to a power: the least of `POWERS` whose UAR on
    the val faces is within `NEAR` of the best.

    shares: (C,); logits: (K, C) and truth (K,) of the val faces
    """
    found = {p: label_metrics((logits - p * np.log(shares)).argmax(1), truth, labels)["uar"]
             for p in POWERS}  # fmt: skip
    best = max(found.values())
    power = min(p for p, uar in found.items() if uar >= best - NEAR)
    return {
        "shares": {
            k: round(max(1e-5, float(share)), 5) for k, share in zip(labels, shares, strict=True)
        },
        "power": power,
        "note": f"the least power whose UAR on val is within {NEAR} of the best of 0 to 1.25 in "
        f"steps of 0.05 ({found[power]:.3f} at {power:g}; {best:.3f} is the best)",
    }


def write_model(
    weights: Mapping[str, Any],
    labels: TaskLabels,
    options: BackboneTraining,
    job: TrainingJob,
    run: Path,
    counts: Mapping[str, Any],
) -> store.Model:
    """Write card, weights and graph of what was trained as a model folder.

    Tensors have timm's names, and `outputs.<task>.weight` and `.bias`; they are float16. The
    counters of batch norm and the centres of people are left out: only training needs them.
    """
    tensors = model_tensors(weights)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    found = [{key: line[key] for key in line if key in (*labels, "uar")} for line in log]
    best = max(range(len(log)), key=lambda epoch: backbone.weighted_accuracy(found[epoch], options))
    card = {
        "kind": "backbone",
        "name": job.out.name,
        "about": f"{', '.join(labels)} from faces of {options.input_size} px.",
        "license": {"weights": "as the terms of the training data allow"},
        **(job.card or {}),
        "spec": card_spec(tensors, labels, options),
        "recipe": _stages(options),
        "trained": {
            "command": job.command,
            **counts,
            "seed": options.seed,
            "epochs": options.epochs,
            "best_epoch": log[best]["epoch"],
            "minutes": round(sum(line["seconds"] for line in log) / 60, 1),
            "parameters": sum(v.size for k, v in tensors.items() if "running" not in k),
            "options": _options_for_card(options),
            "log": log,
        },
        "measured": {"val": found[best]},
    }
    with scratch(job.out.parent) as part:
        model = store.save(Path(part) / job.out.name, card, tensors, half=True)
        write_graph(model.backbone_spec(), model.folder)
        store.write_card(model.folder, card)
        store.put_in_place(model.folder, job.out)
    return store.load(job.out)


def _stages(options: BackboneTraining) -> dict[str, Any]:
    """Return how faces are found and cut out for what learned from pictures cut to their boxes."""
    return {
        "detection": asdict(Detection(faces="largest")),
        "following": asdict(Following()),
        "cropping": {
            "size": options.input_size,
            "colour": "rgb" if options.colour else "grey",
        },
    }


def _options_for_card(options: BackboneTraining) -> dict[str, Any]:
    """Return the options for a card: files by their names alone."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(options)))
    names = {key: Path(plain[key]).name for key in ("start", "likeness")}
    return plain | names | {"teacher": [Path(name).name for name in plain["teacher"]]}


def model_tensors(weights: Mapping[str, Any]) -> dict[str, Array]:
    """Return a training's weights under the names they have in a model folder."""
    return {
        name.removeprefix("body."): np.asarray(tensor.float().cpu().numpy())
        for name, tensor in weights.items()
        if name != "people" and not name.endswith("num_batches_tracked")
    }


def card_spec(
    tensors: Mapping[str, Array], labels: TaskLabels, options: BackboneTraining
) -> dict[str, Any]:
    """Return the spec of a card: enough to build the network again."""
    outputs = {task: list(of) for task, of in labels.items()}
    if "identity" in outputs:  # an embedding, whoever it was learned from
        outputs["identity"] = [str(i) for i in range(network.output_size("identity", ()))]
    three = {name: [*getattr(options, name)] * 3 for name in ("mean", "std")}
    return {
        "architecture": options.architecture,
        "arguments": {k: v for k, v in options.arguments.items() if k != "pretrained"},
        "changes": list(options.changes),
        "input_size": options.input_size,
        **{name: of[:3] for name, of in three.items()},
        "dim": int(next(tensors[f"outputs.{task}.weight"].shape[1] for task in labels)),
        "outputs": outputs,
    }
