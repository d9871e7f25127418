"""videmo tells which emotion a video clip shows.

    import videmo

    prediction = videmo.classify("clip.mp4")
    prediction.label, prediction.scores, prediction.descriptor.coverage

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
    "classify",
    "extract_features",
    "load",
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
    "classify": "pipeline",
    "extract_features": "pipeline",
    "load": "pipeline",
}

if TYPE_CHECKING:
    from videmo.data import Descriptor, Features, Prediction
    from videmo.errors import NoFaceError, VidemoError, VideoError
    from videmo.pipeline import Engine, Pipeline, classify, extract_features, load
    from videmo.recipe import Recipe


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'videmo' has no attribute {name!r}")
    return getattr(import_module(f"videmo.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
