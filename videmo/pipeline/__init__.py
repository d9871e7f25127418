"""From a clip to its answer.

which stage follows which    river, the one place that knows
what is kept of a clip       findings
answers, and the search      clips: Pipeline, a recipe with its models
networks, once a process     models
pipelines by name            loading: load, load_features, load_backbone
pace                         engine: device, threads, memory
"""

from videmo.pipeline.clips import (
    DETECTED,
    LEFT_OUT,
    SEARCHED,
    Answer,
    FeatureHook,
    OpenHook,
    Pipeline,
    Source,
)
from videmo.pipeline.engine import Engine, cpus
from videmo.pipeline.loading import load, load_backbone, load_features

__all__ = [
    "DETECTED",
    "LEFT_OUT",
    "SEARCHED",
    "Answer",
    "Engine",
    "FeatureHook",
    "OpenHook",
    "Pipeline",
    "Source",
    "cpus",
    "load",
    "load_backbone",
    "load_features",
]
