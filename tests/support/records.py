"""Records and scenes as classify and its sisters make them, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from videmo.data import Descriptor, Failure, Prediction, VideoInfo
from videmo.people.persons import Scene, Sighting
from videmo.pipeline import Answer
from videmo.runs.batch import record
from videmo.runs.inputs import Clip
from videmo.stages.quality import Seen

OUTPUTS = {
    "age": [str(n) for n in range(100)],
    "gender": ["female", "male"],
    "ethnicity": ["white", "black"],
}


MADE = {
    "videmo": "0.1", "head": None, "head_sha256": None, "backbone": "b", "backbone_sha256": "2f",
    "detector": "mtcnn", "detector_sha256": "3d", "device": "cpu", "recipe": "r",
}  # fmt: skip


def clip(status: str = "ok", **changes: Any) -> dict[str, Any]:
    """Return a record as classify writes it, some of its keys changed."""
    seen = int(status == "ok")
    descriptor = Descriptor(np.ones(2 * seen, np.float32), 7 * seen, 7 * seen, 8)
    scores = np.array([0.75, 0.25], np.float32)
    answer: Answer | Failure = Answer(
        VideoInfo("a.mp4", 360, 640, 8, 2.5, 25.0, "pyav"),
        descriptor,
        Prediction(("Happy", "Sad"), scores, descriptor) if seen else None,
        (),
        seen=Seen(tracks=seen),
    )
    if status == "error":
        answer = Failure("a.mp4", "VideoError", "no video stream")
    return {**record(Clip("a.mp4"), answer, MADE, doubts=False), **changes}


def scene(path: str, faces: int, status: str = "ok", still: bool = False) -> Scene:
    rng = np.random.default_rng(0)
    widths = {**{name: len(labels) for name, labels in OUTPUTS.items()}, "identity": 8}
    sightings = tuple(
        Sighting(n, 0.0, 1.5, 4, 0.5, (1.0, 2.0, 3.0, 4.0), {
            name: rng.dirichlet(np.ones(wide)) for name, wide in widths.items()
        })
        for n in range(faces)
    )  # fmt: skip
    whole = clip(status, path=path, start=0.0, end=2.0)
    return Scene(whole, sightings, still=still)
