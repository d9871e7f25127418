"""Learning from a teacher: a model's answers, mixed into the targets of pictures.

A data set that lacks a task's labels gets the teacher's, so that every picture teaches every
task the teacher knows (Hinton et al. 2015, and Xie et al. 2020 for the unlabelled pictures).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from videmo import store
from videmo.data import F32, Array
from videmo.errors import InputError
from videmo.stages.embed import Backbone, make_backbone
from videmo.stages.heads import softmax
from videmo.stages.image import resize
from videmo.train.face_dataset import FaceDataset
from videmo.train.losses import LIKENESS

DISTILLED_TASKS = (
    "emotion",
    "age",
    "gender",
    "ethnicity",
)  # tasks whose answers are shares of labels


@dataclass(frozen=True)
class Distillation:
    """What teachers say, and how much it counts."""

    models: Sequence[str]  # names or folders; what they say is averaged
    share: float  # of the target, where a label is known
    filling: float = 1.0  # weight of a target that only they know
    device: str = "cpu"


def with_teacher_targets(
    faces: FaceDataset, labels: Mapping[str, Sequence[str]], teaching: Distillation
) -> FaceDataset:
    """Return the faces with what the teachers say mixed into known targets, and as unknown ones.

    A teacher's answer is the mean over a face and its mirror; that to a task, the mean over the
    teachers that have it. A target that is filled in sums to `filling`, which is its weight.
    raises: InputError if one has none of the tasks, or other labels
    """
    said = [_ask_teacher(model, faces, labels, teaching.device) for model in teaching.models]
    targets = dict(faces.targets)
    for task in DISTILLED_TASKS:
        if answers := [of[task] for of in said if task in of]:
            mean = np.asarray(np.mean(answers, 0), np.float32)
            targets[task] = _mix(faces.targets.get(task), mean, teaching)
    return replace(faces, targets=targets)


def _ask_teacher(
    teacher: str, faces: FaceDataset, labels: Mapping[str, Sequence[str]], device: str
) -> dict[str, F32]:
    """Return what one teacher says of the tasks that it and the labels have."""
    model = store.load(teacher)
    spec = model.backbone_spec()
    tasks = [task for task in DISTILLED_TASKS if task in labels and task in spec.outputs]
    if not tasks:
        raise InputError(f"{teacher}: teaches none of {', '.join(labels)}; give another --teacher")
    for task in tasks:
        if tuple(labels[task]) != spec.outputs[task]:
            raise InputError(f"{teacher}: its labels of {task} are others, or in another order")
    there = device in ("cpu", "auto") and (model.folder / "graph.onnx").is_file()
    network = make_backbone(
        spec, model.folder, engine="openvino" if there else "torch", device=device, outputs=tasks
    )
    return _probabilities(network, faces, tasks)


def _probabilities(network: Backbone, faces: FaceDataset, tasks: Sequence[str]) -> dict[str, F32]:
    parts: dict[str, list[F32]] = {task: [] for task in tasks}
    for start in range(0, len(faces), 256):
        pixels = faces.pictures[range(start, min(start + 256, len(faces)))]
        side = network.input_size
        rgb = np.broadcast_to(pixels, (*pixels.shape[:3], 3))
        crops = np.stack([resize(np.ascontiguousarray(one), side, side) for one in rgb])
        found = [network(view)[1] for view in (crops, np.ascontiguousarray(crops[:, :, ::-1]))]
        for task, of in parts.items():
            mean = (softmax(found[0][task]) + softmax(found[1][task])) / 2
            of.append(mean.astype(np.float32))
    return {task: np.concatenate(of) for task, of in parts.items()}


def _mix(targets: Array | None, answers: F32, teaching: Distillation) -> F32:
    filled = teaching.filling * answers
    if targets is None:
        return filled
    mixed = (1 - teaching.share) * targets + teaching.share * answers
    return np.where(np.isfinite(targets[:, :1]), mixed, filled).astype(np.float32)


def with_embedding_targets(faces: FaceDataset, path: str | Path, columns: int) -> FaceDataset:
    """Return the faces with a teacher's embeddings (K, E) of them as targets of likeness.

    path: an .npz with an array for each data set by its file's name, in the order of its
        training rows; a data set that is not in it learns none
    raises: InputError where it is not read or has another shape
    """
    name = Path(faces.source).name
    try:
        with np.load(path, allow_pickle=False) as file:
            found = file[name].astype(np.float32) if name in file.files else None
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not read as an .npz of embeddings ({error})") from error
    if found is None:
        return faces
    if found.shape != (len(faces), columns):
        raise InputError(
            f"{path}: {name} is {found.shape}, expected {(len(faces), columns)}; make it anew"
        )
    return replace(faces, targets={**faces.targets, LIKENESS: found})
