"""A backbone in a form that other programs run, compared with the original before it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videmo import store
from videmo.data import F32, U8
from videmo.errors import InputError, ModelError, OutputError, UnknownName
from videmo.files.extras import require
from videmo.files.openvino import compile_network, from_torch, import_openvino, to_bytes
from videmo.files.scratch import scratch
from videmo.stages.embed import cosine, make_backbone, probe_pictures
from videmo.write.names import kind_of
from videmo.write.sink import output_errors

MIN_COSINE = 0.9999  # cosine that the features of a picture must have with the original's
MAX_DIFFERENCE = (
    1e-3  # of the largest number: how far a feature or output may be from the original's
)
ONNX_LIMIT = 2**31 - 1  # bytes of a file of protocol buffers

Forward = Callable[[U8], Mapping[str, F32]]


@dataclass(frozen=True)
class ExportFormat:
    """One way to write a network, and to read it back."""

    suffixes: tuple[str, ...]  # of its files; the first is what a user names
    write: Callable[[store.Model, Path], None]
    read: Callable[[Path], Forward]
    needs: tuple[str, ...] = ("torch", "timm")  # modules


@dataclass(frozen=True)
class ExportResult:
    """A file that was written, and how near it is to the original."""

    name: str  # of the model
    path: Path
    cosine: float  # the least, of the features of one picture
    difference: float  # the largest, of any feature or output
    pictures: int  # that were compared


def export(
    model: str | Path, to: str, out: Path | None = None, *, overwrite: bool = False
) -> ExportResult:
    """Write a backbone with its weights, card and labels as ONNX, OpenVINO or TorchScript.

    What is written takes pixels (M, S, S, 3) uint8 RGB for any M, normalises them itself, and
    gives "features" (M, D) and every output (M, C), before any softmax, in float32. It appears
    only once it gives what the original gives.

    model: a name or folder
    to: onnx (one file), openvino (.xml, and .bin beside it) or torchscript (one file)
    out: the file, or a folder that is there; by default the current folder. In a folder the file
        is called as the model

    Raises UnknownName, InputError for a head; ModelError where the model is not there or what
    was written gives other numbers; MissingDependency without the extra torch; OutputError
    where the file is there already or cannot be written.
    """
    if to not in EXPORT_FORMATS:
        raise UnknownName("form to export to", to, EXPORT_FORMATS)
    found = store.load(model)
    if found.card["kind"] != "backbone":
        raise InputError(
            f"{found.name} is a {found.card['kind']}, arrays that need no engine; export the "
            f"backbone it reads, {found.recipe.backbone}"
        )
    form = EXPORT_FORMATS[to]
    require(*form.needs)
    path = out or Path()
    path = path / (found.name + form.suffixes[0]) if path.is_dir() else path
    files = _files(path, form)
    _check_targets(files, overwrite=overwrite)
    with output_errors(str(path)), _scratch_folder(path) as folder:
        part = folder / f"model{form.suffixes[0]}"
        form.write(found, part)
        result = _compare(found, path, form.read(part))
        for file, suffix in reversed(list(zip(files, form.suffixes, strict=True))):
            part.with_suffix(suffix).replace(file)  # the one that was named comes last
    return result


def _files(path: Path, form: ExportFormat) -> list[Path]:
    """Return the files of a network that is named `path`."""
    first, *others = form.suffixes
    kind_of(path, {first: first})
    return [path, *(path.with_suffix(suffix) for suffix in others)]


def _check_targets(files: list[Path], *, overwrite: bool) -> None:
    """Raise OutputError where something would be replaced that nobody wants replaced."""
    for file in files:
        if file.is_dir():
            raise OutputError(str(file), "is a folder; name a file in it")
        if file.exists() and not overwrite:
            raise OutputError(str(file), "is there already; give --overwrite or another --out")


@contextmanager
def _scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder on the disk of `path`; it goes when all is done."""
    with scratch(path.parent) as folder:
        yield Path(folder)


