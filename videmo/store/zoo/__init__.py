"""Networks that others have published, as far as they are known: nothing of them ships here.

A name goes in, where its file is and what it holds comes out; the modules beside this one make of
such a file a model folder like our own, and run nothing of what it holds.

The facts are those of A. V. Savchenko's HSEmotion and EmotiEffLib: README and notebooks of
github.com/sb-ai-lab/EmotiEffLib (f1df0e8, below B), github.com/av-savchenko/
face-emotion-recognition (207ed49 and its history, below C), github.com/HSE-asavchenko/
face-emotion-recognition (d0ac879, below A), github.com/av-savchenko/HSE_FaceRec_tf (d5f9b85,
below F) and the packages hsemotion 0.3.0, hsemotion-onnx 0.3.1 and emotiefflib 1.1.1. A name is
a key and no more: what a network is stands in its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from videmo.labels import LABELS
from videmo.stages.embed import BackboneSpec


@dataclass(frozen=True)
class Metric:
    """A figure that was published for a network, and what it is a figure of."""

    data: str  # "AffectNet validation, 8 classes"
    metric: str  # "accuracy"
    value: float  # a share of 1 for an accuracy
    n: int | None  # pictures or clips in the denominator, None where it is not told
    note: str  # which faces or clips: "faces as annotated", "aligned faces", "clips with a face"
    source: str  # where it was read


@dataclass(frozen=True)
class PublishedModel:
    """A network that somebody published, as far as it is known."""

    name: str  # what videmo calls it: the file's stem, for ONNX the file's name
    file: str
    format: str  # "module" (whole-module pickle), "state", "onnx", "keras", "dlib"
    kind: str  # "backbone", "engagement"
    urls: tuple[str, ...]  # tried in this order
    git_blob: str  # first digits of the blob id: sha1(b"blob %d\0" % size + content)
    specs: tuple[BackboneSpec, ...]  # what it may be; the tensors decide; () for no backbone
    about: str
    terms: Mapping[str, str]  # licence of code, weights and data
    figures: tuple[Metric, ...] = ()
    sha256: str = ""  # where several who have fetched it publish the same sum
    colour: str = "rgb"  # order of the channels that the file's first layer takes, or "bgr"
    card: Mapping[str, Any] = field(default_factory=dict)  # more of its card: recipe, measured


def needs(format_: str, kind: str) -> tuple[str, ...]:
    """Return the modules that it takes to make a model of a file in such a format."""
    if format_ == "onnx":
        return ("onnx",)
    network = ("torch", "timm") if kind == "backbone" else ()
    return ("h5py", *network) if format_ == "keras" else network


IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # PT c9 of A; B-PT c57 of B
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # B-PT c57 of B: MobileFaceNet alone
_UNIT = (1 / 255, 1 / 255, 1 / 255)
# Keras' means of ImageNet for B, G, R, subtracted from R, G, B: so the emotion network was
# trained, and 64.714 % is had with nothing else (train_emotions.ipynb of A, c19, c34, c35).
_KERAS_ON_RGB = (103.939 / 255, 116.779 / 255, 123.68 / 255), _UNIT
# The same from B, G, R: facial_analysis.py of F. Written here as RGB; colour="bgr" tells the rest.
_KERAS_ON_BGR = (123.68 / 255, 116.779 / 255, 103.939 / 255), _UNIT
# Keras' MobileNet: SAME padding, BatchNormalization's epsilon 1e-3.
_KERAS = {"pad_type": "same", "bn_eps": 1e-3}

_AFFECTNET8 = {"emotion": LABELS["affectnet8"]}  # alphabetical: PT c25, TF c24 of A
_AFFECTNET7 = {"emotion": LABELS["affectnet7"]}
_MTL = {**_AFFECTNET8, "valence_arousal": ("valence", "arousal")}  # raw and unbounded: B-PT c43
_AGE_GENDER = {  # 100 softmax and P(male): age_gender_train.py and facial_analysis.py of F
    "age": tuple(str(year) for year in range(1, 101)),
    "gender": ("female", "male"),
}
# The variant is stated nowhere: all MobileViTs of timm, likeliest first. The one whose names and
# shapes fit is it; 768 features (of the published ONNX file) are those of mobilevitv2_150.
_MOBILEVITS = {
    "mobilevitv2_150": 768, "mobilevitv2_100": 512, "mobilevitv2_050": 256,
    "mobilevitv2_075": 384, "mobilevitv2_125": 640, "mobilevitv2_175": 896,
    "mobilevitv2_200": 1024, "mobilevit_s": 640, "mobilevit_xs": 384, "mobilevit_xxs": 320,
}  # fmt: skip

_WEIGHTS = (
    "research use: none is stated (Apache-2.0 is, for the code), and they learned from data that "
    "are for research; whoever uses them fetches them, nobody passes them on"
)
_EMOTION = {
    "code": "Apache-2.0",
    "weights": _WEIGHTS,
    "data": "AffectNet and VGGFace2: research use, by agreement",
}
_IDENTITY = {**_EMOTION, "data": "VGGFace2: research use, by agreement"}
_ATTRIBUTES = {**_EMOTION, "data": "VGGFace2, IMDB-WIKI and Adience: research use"}
_ENGAGED = {**_EMOTION, "data": "not told; EngageWild or DAiSEE: research use, by agreement"}


def _b0(outputs: Mapping[str, tuple[str, ...]]) -> tuple[BackboneSpec, ...]:
    # timm calls tf_efficientnet_b0_ns so today
    return (BackboneSpec("tf_efficientnet_b0.ns_jft_in1k", 224, *IMAGENET, 1280, outputs),)


def _b2(outputs: Mapping[str, tuple[str, ...]]) -> tuple[BackboneSpec, ...]:
    return (BackboneSpec("tf_efficientnet_b2.ns_jft_in1k", 260, *IMAGENET, 1408, outputs),)


def _rexnet(outputs: Mapping[str, tuple[str, ...]]) -> tuple[BackboneSpec, ...]:
    return (BackboneSpec("rexnet_150", 224, *IMAGENET, 1920, outputs),)


def _mobilevit() -> tuple[BackboneSpec, ...]:
    return tuple(BackboneSpec(n, 224, *IMAGENET, dim, _MTL) for n, dim in _MOBILEVITS.items())


def _mobilefacenet() -> tuple[BackboneSpec, ...]:
    # Of a module `mobilefacenet`, 512 features before `fc`. That it is InsightFace's `mbf` is
    # inferred from its name; the tensors and the settings of its layers decide.
    arguments = {"blocks": [1, 4, 6, 2], "scale": 2}
    return (BackboneSpec("mobilefacenet", 112, *HALF, 512, _MTL, arguments),)


B = "https://github.com/sb-ai-lab/EmotiEffLib/blob/main/models/"  # utils.py of emotiefflib 1.1.1
A = "https://github.com/HSE-asavchenko/face-emotion-recognition/blob/main/models/"  # hsemotion
# The history of C keeps what B has no more; 15fc2da (2022-11) is after the last of them was saved.
C = "https://github.com/av-savchenko/face-emotion-recognition/raw/"
F = "https://github.com/av-savchenko/HSE_FaceRec_tf/raw/master/age_gender_identity/"


def _urls(path: str) -> tuple[str, ...]:
    """Return the URLs of a file that B has still, below its `models`."""
    return (f"{B}{path}?raw=true", f"{A}{path}?raw=true", f"{C}main/models/{path}")


def _old_urls(path: str) -> tuple[str, ...]:
    """Return the URLs of a file that B has no more."""
    return (
        f"{C}15fc2da/models/{path}",
        f"{C}main/models/{path}",
        f"{A}{path}?raw=true",
    )


_READMES = "READMEs of EmotiEffLib and face-emotion-recognition"
_B_PT = "EmotiEffLib, train_emotions-pytorch.ipynb"


def _affectnet(classes: int, faces: str, value: float, source: str = _READMES) -> Metric:
    n = 500 * classes  # a class has 500 pictures: train_emotions.ipynb c7-c15 of A
    return Metric(f"AffectNet validation, {classes} classes", "accuracy", value, n, faces, source)


def _ccc(valence: float, arousal: float) -> tuple[Metric, ...]:
    data, note, source = "AffectNet validation", "faces as annotated", f"{_B_PT} c57"
    return (
        Metric(data, "CCC of valence", valence, None, note, source),
        Metric(data, "CCC of arousal", arousal, None, note, source),
    )


ORIGINAL, ALIGNED = "faces as annotated", "aligned faces"
_PARTS = {  # of the clips of EmotiW's validation sets, those in which MTCNN finds a face
    ("AFEW", 379): "clips with a face", ("AFEW", 383): "all clips",
    ("VGAF", 741): "clips with a face", ("VGAF", 766): "all clips",
}  # fmt: skip


def _clip_accuracy(data: str, right: int, n: int, source: str) -> Metric:
    """Return the accuracy of a classifier that was trained on a network's features."""
    metric = "accuracy of a classifier on its features"
    return Metric(f"{data} validation", metric, right / n, n, _PARTS[data, n], source)


