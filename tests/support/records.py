"""Records and scenes as classify and its sisters make them, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from videmo.people.persons import Scene, Sighting

OUTPUTS = {
    "age": [str(n) for n in range(100)],
    "gender": ["female", "male"],
    "ethnicity": ["white", "black"],
}


def clip(status: str = "ok", **changes: Any) -> dict[str, Any]:
    """Return a record as classify writes it."""
    seen = status == "ok"
    failed = {"type": "VideoError", "message": "no video stream"} if status == "error" else None
    return {
        "schema_version": 1, "path": "a.mp4", "status": status,
        "label": "Happy" if seen else None,
        "scores": {"Happy": 0.75, "Sad": 0.25} if seen else None,
        "frames": 8, "face_frames": 7 * seen, "faces": 7 * seen, "tracks": int(seen),
        "frames_with_others": 0, **dict.fromkeys(("side", "sharpness", "brightness", "frontal")),
        "coverage": 0.875 * seen,
        "duration": 2.5, "warnings": [], "error": failed,
        "provenance": {"videmo": "0.1", "head": None, "head_sha256": None, "backbone": "b",
                       "backbone_sha256": "2f", "detector": "mtcnn",
                       "detector_sha256": "3d", "decoder": None, "device": "cpu", "recipe": "r"},
        **changes,
    }  # fmt: skip


def scene(path: str, faces: int, status: str = "ok", still: bool = False) -> Scene:
    rng = np.random.default_rng(0)
    widths = {**{name: len(labels) for name, labels in OUTPUTS.items()}, "identity": 8}
    sightings = tuple(
        Sighting(n, 0.0, 1.5, 4, 0.5, (1.0, 2.0, 3.0, 4.0), {
            name: rng.dirichlet(np.ones(wide)) for name, wide in widths.items()
        })
        for n in range(faces)
    )  # fmt: skip
    record = clip(status, path=path, start=0.0, end=2.0)
    return Scene(record, sightings, still=still)
