"""Pipelines by the names of their models."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from videmo import store
from videmo.errors import InputError
from videmo.pipeline.clips import Pipeline
from videmo.pipeline.engine import Engine
from videmo.recipe import Recipe, stage_changes
from videmo.stages.budget import EXACT, check_budget
from videmo.stages.heads.prior import NATURAL
from videmo.stages.pool import FEATURES


def load(
    head: str | Path = "afew7",
    *,
    engine: Engine | None = None,
    outputs: Collection[str] = (),
    prior: str | Path | None = None,
    budget: str = EXACT,
    **changes: Any,
) -> Pipeline:
    """Return a pipeline with a trained head and the recipe it was trained with.

    head: name of an installed head, or its folder; or those of a backbone, whose own answer is
    the mean over faces of the probabilities of its output "emotion"
    outputs: as in `Pipeline`
    prior: how common each label is held to be, where a network's own answers are read: natural
    (as in its training), balanced (all alike), or a JSON file of shares; None for the head's own
    budget: exact looks at every frame that the recipe samples; fast at some of them, and at more
    while the answer is not as sure as the head's card says that it must be
    changes: options of the recipe to replace, as in `load(fps=5, faces="all")`: those of
    `videmo.recipe.OPTIONS`, or all of a stage, `load(cropping={"margin": 0.2})`; the answer is then
    no longer what the head's card measured, and the record's recipe says so

    Raises ModelNotFound, CorruptModel, RecipeMismatch, ModelError.
    """
    model = store.load(head).as_head()
    recipe = model.recipe.with_changes(**stage_changes(**changes))
    if prior is not None:
        recipe = recipe.with_changes(pooling={"prior": _factors(recipe, prior)})
    check_budget(budget)
    if budget != EXACT:
        if recipe.sampling != replace(model.recipe.sampling, frame_rate=recipe.sampling.frame_rate):
            raise InputError(
                f"budget={budget} chooses among the frames that the head learned from; leave out "
                "fps=, every= and max_side="
            )
        recipe = replace(recipe, budget=model.budget())
    return Pipeline(recipe, model, engine, outputs=outputs)


def _factors(recipe: Recipe, prior: str | Path) -> tuple[float, ...]:
    """Return the factors of a prior for what the recipe pools; raises InputError, ModelError."""
    if recipe.pooling.of == FEATURES:
        raise InputError(
            f"prior={prior}: this head reads features, and learned its own shares; "
            f"give head={recipe.backbone}"
        )
    if str(prior) == NATURAL:
        return ()
    return store.load(recipe.backbone).shares(recipe.pooling.of).factors(prior)


def load_features(
    head: str | Path,
    *,
    engine: Engine | None = None,
    outputs: Collection[str] = (),
    **changes: Any,
) -> Pipeline:
    """Return a pipeline whose descriptors are statistics of features, with a head's other stages.

    A head that reads what a network says of faces has no descriptor to learn from: mean, std, min
    and max of the features take its place, and there is no answer. The rest is as in `load`.
    """
    model = store.load(head)
    if model.card["kind"] == "backbone" or model.recipe.pooling.of == FEATURES:
        return load(head, engine=engine, outputs=outputs, prior=None, **changes)
    recipe = model.recipe.for_features().with_changes(**stage_changes(**changes))
    return Pipeline(recipe, engine=engine, outputs=outputs)


def load_backbone(
    backbone: str | Path,
    *,
    engine: Engine | None = None,
    outputs: Collection[str] = (),
    **changes: Any,
) -> Pipeline:
    """Return a pipeline without a head: the features of a network, by its own recipe.

    backbone: name of an installed one, or its folder
    The rest is as in `load`: mean, std, min and max of the largest face's features, unless the
    card or `changes` say otherwise.
    """
    recipe = store.load(backbone).recipe.with_changes(**stage_changes(**changes))
    return Pipeline(recipe, engine=engine, outputs=outputs)