_FER = "face-emotion-recognition"
_PT = f"{_FER} d0ac879, train_emotions-pytorch.ipynb"
_AT_074ADF3 = f"{_FER} 074adf3, train_emotions-pytorch.ipynb"
_AT_D5E2D85 = f"{_FER} d5e2d85, train_emotions-pytorch.ipynb"
_README = "README of EmotiEffLib; n found from the ratio"
_AFEW = (
    _affectnet(8, ORIGINAL, 0.6095),
    _affectnet(8, ALIGNED, 0.6018),
    _affectnet(7, ORIGINAL, 0.6463),
    _affectnet(7, ALIGNED, 0.6454),
    Metric("AffectNet of March 2021, 8 classes", "accuracy", 0.5956, None, "not the authors",
           "EmotiEffLib, evaluate_affectnet_march2021.ipynb c21"),
    Metric("AffectNet of March 2021, 7 classes", "accuracy", 0.6394, None, "not the authors",
           "EmotiEffLib, evaluate_affectnet_march2021.ipynb c21"),
    _clip_accuracy("AFEW", 227, 379, f"{_PT} c45"),
    _clip_accuracy("AFEW", 227, 383, f"{_PT} c45"),
    _clip_accuracy("VGAF", 495, 741, _README),
)  # fmt: skip
_VGAF = (
    _affectnet(8, ORIGINAL, 0.6132),
    _affectnet(8, ALIGNED, 0.6103),
    _affectnet(7, ORIGINAL, 0.6457),
    _affectnet(7, ALIGNED, 0.6489),
    _clip_accuracy("AFEW", 209, 379, _README),
    _clip_accuracy("VGAF", 506, 741, f"{_PT} c54"),
    _clip_accuracy("VGAF", 513, 766, f"{_PT} c54"),
)
_B0_7 = (
    _affectnet(7, ORIGINAL, 0.6574),
    _affectnet(7, ALIGNED, 0.6574),
    _affectnet(7, ORIGINAL, 0.6554, f"{_B_PT} c35, the author's second run"),
    _clip_accuracy("AFEW", 216, 379, _README),
    _clip_accuracy("VGAF", 483, 741, _README),
)
_B0_VA = (
    _affectnet(8, ORIGINAL, 0.6193),
    _affectnet(7, ORIGINAL, 0.6494),
    *_ccc(0.594, 0.549),
    _clip_accuracy("AFEW", 215, 379, _README),
    _clip_accuracy("VGAF", 510, 766, _README),
)
_B2_7 = (
    _affectnet(7, ORIGINAL, 0.6591),
    _affectnet(7, ALIGNED, 0.6634),
    _clip_accuracy("AFEW", 226, 379, f"{_AT_074ADF3} c46"),
    _clip_accuracy("AFEW", 226, 383, f"{_AT_074ADF3} c46"),
    _clip_accuracy("VGAF", 528, 741, f"{_AT_074ADF3} c55"),
    _clip_accuracy("VGAF", 535, 766, f"{_AT_074ADF3} c55"),
)
_B2_8 = (
    _affectnet(8, ORIGINAL, 0.63025),
    _affectnet(8, ALIGNED, 0.6240),
    _affectnet(7, ORIGINAL, 0.6629),
    _clip_accuracy("AFEW", 219, 379, f"{_AT_D5E2D85} c46"),
    _clip_accuracy("AFEW", 221, 383, f"{_AT_D5E2D85} c46"),
    _clip_accuracy("VGAF", 522, 741, "EmotiEffLib, train_emotions-pytorch-afew-vgaf.ipynb c42"),
    _clip_accuracy("VGAF", 538, 766, "EmotiEffLib, train_emotions-pytorch-afew-vgaf.ipynb c42"),
)
_B2_8_BEST = (
    _affectnet(8, ORIGINAL, 0.63125),
    _affectnet(7, ORIGINAL, 0.6651),
    _clip_accuracy("AFEW", 215, 379, _README),
    _clip_accuracy("VGAF", 527, 741, _README),
)
_MBF = (
    _affectnet(8, ORIGINAL, 0.62325, f"{_B_PT} c57"),
    _affectnet(7, ORIGINAL, 0.6517, f"{_B_PT} c57"),
    *_ccc(0.577, 0.547),
)
_MOBILEVIT = (
    _affectnet(8, ORIGINAL, 0.625, f"{_B_PT} c57"),
    _affectnet(7, ORIGINAL, 0.6646, f"{_B_PT} c57"),
    *_ccc(0.599, 0.565),
)
_MOBILENET = (
    _affectnet(7, ORIGINAL, 2265 / 3500, f"{_FER} d0ac879, train_emotions.ipynb c35"),
    _clip_accuracy("AFEW", 212, 383, f"{_FER} d0ac879, AFEW_train.ipynb c30"),
    _clip_accuracy("VGAF", 521, 741, f"{_FER} d0ac879, VGAF_train.ipynb c29"),
    _clip_accuracy("VGAF", 528, 766, f"{_FER} d0ac879, VGAF_train.ipynb c29"),
)
_UTK = "README of HSE_FaceRec_tf"
_AGE = (
    Metric("UTKFace", "mean absolute error of age (years)", 6.00, None,
           "all pictures, aligned and cropped as published", _UTK),
    Metric("UTKFace", "mean absolute error of age (years)", 5.74, None,
           "all pictures, cropped from the wild by dlib", _UTK),
    Metric("UTKFace", "accuracy of gender", 0.938, None,
           "all pictures, cropped from the wild by dlib", _UTK),
    Metric("UTKFace", "mean absolute error of age (years)", 5.39, None,
           "CORAL's test list, ages of 21-60", _UTK),
    Metric("UTKFace", "accuracy of gender", 0.975, None,
           "CORAL's test list, ages of 21-60", _UTK),
)  # fmt: skip
_IDENTITIES = (
    Metric("VGGFace2 validation, 9,131 people", "accuracy", 0.9678, 243_722,
           "crops of people of the training set",
           f"{_FER} d0ac879, train_faces_torch.ipynb c27-c29"),
)  # fmt: skip

