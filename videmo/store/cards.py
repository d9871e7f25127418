"""What a card says, looked at before anything is built of it: a card may come from anybody."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from videmo.errors import CorruptModel, InputError
from videmo.files.bounded import read_bounded
from videmo.stages.embed import BackboneSpec
from videmo.stages.embed.arguments import checked_arguments
from videmo.stages.heads import LEVELS, HeadSpec

MODEL_KINDS = ("backbone", "head")
MAX_BYTES = 64 << 20  # bytes of a card; those that ship have 60 kB
MAX_SIDE, MAX_WIDTH = (
    1024,
    1 << 16,
)  # px of a crop, columns of features or labels of an output, at most
_KEYS: dict[str, type] = {"kind": str, "name": str, "spec": dict, "files": dict}
_SUM = re.compile(r"[0-9a-f]{64}")


def read_card(path: Path) -> dict[str, Any]:
    """Return the card in a file; raises CorruptModel for one that is none or is not sound."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CorruptModel(
                str(path), f"a card of at most {MAX_BYTES >> 20} MB", "a larger file"
            )
        card = json.loads(read_bounded(path, MAX_BYTES).decode(), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptModel(str(path), "a card in JSON", str(error)) from error
    try:
        _check(card)
    except (InputError, ValueError) as error:
        raise CorruptModel(str(path), "a sound card", str(error)) from error
    whole: dict[str, Any] = card
    return whole


def head_spec(spec: Mapping[str, Any]) -> HeadSpec:
    """Return the spec of a head; raises ValueError for one that is not whole."""
    level, labels = spec.get("level"), spec.get("labels")
    if level not in LEVELS:
        raise ValueError(f"the level {level!r}, which is none of {', '.join(LEVELS)}")
    return HeadSpec(_text("type", spec.get("type")), _labels("labels", labels), level)


def backbone_spec(spec: Mapping[str, Any]) -> BackboneSpec:
    """Return the spec of a backbone; raises ValueError or InputError for one that is not sound."""
    if odd := sorted(set(spec) - set(BackboneSpec.__dataclass_fields__)):
        raise ValueError(f"the unknown key {odd[0]!r} in its spec")
    outputs = _table("outputs", spec.get("outputs", {}))
    hidden = _table("hidden", spec.get("hidden", {}))
    if stray := sorted(set(hidden) - set(outputs)):
        raise ValueError(f"hidden units of {stray[0]!r}, which is no output")
    mean, std = (_three(name, spec.get(name)) for name in ("mean", "std"))
    if min(std) < 1e-6:
        raise ValueError(f"a std of {min(std):g}; it is divided by")
    architecture = _text("architecture", spec.get("architecture"))
    return BackboneSpec(
        architecture,
        _whole("input_size", spec.get("input_size"), MAX_SIDE),
        mean,
        std,
        _whole("dim", spec.get("dim"), MAX_WIDTH),
        {_text("output", name): _labels(name, of) for name, of in outputs.items()},
        checked_arguments(architecture, _table("arguments", spec.get("arguments", {}))),
        tuple(_text("changes", name) for name in _list("changes", spec.get("changes"))),
        {name: _whole(f"hidden.{name}", units, MAX_WIDTH) for name, units in hidden.items()},
    )


def is_plain(name: object) -> bool:
    """Return whether a name can be shown and be a folder's: no separators, no control codes."""
    if not isinstance(name, str) or not 0 < len(name) <= 100 or name.startswith("."):
        return False
    return name.isprintable() and not any(c in "/\\:" for c in name)


def _check(card: Any) -> None:
    for key, kind in _KEYS.items():
        if not isinstance(card, dict) or not isinstance(card.get(key), kind):
            raise ValueError(f"no {key}")
    if card["kind"] not in MODEL_KINDS:
        raise ValueError(
            f"the kind {card['kind'][:40]!r}, which is none of {', '.join(MODEL_KINDS)}"
        )
    if not is_plain(card["name"]):
        raise ValueError(f"the name {card['name'][:40]!r}, which is no plain one")
    for file, digest in card["files"].items():
        if not is_plain(file):
            raise ValueError(f"{file[:80]!r} among its files, which is no plain file name")
        if not isinstance(digest, str) or not _SUM.fullmatch(digest):
            raise ValueError(f"{str(digest)[:80]!r} for {file}, which is no SHA-256")
    if card["spec"]:  # without one a card can be read, and answers nothing
        (backbone_spec if card["kind"] == "backbone" else head_spec)(card["spec"])


def _no_number(text: str) -> None:
    raise ValueError(f"{text} where a number is expected")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
        raise ValueError(f"{value!r:.40} for {name}, expected a short text without control codes")
    return value


def _list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.40} for {name}, expected a list")
    return value


def _table(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.40} for {name}, expected an object")
    return value


def _labels(name: str, value: object) -> tuple[str, ...]:
    labels = tuple(_text(name, label) for label in _list(name, value))
    if not labels or "" in labels or len(labels) > MAX_WIDTH:
        raise ValueError(f"{len(labels)} {name}, of which none may be empty")
    _once(name, labels)
    return labels


def _once(name: str, labels: Collection[str]) -> None:
    seen = set[str]()
    for label in labels:
        if label in seen:
            raise ValueError(f"{label!r} twice in {name}")
        seen.add(label)


def _three(name: str, value: object) -> tuple[float, float, float]:
    numbers = _list(name, value)
    if len(numbers) != 3 or not all(_is_number(n) for n in numbers):
        raise ValueError(f"{value!r:.60} for {name}, expected three numbers")
    red, green, blue = map(float, numbers)
    return red, green, blue


def _whole(name: str, value: object, most: int) -> int:
    if type(value) is not int or not 0 < value <= most:
        raise ValueError(f"{value!r:.40} for {name}, expected 1 to {most}")
    return value


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(float(value))  # type: ignore[arg-type]
