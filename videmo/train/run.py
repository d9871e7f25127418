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
from videmo.stages.embed.timm import can_write_graphs, write_graph
from videmo.train import backbone
from videmo.train.augment import Augmentation
from videmo.train.backbone import BackboneTraining, Report
from videmo.train.pictures import Faces, faces_of, labels_of, side_for
from videmo.train.presets import PRESETS
from videmo.train.tables import TASKS, Table, read_table
from videmo.train.tasks import IDENTITY
from videmo.train.teacher import Teaching, likened, taught

Labels = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Course:
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


def options_of(preset: str, **changes: Any) -> BackboneTraining:
    """Return the options of a preset, some of them changed: `augmentation.blur=0` reaches inside.

    Raises InputError for a preset or option that there is not.
    """
    if preset and preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    options = BackboneTraining(**PRESETS[preset] if preset else {})
    for name, value in changes.items():
        options = _changed(options, name, value)
    return options


def _changed(options: Any, name: str, value: Any) -> Any:
    head, _, rest = name.partition(".")
    known = {f.name for f in fields(options)}
    if head not in known:
        raise InputError(f"no option {name!r}; there are {', '.join(sorted(known))}")
    old = getattr(options, head)
    if rest:
        if not is_dataclass(old):
            raise InputError(f"option {head!r} has no part {rest!r}")
        return replace(options, **{head: _changed(old, rest, value)})
    if head == "augmentation":
        return replace(options, augmentation=Augmentation(**{**asdict(Augmentation()), **value}))
    return replace(options, **{head: _like(old, value, name)})


def _like(old: Any, value: Any, name: str) -> Any:
    """Return the value in the old one's type; raises InputError where it is of another kind."""
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(tuple(part) if isinstance(part, list) else part for part in value)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, type(old)):
        raise InputError(f"option {name}: {value!r} is no {type(old).__name__}, as {old!r} is")
    return value


def learn(
    course: Course, options: BackboneTraining, report: Report = lambda _: None
) -> store.Model:
    """Train a backbone and write its model folder; a run that was stopped goes on.

    Everything that can be wrong with the data is said before the first step.

    raises: InputError naming file and row, OutputError if `course.out` is there already
    """
    if course.out.exists():
        raise OutputError(str(course.out), "is there already; remove it or choose another name")
    can_write_graphs()
    tables = [_fitting(read_table(*source), course.emotions) for source in course.data]
    train = [table.part("train", course.limit) for table in tables]
    if not (options.teacher or options.likeness):
        train = [_labelled(table) for table in train]
    others = [_fitting(read_table(*source), course.emotions) for source in course.val]
    val = [table.part("val", course.limit) for table in others or tables]
    labels = labels_of(train, course.emotions)
    _check(train, val, labels)
    val = [_known_people(table, labels) for table in val if len(table)]
    learned = [_faces(table, labels, options) for table in train]
    chosen_on = [_faces(table, labels, options) for table in val]
    shares = emotion_shares(learned)  # of the labels, before a teacher says more
    if options.teacher:
        teaching = Teaching(options.teacher, options.teaching, options.filling, options.device)
        learned = [taught(faces, labels, teaching) for faces in learned]
    if options.likeness:
        learned = [likened(faces, options.likeness, IDENTITY) for faces in learned]
    run = course.run or course.out.with_name(f"{course.out.name}.run")
    weights = backbone.train(learned, chosen_on, labels, options, run, report)
    facts = _counts(train, val)
    if course.rare and "emotion" in labels:
        facts["rare"] = even(weights, learned, chosen_on, labels, options, course.rare)
    if shares is not None and any("emotion" in faces.targets for faces in chosen_on):
        found = emotion_logits(weights, chosen_on, labels, options)
        prior = prior_of(shares, *found, labels["emotion"])
        course = replace(course, card={**(course.card or {}), "shares": {"emotion": prior}})
    return write(weights, labels, options, course, run, facts)


def _fitting(table: Table, emotions: str) -> Table:
    """Return the rows whose emotion is in the label set that was asked for."""
    from videmo.labels import label_set

    if not emotions or "emotion" not in table.known:
        return table
    there = {*label_set(emotions), None}
    return table.rows([i for i, e in enumerate(table.known["emotion"]) if e in there])


def _labelled(table: Table) -> Table:
    """Return the rows of which a label is known: others are for a teacher to tell of."""
    columns = [*table.known.values()]
    if table.votes is not None:
        return table
    rows = [i for i in range(len(table)) if any(column[i] is not None for column in columns)]
    return table if len(rows) == len(table) else table.rows(rows)


def _known_people(table: Table, labels: Labels) -> Table:
    """Return the table with people who are not learned as unknown: they cannot be recognised."""
    if "identity" not in table.known:
        return table
    people = set(labels.get("identity", ()))
    known = [name if name in people else None for name in table.known["identity"]]
    return replace(table, known={**table.known, "identity": known})


