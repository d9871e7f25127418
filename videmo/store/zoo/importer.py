"""Published networks, checked and made model folders without running anything in their files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from videmo import store
from videmo.data import F32, Array
from videmo.errors import CorruptModel, InputError, MissingDependency, ModelError, OutputError
from videmo.files import cache_dir, sha256
from videmo.files.checksums import git_blob
from videmo.files.extras import require
from videmo.files.scratch import scratch
from videmo.stages.embed import BackboneSpec, make_backbone
from videmo.stages.embed.mobilefacenet import NAME as MOBILEFACENET
from videmo.stages.embed.timm import (
    can_write_graphs,
    feature_dim,
    module_settings,
    tensor_shapes,
    write_graph,
)
from videmo.stages.heads import HeadSpec, make_head
from videmo.store.tensors import read_tensors
from videmo.store.zoo import (
    ZOO,
    PublishedModel,
    checkpoint,
    dlib,
    graphs,
    keras,
    layouts,
    needs,
)
from videmo.store.zoo.checkpoint import Checkpoint

Tensors = dict[str, Array]
Finish = Callable[[store.Model], None]

ENGAGEMENT_LABELS = ("Distracted", "Engaged")  # 0, 1: facial_analysis.py of emotiefflib 1.1.1
UNREADABLE = (  # of conv1, conv2_dw, conv_23 ... and more, whose forward() a pickle does not hold
    "only InsightFace's MobileFaceNet is read from tensors, others have other layers, and most end "
    "in an L2 norm that no tensor shows; import its ONNX file"
)
MAX_DIFFERENCE = 1e-3  # of the largest value: what torch and OpenVINO may differ by in float32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_INTENDED = (
    "research on faces of people who agreed to be analysed; not for decisions about people, nor "
    "for work or education (EU AI Act, Article 5(1)(f) and (g))"
)


def import_model(
    path: Path,
    name: str,
    published: PublishedModel | None = None,
    *,
    spec: BackboneSpec | None = None,
    backbone: str = "",
    most: int = checkpoint.MAX_BYTES,
    overwrite: bool = False,
) -> store.Model:
    """Make the network in a file a model that is found by `name`, and return it.

    Its tensors are read and put into a network of ours; nothing of the file is run. Before
    anything is installed every tensor has found its place, and the answers to fixed pictures are
    finite and, where there are two engines, the same.

    published: what the file is said to be
    spec: what it is, for a file that is not published; a dim of 0 is found out
    backbone: of a head, the installed model whose features it reads
    most: bytes that the file, and a tensor that it makes of one picture, may have
    overwrite: replace an installed model of that name, once the new one is sound
    Raises InputError for a name that cannot be given, or a file of which too little is known;
    ModelError, CorruptModel for a file that is not what it should be; MissingDependency.
    """
    folder = _folder_for(name, overwrite=overwrite)
    if folder in path.resolve().parents or backbone == name:
        raise InputError(f"{name}: is read here, and not replaced; choose another name with --as")
    checkpoint.refuse_large(path, most)
    kind = file_format(path)
    require(*needs(kind, published.kind if published else "backbone"))
    facts = _provenance(path, name, published)
    if published and published.kind == "engagement":
        return _import_head(path, folder, facts, backbone)
    specs = (spec,) if spec else published.specs if published else ()
    if not specs or (not specs[0].architecture and kind != "onnx"):
        raise InputError(
            f"{path}: no published network is called so; say what it is with --architecture, "
            "--classes and --size"
        )
    if kind == "onnx":
        return _import_graph(path, folder, facts, specs, most)
    if kind == "dlib":
        spec, tensors = specs[0], dlib.read(path)
        _check_shapes(path, spec, tensors)
    elif kind == "keras":
        bgr = published is not None and published.colour == "bgr"
        spec, tensors = layouts.from_keras(
            str(path), keras.read(path), _with_dim(specs[0]), bgr=bgr
        )
        _check_shapes(path, spec, tensors)
    else:
        read = _read_safetensors if kind == "safetensors" else _read_checkpoint
        spec, tensors = _matching_spec(path, read(path, facts), specs)
    return _install(folder, _card(facts, spec), tensors, _compare_engines)


def published_for(path: Path, name: str) -> PublishedModel | None:
    """Return the published network of that name, else of the file's, in the file's format."""
    formats = {"torch": ("module", "state"), "safetensors": ("module", "state")}
    wanted = formats.get(kind := file_format(path), (kind,))
    for key in (name, f"{name}.onnx", path.name, path.stem):
        if key in ZOO and ZOO[key].format in wanted:
            return ZOO[key]
    return None


def file_format(path: Path) -> str:
    """Return torch, keras, dlib, onnx or safetensors: by the file's first bytes, then by its name.

    Raises ModelError for a file that is none of these, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(64)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if begin.lstrip()[:1] == b"<" or begin.startswith(b"version https://git-lfs"):
        what = "a git-lfs pointer" if begin.startswith(b"version") else "a web page"
        raise CorruptModel(str(path), "a network", what)
    if begin.startswith(keras.SIGNATURE):
        return "keras"
    if begin.startswith(checkpoint.ZIP) or begin[:1] == b"\x80":
        return "torch"
    suffixes = {".onnx": "onnx", ".safetensors": "safetensors", ".h5": "keras", ".hdf5": "keras",
                ".pt": "torch", ".pth": "torch", ".bin": "torch", ".pkl": "torch",
                dlib.SUFFIX: "dlib"}  # fmt: skip
    if path.suffix.lower() in suffixes:
        return suffixes[path.suffix.lower()]
    raise ModelError(
        f"{path}: neither torch, Keras, dlib, ONNX nor safetensors; import another file"
    )