_SELECTED = "Chosen on the validation sets that its figures are of."
_B0 = f"EfficientNet-B0, eight AffectNet emotions. {_SELECTED}"
_B2 = f"EfficientNet-B2, eight AffectNet emotions. {_SELECTED}"
_VA = (
    "eight AffectNet emotions, and valence and arousal: linear, so clip them to -1..1, and by "
    f"their author's word a by-product. {_SELECTED}"
)
_SEVEN = f"seven AffectNet emotions (no contempt). {_SELECTED}"
_PEOPLE = "features for telling people apart, from 9,131 people of VGGFace2; no outputs"


def _module(
    name: str, urls: tuple[str, ...], blob: str, specs: tuple[BackboneSpec, ...], about: str,
    figures: tuple[Metric, ...] = (), sha256: str = "",
) -> PublishedModel:  # fmt: skip
    return PublishedModel(
        name, f"{name}.pt", "module", "backbone", urls, blob, specs, about, _EMOTION, figures,
        sha256,
    )  # fmt: skip


def _modules() -> Iterator[PublishedModel]:
    """Yield the whole networks that torch saved as pickles of timm's classes."""
    at = "affectnet_emotions/"
    yield _module(
        "enet_b0_8_best_afew", _urls(f"{at}enet_b0_8_best_afew.pt"), "9540c8beff66",
        _b0(_AFFECTNET8), f"{_B0} The one whose features did best on AFEW.", _AFEW,
        "47c1423f3e6f50e3750bf7b0eda7db947c9ce0c2637e1766bf2187eddc652b17",
    )  # fmt: skip
    yield _module(
        "enet_b0_8_best_vgaf", _urls(f"{at}enet_b0_8_best_vgaf.pt"), "7219cfb03720",
        _b0(_AFFECTNET8), f"{_B0} The one whose features did best on VGAF.", _VGAF,
    )  # fmt: skip
    yield _module(
        "enet_b0_8_best", _old_urls(f"{at}enet_b0_8_best.pt"), "1b59ad5cbb98", _b0(_AFFECTNET8),
        "EfficientNet-B0, eight AffectNet emotions; not by the authors: a third party's upload "
        "(bbc3743 of C), of which no figures are known",
    )  # fmt: skip
    yield _module(
        "enet_b0_7", _old_urls(f"{at}enet_b0_7.pt"), "47b748b42622", _b0(_AFFECTNET7),
        f"EfficientNet-B0, {_SEVEN}", _B0_7,
    )  # fmt: skip
    yield _module(
        "enet_b0_8_va_mtl", _urls(f"{at}enet_b0_8_va_mtl.pt"), "b7223bd1ab09", _b0(_MTL),
        f"EfficientNet-B0, {_VA}", _B0_VA,
    )  # fmt: skip
    yield _module(
        "enet_b2_7", _urls(f"{at}enet_b2_7.pt"), "5a8ccbb17913", _b2(_AFFECTNET7),
        f"EfficientNet-B2, {_SEVEN}", _B2_7,
    )  # fmt: skip
    yield _module(
        "enet_b2_8", _urls(f"{at}enet_b2_8.pt"), "eed81e636887", _b2(_AFFECTNET8), _B2, _B2_8
    )
    yield _module(
        "enet_b2_8_best", _old_urls(f"{at}enet_b2_8_best.pt"), "43be51786607", _b2(_AFFECTNET8),
        _B2, _B2_8_BEST,
    )  # fmt: skip
    yield _module(
        "affectnet_7_vggface2_rexnet150", _old_urls(f"{at}affectnet_7_vggface2_rexnet150.pt"),
        "34037205ada1", _rexnet(_AFFECTNET7),
        "RexNet-150, seven AffectNet emotions (no contempt); no figures were published",
    )  # fmt: skip
    yield _module(
        "mbf_va_mtl", _urls(f"{at}mbf_va_mtl.pt"), "522bdabca7c6", _mobilefacenet(),
        f"MobileFaceNet, {_VA}", _MBF,
    )  # fmt: skip
    yield _module(
        "mobilevit_va_mtl", _urls(f"{at}mobilevit_va_mtl.pt"), "d648cb1a20a5", _mobilevit(),
        f"MobileViT, {_VA}", _MOBILEVIT,
    )  # fmt: skip


