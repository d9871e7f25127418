"""What a model folder is worth: figures on small tables whose answers are known."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from videmo import store
from videmo.errors import InputError, ModelError
from videmo.labels import label_set
from videmo.stages.crop import Cropping
from videmo.train import measure, verification
from videmo.train.measure import AGE_BINS, BIN_CENTRE, BackboneRunner
from videmo.train.verification import FacePairs

metrics = pytest.importorskip("sklearn.metrics")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

OUTPUTS = {
    "emotion": label_set("ferplus8"),
    "age": tuple(str(year) for year in range(100)),
    "gender": ("female", "male"),
    "ethnicity": label_set("fairface7"),
    "identity": tuple(str(number) for number in range(4)),
}
YEARS = np.arange(100)


class Reader:
    """Stands for a network: it reads off each picture's mean red, green and blue what to say.

    say: from the means (K, 3), 0..255, to the outputs by name
    """

    name = "reader"
    outputs = OUTPUTS
    cropping = Cropping(size=8, shape="square")
    require_outputs = BackboneRunner.require_outputs
    label_numbers = BackboneRunner.label_numbers

    def __init__(self, say: Any) -> None:
        self.say = say

    def __call__(self, pictures: Any) -> dict[str, Any]:
        return self.say(np.stack([picture.mean((0, 1)) for picture in pictures]))


def picture(red: int = 0, green: int = 0, blue: int = 0, side: int = 20) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (side, side), (red, green, blue)).save(file, "PNG")
    return file.getvalue()


def write(rows: list[dict[str, Any]], path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def one_hot(numbers: Sequence[int], width: int) -> np.ndarray:
    return 50 * np.eye(width, dtype=np.float32)[np.asarray(numbers, int).clip(0, width - 1)]


@pytest.fixture
def fairface(tmp_path: Path) -> Path:
    """Four faces of val and two of train, of which file 20 is held out; red is age, green gender,
    blue race."""
    names = ("White", "Black", "East Asian", "Southeast Asian", "Indian", "Middle Eastern",
             "Latino_Hispanic")  # fmt: skip
    ages = ("0-2", "3-9", "20-29", "more than 70")
    rows = [
        {"file": f"fair_face/{split}/{number}.jpg", "split": split, "age": ages[i],
         "gender": ("Female", "Male")[i % 2], "race": names[race],
         "image": picture((1, 5, 25, 75)[i], 100 * (i % 2), 30 * race)}
        for i, (split, number, race) in enumerate(
            [("val", 1, 0), ("val", 2, 2), ("val", 3, 3), ("val", 4, 6)]
        )
    ]  # fmt: skip
    rows += [{**rows[0], "split": "train", "file": f"fair_face/train/{n}.jpg"} for n in (19, 20)]
    return write(rows, tmp_path / "fairface.parquet")


def attributes_of(means: np.ndarray) -> dict[str, np.ndarray]:
    """Say what the fixture's pictures show, and nothing wrong."""
    age, gender, race = means.round().T
    return {
        "age": one_hot(age, 100),
        "gender": one_hot(gender > 50, 2),
        "ethnicity": one_hot(race / 30, 7),
    }


def test_a_network_that_reads_everything_right_has_no_error(fairface: Path) -> None:
    found = measure.measure_attributes(Reader(attributes_of), fairface, "test")
    assert found["n"] == 4
    assert found["gender"]["accuracy"] == found["race"]["accuracy"] == 1
    assert found["race of five"]["accuracy"] == 1
    assert found["age"]["median"]["years"] == found["age"]["most probable"]["years"] == 0
    assert {group: worth["n"] for group, worth in found["age by bin"].items()} == {
        "0-2": 1, "3-9": 1, "20-29": 1, "70-89": 1,
    }  # fmt: skip


def test_val_is_the_twentieth_file_of_train(fairface: Path) -> None:
    assert measure.measure_attributes(Reader(attributes_of), fairface, "val")["n"] == 1


def test_a_group_has_the_errors_of_its_own(fairface: Path) -> None:
    def all_men(means: np.ndarray) -> dict[str, np.ndarray]:
        return {**attributes_of(means), "gender": one_hot([1] * len(means), 2)}

    found = measure.measure_attributes(Reader(all_men), fairface, "test")
    assert found["gender"]["accuracy"] == 0.5
    right = {race: worth["accuracy"] for race, worth in found["gender by race"].items()}
    assert right == {"white": 0, "east asian": 1, "southeast asian": 0, "latino hispanic": 1}


