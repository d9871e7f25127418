"""A network on the CPU, compiled by OpenVINO from its graph; torch is not imported."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from videmo.data import F32, U8
from videmo.embed import BackboneSpec
from videmo.errors import CorruptModel, InputError

BATCH = 16  # rows a call, always: a fixed shape gives a face the same bits in any company


class OpenVINO:
    """Runs `graph.onnx`, whose weights lie in `weights.safetensors` beside it.

    outputs: those that are computed, by name; None for all
    """

    def __init__(
        self,
        spec: BackboneSpec,
        folder: Path,
        *,
        device: str = "cpu",
        threads: int = 0,
        outputs: Collection[str] | None = None,
    ) -> None:
        if device not in ("auto", "cpu"):
            raise InputError(
                f"engine openvino runs on the CPU, not on {device!r}; use --device cpu"
            )
        self.dim, self.input_size, self.device = spec.dim, spec.input_size, "cpu"
        self._outputs = tuple(n for n in spec.outputs if outputs is None or n in outputs)
        wanted = ("features", *self._outputs)
        self._model = _compile(folder / "graph.onnx", spec.input_size, threads, wanted)

    def __call__(self, pixels: U8) -> tuple[F32, dict[str, F32]]:
        """Return features (M, D) and outputs {name: (M, C)} of crops (M, S, S, 3)."""
        rows: dict[str, list[F32]] = {name: [] for name in ("features", *self._outputs)}
        for i in range(0, len(pixels), BATCH):
            chunk = pixels[i : i + BATCH]
            padded = np.zeros((BATCH, *chunk.shape[1:]), np.uint8)
            padded[: len(chunk)] = chunk
            result = self._model({"pixels": padded})
            for name, part in rows.items():
                part.append(np.array(result[name][: len(chunk)], np.float32))
        columns = {name: self._column(name, part) for name, part in rows.items()}
        return columns.pop("features"), columns

    def _column(self, name: str, parts: list[F32]) -> F32:
        if parts:
            return np.concatenate(parts)
        return np.zeros((0, self._model.output(name).partial_shape[1].get_length()), np.float32)


def _compile(path: Path, side: int, threads: int, wanted: Collection[str]):  # type: ignore[no-untyped-def]
    import openvino

    core = openvino.Core()
    try:
        model = core.read_model(path)
        for output in model.outputs:
            if output.names.isdisjoint(wanted):  # what leads to no result is not compiled
                model.remove_result(output.node)
        model.reshape({"pixels": [BATCH, side, side, 3]})
        # f32 and one stream: the same bits on every run; threads change the pace alone
        # not pinned, or every process of --jobs is put on the same core
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        return core.compile_model(model, "CPU", {**options, "INFERENCE_NUM_THREADS": threads})
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise CorruptModel(str(path), "a graph that compiles", reason) from error