def _states() -> Iterator[PublishedModel]:
    """Yield the state dicts of networks that tell people apart."""
    rows = (
        ("state_vggface2_enet0_new", "496a7036adeb", _b0({}), "EfficientNet-B0", ()),
        # the size it was trained with is not told: that of the emotions' B2
        ("state_vggface2_enet2", "be6ad8550fc0", _b2({}), "EfficientNet-B2", ()),
        ("state_vggface2_rexnet_150", "c3e89b0f5c9f", _rexnet({}), "RexNet-150", _IDENTITIES),
    )
    for name, blob, specs, network, figures in rows:
        yield PublishedModel(
            name, f"{name}.pt", "state", "backbone", _urls(f"pretrained_faces/{name}.pt"), blob,
            specs, f"{network}, {_PEOPLE}", _IDENTITY, figures,
        )  # fmt: skip


def _onnx() -> Iterator[PublishedModel]:
    """Yield the graphs of opset 11, of 2022-11 and so older than the pickles of one name."""
    rows = (
        ("enet_b0_8_best_afew", "d87faf71", _b0(_AFFECTNET8), _B0, _AFEW,
         "7aa2ea31c1311f4f8aa9d3fdb085d418dd4e7a48c4b9ed41df8c044f91d0213f"),
        ("enet_b0_8_best_vgaf", "49772db4", _b0(_AFFECTNET8), _B0, _VGAF,
         "fa07e841fd06c7a67ee651ea4e6e4a3a2bb5695f47b37a7da50492526f59c898"),
        ("enet_b0_8_va_mtl", "7ce9d6dd", _b0(_MTL), f"EfficientNet-B0, {_VA}", _B0_VA,
         "c43e056ad388d4a8dc911832b8291435b2af537f967e5870ebd731574ec7e812"),
        ("enet_b2_7", "cdd6a607", _b2(_AFFECTNET7), f"EfficientNet-B2, {_SEVEN}", _B2_7, ""),
        ("enet_b2_8", "a7cb612c", _b2(_AFFECTNET8), _B2, _B2_8, ""),
        ("mbf_va_mtl", "194db927", _mobilefacenet(), f"MobileFaceNet, {_VA}", _MBF, ""),
        ("mobilevit_va_mtl", "bed5781a", _mobilevit(), f"MobileViT, {_VA}", _MOBILEVIT, ""),
    )  # fmt: skip
    for name, blob, specs, about, figures, sha256 in rows:
        file = f"{name}.onnx"
        yield PublishedModel(
            file, file, "onnx", "backbone", _urls(f"affectnet_emotions/onnx/{file}"), blob, specs,
            about, _EMOTION, figures, sha256,
        )  # fmt: skip


