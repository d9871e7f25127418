"""What a record holds, key by key: one table, of which JSON Schema and column types are made.

    record       of classify            attributes, identify   of one person
    features     a clip in a Parquet file of extract-features
    faces        a face in the file that --frames adds to it

README tells the same of a record in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from videmo.errors import UnknownName

VERSION = 1

Schema = dict[str, Any]

_NUMBERS: Schema = {"type": "array", "items": {"type": "number"}}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_TYPES: dict[str, Schema] = {
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "status": {"type": "string", "enum": ["ok", "no_face", "error"]},
    "truth": {"type": "boolean"},
    "version": {"type": "integer", "const": VERSION},
    "count": {"type": "integer", "minimum": 0},
    "track": {"type": "integer", "minimum": -1},
    "number": {"type": "number"},
    "length": {"type": "number", "minimum": 0},
    "share": _SHARE,
    "shares": {"type": "object", "additionalProperties": _SHARE},
    "signed": {"type": "number", "minimum": -1, "maximum": 1},
    "pair": {**_NUMBERS, "minItems": 2, "maxItems": 2},
    "box": {**_NUMBERS, "minItems": 4, "maxItems": 4},
    "vector": _NUMBERS,
}


@dataclass(frozen=True)
class Key:
    """One key of a record."""

    name: str
    type: str  # a word of _TYPES, or a name of PARTS
    meaning: str
    null: bool = False  # whether it may be null
    free: bool = False  # whether it may be missing
    only: str = ""  # the one status in which it is neither


PARTS = {
    "error": (
        Key("type", "text", "name of the class of the error"),
        Key("message", "text", "what was wrong and what to do, in one line"),
    ),
    "provenance": (
        Key("videmo", "text", "version"),
        Key("head", "text", "name", null=True),
        Key("head_sha256", "text", "of its weights", null=True),
        Key("backbone", "text", "name"),
        Key("backbone_sha256", "text", "of its weights"),
        Key("detector", "text", "what found the faces"),
        Key(
            "detector_sha256",
            "text",
            "of its weights; of several files that of their sums in a row",
            null=True,
        ),
        Key("decoder", "text", "what read the clip", null=True),
        Key("device", "text", "what ran the network"),
        Key("recipe", "text", "fingerprint of every choice that changes a number"),
    ),
}
_PATH = Key("path", "text", "the input as given")
_STATUS = Key("status", "status", "ok, no_face (read to its end, no face found) or error")
_COUNTS = (
    Key("frames", "count", "frames looked at"),
    Key("face_frames", "count", "frames with a face"),
    Key("faces", "count", "faces that counted"),
)
_DURATION = Key("duration", "length", "s as the container says", null=True)
_HEAD = (Key("schema_version", "version", f"{VERSION}; keys may be added within a version"), _PATH)
_TAIL = (
    *_COUNTS,
    Key("coverage", "share", "face_frames / frames"),
    _DURATION,
    Key("warnings", "texts", "damage that was survived, frame counts that do not agree"),
    Key("error", "error", "type and message, or null", null=True, only="error"),
    Key("provenance", "provenance", "versions and SHA-256 of head, backbone and detector, "
        "decoder, device, fingerprint of the recipe"),
)  # fmt: skip
_PART = "the part of it in s, where one was asked for"
_SHOWN = "; without a face, the part of the clip that was asked for"
_PERSON = (
    Key("track", "count", "number of the face in its clip", free=True, only="ok"),
    Key("start", "number", f"s, the first frame that shows it{_SHOWN}", free=True),
    Key("end", "number", f"s, the last frame that shows it{_SHOWN}", free=True),
    Key("best_time", "number", "s, the frame in which it is largest", free=True),
    Key("box", "box", "where it is in that frame: x0 y0 x1 y1, px", free=True, only="ok"),
)
TABLES: dict[str, tuple[str, tuple[Key, ...]]] = {
    "record": ("What videmo classify tells of a clip", (
        *_HEAD,
        Key("start", "number", f"{_PART}: its begin", free=True),
        Key("end", "number", f"{_PART}: its end, which is not in it", free=True),
        _STATUS,
        Key("label", "text", "the most probable label", null=True, only="ok"),
        Key("scores", "shares", "the probability of each by name, summing to 1 (with --top, of "
            "the first alone)", null=True, only="ok"),
        *(Key(name, "signed", "where the network tells them: the mean over the faces of each "
              "clipped to -1..1", null=True, free=True) for name in ("valence", "arousal")),
        *_TAIL,
    )),
    "features": ("A clip in a Parquet file of videmo extract-features", (
        _PATH, _STATUS,
        Key("message", "text", "what was wrong and what to do", null=True, only="error"),
        *(Key(name, "text", "as the manifest says", null=True)
          for name in ("label", "split", "subject")),
        Key("start", "number", f"{_PART}: its begin", null=True),
        Key("end", "number", f"{_PART}: its end, which is not in it", null=True),
        *_COUNTS, _DURATION,
        Key("features", "vector", "the descriptor, in the order of the metadata "
            "videmo.feature_names", null=True, only="ok"),
    )),
    "faces": ("A face in the Parquet file that --frames adds", (
        Key("clip", "count", "row of the clip in the feature file, from 0"),
        _PATH,
        Key("index", "count", "number of the frame in its source, from 0"),
        Key("time", "number", "s, when the frame is shown"),
        Key("track", "track", "number of the face in its clip; -1 is none"),
        Key("box", "box", "x0 y0 x1 y1, px of the source"),
        Key("score", "share", "how sure the detector is"),
        Key("features", "vector", "the embedding"),
    )),
    "attributes": ("What videmo attributes tells of a person, or of a clip without one", (
        *_HEAD, _STATUS, *_PERSON,
        Key("age", "number", "years", free=True),
        Key("age_interval", "pair", "years between which the network believes it", free=True),
        Key("gender", "text", "the more probable one", free=True),
        Key("gender_probability", "share", "of that gender", free=True),
        Key("ethnicity", "text", "the most probable one", free=True),
        Key("ethnicity_scores", "shares", "the probability of each by name", free=True),
        *_TAIL,
    )),
    "identify": ("What videmo identify tells of a pair or a person, or of a clip without one", (
        *_HEAD, _STATUS, *_PERSON,
        Key("other_path", "text", "the second input", free=True),
        Key("other_track", "count", "number of the face in that clip", free=True),
        Key("other_start", "number", "s, the first frame that shows it", free=True),
        Key("other_end", "number", "s, the last frame that shows it", free=True),
        Key("other_box", "box", "where it is largest: x0 y0 x1 y1, px", free=True),
        Key("similarity", "signed", "of the mean embeddings", free=True),
        Key("threshold", "signed", "the least similarity of one person", free=True),
        Key("same", "truth", "whether they are one person", free=True),
        Key("person", "count", "with --group: number of the person, from 0", free=True),
        *_TAIL,
    )),
}  # fmt: skip


def json_schema(name: str) -> Schema:
    """Return the JSON Schema (draft 2020-12) of one record of a table; further keys may follow.

    Raises UnknownName for a name that is not in TABLES.
    """
    if name not in TABLES:
        raise UnknownName("schema", name, TABLES)
    title, keys = TABLES[name]
    rules = [_rule(status, keys) for status in ("ok", "error") if _only(status, keys)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:videmo:{name}:{VERSION}",
        "title": title,
        **_object(keys),
        **({"allOf": rules} if rules else {}),
    }


def column_types(names: Iterable[str]) -> dict[str, str]:
    """Return what flat columns hold: string, integer, number, boolean or array (of texts).

    A column that is called p_... is a probability. Raises KeyError for one that no record has.
    """
    keys = [key for _, table in TABLES.values() for key in table] + list(PARTS["provenance"])
    known = {key.name: _TYPES[key.type]["type"] for key in keys if key.type in _TYPES}
    known |= {f"error_{key.name}": "string" for key in PARTS["error"]} | {"score": "number"}
    known |= dict.fromkeys(("age_low", "age_high"), "number")
    edges = [f"{of}box_{edge}" for of in ("", "other_") for edge in ("x0", "y0", "x1", "y1")]
    known |= dict.fromkeys(edges, "number")
    return {name: "number" if name.startswith("p_") else known[name] for name in names}


def _object(keys: Sequence[Key]) -> Schema:
    return {
        "type": "object",
        "properties": {key.name: _property(key) for key in keys},
        "required": [key.name for key in keys if not key.free],
    }


def _property(key: Key) -> Schema:
    schema = _object(PARTS[key.type]) if key.type in PARTS else dict(_TYPES[key.type])
    if key.null:
        schema["type"] = [schema["type"], "null"]
    return {"description": key.meaning, **schema}


def _only(status: str, keys: Sequence[Key]) -> list[Key]:
    return [key for key in keys if key.only == status]


def _rule(status: str, keys: Sequence[Key]) -> Schema:
    """Return that some keys are there in one status, and null or missing in any other."""
    some = _only(status, keys)
    names = [key.name for key in some]
    gone = {key.name: {"type": "null"} if key.null else False for key in some}
    return {
        "if": {"properties": {"status": {"const": status}}},
        "then": {"required": names, "properties": {n: {"not": {"type": "null"}} for n in names}},
        "else": {"properties": gone},
    }
