"""Makers of files such as others publish networks in, of random weights, and of bad ones."""

from __future__ import annotations

import io
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import timm
import torch

# Where classes lay in the generations of timm that published networks were pickled by, and which
# layers had an activation beside them then that now is a part of the batch norm.
PLACES = {
    "0.4.5": {
        "EfficientNet": "timm.models.efficientnet",
        "DepthwiseSeparableConv": "timm.models.efficientnet_blocks",
        "InvertedResidual": "timm.models.efficientnet_blocks",
        "SqueezeExcite": "timm.models.efficientnet_blocks",
        "Conv2dSame": "timm.models.layers.conv2d_same",
        "SelectAdaptivePool2d": "timm.models.layers.adaptive_avgmax_pool",
        "BatchNormAct2d": "torch.nn.modules.batchnorm:BatchNorm2d",
        "RexNet": "timm.models.rexnet:ReXNetV1",
    },
    "0.6": {
        "EfficientNet": "timm.models.efficientnet",
        "DepthwiseSeparableConv": "timm.models.efficientnet_blocks",
        "InvertedResidual": "timm.models.efficientnet_blocks",
        "SqueezeExcite": "timm.models.efficientnet_blocks",
        "Conv2dSame": "timm.models.layers.conv2d_same",
        "BatchNormAct2d": "timm.models.layers.norm_act",
        "SelectAdaptivePool2d": "timm.models.layers.adaptive_avgmax_pool",
    },
    "0.9.7": {
        "EfficientNet": "timm.models.efficientnet",
        "DepthwiseSeparableConv": "timm.models._efficientnet_blocks",
        "InvertedResidual": "timm.models._efficientnet_blocks",
        "SqueezeExcite": "timm.models._efficientnet_blocks",
        "Conv2dSame": "timm.layers.conv2d_same",
        "BatchNormAct2d": "timm.layers.norm_act",
        "SelectAdaptivePool2d": "timm.layers.adaptive_avgmax_pool",
    },
}


def network(architecture: str, classes: int, **arguments: Any) -> torch.nn.Module:
    """Return a timm network whose every tensor, batch norm's too, is random."""
    torch.manual_seed(0)
    return _random(timm.create_model(architecture, num_classes=classes, **arguments))


def _random(net: torch.nn.Module) -> torch.nn.Module:
    for name, tensor in net.state_dict().items():
        if "running_mean" in name:
            tensor.normal_(0, 0.1)
        elif "running_var" in name or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.5, 1.5)
    return net.eval()


def features_of(net: Any, pixels: np.ndarray, mean: Any, std: Any) -> np.ndarray:
    """Return what timm itself calculates before its last layer."""
    x = (pixels / 255 - np.array(mean)) / np.array(std)
    with torch.inference_mode():
        maps = net.forward_features(torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2))
        return np.asarray(net.forward_head(maps, pre_logits=True).numpy())