def _folder_for(name: str, *, overwrite: bool) -> Path:
    """Return the folder of a new model; raises InputError for a name that it cannot have."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise InputError(f"{name!r} is no name for a model; use letters, digits, '.', '_' and '-'")
    folder = cache_dir() / "models" / name
    if (store.EMBEDDED / name).exists():
        raise InputError(f"{name} is a model of the package; choose another name with --as")
    if folder.exists() and not overwrite:
        raise InputError(
            f"{name} is installed already; give --overwrite, or another name with --as"
        )
    return folder


def _provenance(path: Path, name: str, published: PublishedModel | None) -> dict[str, Any]:
    """Return what a card says of where the network is from."""
    imported: dict[str, Any] = {"file": path.name, "sha256": sha256(path)}
    facts: dict[str, Any] = {"name": name, "intended": _INTENDED, "imported": imported}
    if published is None:
        return facts | {"about": f"imported from {path.name}", "license": _unknown_terms()}
    blob = published.git_blob
    same = bool(blob) and git_blob(path).startswith(blob)
    imported["as_published"] = same and published.sha256 in ("", imported["sha256"])
    return facts | {
        "about": published.about,
        "license": dict(published.terms),
        "source": published.urls[0] if published.urls else published.file,
        "published": {"name": published.name, "figures": [asdict(f) for f in published.figures]},
        **published.card,
    }


def _unknown_terms() -> dict[str, str]:
    return {"weights": "not known: those under which you have the file"}


def _card(facts: Mapping[str, Any], spec: BackboneSpec) -> dict[str, Any]:
    plain = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    plain |= {name: dict(plain[name]) for name in ("outputs", "arguments", "hidden")}
    return {"kind": "backbone", **facts, "spec": plain}


def _read_checkpoint(path: Path, facts: dict[str, Any]) -> Checkpoint:
    found = checkpoint.read(path)
    facts["imported"]["class"] = found.of
    return found


def _read_safetensors(path: Path, _: dict[str, Any]) -> Checkpoint:
    tensors = read_tensors(str(path), checkpoint.read_whole(path))
    if not checkpoint.are_names(tensors):
        raise CorruptModel(str(path), "a safetensors file", "tensors whose names are no text")
    floats = {k: np.asarray(v, np.float32) for k, v in tensors.items() if v.dtype.kind == "f"}
    return Checkpoint({**tensors, **floats})


def _matching_spec(
    path: Path, found: Checkpoint, specs: Sequence[BackboneSpec]
) -> tuple[BackboneSpec, Tensors]:
    """Return the spec whose names and shapes are those of the file, and the tensors by its names.

    Raises ModelError with what differs from the likeliest one, in tensors or, where the file
    holds a whole network, in the settings of its layers.
    """
    wrong: list[tuple[int, str]] = []
    for spec in map(_with_dim, specs):
        tensors = layouts.from_timm(str(path), found.tensors, spec)
        try:
            odd = _differences(spec, tensors)
        except InputError as error:
            raise ModelError(f"{path}: {error}; import its ONNX file, if there is one") from error
        if not odd:
            _check_settings(path, spec, found)
            return spec, tensors
        wrong.append((len(odd), f"{spec.architecture}: {odd[0]}"))
    count, first = min(wrong)
    ours = any(spec.architecture == MOBILEFACENET for spec in specs)
    step = UNREADABLE if ours else "name another network with --architecture"
    raise ModelError(
        f"{path}: its tensors are not those of {first}, and {count - 1} more differ; {step}"
    )


def _check_settings(path: Path, spec: BackboneSpec, found: Checkpoint) -> None:
    """Raise ModelError where a whole network of the same tensors would calculate otherwise."""
    ours = spec.architecture == MOBILEFACENET
    odd = found.of and layouts.different_setting(found.modules, module_settings(spec), all_of=ours)
    if odd:
        step = UNREADABLE if ours else "import its ONNX file, if there is one"
        odd = checkpoint.one_line(odd)
        raise ModelError(f"{path}: not {spec.architecture} as it is here: {odd}; {step}")


def _check_shapes(path: Path, spec: BackboneSpec, tensors: Tensors) -> None:
    if odd := _differences(spec, tensors):
        raise ModelError(f"{path}: its tensors are not those of {spec.architecture}: {odd[0]}")


def _differences(spec: BackboneSpec, tensors: Tensors) -> list[str]:
    """Return a line for each tensor that is missing, left over or of another shape."""
    mine = tensor_shapes(spec)
    theirs = {name: tensor.shape for name, tensor in tensors.items()}
    names = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
    return [f"{n} is {theirs.get(n, 'missing')}, expected {mine.get(n, 'none')}" for n in names]


def _with_dim(spec: BackboneSpec) -> BackboneSpec:
    return spec if spec.dim else replace(spec, dim=feature_dim(spec))


def _import_graph(
    path: Path,
    folder: Path,
    facts: Mapping[str, Any],
    specs: tuple[BackboneSpec, ...],
    most: int,
) -> store.Model:
    """Install a published ONNX graph as it is: there are no names by which timm could build it."""
    model = graphs.read(path)
    spec = graphs.spec_of(path, model, specs)
    graphs.bounded(path, model, spec.input_size, most)
    tensors = graphs.tensors_of(path, model, spec)

    def finish(made: store.Model) -> None:
        graphs.write(path, model, spec, made.folder)
        _run_backbone(made, "openvino")

    return _install(folder, _card(facts, spec), tensors, finish)


def _import_head(path: Path, folder: Path, facts: Mapping[str, Any], backbone: str) -> store.Model:
    """Install the head that tells engagement from the features of a backbone."""
    tensors = layouts.from_engagement(str(path), keras.read(path))
    wanted = len(tensors["attention.weight"]) // 2
    if not backbone:
        fit = [n for n in store.names("backbone") if store.load(n).backbone_spec().dim == wanted]
        step = f"give it with --backbone {' or '.join(fit)}" if fit else "import one first"
        raise InputError(f"{path}: reads the {wanted} features of a backbone; {step}")
    features = store.load(backbone)
    dim = features.backbone_spec().dim
    if dim != wanted:
        raise InputError(f"{path}: reads {wanted} features, {backbone} has {dim}; name another")
    spec = {"type": "attention", "level": "window", "labels": list(ENGAGEMENT_LABELS)}
    card = {"kind": "head", **facts, "spec": spec, "recipe": features.recipe.to_dict()}

    def finish(made: store.Model) -> None:
        try:
            make_head(HeadSpec("attention", ENGAGEMENT_LABELS, "window"), made.weights())
        except ValueError as error:
            raise ModelError(f"{path}: {error}; import another file") from error

    return _install(folder, card, tensors, finish)


def _install(
    folder: Path, card: Mapping[str, Any], tensors: Tensors, finish: Finish
) -> store.Model:
    """Write a model beside where it shall be, check it, and move it there.

    finish: adds what files it wants, and raises ModelError where the model does not work
    """
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ModelError(f"{card['imported']['file']}: {name} is not finite; the file is wrong")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch(folder.parent) as part:
            model = store.save(Path(part) / folder.name, card, tensors)
            finish(model)
            store.write_card(model.folder, card)
            store.put_in_place(model.folder, folder)
    except OSError as error:
        raise OutputError(str(folder), error.strerror or str(error)) from error
    return store.load(folder)


def _compare_engines(model: store.Model) -> None:
    """Check what PyTorch answers and, where a graph can be written, that OpenVINO agrees."""
    one = _run_backbone(model, "torch")
    try:
        can_write_graphs()
    except MissingDependency:
        return
    write_graph(model.backbone_spec(), model.folder)
    other = _run_backbone(model, "openvino")
    for name, values in one.items():
        most = float(np.abs(values).max(initial=1.0))
        if float(np.abs(values - other[name]).max(initial=0.0)) > MAX_DIFFERENCE * most:
            raise ModelError(f"{model.name}: OpenVINO's {name} are not PyTorch's; report this")


def _run_backbone(model: store.Model, engine: str) -> dict[str, F32]:
    """Return features and outputs of three fixed pictures; raises ModelError if not finite."""
    spec = model.backbone_spec()
    run = make_backbone(spec, model.folder, engine=engine, device="cpu")
    side = spec.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    features, outputs = run(pixels)
    found = {"features": features, **outputs}
    for name, values in found.items():
        if values.shape[0] != 3 or not np.isfinite(values).all():
            raise ModelError(f"{model.name}: its {name} of a picture are not finite numbers")
    return found
