"""A recipe travels as JSON, has a name of 16 digits, and tells what differs."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videmo import store
from videmo.errors import ModelError
from videmo.recipe import Recipe
from videmo.stages.crop import Cropping
from videmo.stages.decode import Sampling
from videmo.stages.detect import Detection
from videmo.stages.follow import Following
from videmo.stages.pool import Pooling
from videmo.stages.track import Tracking

RECIPE = Recipe(
    backbone="faces-s",
    backbone_sha256="ab" * 32,
    sampling=Sampling(fps=5.0, every=1, max_side=None),
    detection=Detection(detector="mtcnn", score=0.9, min_face=32, max_side=640, faces="all"),
    following=Following(every=1),
    tracking=Tracking(overlap=0.3, gap=1.0, cut=40.0),
    cropping=Cropping(
        size=112, shape="square", scale=1.2, shift=(0.0, 0.05), margin=(0.0, 0.0), colour="rgb"
    ),
    pooling=Pooling(stats=("mean", "std"), within=("mean",), normalise="l2"),
)
# Written by RECIPE.fingerprint(). When an option is added or renamed this changes, and with it
# every name that features were stored under: say so in the CHANGELOG.
GOLDEN = "6dd4269760be522d"

OTHER: dict[str, Any] = {  # another value for each option of each stage
    "filtering.side": 48.0,
    "filtering.sharpness": 2.0,
    "filtering.brightness": 0.1,
    "filtering.frontal": 0.5,
    "backbone": "faces-m",
    "backbone_sha256": "cd" * 32,
    "sampling.fps": None,
    "sampling.every": 2,
    "sampling.max_side": 960,
    "detection.detector": "whole",
    "detection.score": 0.8,
    "detection.min_face": 24,
    "detection.max_side": None,
    "detection.faces": "largest",
    "following.every": "auto",
    "following.longest": 1.0,
    "following.score": 0.7,
    "following.overlap": 0.4,
    "following.gap": 2.0,
    "following.cut": 30.0,
    "following.glance": 48,
    "following.give": 0.2,
    "tracking.overlap": 0.5,
    "tracking.gap": 2.0,
    "tracking.cut": 30.0,
    "cropping.size": 224,
    "cropping.shape": "five",
    "cropping.scale": 1.0,
    "cropping.shift": (0.05, 0.0),
    "cropping.margin": (0.0, 10.0),
    "cropping.colour": "grey",
    "pooling.stats": ("std", "mean"),
    "pooling.within": (),
    "pooling.normalise": None,
    "pooling.of": "emotion",
    "budget.fewest": 4,
}


def changed(option: str, value: Any) -> Recipe:
    stage, _, name = option.partition(".")
    if not name:
        return replace(RECIPE, **{stage: value})
    return RECIPE.with_changes(**{stage: {name: value}})


def options() -> set[str]:
    """Return the name of every option that a recipe has."""
    names = set()
    for part in fields(RECIPE):
        value = getattr(RECIPE, part.name)
        if is_dataclass(value):
            names |= {f"{part.name}.{option.name}" for option in fields(value)}
        else:
            names.add(part.name)
    return names


numbers = st.floats(0.01, 100)
pairs = st.tuples(numbers, numbers)
statistics = st.lists(st.sampled_from(["mean", "std", "min", "max"]), max_size=4).map(tuple)
recipes = st.builds(
    Recipe,
    backbone=st.text(),
    backbone_sha256=st.text(),
    sampling=st.builds(
        Sampling,
        fps=st.none() | numbers | st.integers(1, 60),
        every=st.integers(1, 99),
        start=st.none() | st.floats(0, 0.009),
        end=st.none() | numbers,
        max_side=st.none() | st.integers(1, 4000),
    ),
    detection=st.builds(Detection, score=st.floats(0, 1), min_face=st.integers(1, 500)),
    following=st.builds(
        Following, every=st.just("auto") | st.integers(1, 99), longest=numbers, gap=numbers
    ),
    tracking=st.builds(Tracking, overlap=st.floats(0, 1), gap=numbers, cut=numbers),
    cropping=st.builds(
        Cropping,
        size=st.integers(8, 512),
        shape=st.sampled_from(["box", "square", "five"]),
        scale=numbers,
        shift=pairs,
        margin=pairs,
    ),
    pooling=st.builds(
        Pooling,
        stats=statistics.filter(bool),
        within=statistics,
        normalise=st.sampled_from(["l2", None]),
        of=st.sampled_from(["features", "emotion"]),
    ),
)


@given(recipes)
def test_a_recipe_comes_back_from_json_as_it_was(recipe: Recipe) -> None:
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert again.fingerprint() == recipe.fingerprint()
    assert again.differences(recipe) == []


def test_a_recipe_is_json_of_plain_types() -> None:
    plain = RECIPE.to_dict()
    assert plain == json.loads(json.dumps(plain))
    assert plain["cropping"]["shift"] == [0.0, 0.05]


def test_the_fingerprint_is_the_same_for_ever() -> None:
    assert RECIPE.fingerprint() == GOLDEN


@pytest.mark.parametrize(
    ("head", "fingerprint"), [("afew7", "4d9253406a7a1afb"), ("vgaf3", "66585a1a5808aef7")]
)
def test_the_recipes_that_ship_keep_their_names(head: str, fingerprint: str) -> None:
    recipe = store.load(head).recipe
    assert recipe.fingerprint() == fingerprint
    assert recipe.to_dict() == store.load(head).card["recipe"]


@pytest.mark.parametrize(
    ("head", "fingerprint"), [("afew7", "d76c9ca733f6c65c"), ("vgaf3", "478a93be80a1d62c")]
)
def test_the_recipes_that_shipped_before_are_two_options_away(head: str, fingerprint: str) -> None:
    before = {"detection": {"detector": "mtcnn"}, "following": {"every": 1}}
    assert store.load(head).recipe.with_changes(**before).fingerprint() == fingerprint


def test_a_recipe_of_before_there_was_following_looks_at_every_frame() -> None:
    plain = {k: v for k, v in RECIPE.to_dict().items() if k != "following"}
    assert Recipe.from_dict(plain).following.every == 1
    assert Recipe("net", "0" * 64).following.every == "auto"


def test_an_option_that_came_later_is_written_only_where_it_says_something_new() -> None:
    assert "of" not in RECIPE.to_dict()["pooling"]
    later = RECIPE.with_changes(pooling={"of": "emotion"})
    assert later.to_dict()["pooling"]["of"] == "emotion"


def test_the_folder_of_the_backbone_does_not_change_the_fingerprint() -> None:
    other = replace(RECIPE, backbone="somewhere/else/faces-s")
    assert other.fingerprint() == RECIPE.fingerprint()
    assert RECIPE.differences(other) == []


OF_THE_INPUT = {"sampling.start", "sampling.end", "sampling.frame_rate"}


def test_what_belongs_to_the_input_is_no_difference_of_recipes() -> None:
    other = RECIPE.with_changes(sampling={"start": 1.0, "end": 2.0})
    assert other.fingerprint() == RECIPE.fingerprint() and RECIPE.differences(other) == []
    faster = RECIPE.with_changes(sampling={"frame_rate": 30.0})
    assert RECIPE.differences(faster) == []
    assert faster.fingerprint() != RECIPE.fingerprint(), "for no other key of a record tells it"
    assert faster.to_dict()["sampling"]["frame_rate"] == 30.0
    assert "frame_rate" not in RECIPE.to_dict()["sampling"]


def test_another_value_is_at_hand_for_every_option() -> None:
    together = {"pooling.prior", "budget.strides", "budget.leads"}
    assert set(OTHER) == options() - together - OF_THE_INPUT


def test_how_sure_an_answer_must_be_changes_the_fingerprint() -> None:
    one, other = (
        RECIPE.with_changes(budget={"strides": (6,), "leads": (lead,)}) for lead in (0.4, 0.5)
    )
    assert len({recipe.fingerprint() for recipe in (RECIPE, one, other)}) == 3
    assert Recipe.from_dict(one.to_dict()) == one and "budget" not in RECIPE.to_dict()


def test_a_prior_which_wants_the_mean_of_an_output_changes_the_fingerprint() -> None:
    mean = RECIPE.with_changes(
        pooling={"stats": ("mean",), "within": (), "normalise": None, "of": "emotion"}
    )
    other = mean.with_changes(pooling={"prior": (0.5, 1.0)})
    assert other.fingerprint() != mean.fingerprint()
    assert len(mean.differences(other)) == 1


@pytest.mark.parametrize("option", OTHER)
def test_every_option_changes_the_fingerprint(option: str) -> None:
    assert changed(option, OTHER[option]).fingerprint() != RECIPE.fingerprint()


@pytest.mark.parametrize(("option", "value"), [("sampling.start", 1.5), ("sampling.end", 9.0)])
def test_the_part_of_the_clip_does_not_change_the_fingerprint(option: str, value: float) -> None:
    assert changed(option, value).fingerprint() == RECIPE.fingerprint()


def test_a_whole_number_and_its_float_are_one_fingerprint() -> None:
    whole = RECIPE.with_changes(sampling={"fps": 5}, tracking={"gap": 1})
    assert whole == RECIPE
    assert whole.fingerprint() == RECIPE.fingerprint()


@pytest.mark.parametrize("option", OTHER)
def test_a_difference_is_named_with_both_values(option: str) -> None:
    other = changed(option, OTHER[option])
    ((name, *values),) = (line.split(" ", 1) for line in RECIPE.differences(other))
    assert name == option
    assert " -> " in values[0]


def test_every_difference_is_listed() -> None:
    other = RECIPE.with_changes(sampling={"fps": None}, pooling={"normalise": None})
    assert RECIPE.differences(other) == ["sampling.fps 5.0 -> None", "pooling.normalise l2 -> None"]


def test_a_recipe_does_not_differ_from_itself() -> None:
    assert RECIPE.differences(RECIPE) == []


def test_changes_leave_the_rest_and_the_original_alone() -> None:
    other = RECIPE.with_changes(cropping={"size": 224})
    assert other.cropping == replace(RECIPE.cropping, size=224)
    assert other.pooling == RECIPE.pooling and RECIPE.cropping.size == 112


@pytest.mark.parametrize("stage", ["", "sampling", "detection", "tracking", "cropping", "pooling"])
def test_a_key_nobody_knows_is_an_error_that_names_it(stage: str) -> None:
    plain = RECIPE.to_dict()
    (plain[stage] if stage else plain)["colours"] = 1
    where = f"recipe.{stage}" if stage else "recipe"
    with pytest.raises(ModelError, match=f"^{where} has the unknown key 'colours'"):
        Recipe.from_dict(plain)


@pytest.mark.parametrize("key", ["backbone", "backbone_sha256"])
def test_a_recipe_without_its_backbone_is_an_error_that_names_it(key: str) -> None:
    plain = RECIPE.to_dict()
    del plain[key]
    with pytest.raises(ModelError, match=f"recipe cannot be followed: .*'{key}'"):
        Recipe.from_dict(plain)


def test_an_option_that_an_older_recipe_lacks_has_its_default() -> None:
    plain = RECIPE.to_dict()
    del plain["tracking"], plain["cropping"]["colour"]
    recipe = Recipe.from_dict(plain)
    assert recipe.tracking == Tracking() and recipe.cropping.colour == Cropping().colour


@pytest.mark.parametrize("plain", [[], "recipe", None, 3])
def test_what_is_no_object_is_no_recipe(plain: Any) -> None:
    with pytest.raises(ModelError, match="expected an object"):
        Recipe.from_dict(plain)


def test_a_stage_that_is_no_object_is_no_recipe() -> None:
    with pytest.raises(ModelError, match=r"recipe\.pooling is list, expected an object"):
        Recipe.from_dict(RECIPE.to_dict() | {"pooling": ["mean"]})


def test_a_stage_that_came_later_is_written_only_where_it_says_something_new() -> None:
    assert "following" not in RECIPE.to_dict()
    later = RECIPE.with_changes(following={"every": "auto"})
    assert later.to_dict()["following"]["every"] == "auto"
    assert RECIPE.differences(later) == ["following.every 1 -> auto"]


@pytest.mark.parametrize(
    ("stage", "option", "value"),
    [
        ("sampling", "every", 1.5), ("sampling", "fps", "5"), ("sampling", "fps", float("nan")),
        ("detection", "score", True), ("cropping", "shift", [0.0]),
        ("cropping", "margin", ["a", 0]), ("pooling", "stats", "mean"),
        ("pooling", "normalise", "l3"), ("tracking", "gap", float("inf")),
    ],
)  # fmt: skip
def test_an_option_of_another_type_is_refused(stage: str, option: str, value: object) -> None:
    plain = RECIPE.to_dict()
    plain[stage][option] = value
    with pytest.raises(ModelError, match=rf"recipe\.{stage}\.{option} is .*, expected"):
        Recipe.from_dict(plain)