def _keras() -> Iterator[PublishedModel]:
    """Yield the networks that Keras saved."""
    yield PublishedModel(
        "mobilenet_7", "mobilenet_7.h5", "keras", "backbone",
        _urls("affectnet_emotions/mobilenet_7.h5"), "3a3d5bb84506",
        (BackboneSpec("mobilenetv1_100", 224, *_KERAS_ON_RGB, 1024, _AFFECTNET7, _KERAS),),
        f"MobileNet-v1, {_SEVEN} A layer of 256 units lies before the output.",
        _EMOTION, _MOBILENET,
    )  # fmt: skip
    name = "age_gender_tf2_224_deep-03-0.13-0.97"
    yield PublishedModel(
        name, f"{name}.h5", "keras", "backbone",
        (*_urls(f"pretrained_faces/{name}.h5"), f"{F}{name}.h5"), "f92c1976a0e1",
        (BackboneSpec("mobilenetv1_100", 224, *_KERAS_ON_BGR, 1024, _AGE_GENDER, _KERAS),),
        "MobileNet-v1, age in years of 1-100, and gender; its 1,024 features tell people apart. "
        "A layer of 256 units lies before the outputs. Published rules: the two likeliest years, "
        "male from 0.6.",
        _ATTRIBUTES, _AGE, colour="bgr",
    )  # fmt: skip
    name = "engagement_single_attention"
    yield PublishedModel(
        name, f"{name}.h5", "keras", "engagement",
        (f"{B}engagement_classification/{name}.h5?raw=true",), "25921a298a0e", (),
        "attention over windows of 128 faces, distracted or engaged, on the 1,280 features of an "
        "EfficientNet-B0 above; no published notebook makes this file, no figures are known",
        _ENGAGED,
    )  # fmt: skip