def save(tree: Any, path: Path, *, legacy: bool = False) -> Path:
    """Write a file as torch.save does, in the one container or the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the source of a class, which is not there
        torch.save(tree, path, _use_new_zipfile_serialization=not legacy)
    return path


def save_module(net: Any, path: Path, generation: str, *, legacy: bool = False) -> Path:
    """Write a whole network as a pickle whose classes have the names of a generation of timm."""
    made: dict[str, dict[str, Any]] = {}
    old = _aged(net, generation, made)
    with pretended(made):
        return save(old, path, legacy=legacy)


def _aged(module: Any, generation: str, made: dict[str, dict[str, Any]]) -> Any:
    name = type(module).__name__
    place = PLACES[generation].get(name, type(module).__module__)
    place, _, other = place.partition(":")
    name = other or name
    if place.startswith("torch."):
        kind: Any = getattr(sys.modules[place], name)
    else:
        kind = made.setdefault(place, {}).setdefault(
            name, type(name, (torch.nn.Module,), {"__module__": place, "__qualname__": name})
        )
    old = kind.__new__(kind)
    torch.nn.Module.__init__(old)
    old.training = False
    plain = {k: v for k, v in vars(module).items() if isinstance(v, (bool, int, float, tuple))}
    vars(old).update({k: v for k, v in plain.items() if not k.startswith("_")})
    old._parameters.update(module._parameters)
    old._buffers.update(module._buffers)
    for key, child in module._modules.items():
        old._modules[key] = None if child is None else _aged(child, generation, made)
    if generation == "0.4.5":  # functions by reference, and activations that stand alone
        place = "timm.models.layers.activations"
        here = made.setdefault(place, {})
        here.setdefault("sigmoid", _named(lambda x: x, "sigmoid", place))
        swish = here.setdefault("Swish", type("Swish", (torch.nn.Module,), {"__module__": place}))
        if name == "SqueezeExcite":
            old.gate_fn = here["sigmoid"]
        if any(key.startswith("bn") for key in old._modules):
            old._modules["act1"] = swish()
    return old


def _named(function: Any, name: str, place: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__module__ = place
    return function


def mobilefacenet() -> Any:
    """Return a random MobileFaceNet as InsightFace lays it out, with a last layer of ten rows.

    Facts of `mbf` in arcface_torch: 3 x 3 convolutions with padding 1, bottlenecks of three
    convolutions, PReLU behind all but those that end a bottleneck; no norm at the end.
    """
    nn, kinds = torch.nn, mobilefacenet_kinds()

    def of(kind: str, *layers: Any, **flags: bool) -> Any:
        module = kinds[kind]()
        module.layers = nn.Sequential(*layers)
        vars(module).update(flags)
        return module

    def conv(kind: str, *facts: int) -> Any:
        c, d, side, stride, padding, groups = facts
        layers = nn.Conv2d(c, d, side, stride, padding, 1, groups, False), nn.BatchNorm2d(d)
        return of(kind, *layers, *[nn.PReLU(d)] * (kind == "ConvBlock"))

    def deep(c: int, d: int, wide: int, stride: int) -> Any:
        return of(
            "DepthWise", conv("ConvBlock", c, wide, 1, 1, 0, 1),
            conv("ConvBlock", wide, wide, 3, stride, 1, wide),
            conv("LinearBlock", wide, d, 1, 1, 0, 1), residual=stride == 1,
        )  # fmt: skip

    torch.manual_seed(0)
    net = kinds["MobileFaceNet"]()
    net.scale, net.fp16, net.norm_output = 2, False, False
    net.layers = nn.ModuleList([
        conv("ConvBlock", 3, 128, 3, 2, 1, 1), conv("ConvBlock", 128, 128, 3, 1, 1, 64),
        deep(128, 128, 128, 2), of("Residual", *(deep(128, 128, 128, 1) for _ in range(4))),
        deep(128, 256, 256, 2), of("Residual", *(deep(256, 256, 256, 1) for _ in range(6))),
        deep(256, 256, 512, 2), of("Residual", *(deep(256, 256, 256, 1) for _ in range(2))),
    ])  # fmt: skip
    net.conv_sep = conv("ConvBlock", 256, 512, 1, 1, 0, 1)
    net.features = of(
        "GDC", conv("LinearBlock", 512, 512, 7, 1, 0, 512), kinds["Flatten"](),
        nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512),
    )  # fmt: skip
    net.fc = nn.Linear(512, 10)
    return _random(net).eval()


@cache
def mobilefacenet_kinds() -> dict[str, Any]:
    """Return the classes of a module `mobilefacenet` by name."""

    def whole(self: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.fc(self.features(self.conv_sep(x)))

    ways: dict[str, Any] = {
        "MobileFaceNet": whole,
        "DepthWise": lambda self, x: self.layers(x) + (x if self.residual else 0),
        "Flatten": lambda self, x: x.view(len(x), -1),
        **dict.fromkeys(("ConvBlock", "LinearBlock", "Residual", "GDC"),
                        lambda self, x: self.layers(x)),
    }  # fmt: skip
    place = {"__module__": "mobilefacenet"}
    return {k: type(k, (torch.nn.Module,), {**place, "forward": f}) for k, f in ways.items()}


@contextmanager
def pretended(made: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Let modules of these names be there while a pickle is written, and no longer."""
    before = {place: sys.modules.get(place) for place in made}
    try:
        for place, things in made.items():
            module = ModuleType(place)
            vars(module).update(things)
            sys.modules[place] = module
        yield
    finally:
        for place, module in before.items():
            if module is None:
                del sys.modules[place]
            else:
                sys.modules[place] = module