def test_one_asian_taken_for_the_other_is_right_among_five(fairface: Path) -> None:
    def mixed_up(means: np.ndarray) -> dict[str, np.ndarray]:
        said = attributes_of(means)
        said["ethnicity"] = said["ethnicity"][:, [0, 1, 3, 2, 4, 5, 6]]
        return said

    found = measure.measure_attributes(Reader(mixed_up), fairface, "test")
    assert found["race"]["accuracy"] == 0.5
    assert found["race of five"]["accuracy"] == 1


def test_five_races_are_chosen_by_the_sums_of_seven(fairface: Path) -> None:
    def torn(means: np.ndarray) -> dict[str, np.ndarray]:
        shares = np.array([0.4, 0, 0.3, 0.3, 0, 0, 0]) + 1e-9  # white; but asian, summed
        return {**attributes_of(means), "ethnicity": np.log([shares] * len(means))}

    found = measure.measure_attributes(Reader(torn), fairface, "test")
    assert found["race"]["accuracy"] == 0.25
    assert found["race of five"]["accuracy"] == 0.5


def test_the_two_rules_of_age_take_the_largest_bin_and_the_middle_one() -> None:
    shares = np.zeros((1, 100), np.float32)
    shares[0, [5, 25, 45]] = 0.4, 0.25, 0.35  # the first half of the chance ends at 25
    assert AGE_BINS[measure.most_probable(shares, YEARS)[0]] == "3-9"
    assert AGE_BINS[measure.median(shares, YEARS)[0]] == "20-29"


@pytest.mark.parametrize(
    ("year", "age"),
    [(0, "0-2"), (2, "0-2"), (3, "3-9"), (69, "60-69"), (70, "70-89"), (99, "70-89")],
)
def test_every_year_is_in_one_bin(year: int, age: str) -> None:
    shares = np.eye(100, dtype=np.float32)[[year]]
    for rule in measure.AGE_RULES.values():
        assert AGE_BINS[rule(shares, YEARS)[0]] == age