def _check(train: Sequence[Table], val: Sequence[Table], labels: Labels) -> None:
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
    _apart(train, val)


def _apart(train: Sequence[Table], val: Sequence[Table]) -> None:
    """Raise InputError for a subject that is on both sides."""
    taught_from = {subject for table in train for subject in table.subjects if subject}
    for table in val:
        for name, subject in zip(table.names, table.subjects, strict=False):
            if subject in taught_from:
                raise InputError(
                    f"{table.source}: {name}: subject {subject!r} is in train too; "
                    "give each person to one side"
                )


def _faces(table: Table, labels: Labels, options: BackboneTraining) -> Faces:
    side = side_for(table, options.input_size)
    return faces_of(table, labels, side=side, colour=options.colour)


def _counts(train: Sequence[Table], val: Sequence[Table]) -> dict[str, Any]:
    return {
        "train": {os.path.basename(table.source): len(table) for table in train},
        "val": {os.path.basename(table.source): len(table) for table in val},
    }


def even(
    weights: dict[str, Any],
    data: Sequence[Faces],
    val: Sequence[Faces],
    labels: Labels,
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


def emotion_shares(data: Sequence[Faces]) -> F64 | None:
    """Return how common each emotion (C,) is in what is learned from; None without any."""
    known = [faces.targets["emotion"] for faces in data if "emotion" in faces.targets]
    if not known:
        return None
    return np.asarray(np.nanmean(np.concatenate(known), 0, dtype=np.float64).clip(1e-6))


def emotion_logits(
    weights: Mapping[str, Any], val: Sequence[Faces], labels: Labels, options: BackboneTraining
) -> tuple[F32, I64]:
    """Return the network's answers (K, C) to the val faces of a known emotion, and which (K,)."""
    model = backbone.build(options, labels).to(backbone.pick(options))
    model.load_state_dict(weights)
    there = [faces for faces in val if "emotion" in faces.targets]
    logits = np.concatenate([backbone.answers_of(model, f, options)["emotion"] for f in there])
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


def write(
    weights: Mapping[str, Any],
    labels: Labels,
    options: BackboneTraining,
    course: Course,
    run: Path,
    counts: Mapping[str, Any],
) -> store.Model:
    """Write card, weights and graph of what was trained as a model folder.

    Tensors have timm's names, and `outputs.<task>.weight` and `.bias`; they are float16. The
    counters of batch norm and the centres of people are left out: only training needs them.
    """
    tensors = tensors_of(weights)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    found = [{key: line[key] for key in line if key in (*labels, "uar")} for line in log]
    best = max(range(len(log)), key=lambda epoch: backbone.weighed(found[epoch], options))
    card = {
        "kind": "backbone",
        "name": course.out.name,
        "about": f"{', '.join(labels)} from faces of {options.input_size} px.",
        "license": {"weights": "as the terms of the training data allow"},
        **(course.card or {}),
        "spec": spec_of(tensors, labels, options),
        "recipe": {"cropping": _cropping(options)},
        "trained": {
            "command": course.command,
            **counts,
            "seed": options.seed,
            "epochs": options.epochs,
            "best_epoch": log[best]["epoch"],
            "minutes": round(sum(line["seconds"] for line in log) / 60, 1),
            "parameters": sum(v.size for k, v in tensors.items() if "running" not in k),
            "options": _named(options),
            "log": log,
        },
        "measured": {"val": found[best]},
    }
    with scratch(course.out.parent) as part:
        model = store.save(Path(part) / course.out.name, card, tensors, half=True)
        write_graph(model.backbone_spec(), model.folder)
        store.write_card(model.folder, card)
        model.folder.rename(course.out)
    return store.load(course.out)


def _cropping(options: BackboneTraining) -> dict[str, Any]:
    """Return how faces are cut out for what learned from pictures cut to their boxes."""
    return {"size": options.input_size, "colour": "rgb" if options.colour else "grey"}


def _named(options: BackboneTraining) -> dict[str, Any]:
    """Return the options for a card: files by their names alone."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(options)))
    names = {key: Path(plain[key]).name for key in ("start", "likeness")}
    return plain | names | {"teacher": [Path(name).name for name in plain["teacher"]]}


def tensors_of(weights: Mapping[str, Any]) -> dict[str, Array]:
    """Return a training's weights under the names they have in a model folder."""
    return {
        name.removeprefix("body."): np.asarray(tensor.float().cpu().numpy())
        for name, tensor in weights.items()
        if name != "people" and not name.endswith("num_batches_tracked")
    }


def spec_of(
    tensors: Mapping[str, Array], labels: Labels, options: BackboneTraining
) -> dict[str, Any]:
    """Return the spec of a card: enough to build the network again."""
    outputs = {task: list(of) for task, of in labels.items()}
    if "identity" in outputs:  # an embedding, whoever it was learned from
        outputs["identity"] = [str(i) for i in range(backbone.columns("identity", ()))]
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