def _dlib() -> Iterator[PublishedModel]:
    """Yield the network of dlib that tells people apart.

    Its aligned squares are those of `get_face_chip` with a padding of 0.25 and the five points of
    dlib's own predictor; scale and shift bring the five points of MTCNN and RetinaFace there.
    """
    name = "dlib_face_recognition_resnet_model_v1"
    mean, std = (122.782 / 255, 117.001 / 255, 104.298 / 255), (256 / 255,) * 3
    identity = {"identity": tuple(str(i) for i in range(128))}
    yield PublishedModel(
        name, f"{name}.dat", "dlib", "backbone",
        (f"https://github.com/ageitgey/face_recognition_models/raw/master/"
         f"face_recognition_models/models/{name}.dat",),
        "ddb515897db3", (BackboneSpec("dlib_resnet", 150, mean, std, 256, identity),),
        "dlib's ResNet of 29 layers (Davis King): who somebody is, in 128 numbers, for identify; "
        "the package face_recognition_models holds the same file",
        {"code": "BSL-1.0", "weights": "public domain, by their author (CC0 1.0 in dlib-models)",
         "data": "FaceScrub, VGG face and pictures of the web, LFW's people left out, by their "
            "author's README"},
        (Metric("LFW", "accuracy", 0.9938, None, "aligned faces", "README of dlib-models"),),
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        card=_DLIB_CARD,
    )  # fmt: skip


_DLIB_CARD: dict[
    str, Any
] = {  # measured: tests/figures.py persons --model, on this project's pairs
    "recipe": {
        "cropping": {"size": 150, "shape": "five", "scale": 0.9, "shift": (0.0, 0.127)},
    },
    "measured": {
        "identity": {
            "people": 150,
            "frames": 1843,
            "videos": {"n": 502, "pairs": 125_751, "AUC": 0.9946, "AUC interval": (0.9905, 0.9975)},
            "threshold": 0.9325,
            "thresholds": {
                "FAR 1 %": {
                    "threshold": 0.9325,
                    "pairs": 25_200,
                    "TPR": {"value": 0.902, "interval": (0.8542, 0.938)},
                    "FPR": {"value": 0.009, "interval": (0.0058, 0.0147)},
                },
            },
            "note": "YouTube Faces; threshold: half of the tested names, its rates: the other half",
        },
    },
}


ZOO: dict[str, PublishedModel] = {
    row.name: row for rows in (_modules(), _states(), _onnx(), _keras(), _dlib()) for row in rows
}
