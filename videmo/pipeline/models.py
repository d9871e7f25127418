"""The networks of a pipeline, loaded when they are first wanted."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from videmo import store
from videmo.errors import VidemoError
from videmo.files.openvino import import_openvino
from videmo.pipeline.engine import Engine
from videmo.stages.decode import import_decoder
from videmo.stages.detect import Detection, Detector
from videmo.stages.detect import detector as make_detector
from videmo.stages.embed import Backbone, make_backbone
from videmo.stages.heads import Head


class LoadedModels:
    """Detector, backbone and head of one process. Several threads may use them.

    They are pickled as what they are made of, and loaded where they arrive.

    outputs: names of what the backbone is to say beside its features
    """

    def __init__(
        self,
        detection: Detection,
        backbone: store.Model,
        head: store.Model | None,
        engine: Engine,
        outputs: Collection[str],
    ) -> None:
        self._detection, self._backbone, self._head = detection, backbone, head
        self._engine, self._outputs = engine, tuple(outputs)
        self._loading, self._process = threading.RLock(), 0  # the one that has loaded them

    def prepare(self) -> None:
        """Load and compile all of them now; raises what `Pipeline.prepare` does."""
        with self._loading:
            if self._process not in (0, os.getpid()):
                raise VidemoError(
                    f"process {self._process} loaded these models, and a fork does not take their "
                    "threads along; call videmo.load in this process, or start it by spawn"
                )
            if self._engine.runs == "openvino":  # it reads networks without Python's lock
                import_openvino()
                beside = [threading.Thread(target=f) for f in (self._try_detector, import_decoder)]
                for thread in beside:
                    thread.start()
                try:
                    _ = self.backbone
                finally:
                    for thread in beside:
                        thread.join()
            _ = self.detector, self.backbone
            if self._head is not None:
                _ = self.head
            self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what belongs to a process: the networks and the lock on loading them."""
        own = ("_loading", "_process", "backbone", "detector", "head")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _loading=threading.RLock(), _process=0)

    @cached_property
    def backbone(self) -> Backbone:
        """The network of faces."""
        model = self._backbone
        return make_backbone(
            model.backbone_spec(), model.folder,
            engine=self._engine.runs, device=self._engine.device, threads=self._engine.cpus,
            outputs=self._outputs, precision=self._engine.precision,
        )  # fmt: skip

    @cached_property
    def detector(self) -> Detector:
        """What finds faces."""
        weights = self._engine.detector_weights
        return make_detector(
            replace(self._detection, faces="all"),  # which of them count is chosen afterwards
            threads=self._engine.cpus,
            device="cpu" if self._engine.runs == "openvino" else self.backbone.device,
            weights=Path(weights) if weights else None,
            engine=self._engine.engine,
        )

    @cached_property
    def head(self) -> Head:
        """What answers for a clip."""
        assert self._head is not None
        return self._head.head()

    def _try_detector(self) -> None:
        with suppress(Exception):  # who asks for it hears what is wrong
            _ = self.detector
