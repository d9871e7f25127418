"""Every choice that changes a number, in one frozen object that travels with the head."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from videmo.data import FINITE
from videmo.errors import InputError, ModelError
from videmo.stages.budget import Budget
from videmo.stages.crop import Cropping
from videmo.stages.decode import Sampling
from videmo.stages.detect import Detection
from videmo.stages.follow import Following
from videmo.stages.pool import FEATURES, Pooling
from videmo.stages.quality import Filtering
from videmo.stages.track import Tracking

# Options, and a stage, that older recipes lack, with what they meant.
_ADDED_LATER = {
    ("pooling", "of"): FEATURES, ("pooling", "prior"): [], ("sampling", "frame_rate"): 25.0,
}  # fmt: skip
_LATER_STAGES: dict[str, Any] = {
    "following": Following(every=1), "filtering": Filtering(), "budget": Budget(),
}  # fmt: skip

# The options that the command line, and Python by keyword, replace in a head's recipe: their
# names there -> the stage, and the name in it.
OPTIONS = {
    "fps": ("sampling", "fps"),
    "every": ("sampling", "every"),
    "max_side": ("sampling", "max_side"),
    "frame_rate": ("sampling", "frame_rate"),
    "detector": ("detection", "detector"),
    "score": ("detection", "score"),
    "min_face": ("detection", "min_face"),
    "faces": ("detection", "faces"),
    "detect_every": ("following", "every"),
}


def stage_changes(**options: Any) -> dict[str, dict[str, Any]]:
    """Return options as the changes that `Recipe.with_changes` takes; None is not given.

    An option is one of OPTIONS, or a stage with a table of its own. Raises InputError for fps and
    every at once, TypeError for a name that is neither.
    """
    if options.get("fps") is not None and options.get("every") is not None:
        raise InputError(
            f"fps={options['fps']:g} and every={options['every']} are two answers to one question; "
            "give one"
        )
    changes: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        stage, option = OPTIONS.get(name, (name, ""))
        if not option and not isinstance(value, Mapping):
            raise TypeError(f"{name} is no option of a recipe; there are {', '.join(OPTIONS)}")
        if not option:
            changes[stage] = {**changes.get(stage, {}), **value}
        elif value is not None:
            changes.setdefault(stage, {})[option] = value
    if options.get("every") is not None:
        changes["sampling"].setdefault("fps", None)
    return changes


@dataclass(frozen=True)
class Recipe:
    """How a clip becomes a descriptor: the stages' options, composed."""

    backbone: str  # name of the model that makes the features
    backbone_sha256: str  # `store.Model.sha256` of it; in recipes of 0.1.0 that of its weights
    sampling: Sampling = field(default_factory=Sampling)
    detection: Detection = field(default_factory=Detection)
    following: Following = field(default_factory=Following)
    tracking: Tracking = field(default_factory=Tracking)
    cropping: Cropping = field(default_factory=Cropping)
    filtering: Filtering = field(default_factory=Filtering)
    pooling: Pooling = field(default_factory=Pooling)
    budget: Budget = field(default_factory=Budget)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON's types, for a card or an archive's meta.

        An option or a stage that came later is left out where it says what was done before, so
        that a recipe is written, and called, as it ever was.
        """
        plain = self._plain()
        for (stage, option), before in _ADDED_LATER.items():
            if plain[stage][option] == before:
                del plain[stage][option]
        for stage, meant in _LATER_STAGES.items():
            if getattr(self, stage) == meant:
                del plain[stage]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `to_dict` wrote; raises ModelError for a key it does not know."""
        if isinstance(plain, Mapping):  # what it leaves out, it was written without
            plain = {**{name: asdict(meant) for name, meant in _LATER_STAGES.items()}, **plain}
        recipe: Recipe = _build(cls, plain, "recipe")
        return recipe

    def fingerprint(self) -> str:
        """Return 16 hex digits that name this recipe: features with the same ones are comparable.

        The part of the clip (start, end) is the input's, not the recipe's, and does not count, for
        a record names it; nor does the folder that the backbone lies in. How quickly the pictures
        of a folder follow each other counts, where it is said.
        """
        plain = json.loads(json.dumps(self._whole().to_dict()), parse_int=float)  # 5 is 5.0
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_changes(self, **changes: Any) -> Recipe:
        """Return a copy in which options are replaced: `with_changes(sampling={"fps": 5})`."""
        stages = {name: replace(getattr(self, name), **new) for name, new in changes.items()}
        return replace(self, **stages)

    def for_features(self) -> Recipe:
        """Return the recipe of a descriptor to learn from.

        That is this one, or where it pools what a network says of faces, the one that pools
        their features instead, by mean, std, min and max.
        """
        return self if self.pooling.of == FEATURES else replace(self, pooling=Pooling())

    def differences(self, other: Recipe) -> list[str]:
        """Return a line for each option in which `other` differs: `sampling.fps None -> 5`.

        What is the input's is none of them, the rate of pictures included.
        """
        mine, theirs = (_flat(recipe._whole()._plain()) for recipe in (self, other))
        names = [name for name in mine if name != "sampling.frame_rate"]
        return [f"{k} {mine[k]} -> {theirs[k]}" for k in names if mine[k] != theirs[k]]

    def _plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def _whole(self) -> Recipe:
        sampling = replace(self.sampling, start=None, end=None)
        return replace(self, backbone=os.path.basename(self.backbone), sampling=sampling)


def _build(cls: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, Mapping):
        raise ModelError(f"{where} is {type(plain).__name__}, expected an object; update videmo")
    known = {f.name for f in fields(cls)}
    if odd := sorted(set(plain) - known):
        raise ModelError(f"{where} has the unknown key {odd[0]!r}; update videmo")
    hints = get_type_hints(cls)
    values = {}
    for name, value in plain.items():
        if is_dataclass(hints[name]):
            value = _build(hints[name], value, f"{where}.{name}")
        if not _fits(value, hints[name]):
            expected = getattr(hints[name], "__name__", None) or str(hints[name])
            raise ModelError(f"{where}.{name} is {value!r:.60}, expected {expected}; update videmo")
        values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**values)
    except (TypeError, ValueError, InputError) as error:
        raise ModelError(f"{where} cannot be followed: {error}; update videmo") from error


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value of JSON is what a type says; a number that is not finite is none."""
    kind, inside = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inside)
    if kind is Literal:
        return any(value is one or value == one for one in inside)
    if kind is tuple and isinstance(value, (list, tuple)):
        each = [inside[0]] * len(value) if inside[-1] is Ellipsis else [*inside]
        return len(each) == len(value) and all(map(_fits, value, each))
    if hint is float:
        return type(value) in (int, float) and value in FINITE
    return type(value) is hint or (kind is None and is_dataclass(hint))


def _flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
