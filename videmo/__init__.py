"""videmo tells which emotion a video clip shows.

    import videmo

    prediction = videmo.classify("clip.mp4")
    prediction.label, prediction.scores, prediction.descriptor.coverage
    videmo.to_frame(videmo.classify(["clips/"]))  # a row a clip, for pandas

Importing videmo imports nothing else; each name below is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Descriptor",
    "Engine",
    "Features",
    "NoFaceError",
    "Pipeline",
    "Prediction",
    "Recipe",
    "VidemoError",
    "VideoError",
    "attributes",
    "classify",
    "evaluate",
    "extract_features",
    "load",
    "to_frame",
]

_HOME = {
    "Descriptor": "data",
    "Engine": "pipeline",
    "Features": "data",
    "NoFaceError": "errors",
    "Pipeline": "pipeline",
    "Prediction": "data",
    "Recipe": "recipe",
    "VidemoError": "errors",
    "VideoError": "errors",
    "attributes": "runs.library",
    "classify": "runs.library",
    "evaluate": "evaluate.function",
    "extract_features": "runs.library",
    "load": "pipeline",
    "to_frame": "write.frame",
}

if TYPE_CHECKING:
    from videmo.data import Descriptor, Features, Prediction
    from videmo.errors import NoFaceError, VidemoError, VideoError
    from videmo.evaluate.function import evaluate
    from videmo.pipeline import Engine, Pipeline, load
    from videmo.recipe import Recipe
    from videmo.runs.library import attributes, classify, extract_features
    from videmo.write.frame import to_frame


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'videmo' has no attribute {name!r}")
    return getattr(import_module(f"videmo.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