def metadata(model: store.Model) -> dict[str, str]:
    """Return what an exported network says of itself: name, input, labels and the whole card."""
    from videmo import __version__

    spec = model.backbone_spec()
    side = spec.input_size
    return {
        "name": model.name,
        "input": f"pixels: uint8 (M, {side}, {side}, 3), RGB, any M; normalised inside",
        "features": str(spec.dim),
        "labels": json.dumps({k: list(v) for k, v in spec.outputs.items()}, ensure_ascii=False),
        "card": json.dumps(dict(model.card), ensure_ascii=False),
        "videmo": __version__,
    }


def _compare(model: store.Model, path: Path, run: Forward) -> ExportResult:
    """Return how near the written network is; raises ModelError where it is another."""
    spec = model.backbone_spec()
    original = make_backbone(spec, model.folder, engine="torch", device="cpu", precision="fp32")
    pictures = probe_pictures(spec.input_size)
    angle, difference, largest = 1.0, 0.0, 1.0
    for count in (len(pictures), 3, 1):  # any number of faces
        features, outputs = original(pictures[:count])
        got = run(pictures[:count])
        angle = min(angle, float(cosine(got["features"], features).min()))
        for name, numbers in {"features": features, **outputs}.items():
            difference = max(difference, float(np.abs(got[name] - numbers).max()))
            largest = max(largest, float(np.abs(numbers).max()))
    if not (
        angle >= MIN_COSINE and difference <= MAX_DIFFERENCE * largest
    ):  # not a number is no good either
        raise ModelError(
            f"{model.name}: what was written gives other numbers (cosine {angle:.6f}, largest "
            f"difference {difference:.3g}), so it was not kept; try another --to"
        )
    return ExportResult(model.name, path, angle, difference, len(pictures))


def _write_onnx(model: store.Model, path: Path) -> None:
    from videmo.stages.embed.timm import to_onnx

    network = to_onnx(model.backbone_spec(), model.folder / store.WEIGHTS)
    for key, value in metadata(model).items():
        network.metadata_props.add(key=key, value=value)
    if network.ByteSize() > ONNX_LIMIT:
        raise OutputError(str(path), "is beyond the 2 GB of an ONNX file; export --to openvino")
    path.write_bytes(network.SerializeToString())


def _write_openvino(model: store.Model, path: Path) -> None:
    from videmo.stages.embed.timm import to_torchscript

    spec = model.backbone_spec()
    traced = to_torchscript(spec, model.folder / store.WEIGHTS)
    network = from_torch(traced, [-1, spec.input_size, spec.input_size, 3])
    for key, value in metadata(model).items():
        network.set_rt_info(value, ["videmo", key])
    graph, numbers = to_bytes(network)
    path.write_bytes(graph)
    path.with_suffix(".bin").write_bytes(numbers)


def _write_torchscript(model: store.Model, path: Path) -> None:
    from videmo.stages.embed.timm import to_torchscript

    traced = to_torchscript(model.backbone_spec(), model.folder / store.WEIGHTS)
    traced.save(str(path), _extra_files=metadata(model))


def _read_graph(path: Path) -> Forward:
    """Return what runs an ONNX or OpenVINO file."""
    network = compile_network(import_openvino().Core().read_model(path), threads=0)

    def run(pixels: U8) -> dict[str, F32]:
        answers = network({"pixels": pixels})
        return {output.any_name: np.array(answers[output]) for output in network.outputs}

    return run


def _read_torchscript(path: Path) -> Forward:
    from videmo.stages.embed.timm import read_torchscript

    return read_torchscript(path)


EXPORT_FORMATS = {
    "onnx": ExportFormat(
        (".onnx",), _write_onnx, _read_graph, ("torch", "timm", "onnx", "onnxscript")
    ),
    "openvino": ExportFormat((".xml", ".bin"), _write_openvino, _read_graph),
    "torchscript": ExportFormat((".pt",), _write_torchscript, _read_torchscript),
}
