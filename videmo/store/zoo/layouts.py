"""From the names and layouts in which networks were published to those of a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from videmo.data import Array
from videmo.errors import ModelError
from videmo.stages.embed import BackboneSpec

Tensors = dict[str, Array]
Layers = Mapping[str, Mapping[str, Array]]  # of Keras: layer -> array by its short name

CLASSIFIER_NAMES = (
    "classifier",
    "classifier.0",
    "head.fc",
    "head.fc.0",
    "fc",
    "fc.0",
    "head",
    "head.0",
)
_STAGES = (1, 2, 2, 6, 2)  # blocks of each stage of MobileNet-v1 in timm, 13 in Keras


def from_timm(source: str, tensors: Mapping[str, Array], spec: BackboneSpec) -> Tensors:
    """Return timm's tensors with the last layer's rows given to the outputs of `spec`.

    The names of the body are timm's own and have been so in every generation. Counters of batch
    norm are left out: only training needs them. Raises ModelError where the last layer is not
    one of as many rows as the outputs have.
    """
    body = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    found = [head for head in CLASSIFIER_NAMES if f"{head}.weight" in body]
    if not found:
        return body
    weight = body.pop(f"{found[0]}.weight")
    bias = body.pop(f"{found[0]}.bias", np.zeros(len(weight), np.float32))
    return {**body, **split_outputs(source, weight, bias, spec)}


def different_setting(
    theirs: Mapping[str, Mapping[str, Any]], mine: Mapping[str, Mapping[str, Any]], *, all_of: bool
) -> str:
    """Return the first module of a network that is set otherwise than ours and how, else "".

    theirs, mine: settings by module, where one that is missing is False; those of ours count
    all_of: a module that ours has not, other than the last layer, is a difference too
    """
    more = [name for name in theirs if name not in mine and name not in CLASSIFIER_NAMES]
    if all_of and more:
        return f"it has a module {more[0]}"
    for name, settings in mine.items():
        for key, wanted in settings.items():
            got = theirs.get(name, {}).get(key, False)
            if got != wanted:
                return f"{name or 'the network'} has {key} {got}, expected {wanted}"
    return ""


def split_outputs(source: str, weight: Array, bias: Array, spec: BackboneSpec) -> Tensors:
    """Return the rows of a last layer, (C, D) and (C,), under the names of the outputs.

    Raises ModelError where the outputs of `spec` are not as many.
    """
    sizes = [len(labels) for labels in spec.outputs.values()]
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or len(weight) != sum(sizes):
        raise ModelError(
            f"{source}: its last layer is {weight.shape}, expected {sum(sizes)} rows; name them "
            "in their order with --classes"
        )
    ends = np.cumsum(sizes)
    parts: Tensors = {}
    for name, end, size in zip(spec.outputs, ends, sizes, strict=True):
        parts[f"outputs.{name}.weight"] = weight[end - size : end]
        parts[f"outputs.{name}.bias"] = bias[end - size : end]
    return parts


def from_keras(
    source: str, layers: Layers, spec: BackboneSpec, *, bgr: bool
) -> tuple[BackboneSpec, Tensors]:
    """Return Keras' MobileNet-v1 as timm's mobilenetv1_100, with the outputs behind it.

    Kernels turn from (H, W, in, out) to (out, in, H, W), depthwise ones from (H, W, C, 1) to
    (C, 1, H, W), dense ones from (in, out) to (out, in). A dense layer between features and
    outputs becomes the spec's `hidden`. An output of one sigmoid becomes two rows, of which the
    first is zero, so that their softmax is that sigmoid.

    bgr: the first layer took B, G, R; its kernels are turned to R, G, B
    Raises ModelError for layers that are not those of this network.
    """
    left = {name: dict(arrays) for name, arrays in layers.items() if arrays}
    tensors: Tensors = {}
    try:
        _conv(left, tensors, "conv1", "conv_stem", "bn1")
        number = 0
        for stage, blocks in enumerate(_STAGES):
            for block in range(blocks):
                number, here = number + 1, f"blocks.{stage}.{block}"
                _conv(left, tensors, f"conv_dw_{number}", f"{here}.conv_dw", f"{here}.bn1")
                _conv(left, tensors, f"conv_pw_{number}", f"{here}.conv_pw", f"{here}.bn2")
        if bgr:
            tensors["conv_stem.weight"] = tensors["conv_stem.weight"][:, ::-1]
        return _dense(left, tensors, spec)
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{source}: not the layers of Keras' MobileNet ({error}); import another file"
        ) from error


def _conv(left: dict[str, dict[str, Array]], to: Tensors, layer: str, conv: str, norm: str) -> None:
    """Move a convolution and the batch norm behind it."""
    arrays = left.pop(layer)
    deep = arrays.pop("depthwise_kernel", None)
    kernel = arrays.pop("kernel").transpose(3, 2, 0, 1) if deep is None else deep
    to[f"{conv}.weight"] = kernel if deep is None else deep.transpose(2, 3, 0, 1)
    batch = left.pop(f"{layer}_bn")
    names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
             "running_var": "moving_variance"}  # fmt: skip
    to.update({f"{norm}.{mine}": batch.pop(theirs) for mine, theirs in names.items()})
    if odd := [*arrays, *batch]:
        raise ValueError(f"{layer} has {odd[0]}")


def _dense(
    left: Mapping[str, Mapping[str, Array]], tensors: Tensors, spec: BackboneSpec
) -> tuple[BackboneSpec, Tensors]:
    """Give the dense layers to the outputs, and the one before them to each."""
    dense = {name: (arrays["kernel"], arrays["bias"]) for name, arrays in left.items()}
    rows = {kernel.shape[0] for kernel, _ in dense.values()}
    before = [n for n, (kernel, _) in dense.items() if kernel.shape[1] in rows]
    hidden = dense.pop(before[0]) if before and len(dense) > 1 else None
    for name, labels in spec.outputs.items():
        kernel, bias = dense.pop(_layer_of_size(dense, len(labels)))
        if kernel.shape[1] == 1:
            kernel, bias = (np.concatenate([0 * part, part], -1) for part in (kernel, bias))
        last = f"outputs.{name}" if hidden is None else f"outputs.{name}.last"
        tensors |= {f"{last}.weight": kernel.T, f"{last}.bias": bias}
        if hidden is not None:
            first = f"outputs.{name}.hidden"
            tensors |= {f"{first}.weight": hidden[0].T, f"{first}.bias": hidden[1]}
    if dense:
        raise ValueError(f"layer {next(iter(dense))} belongs to no output")
    units = {} if hidden is None else dict.fromkeys(spec.outputs, int(hidden[0].shape[1]))
    return replace(spec, hidden=units), tensors


def _layer_of_size(dense: Mapping[str, tuple[Array, Array]], labels: int) -> str:
    """Return the name of the dense layer for that many labels; one sigmoid tells two apart."""
    for name, (kernel, _) in dense.items():
        if kernel.shape[1] == labels or (kernel.shape[1], labels) == (1, 2):
            return name
    raise ValueError(f"no layer of {labels} units")


def from_engagement(source: str, layers: Layers) -> Tensors:
    """Return the arrays of the attention head, told apart by their shapes.

    Layers of Keras: X -> 1, softmax over time; X -> H, ReLU; H -> C, softmax.
    Raises ModelError for other layers.
    """
    dense = [arrays for arrays in layers.values() if arrays]
    shapes = [np.shape(arrays.get("kernel", 0)) for arrays in dense]
    by_columns = sorted(range(len(dense)), key=lambda i: shapes[i][-1:])
    if len(dense) == 3 and all(len(shape) == 2 for shape in shapes):
        e, out, hidden = (dense[i] for i in by_columns)
        (x, one), (h, c), wide = (shapes[i] for i in by_columns)
        if one == 1 and wide == (x, h) and all(set(a) == {"kernel", "bias"} for a in dense):
            return {
                "attention.weight": e["kernel"].reshape(x),
                "attention.bias": e["bias"].reshape(()),
                "dense.weight": hidden["kernel"], "dense.bias": hidden["bias"],
                "out.weight": out["kernel"], "out.bias": out["bias"].reshape(c),
            }  # fmt: skip
    raise ModelError(f"{source}: layers of {shapes}, expected (X, 1), (X, H) and (H, 2)")
