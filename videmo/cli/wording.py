"""Errors speak Python (`min_face=24`); the command line says the same in its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAMES = {  # of options in Python -> on the command line, where they are called otherwise
    "megapixels": "max-megapixels",
    "match_by": "match",
    "scores=False": "no-scores",
}
_SAME = (
    "head", "backbone", "fps", "every", "max_side", "frame_rate", "start", "end", "detector",
    "detect_every", "score", "min_face", "faces", "prior", "budget", "device", "engine",
    "precision", "decoder", "threads", "min_quality", "link", "threshold", "min_frames", "missing",
    "seen", "labels", "by_meaning",
)  # fmt: skip
_GIVEN = re.compile(rf"(?<![\w./=-])(scores=False|(?:{'|'.join((*_NAMES, *_SAME))})=)([^\s;,()]*)")


def as_options(words: str) -> str:
    """Return an error's words with options as they are written on the command line."""
    return _GIVEN.sub(_option, words)


def _option(found: re.Match[str]) -> str:
    name, value = found[1].removesuffix("="), found[2]
    option = f"--{_NAMES.get(name, name.replace('_', '-'))}"
    return option if value in ("", "True") else f"{option} {value}"


def error_text(error: Exception) -> str:
    """Return what an error says; the path that it names is left as it is."""
    words, path = str(error), str(getattr(error, "path", ""))
    if path and words.startswith(path):
        return path + as_options(words.removeprefix(path))
    return as_options(words)


def record(*arguments: Any, **more: Any) -> dict[str, Any]:
    """Return the record of a clip, as `videmo.runs.batch.record` makes it, in these words."""
    from videmo.runs.batch import record as made

    return reworded(made(*arguments, **more))


def reworded(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose error and warnings name options as the command line does."""
    error = record["error"] and {
        **record["error"],
        "message": as_options(record["error"]["message"]),
    }
    return {**record, "error": error, "warnings": [as_options(w) for w in record["warnings"]]}
