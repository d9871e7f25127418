"""OpenVINO, the one room that imports it: networks read, made, converted and compiled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from videmo.errors import ModelError
from videmo.files.extras import missing_dependency
from videmo.files.quiet import quiet
from videmo.files.scratch import scratch

# OpenVINO's first array is taken by one thread alone: two at once may wait for each other for ever,
# one holding the GIL, one the lock of a C++ static (1 start in 20 did).
ONE_FIRST = threading.Lock()
# A network is prepared anew for each size of its input, and OpenVINO keeps that for 5,000 layers: 5
# to 12 MB a size of frames, without an end in a run over many clips.
LAYERS_KEPT = 64  # of each kind: the pyramid of MTCNN has 10 sizes, of 4 convolutions each


def import_openvino() -> Any:
    """Return the package openvino; nobody is told that it was imported.

    Without its `convert_model`, which reports each call and is not used here: a program that wants
    both imports it from openvino.tools.ovc. Raises MissingDependency.
    """
    try:
        with quiet():
            import openvino
    except ModuleNotFoundError as error:
        raise missing_dependency("openvino") from error
    return openvino


def compile_network(network: Any, *, threads: int, streams: int = 1, precision: str = "f32") -> Any:
    """Return the `openvino.CompiledModel` of a network for the CPU, with the same bits on any run.

    threads: how many it may use, 0 for all; streams: how many requests run at once
    precision: what it calculates in; of f32 some processors would make bf16 unasked
    """
    settings = cpu_settings(threads, streams, precision)
    return import_openvino().Core().compile_model(network, "CPU", settings)


def cpu_settings(threads: int, streams: int, precision: str) -> dict[str, Any]:
    """Return what OpenVINO is told of the CPU; the options are those of `compile_network`."""
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "CPU_RUNTIME_CACHE_CAPACITY": LAYERS_KEPT,
        "ENABLE_CPU_PINNING": False,  # or every process of --jobs is put on the same core
    }


def runner(network: Any) -> Callable[[Mapping[Any, Any]], Any]:
    """Return what runs a compiled network, for any number of threads: each has its own request.

    What it answers stands in memory that the same thread's next run writes to: take copies.
    """
    own = threading.local()

    def run(inputs: Mapping[Any, Any]) -> Any:
        if hasattr(own, "request"):
            return own.request.infer(inputs, share_inputs=True, share_outputs=True)
        with ONE_FIRST:
            own.request = network.create_infer_request()
            return own.request.infer(inputs, share_inputs=True, share_outputs=True)

    return run


def from_torch(traced: Any, shape: Sequence[int]) -> Any:
    """Return the `openvino.Model` of a traced torch module of one input, of `shape` (-1 is any).

    Raises ModelError where OpenVINO does not know an operation of it.
    """
    openvino = import_openvino()
    with quiet():
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    frontend = openvino.frontend
    failures = (
        frontend.OpConversionFailure, frontend.OpValidationFailure,
        frontend.NotImplementedFailure, frontend.GeneralFailure, RuntimeError,
    )  # fmt: skip
    try:
        converter = frontend.FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced, shared_memory=False)  # named, or it is gone
        model = converter.convert(converter.load(decoder))
        model.reshape(openvino.PartialShape(list(shape)))
    except failures as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"OpenVINO cannot convert this network ({reason}); use engine=torch"
        ) from error
    return model


def to_bytes(model: Any) -> tuple[bytes, bytes]:
    """Return the graph and the numbers of an `openvino.Model`, in the precision they have."""
    with scratch() as folder:
        path = Path(folder) / "model.xml"
        import_openvino().save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
