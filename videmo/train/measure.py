"""What a trained model is worth: scores with their intervals, from the files that ship."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from videmo import store
from videmo.data import F32, F64, I64, U8, Array
from videmo.errors import InputError, ModelError
from videmo.evaluate.metrics import bootstrap, label_metrics, wilson_interval
from videmo.labels import label_set
from videmo.stages.crop import Cropping
from videmo.stages.embed import make_backbone
from videmo.stages.heads import softmax
from videmo.stages.heads.prior import BALANCED
from videmo.stages.image import resize, to_grey
from videmo.stages.pool import reweigh
from videmo.train.face_tables import PICTURE_FORMATS, FaceTable, read_table

Split = Literal["test", "val"]  # val: what choices are made on; test: what is scored once
Degradation = Callable[[U8], U8]  # a picture (H, W, 3) to another

BATCH = 256  # pictures in memory at once
CANVAS = 112  # px, the side at which pictures are blurred and compressed
DRAWS = 200  # of a bootstrap
SIZES = (24, 32, 48, 64, 112, 200)  # px
SIGMAS = (0.0, 0.5, 1.0, 2.0, 3.0)  # px of CANVAS
QUALITIES = (90, 70, 50, 30, 10)  # of JPEG

# FairFace's bins, the open one as the tables close it. A bin's centre is the mean of its first
# and last year: 1, 6, 14.5 ... 64.5, and 79.5 for more than 70.
AGE_BINS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-89")
BIN_START = np.array([int(age.split("-")[0]) for age in AGE_BINS])
BIN_CENTRE = np.array([np.mean([int(year) for year in age.split("-")]) for age in AGE_BINS])

# FairFace's seven as UTKFace's five, whose last is "others (like Hispanic, Latino, Middle
# Eastern)" in its own description.
UTKFACE_ETHNICITY = {
    "white": "white", "black": "black", "indian": "indian", "east asian": "asian",
    "southeast asian": "asian", "middle eastern": "others", "latino hispanic": "others",
}  # fmt: skip


class BackboneRunner:
    """A backbone in its folder, run by the engine that runs it for users.

    folder:   a model folder with card.json, weights and graph, or a model's name
    cropping: how a head on it cuts faces; its size is replaced by the network's
    raises:   ModelError where the folder holds no sound backbone
    """

    def __init__(self, folder: str | Path, cropping: Cropping, *, threads: int = 0) -> None:
        model = store.load(folder)
        spec = model.backbone_spec()
        self.name, self.outputs, self._model = model.name, spec.outputs, model
        self.cropping = replace(cropping, size=spec.input_size)
        self._run = make_backbone(spec, model.folder, engine="openvino", threads=threads)

    def __call__(self, pictures: Iterable[U8]) -> dict[str, F32]:
        """Return "features" (K, D) and every output (K, C) of K > 0 pictures (H, W, 3) of a face.

        They are brought to the network's size, and to grey where the recipe says so.
        """
        side, rows, pictures = self.cropping.size, [], iter(pictures)
        while chunk := list(islice(pictures, BATCH)):
            pixels = np.stack([resize(picture, side, side) for picture in chunk])
            grey = self.cropping.colour == "grey"
            values, outputs = self._run(to_grey(pixels) if grey else pixels)
            rows.append({"features": values, **outputs})
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def balanced_probabilities(self, output: str, logits: F32) -> F64:
        """Return the probabilities (K, C) of an output with its shares divided out."""
        factors = self._model.shares(output).factors(BALANCED)
        return reweigh(softmax(logits), factors)

    def require_outputs(self, *outputs: str) -> None:
        """Raise ModelError unless the network has all these outputs."""
        for name in outputs:
            if name not in self.outputs:
                known = ", ".join(self.outputs) or "features alone"
                raise ModelError(
                    f"{self.name}: no output {name!r}, there is {known}; "
                    "measure a backbone that learned it"
                )

    def label_numbers(self, output: str, labels: Iterable[Any]) -> I64:
        """Return the number of each label in the output's own order."""
        known = {label: number for number, label in enumerate(self.outputs[output])}
        labels = list(labels)
        if odd := sorted(set(labels) - set(known)):
            raise ModelError(
                f"{self.name}: output {output!r} has no label {odd[0]!r}; "
                f"there are {', '.join(list(known)[:8])}"
            )
        return np.array([known[label] for label in labels], np.int64)