def test_the_error_of_age_is_between_the_centres_of_bins() -> None:
    assert BIN_CENTRE.tolist() == [1, 6, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 79.5]
    found = measure.age_error(np.array([0, 3, 8]), np.array([1, 3, 7]))
    assert found["accuracy"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["years"] == pytest.approx((5 + 0 + 15) / 3, abs=1e-3)
    low, high = found["years interval"]
    assert 0 <= low < found["years"] < high <= 15


def test_an_output_that_is_not_there_is_named_with_the_model() -> None:
    model = Reader(attributes_of)
    model.outputs = {"emotion": OUTPUTS["emotion"]}
    with pytest.raises(ModelError, match="reader: no output 'age', there is emotion; measure"):
        model.require_outputs("emotion", "age")


def test_a_label_that_the_output_lacks_is_named(fairface: Path) -> None:
    model = Reader(attributes_of)
    model.outputs = {**OUTPUTS, "ethnicity": label_set("utkface5")}
    with pytest.raises(ModelError, match="'ethnicity' has no label 'east asian'; there are white"):
        measure.measure_attributes(model, fairface, "test")


def test_ages_that_are_no_bins_are_an_error(tmp_path: Path, fairface: Path) -> None:
    rows = pq.read_table(fairface).to_pylist()
    path = write([{**row, "age": "33"} for row in rows], tmp_path / "years.parquet")
    with pytest.raises(InputError, match=r"years\.parquet: '33' is no bin of FairFace's ages"):
        measure.measure_attributes(Reader(attributes_of), path, "test")


def test_the_area_is_scikit_learns_with_ties_and_weights(rng) -> None:
    same, similarity = rng.random(500) < 0.3, rng.integers(0, 40, 500) / 40
    weight = rng.integers(0, 4, 500).astype(float)
    expected = metrics.roc_auc_score(same, similarity, sample_weight=weight)
    assert verification.auc(similarity, same, weight) == pytest.approx(expected, abs=1e-12)
    assert verification.auc(similarity, same) == pytest.approx(
        metrics.roc_auc_score(same, similarity)
    )


def test_the_balanced_threshold_is_the_best_there_is(rng) -> None:
    same = rng.random(300) < 0.2
    similarity = rng.normal(same * 1.0, 1).round(1)  # with ties
    least = verification.thresholds(similarity, same)["balanced"]

    def gain(t: float) -> float:
        return float((similarity[same] >= t).mean() - (similarity[~same] >= t).mean())

    assert gain(least) == max(gain(t) for t in similarity)


def test_the_strict_threshold_lets_one_false_pair_in_a_hundred_through() -> None:
    similarity = np.concatenate([np.arange(200) / 1000, [0.9]])
    same = np.arange(201) == 200
    least = verification.thresholds(similarity, same)["FAR 1 %"]
    assert (similarity[~same] >= least).sum() == 2
    crowded = np.concatenate([np.full(200, 0.5), [0.4]])  # all or none of 200 equals: none
    assert verification.thresholds(crowded, same)["FAR 1 %"] > 0.5


def pairs_of(same: Sequence[bool]) -> FacePairs:
    """Return pairs of people of whom none is in two pairs."""
    number = np.arange(len(same))
    return FacePairs(number, np.where(same, number, number + len(same)), np.array(same))


def test_a_folds_own_pairs_do_not_choose_its_threshold() -> None:
    # Fold 0 is parted at 0.85 and folds 1 and 2 at 0.3; its five pairs outvote either of them.
    similarity = np.array([0.9, 0.8] * 5 + [0.5, 0.1] * 2)
    fold = np.array([0] * 10 + [1, 1, 2, 2])
    found = verification.verification_accuracy(similarity, pairs_of([True, False] * 7), fold)
    assert found["n"] == 14
    assert found["accuracy"] == 0.5 and found["standard error"] == 0


def test_the_standard_error_is_that_of_the_mean_over_folds() -> None:
    similarity = np.array([0.9, 0.1, 0.0, 0.1] + [0.9, 0.1] * 3)  # the third pair is missed
    fold = np.array([0] * 4 + [1, 1, 2, 2, 3, 3])
    found = verification.verification_accuracy(similarity, pairs_of([True, False] * 5), fold)
    assert found["accuracy"] == pytest.approx((0.75 + 3) / 4, abs=1e-4)
    assert found["standard error"] == pytest.approx(0.125 / 2, abs=1e-4)


def test_pairs_that_share_people_make_the_interval_wider(rng) -> None:
    people = np.repeat(np.arange(20), 5)
    a, b = np.triu_indices(100, 1)
    of_person = rng.normal(size=20)  # how much alike the pictures of a person are
    similarity = np.where(people[a] == people[b], 1 + of_person[people[a]], 0)
    similarity = similarity + rng.normal(size=len(a)) * 0.5
    pairs = FacePairs(people[a], people[b], people[a] == people[b])
    share = pairs.same / pairs.same.sum()
    found = verification.interval_by_people(
        lambda w: float((w * share * similarity).sum() / (w @ share)), pairs
    )
    low, high = found["interval"]
    apart = similarity[pairs.same].std() / pairs.same.sum() ** 0.5  # as if pairs were strangers
    assert low < found["value"] < high
    assert high - low > 2 * 2 * 1.96 * apart


def of_half(rest: int, prefix: str = "") -> str:
    """Return the first made-up name that is tested (CRC-32 divides by 3) and in that half."""
    names = (f"{prefix}{number}" for number in range(1000))
    return next(n for n in names if (crc := crc32(n.encode())) % 3 == 0 and crc % 2 == rest)


MET = of_half(0, "One5-")  # tested by its CRC-32, were it not in LFW's training part


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    """Two people a fold, two pictures each; a person is a colour."""
    rows, lines = [], ["fold,a,b,same"]
    for fold in range(10):
        one, two = of_half(0, f"One{fold}-"), f"Two{fold}"
        for name, colour in ((one, (200, 20 * fold, 0)), (two, (0, 20 * fold, 200))):
            rows += [
                {"file": f"{name}_000{n}.jpg", "identity": name, "image": picture(*colour)}
                for n in (1, 2)
            ]
            lines.append(f"{fold},{name}_0001.jpg,{name}_0002.jpg,1")
        lines += [f"{fold},{one}_000{n}.jpg,{two}_000{n}.jpg,0" for n in (1, 2)]
    lines += [  # the last fold is judged in five parts
        f"9,{who}_0001.jpg,{other}_0002.jpg,{int(who == other)}"
        for who, other in ((one, one), (one, two), (two, two)) for _ in (1, 2)
    ]  # fmt: skip
    (tmp_path / "lfw_pairs.csv").write_text("\n".join(lines) + "\n")
    return write(rows, tmp_path / "lfw_gray112.parquet")


def colours(means: np.ndarray) -> dict[str, np.ndarray]:
    """Say who it is by the colour; the features are all alike."""
    return {"identity": means.astype(np.float32), "features": np.ones((len(means), 2), np.float32)}


@pytest.mark.parametrize("split", ["test", "val"])
def test_people_of_plain_colours_are_told_apart(lfw: Path, split: Any) -> None:
    pairs = lfw.with_name("lfw_pairs.csv")
    found = verification.measure_verification(Reader(colours), lfw, pairs, split)
    assert found["identity"]["n"] == {"test": 20, "val": 10}[split]  # five folds; the last one
    assert found["identity"]["accuracy"] == found["identity"]["AUC"] == 1
    assert found["features"]["AUC"] == 0.5


@pytest.fixture
def ytf(lfw: Path) -> Path:
    """Four people who are tested, two in each half, in two videos of two frames each, the face
    a coloured square; one frame without a box, and one person whom LFW shows in training."""
    from PIL import Image

    rows = []
    names = [of_half(rest, prefix) for rest in (0, 1) for prefix in ("a", "b")]
    for who, name in enumerate([*names, MET]):
        for video in (0, 1):
            for frame in (0, 1):
                image, file = Image.new("RGB", (40, 20), (90, 90, 90)), io.BytesIO()
                image.paste(((200, 0, 0), (0, 0, 200))[who % 2], (10, 5, 20, 15))
                image.save(file, "PNG")
                rows.append(
                    {"name": name, "video": video, "frame": frame, "img_w": 80, "img_h": 40,
                     "x1": 20.0, "y1": 10.0, "x2": 40.0, "y2": 30.0, "image": file.getvalue()}
                )  # fmt: skip
    rows.append({**rows[0], "x1": None, "y1": None, "x2": None, "y2": None})
    return write(rows, lfw.with_name("ytf_faces.parquet"))


def test_the_face_is_cut_from_its_box_in_pixels_of_another_size(ytf: Path) -> None:
    faces = verification.read_ytf(ytf, "test")
    cut = next(iter(faces.crops(Cropping(size=10, shape="square"))))  # as many px as the box has
    np.testing.assert_array_equal(cut, np.broadcast_to(np.uint8([200, 0, 0]), (10, 10, 3)))


def test_people_of_videos_are_told_apart_by_people_of_the_other_half(
    ytf: Path,
) -> None:
    found = verification.measure_persons(Reader(colours), ytf, "test")
    assert found["people"] == 4 and found["frames"] == 16
    assert found["videos"]["n"] == 8 and found["videos"]["pairs"] == 28
    assert found["left out"]["frames without a box"] == 1
    assert found["frames of two videos"]["pairs"] == 16 * 15 // 2 - 8
    strict = found["thresholds"]["balanced"]
    assert strict["TPR"]["value"] == 1 and strict["FPR"]["value"] == 0
    assert strict["threshold"] == pytest.approx(0.5, abs=0.05)  # between 1 and red against blue
    assert found["threshold"] == found["thresholds"]["FAR 1 %"]["threshold"]


def test_someone_whom_lfw_shows_in_training_is_not_tested(ytf: Path) -> None:
    faces = verification.read_ytf(ytf, "test")
    assert MET not in set(faces.name) and faces.left_out["people met in LFW"] == 1


def test_a_blur_is_gaussian_of_the_sigma_that_is_named() -> None:
    dot = np.zeros((112, 112, 3), np.uint8)
    dot[50:62, 50:62] = 255  # 12 px wide: variance 143 / 12 px
    line = measure.blurred(dot, 3.0)[..., 0].astype(float).sum(0)
    x = np.arange(112) - 55.5
    variance = (line * x**2).sum() / line.sum()
    assert variance == pytest.approx(143 / 12 + 9, rel=0.05)  # sums of bytes are rounded


def test_no_blur_leaves_the_picture_as_it_is(rng) -> None:
    noise = rng.integers(0, 256, (112, 112, 3), np.uint8)
    np.testing.assert_array_equal(measure.blurred(noise, 0.0), noise)


def test_stronger_compression_keeps_less(rng) -> None:
    noise = np.repeat(rng.integers(0, 256, (112, 112, 1), np.uint8), 3, -1)
    lost = [abs(measure.compressed(noise, q) - noise.astype(float)).mean() for q in (90, 50, 10)]
    assert lost == sorted(lost) and lost[0] < lost[2] / 2


@pytest.fixture
def ferplus(tmp_path: Path) -> Path:
    """One val face of each emotion, as bright as its number says."""
    rows = []
    for number, name in enumerate(OUTPUTS["emotion"]):
        votes = {f"v_{label}": 10 * (label == name) for label in OUTPUTS["emotion"]}
        grey = picture(*[30 * number] * 3, side=48)
        flags = {"usable": 1, "repeat_in_train": 0, "leak_from_train": 0}
        rows.append({"split": "val", "image": grey, **flags, **votes})
    return write(rows, tmp_path / "ferplus.parquet")


def everything(means: np.ndarray) -> dict[str, np.ndarray]:
    return {**attributes_of(means), "emotion": one_hot((means[:, 0] / 30).round(), 8)}


def test_the_curve_has_a_row_a_change_and_what_every_output_is_worth(
    ferplus: Path, fairface: Path
) -> None:
    found = measure.measure_degradation(Reader(everything), ferplus, fairface, "val")
    changes = [row["change"] for row in found["rows"]]
    assert [changes.count(name) for name in ("size", "blur", "jpeg", "colour")] == [6, 5, 5, 2]
    assert found["n"] == {"ferplus": 8, "fairface": 1}
    plain = found["rows"][-1]  # even colours lose nothing on their own
    assert plain["emotion"]["accuracy"] == plain["gender"]["accuracy"] == 1
    assert plain["age"]["years"] == 0


def test_the_curve_of_a_network_of_emotions_alone_has_no_other_columns(
    ferplus: Path, tmp_path: Path
) -> None:
    model = Reader(lambda means: {"emotion": everything(means)["emotion"]})
    model.outputs = {"emotion": OUTPUTS["emotion"]}
    found = measure.measure_degradation(model, ferplus, tmp_path / "none.parquet", "val", n=5)
    assert found["n"] == {"ferplus": 5}
    assert all(set(row) == {"change", "value", "emotion"} for row in found["rows"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a tiny network with random weights and the five outputs."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from videmo.stages.embed.timm import create_network, write_graph

    spec = {
        "architecture": "resnet10t", "input_size": 32, "dim": 16, "changes": [],
        "mean": [0.5] * 3, "std": [0.25] * 3, "outputs": {k: list(v) for k, v in OUTPUTS.items()},
        "arguments": {"channels": [8, 8, 16, 16]},
    }  # fmt: skip
    torch.manual_seed(0)
    card = {"kind": "backbone", "name": "tiny", "spec": spec}
    built = create_network(store.Model(Path(), card).backbone_spec())
    weights = {
        name.removeprefix("body."): tensor.numpy()
        for name, tensor in built.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    path = tmp_path_factory.mktemp("models") / "tiny"
    model = store.save(path, card, weights, half=True)
    write_graph(model.backbone_spec(), path)
    store.write_card(path, card)
    return path


def test_a_model_folder_answers_with_all_its_outputs(folder: Path, fairface: Path, rng) -> None:
    model = BackboneRunner(folder, Cropping(size=99, shape="square", colour="grey"), threads=1)
    assert model.cropping.size == 32
    pictures = [rng.integers(0, 256, (side, side, 3), np.uint8) for side in (20, 32, 90)]
    found = model(pictures)
    shapes = {name: columns.shape for name, columns in found.items()}
    assert shapes == {"features": (3, 16), **{k: (3, len(v)) for k, v in OUTPUTS.items()}}
    assert measure.measure_attributes(model, fairface, "test")["n"] == 4


def test_the_colour_of_the_recipe_is_obeyed(folder: Path, rng) -> None:
    from videmo.stages.image import to_grey

    pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
    grey, rgb = (
        BackboneRunner(folder, Cropping(shape="square", colour=colour), threads=1)
        for colour in ("grey", "rgb")
    )
    np.testing.assert_array_equal(grey([pixels])["age"], rgb([to_grey(pixels)])["age"])
    assert abs(grey([pixels])["age"] - rgb([pixels])["age"]).max() > 1e-3


def test_the_rows_of_a_large_set_are_those_of_its_parts(
    folder: Path, rng, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "BATCH", 2)
    model = BackboneRunner(folder, Cropping(shape="square"), threads=1)
    pictures = list(rng.integers(0, 256, (5, 32, 32, 3), np.uint8))
    alone = np.concatenate([model([one])["identity"] for one in pictures])
    np.testing.assert_array_equal(model(iter(pictures))["identity"], alone)


def test_a_backbone_that_knows_no_age_says_so() -> None:
    recipe = store.load("afew7").recipe
    model = BackboneRunner(recipe.backbone, recipe.cropping, threads=1)
    model.outputs = {"emotion": model.outputs["emotion"]}
    with pytest.raises(ModelError, match="lite0_faces: no output 'age', there is emotion"):
        measure.measure_attributes(model, Path("unread"), "test")
