"""What runs on the machines of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from videmo.errors import VidemoError
from videmo.files.scratch import scratch
from videmo.pipeline import Pipeline
from videmo.runs.cluster.bundles import Bundle, resolved
from videmo.runs.executor import ClipResult, Provenance
from videmo.runs.inputs import Clip
from videmo.runs.worker import PipelineSpec, run_clip

Reply = tuple[ClipResult, bytes | None]  # and the features of the faces, if they are wanted


class ClusterWorker:
    """What runs on the cluster: models, loaded once, and clips, run one by one.

    What videmo raises is returned, so that it comes back as it is.
    """

    def __init__(self, spec: PipelineSpec, bundles: Mapping[str, Bundle]) -> None:
        self._spec, self._bundles = spec, bundles
        self._pipeline: Pipeline | None = None

    def load(self) -> Provenance | VidemoError:
        """Load the models, and say what makes the numbers."""
        with ExitStack() as stack:

            def spare() -> Path:
                return Path(stack.enter_context(scratch()))

            try:
                self._pipeline = resolved(self._spec, self._bundles, spare).build()
                return self._pipeline.provenance
            except VidemoError as error:
                return error

    def run(self, clip: Clip) -> Reply | VidemoError:
        """Look at one clip."""
        assert self._pipeline is not None
        try:
            if self._spec.faces is None:
                return run_clip(self._pipeline, clip, None), None
            with scratch() as folder:
                result = run_clip(self._pipeline, clip, folder, linking=self._spec.linking)
                faces = Path(result.faces).read_bytes() if result.faces else None
                return replace(result, faces=None), faces
        except VidemoError as error:
            return error