def archive(said: bytes, storages: Mapping[str, bytes] = {}, *, compressed: bool = False) -> bytes:
    """Return the newer container around a pickle."""
    out = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", how) as file:
        file.writestr("archive/data.pkl", said)
        file.writestr("archive/byteorder", b"little")
        for key, blob in storages.items():
            file.writestr(f"archive/data/{key}", blob)
    return out.getvalue()


def chain(said: bytes, keys: tuple[str, ...] = (), storages: bytes = b"") -> bytes:
    """Return the older container around a pickle."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    begin = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, system)]
    return b"".join([*begin, said, pickle.dumps(list(keys), 2), storages])


def tensor(
    *, key: str = "0", count: int = 6, offset: int = 0, shape: Any = (2, 3), stride: Any = (3, 1)
) -> bytes:
    """Return the pickle of {"w": a tensor} with whatever facts."""
    storage = _tuple("storage", _Global("torch", "FloatStorage"), key, "cpu", count)
    arguments = b"".join([storage + b"Q", *map(_plain, (offset, shape, stride, False)), b"N"])
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"
    return b"\x80\x02}" + _plain("w") + call + b"s."


class _Global:
    def __init__(self, module: str, name: str) -> None:
        self.said = f"c{module}\n{name}\n".encode()


def _tuple(*items: Any) -> bytes:
    return b"(" + b"".join(map(_plain, items)) + b"t"


def _plain(value: Any) -> bytes:
    """Return the instructions that put a plain value on the stack."""
    if isinstance(value, _Global):
        return value.said
    return pickle.dumps(value, 2)[2:-1]


def keras_layers(
    dense: Mapping[str, tuple[int, int]], seed: int = 0
) -> dict[str, dict[str, np.ndarray]]:
    """Return random arrays of Keras' MobileNet-v1 under its names, with dense layers behind."""
    rng = np.random.default_rng(seed)
    layers: dict[str, dict[str, np.ndarray]] = {}

    def norm(name: str, width: int) -> None:
        layers[f"{name}_bn"] = {
            "gamma": rng.uniform(0.5, 1.5, width), "beta": rng.normal(0, 0.1, width),
            "moving_mean": rng.normal(0, 0.1, width),
            "moving_variance": rng.uniform(0.5, 1.5, width),
        }  # fmt: skip

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, (2 / np.prod(shape[:3])) ** 0.5, shape)

    layers["conv1"] = {"kernel": draw(3, 3, 3, 32)}
    norm("conv1", 32)
    widths = (32, 64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
    for i in range(1, 14):
        layers[f"conv_dw_{i}"] = {"depthwise_kernel": draw(3, 3, widths[i - 1], 1)}
        norm(f"conv_dw_{i}", widths[i - 1])
        layers[f"conv_pw_{i}"] = {"kernel": draw(1, 1, widths[i - 1], widths[i])}
        norm(f"conv_pw_{i}", widths[i])
    for name, (rows, columns) in dense.items():
        layers[name] = {
            "kernel": rng.normal(0, rows**-0.5, (rows, columns)),
            "bias": rng.normal(0, 0.1, columns),
        }
    return layers


def save_keras(layers: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> Path:
    """Write arrays as `model.save("x.h5")` of Keras lays them out."""
    import h5py

    with h5py.File(path, "w") as file:
        for layer, arrays in layers.items():
            for name, numbers in arrays.items():
                place = f"model_weights/{layer}/{layer}/{name}:0"
                file.create_dataset(place, data=numbers.astype(np.float32))
        file.create_group("model_weights/dropout_1")  # a layer without arrays
        file.create_group("optimizer_weights")
    return path


def keras_answer(
    layers: Mapping[str, Mapping[str, np.ndarray]], x: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return what Keras' MobileNet-v1 calculates of x (H, W, 3): features (1024,), dense layers.

    The formula alone: convolutions with SAME padding as TensorFlow has it (what does not divide
    goes to the right and bottom), batch norm with epsilon 1e-3, ReLU up to 6, the mean over the
    picture; dense layers follow in their order, `feats` with a ReLU, and the others behind it.
    """

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        a = layers[f"{name}_bn"]
        scaled = (x - a["moving_mean"]) / np.sqrt(a["moving_variance"] + 1e-3)
        return np.clip(scaled * a["gamma"] + a["beta"], 0, 6)

    def patches(x: np.ndarray, stride: int) -> np.ndarray:
        total = [max((-(-n // stride) - 1) * stride + 3 - n, 0) for n in x.shape[:2]]
        pads = [(t // 2, t - t // 2) for t in total]
        padded = np.pad(x, (*pads, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))
        return windows[::stride, ::stride]  # (H, W, C, 3, 3)

    kernel = layers["conv1"]["kernel"]
    x = norm("conv1", np.einsum("hwcij,ijco->hwo", patches(x, 2), kernel))
    for i in range(1, 14):
        stride = 2 if i in (2, 4, 6, 12) else 1
        kernel = layers[f"conv_dw_{i}"]["depthwise_kernel"][..., 0]
        x = norm(f"conv_dw_{i}", np.einsum("hwcij,ijc->hwc", patches(x, stride), kernel))
        x = norm(f"conv_pw_{i}", x @ layers[f"conv_pw_{i}"]["kernel"][0, 0])
    features, answers = x.mean((0, 1)), {}
    row = features
    for name, arrays in layers.items():
        if "conv" not in name:
            answers[name] = row @ arrays["kernel"] + arrays["bias"]
            row = np.maximum(answers[name], 0) if name == "feats" else row
    return features, answers


def onnx_graph(
    *, side: int = 32, width: int = 5, columns: int = 10, seed: int = 0, opset: int = 11,
    turned: bool = True,
) -> Any:  # fmt: skip
    """Return a graph as networks were exported to: pictures in, one dense layer last."""
    import onnx
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 0.5, (columns, width)).astype(np.float32)
    numbers = {
        "body.conv": rng.normal(0, 0.3, (width, 3, 3, 3)).astype(np.float32),
        "Conv_1.bias": rng.normal(0, 0.1, width).astype(np.float32),
        "most": np.array(6, np.float32), "least": np.array(0, np.float32),
        "classifier.weight": weight if turned else weight.T,
        "classifier.bias": rng.normal(0, 0.1, columns).astype(np.float32),
    }  # fmt: skip
    make = helper.make_node
    nodes = [
        make("Conv", ["input", "body.conv", "Conv_1.bias"], ["1"], strides=[2, 2]),
        make("Clip", ["1", "least", "most"], ["2"]),
        make("GlobalAveragePool", ["2"], ["3"]),
        make("Flatten", ["3"], ["4"], axis=1),
        make("Gemm", ["4", "classifier.weight", "classifier.bias"], ["output"],
             alpha=1.0, beta=1.0, transB=int(turned)),
    ]  # fmt: skip
    value, floats = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "torch-jit-export",
        [value("input", floats, ["batch_size", 3, side, side])],
        [value("output", floats, ["batch_size", columns])],
        [numpy_helper.from_array(np.ascontiguousarray(a) if a.ndim else a, name)
         for name, a in numbers.items()],
    )  # fmt: skip
    opsets = [helper.make_operatorsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=6)


def onnx_answer(model: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return features and logits of pictures (M, 3, S, S) by the reference of ONNX itself."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    copy = onnx.ModelProto.FromString(model.SerializeToString())
    copy.graph.output.append(
        onnx.helper.make_tensor_value_info("4", onnx.TensorProto.FLOAT, ["batch_size", None])
    )
    logits, features = ReferenceEvaluator(copy).run(None, {"input": x.astype(np.float32)})
    return {"features": features, "logits": logits}
