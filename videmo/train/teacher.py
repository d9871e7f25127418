"""Learning from a teacher: a model's answers, mixed into the targets of pictures.

A data set that lacks a task's labels gets the teacher's, so that every picture teaches every
task the teacher knows (Hinton et al. 2015, and Xie et al. 2020 for the unlabelled pictures).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from videmo import store
from videmo.data import F32, Array
from videmo.errors import InputError
from videmo.stages.embed import Backbone, make_backbone
from videmo.stages.heads import softmax
from videmo.stages.image import resize
from videmo.train.pictures import Faces

TAUGHT = ("emotion", "age", "gender", "ethnicity")  # tasks whose answers are shares of labels


def taught(
    faces: Faces, labels: Mapping[str, Sequence[str]], teacher: str, share: float, device: str
) -> Faces:
    """Return the faces with the teacher's answers as this share of known targets, and unknown ones.

    teacher: name or folder of a backbone model; its answer is the mean over a face and its mirror
    raises:  InputError if it has none of the tasks, or other labels
    """
    model = store.load(teacher)
    spec = model.backbone_spec()
    tasks = [task for task in TAUGHT if task in labels and task in spec.outputs]
    if not tasks:
        raise InputError(f"{teacher}: teaches none of {', '.join(labels)}; give another --teacher")
    for task in tasks:
        if tuple(labels[task]) != spec.outputs[task]:
            raise InputError(f"{teacher}: its labels of {task} are others, or in another order")
    there = device in ("cpu", "auto") and (model.folder / "graph.onnx").is_file()
    network = make_backbone(
        spec, model.folder, engine="openvino" if there else "torch", device=device, outputs=tasks
    )
    answers = _answers(network, faces, tasks)
    mixed = {
        task: _mixed(faces.targets.get(task), answer, share) for task, answer in answers.items()
    }
    return replace(faces, targets={**faces.targets, **mixed})


def _answers(network: Backbone, faces: Faces, tasks: Sequence[str]) -> dict[str, F32]:
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


def _mixed(targets: Array | None, answers: F32, share: float) -> F32:
    if targets is None:
        return answers
    mixed = (1 - share) * targets + share * answers
    return np.where(np.isfinite(targets[:, :1]), mixed, answers).astype(np.float32)