def measure_emotions(model: BackboneRunner, path: Path, split: Split) -> dict[str, Any]:
    """Return the scores of the emotions on the val or test faces of FER+.

    Of all eight as the network answers; under "balanced" with the shares of the training divided
    out, and under "seven" and "balanced seven" the same without contempt, which AFEW lacks.
    """
    model.require_outputs("emotion")
    table = read_table("ferplus", path).of_split(split)
    found = model(decode_pictures(table))["emotion"]
    labels, truth = model.outputs["emotion"], _majority(model, table)
    seven = truth != labels.index("contempt")
    rows = {"": found, "balanced": np.log(model.balanced_probabilities("emotion", found))}
    scored = {name: label_metrics(_argmax(logits), truth, labels) for name, logits in rows.items()}
    for name, logits in rows.items():
        kept = np.where([label == "contempt" for label in labels], -np.inf, logits)[seven]
        left = tuple(label for label in labels if label != "contempt")
        number = np.array([left.index(label) if label in left else -1 for label in labels])
        key = f"{name} seven".strip()
        scored[key] = label_metrics(number[_argmax(kept)], number[truth[seven]], left)
    return scored.pop("") | scored


def _emotion_metrics(
    model: BackboneRunner, table: FaceTable, found: Mapping[str, F32]
) -> dict[str, Any]:
    return label_metrics(
        _argmax(found["emotion"]), _majority(model, table), model.outputs["emotion"]
    )


def _majority(model: BackboneRunner, table: FaceTable) -> I64:
    """Return the number of the emotion with the most votes of each face, (K,)."""
    return model.label_numbers(
        "emotion", [table.voted[number] for number in _votes_of(table).argmax(1)]
    )


def _votes_of(table: FaceTable) -> F32:
    if table.votes is None:
        raise InputError(f"{table.source}: no votes for emotions; give a FER+ table")
    return table.votes


def decode_pictures(table: FaceTable) -> Iterator[U8]:
    """Yield each picture of the table, (H, W, 3) RGB."""
    return map(decode_picture, table.pictures)


def decode_picture(encoded: bytes | Path) -> U8:
    """Return a picture as (H, W, 3) RGB."""
    from PIL import Image

    file = io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded
    with Image.open(file, formats=PICTURE_FORMATS) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def measure_attributes(model: BackboneRunner, path: Path, split: Split) -> dict[str, Any]:
    """Return how well age, gender and race of FairFace's faces are read, and of which faces.

    test is FairFace's own val, which has no test beside it; val is each twentieth file of its
    train. Age is given by every rule of AGE_RULES, and by "rule" the one to quote.
    """
    model.require_outputs("age", "gender", "ethnicity")
    table = read_table("fairface", path).of_split(split)
    found = model(decode_pictures(table))
    true_age = _age_bins(table)
    ages = {name: rule(*_age_probabilities(model, found)) for name, rule in AGE_RULES.items()}
    gender, race = (
        (_argmax(found[name]), model.label_numbers(name, table.known[name]))
        for name in ("gender", "ethnicity")
    )
    return {
        "n": len(table),
        "gender": label_metrics(*gender, model.outputs["gender"]),
        "race": label_metrics(*race, model.outputs["ethnicity"]),
        "race of five": _ethnicity_of_five(model, found["ethnicity"], table),
        "age": {"rule": AGE_RULE, **{name: age_error(got, true_age) for name, got in ages.items()}},
        "gender by race": _by_group(table.known["ethnicity"], gender, _accuracy),
        "race by gender": _by_group(table.known["gender"], race, _accuracy),
        "age by bin": _by_group(table.known["age"], (ages[AGE_RULE], true_age), age_error),
    }


def most_probable(probabilities: F32, years: I64) -> I64:
    """Return the bin (K,) whose years (C,) have the largest sum of probabilities (K, C)."""
    inside = (np.searchsorted(BIN_START, years, "right") - 1)[:, None] == np.arange(len(AGE_BINS))
    return _argmax(probabilities @ inside)


def median(probabilities: F32, years: I64) -> I64:
    """Return the bin (K,) of the first year at which the probabilities reach a half."""
    year = years[(probabilities.cumsum(1) >= 0.5 * probabilities.sum(1, keepdims=True)).argmax(1)]
    return np.asarray(np.searchsorted(BIN_START, year, "right") - 1, np.int64)


AGE_RULES: dict[str, Callable[[F32, I64], I64]] = {
    "most probable": most_probable,
    "median": median,
}
AGE_RULE = "median"  # it makes the expected error in years least; the other, that in bins


def age_error(found: I64, truth: I64) -> dict[str, Any]:
    """Return the share of right bins and the mean error in years between the bins' centres."""
    errors = np.abs(BIN_CENTRE[found] - BIN_CENTRE[truth])
    parts = np.stack([errors, np.ones(len(errors))], 1)
    interval = bootstrap(lambda sums: {"years": sums[:, 0] / sums[:, 1]}, parts, draws=DRAWS)
    years = {"years": round(float(errors.mean()), 3), "years interval": interval["years"]}
    return {**_accuracy(found, truth), **years}


def _age_probabilities(model: BackboneRunner, found: Mapping[str, F32]) -> tuple[F32, I64]:
    return softmax(found["age"]), np.array([int(year) for year in model.outputs["age"]])


def _age_bins(table: FaceTable) -> I64:
    """Return the number of the bin of every face; raises InputError for ages of another kind."""
    if odd := sorted({str(age) for age in table.known["age"]} - set(AGE_BINS)):
        raise InputError(f"{table.source}: {odd[0]!r} is no bin of FairFace's ages; give its table")
    return np.array([AGE_BINS.index(str(age)) for age in table.known["age"]], np.int64)


def _ethnicity_of_five(model: BackboneRunner, logits: F32, table: FaceTable) -> dict[str, Any]:
    """Score ethnicity over UTKFace's labels, whose probabilities are sums."""
    five = label_set("utkface5")
    onto = np.array(
        [[UTKFACE_ETHNICITY[name] == of for of in five] for name in model.outputs["ethnicity"]]
    )
    truth = [five.index(UTKFACE_ETHNICITY[str(name)]) for name in table.known["ethnicity"]]
    return label_metrics(_argmax(softmax(logits) @ onto), np.array(truth, np.int64), five)


def _by_group(
    groups: Sequence[Any], answers: tuple[I64, I64], worth: Callable[[I64, I64], dict[str, Any]]
) -> dict[str, Any]:
    """Return what the answers (found, truth) are worth in every group by itself."""
    names, (found, truth) = np.array([str(group) for group in groups]), answers
    order = [*AGE_BINS, *sorted(set(names) - set(AGE_BINS))]
    rows = {group: names == group for group in order if (names == group).any()}
    return {group: worth(found[of], truth[of]) for group, of in rows.items()}


def _accuracy(found: I64, truth: I64) -> dict[str, Any]:
    right, n = int((found == truth).sum()), len(truth)
    return {"n": n, "accuracy": round(right / n, 4), "interval": wilson_interval(right, n)}


def _argmax(columns: Array) -> I64:
    return np.asarray(columns.argmax(1), np.int64)


def measure_degradation(
    model: BackboneRunner, ferplus: Path, fairface: Path, split: Split, *, n: int = 1500
) -> dict[str, Any]:
    """Return accuracy of emotion and gender, and the error of age, as pictures get worse.

    n: faces of each table, spread evenly over it; what the network has no output for is left out
    """
    tables = {"ferplus": read_table("ferplus", ferplus).of_split(split, n)}
    if {"gender", "age"} & set(model.outputs):
        tables["fairface"] = read_table("fairface", fairface).of_split(split, n)
    rows = []
    for change, value, worsen in degradations():
        row: dict[str, Any] = {"change": change, "value": value}
        for table in tables.values():
            found = model(map(worsen, decode_pictures(table)))
            row |= _scores_of(model, table, found)
        rows.append(row)
    return {"n": {name: len(table) for name, table in tables.items()}, "rows": rows}


def _scores_of(model: BackboneRunner, table: FaceTable, found: Mapping[str, F32]) -> dict[str, Any]:
    worth: dict[str, Any] = {}
    if table.votes is not None and "emotion" in found:
        whole = _emotion_metrics(model, table, found)
        worth["emotion"] = {key: whole[key] for key in ("n", "accuracy", "interval")}
    if "gender" in table.known and "gender" in found:
        truth = model.label_numbers("gender", table.known["gender"])
        worth["gender"] = _accuracy(_argmax(found["gender"]), truth)
    if "age" in table.known and "age" in found:
        worth["age"] = age_error(
            AGE_RULES[AGE_RULE](*_age_probabilities(model, found)), _age_bins(table)
        )
    return worth


def degradations() -> Iterator[tuple[str, Any, Degradation]]:
    """Yield what is done to pictures: its kind, how far it goes, and the function."""
    for size in SIZES:
        yield "size", size, partial(resized, side=size)
    for sigma in SIGMAS:
        yield "blur", sigma, partial(blurred, sigma=sigma)
    for quality in QUALITIES:
        yield "jpeg", quality, partial(compressed, quality=quality)
    yield "colour", "grey", to_grey
    yield "colour", "as it is", lambda picture: picture


def resized(picture: U8, side: int) -> U8:
    """Return the picture as a face of `side` px; a larger one is enlarged, not made sharper."""
    return resize(picture, side, side)


def blurred(picture: U8, sigma: float) -> U8:
    """Return the picture at 112 px, blurred by a Gaussian of `sigma` px (Pillow's, by boxes)."""
    from PIL import Image, ImageFilter

    image = Image.fromarray(resize(picture, CANVAS, CANVAS))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(sigma)), np.uint8)


def compressed(picture: U8, quality: int) -> U8:
    """Return the picture at 112 px, as JPEG of that quality keeps it."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(resize(picture, CANVAS, CANVAS)).save(file, "JPEG", quality=quality)
    return decode_picture(file.getvalue())
