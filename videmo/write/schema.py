"""What a record holds, key by key: the one table of which all forms of a record are made.

    record       of classify            attributes, identify   of one person
    timeline     of one person in one span of time
    features     a clip in a Parquet file of extract-features
    faces        a face in the file that --frames adds to it

A key that is added to TABLES["record"] is in every record of a clip (`of` says what it is), in
the JSON Schema, and a column of CSV, TSV and Parquet. README tells the same in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from videmo.errors import NoFaceError, UnknownName, reason
from videmo.write.doubts import doubts

VERSION = 1
SCORE_DIGITS = 6  # a float32 probability has no more
TIME_DIGITS = 4  # 0.1 ms
BOX_DIGITS = 1  # px
AFFECT = ("valence", "arousal")  # of networks that tell them
STATUSES = ("ok", "no_face", "error")  # of a clip
PART = ("start", "end")  # of clips of which a part was asked for
SIZE = ("width", "height")  # of a clip's picture

Schema = dict[str, Any]

_NUMBERS: Schema = {"type": "array", "items": {"type": "number"}}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
TYPES: dict[str, Schema] = {
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "status": {"type": "string", "enum": [*STATUSES]},
    "truth": {"type": "boolean"},
    "version": {"type": "integer", "const": VERSION},
    "count": {"type": "integer", "minimum": 0},
    "track": {"type": "integer", "minimum": -1},
    "person": {"type": "integer", "minimum": 1},
    "number": {"type": "number"},
    "length": {"type": "number", "minimum": 0},
    "share": _SHARE,
    "shares": {"type": "object", "additionalProperties": _SHARE},
    "changes": {"type": "object", "additionalProperties": {"type": "number"}},
    "signed": {"type": "number", "minimum": -1, "maximum": 1},
    "pair": {**_NUMBERS, "minItems": 2, "maxItems": 2},
    "box": {**_NUMBERS, "minItems": 4, "maxItems": 4},
    "vector": _NUMBERS,
}


@dataclass(frozen=True)
class Findings:
    """All that is known of a clip when its record is made."""

    clip: Any  # with path, start and end
    answer: Any  # a pipeline.Answer; of a clip that failed one without frames, faces and scores
    error: Mapping[str, str] | None  # of a clip that failed: type and message
    provenance: Mapping[str, str | None]  # what made the numbers
    doubts: bool = True  # whether its warnings tell where one answer is too little


@dataclass(frozen=True)
class Key:
    """One key of a record."""

    name: str
    type: str  # a word of TYPES, or a name of PARTS
    meaning: str
    null: bool = False  # whether it may be null
    free: bool = False  # whether it may be missing
    only: str = ""  # the one status in which it is neither
    open: bool = False  # whether it may be null in that status, too
    digits: int | None = None  # decimals that are written; None: as many as there are
    of: Callable[[Findings], Any] | None = None  # its value in the record of a clip


PARTS = {
    "error": (
        Key("type", "text", "name of the class of the error"),
        Key("message", "text", "what was wrong and what to do, in one line"),
    ),
    "provenance": (
        Key("videmo", "text", "version"),
        Key("head", "text", "name", null=True),
        Key("head_sha256", "text", "of its card's spec and recipe, and its files", null=True),
        Key("backbone", "text", "name"),
        Key("backbone_sha256", "text", "of its card's spec, its weights and its graph"),
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
        Key(
            "libraries",
            "text",
            "versions of what decodes, resizes and computes; in JSON, and once in the metadata of "
            "Parquet and NPZ",
            free=True,
        ),
    ),
}
PROVENANCE = tuple(key.name for key in PARTS["provenance"] if not key.free)  # of every row


def _status(found: Findings) -> str:
    if found.error:
        return "error"
    return "ok" if found.answer.descriptor.faces else "no_face"


def _scores(found: Findings) -> dict[str, float] | None:
    given = found.answer.prediction
    return given and dict(zip(given.labels, map(float, given.scores), strict=True))


def _warnings(found: Findings) -> list[str]:
    descriptor = found.answer.descriptor
    no_face = [] if descriptor.faces or found.error else [_no_face(found)]
    doubted = doubts(found.answer) if found.doubts and found.answer.prediction else []
    return [*found.answer.warnings, *no_face, *doubted]


def _no_face(found: Findings) -> str:
    if poor := found.answer.looks.left_out:
        return f"{poor} faces, none of the quality that was asked for; lower min_quality="
    seen, sought = found.answer.descriptor.seen, found.answer.detection
    size = (sought.min_face, sought.score) if sought else ()
    return reason(NoFaceError(found.clip.path, seen, *size))


_PATH = Key("path", "text", "the input as given; a byte in it that is no UTF-8 is \\udc and its "
            "two digits, a backslash before such \\u005c", of=attrgetter("clip.path"))  # fmt: skip
_STATUS = Key("status", "status", "ok, no_face (read to its end, no face found) or error",
              of=_status)  # fmt: skip
_COUNTS = (
    Key("frames", "count", "frames looked at", of=attrgetter("answer.descriptor.seen")),
    Key("face_frames", "count", "frames with a face", of=attrgetter("answer.descriptor.frames")),
    Key("faces", "count", "faces that counted", of=attrgetter("answer.descriptor.faces")),
)
_DURATION = Key("duration", "length", "s until the picture ends", null=True, digits=TIME_DIGITS,
                of=attrgetter("answer.info.duration"))  # fmt: skip
_HEAD = (
    Key("schema_version", "version", f"{VERSION}; keys may be added within a version",
        of=lambda found: VERSION),
    _PATH,
)  # fmt: skip
_DETECTED = Key("frames_detected", "count", "frames that were looked at as a whole; in the others "
                "known faces were followed, where the recipe says so", free=True,
                of=attrgetter("answer.looks.whole"))  # fmt: skip
_TAIL = (
    Key("coverage", "share", "face_frames / frames", digits=TIME_DIGITS,
        of=attrgetter("answer.descriptor.coverage")),
    _DURATION,
    Key("warnings", "texts", "damage that was survived, frame counts that do not agree, and where "
        "one answer is too little", of=_warnings),
    Key("error", "error", "type and message, or null", null=True, only="error",
        of=attrgetter("error")),
    Key("provenance", "provenance", "versions and SHA-256 of head, backbone and detector, "
        "decoder, device, fingerprint of the recipe; in JSON libraries: versions of OpenCV, "
        "OpenVINO (or torch), PyAV and Pillow, which round differently",
        of=lambda found: {**found.provenance, "decoder": found.answer.info.decoder}),
)  # fmt: skip
_START, _END = (
    Key(name, "number", f"the part of it in s, where one was asked for: {what}", free=True,
        digits=TIME_DIGITS, of=attrgetter(f"clip.{name}"))
    for name, what in zip(PART, ("its begin", "its end, which is not in it"), strict=True)
)  # fmt: skip
_QUALITY = tuple(replace(key, of=attrgetter(f"answer.seen.{key.name}")) for key in (
    Key("side", "length", "px of the source, of a square as large as the face's box: the median",
        null=True, digits=BOX_DIGITS),
    Key("sharpness", "length", "grey levels (0..255), fine detail in the picture that the network "
        "sees: the median of the RMS of its Laplacian; blurred and enlarged faces have little",
        null=True, digits=2),
    Key("brightness", "share", "mean grey of that picture, from black 0 to white 1: the median",
        null=True, digits=3),
    Key("frontal", "share", "1 looks ahead, 0 aside, by where the nose parts the line between the "
        "eyes: the median", null=True, digits=3),
))  # fmt: skip
_SHOWN = "; without a face, the part of the clip that was asked for"
_PERSON = (
    Key("track", "count", "number of the face in its clip", free=True, only="ok"),
    Key("start", "number", f"s, the first frame that shows it{_SHOWN}", free=True,
        digits=TIME_DIGITS),
    Key("end", "number", f"s, the last frame that shows it{_SHOWN}", free=True,
        digits=TIME_DIGITS),
    Key("best_time", "number", "s, the frame in which it is largest", free=True,
        digits=TIME_DIGITS),
    Key("box", "box", "where it is in that frame: x0 y0 x1 y1, px", free=True, only="ok",
        digits=BOX_DIGITS),
)  # fmt: skip
TABLES: dict[str, tuple[str, tuple[Key, ...]]] = {
    "record": ("What videmo classify tells of a clip", (
        *_HEAD, _START, _END, _STATUS,
        Key("label", "text", "the most probable label; null without a face, and with --abstain "
            "where it is less probable than that", null=True, only="ok", open=True,
            of=lambda found: found.answer.prediction and found.answer.prediction.label),
        Key("scores", "shares", "the probability of each by name, summing to 1 (with --top, of "
            "the first alone)", null=True, only="ok", digits=SCORE_DIGITS, of=_scores),
        *(Key(name, "signed", "where the network tells them: the mean over the faces of each "
              "clipped to -1..1", null=True, free=True, digits=SCORE_DIGITS,
              of=lambda found, name=name: getattr(found.answer.affect, name, None))  # type: ignore[misc]
          for name in AFFECT),
        *_COUNTS,
        Key("stride", "count", "with --budget fast: each so many-th of the frames that there are "
            "to look at was; 1 is all of them", free=True, of=attrgetter("answer.stride")),
        Key("frames_share", "share", "... which is this share of them", free=True,
            digits=TIME_DIGITS, of=attrgetter("answer.share")),
        _DETECTED,
        Key("left_out", "count", "faces of too little quality to count, with --min-quality",
            free=True, of=attrgetter("answer.looks.left_out")),
        Key("tracks", "count", "unbroken runs of a face that counted, by overlap alone: several "
            "may be one person, or not", of=attrgetter("answer.seen.tracks")),
        Key("frames_with_others", "count", "frames that show more than one face, whichever of "
            "them count", of=attrgetter("answer.looks.several")),
        *_QUALITY,
        *_TAIL,
    )),
    "timeline": ("What videmo timeline tells of a person in a span of time, or of a clip without "
        "one", (
        *_HEAD, _STATUS,
        Key("person", "person", "1, 2, ... as they first appear in the clip; null: a face that is "
            "too small, or seen for too short", null=True),
        Key("start", "number", "s, its first frame, or where the window begins", null=True,
            digits=TIME_DIGITS),
        Key("end", "number", "s, where the next frame is shown, or the window ends", null=True,
            digits=TIME_DIGITS),
        Key("label", "text", "the most probable label, of a segment the one it was held for; null "
            "without a face, and with --abstain where it is less probable than that", null=True,
            only="ok", open=True),
        Key("scores", "shares", "the probability of each by name, summing to 1", null=True,
            only="ok", digits=SCORE_DIGITS),
        *(Key(name, "signed", "where the network tells them: the mean over the faces of each "
              "clipped to -1..1", null=True, free=True, digits=SCORE_DIGITS) for name in AFFECT),
        Key("rise", "text", "with --baseline: the label whose log-odds are most above the person's "
            "own, where that is by more than 1", null=True, free=True),
        Key("rises", "changes", "... and by how much those of each label are above it, by name",
            null=True, free=True, digits=3),
        Key("faces", "count", "faces it is made of: of a person one a frame"),
        Key("frames", "count", "frames looked at in that span; of a row by person in the clip"),
        Key("coverage", "share", "the share of them that show it", digits=TIME_DIGITS),
        Key("box", "box", "the mean of its boxes: x0 y0 x1 y1, px", null=True, only="ok",
            digits=BOX_DIGITS),
        *_QUALITY,
        Key("frame", "count", "number of the frame in its source, of a row by frame", null=True),
        Key("frame_name", "text", "with --frames-of: the picture's own name, of a row by frame",
            null=True, free=True),
        Key("track", "track", "number of the face, of a row by frame; a person may have several",
            null=True),
        Key("face_score", "share", "how sure the detector is, of a row by frame", null=True,
            digits=4),
        Key("by", "text", "what a row is: frame, window WIDTH/STEP, segment MARGIN/LEAST or "
            "person, and the smoothing"),
        *(Key(f"part_{name}", "number", f"s, the part of the clip that was asked for: its {name}",
              null=True, digits=TIME_DIGITS) for name in PART),
        Key("persons", "count", "how many were seen in the clip", null=True),
        *(Key(name, "count", f"px, of the clip's picture: its {name}", null=True)
          for name in SIZE),
        Key("left_out", "count", "faces of the clip of too little quality to count, with "
            "--min-quality", free=True),
        _DURATION,
        *_TAIL[2:],
    )),
    "features": ("A clip in a Parquet file of videmo extract-features", (
        _PATH, _STATUS,
        Key("message", "text", "what was wrong and what to do", null=True, only="error"),
        *(Key(name, "text", "as the manifest says", null=True)
          for name in ("label", "split", "subject")),
        *(replace(key, free=False, null=True) for key in (_START, _END)),
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
        Key("age", "number", "years", free=True, digits=1),
        Key("age_interval", "pair", "years between which the network believes it", free=True,
            digits=1),
        Key("gender", "text", "the more probable one", free=True),
        Key("gender_probability", "share", "of that gender", free=True, digits=SCORE_DIGITS),
        Key("ethnicity", "text", "the most probable one", free=True),
        Key("ethnicity_scores", "shares", "the probability of each by name", free=True,
            digits=SCORE_DIGITS),
        *_COUNTS, *_TAIL,
    )),
    "identify": ("What videmo identify tells of a pair or a person, or of a clip without one", (
        *_HEAD, _STATUS, *_PERSON,
        Key("other_path", "text", "the second input", free=True),
        Key("other_track", "count", "number of the face in that clip", free=True),
        Key("other_start", "number", "s, the first frame that shows it", free=True,
            digits=TIME_DIGITS),
        Key("other_end", "number", "s, the last frame that shows it", free=True,
            digits=TIME_DIGITS),
        Key("other_box", "box", "where it is largest: x0 y0 x1 y1, px", free=True,
            digits=BOX_DIGITS),
        Key("similarity", "signed", "of the mean embeddings", free=True, digits=SCORE_DIGITS),
        Key("threshold", "signed", "the least similarity of one person", free=True),
        Key("same", "truth", "whether they are one person", free=True),
        Key("person", "count", "with --group: number of the person, from 0", free=True),
        *_COUNTS, *_TAIL,
    )),
}  # fmt: skip
RECORDS = (
    "record",
    "attributes",
    "identify",
    "timeline",
)  # the tables of records; the others are of Parquet


def keys(table: str) -> tuple[Key, ...]:
    """Return the keys of a table, in its order."""
    return TABLES[table][1]


def record_of(found: Findings, also: Sequence[str] = ()) -> dict[str, Any]:
    """Return the record of one clip, as plain types.

    also: keys that may be missing and are there in this run; start and end are where they were
        asked for
    """
    there = {*also, *(name for name in PART if getattr(found.clip, name) is not None)}
    return {
        key.name: key.of(found)
        for key in keys("record")
        if key.of and (key.name in there or not key.free)
    }


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


def _object(keys: Sequence[Key]) -> Schema:
    return {
        "type": "object",
        "properties": {key.name: _property(key) for key in keys},
        "required": [key.name for key in keys if not key.free],
    }


def _property(key: Key) -> Schema:
    schema = _object(PARTS[key.type]) if key.type in PARTS else dict(TYPES[key.type])
    if key.null:
        schema["type"] = [schema["type"], "null"]
    return {"description": key.meaning, **schema}


def _only(status: str, keys: Sequence[Key]) -> list[Key]:
    return [key for key in keys if key.only == status]


def _rule(status: str, keys: Sequence[Key]) -> Schema:
    """Return that some keys are there in one status, and null or missing in any other."""
    some = _only(status, keys)
    names = [key.name for key in some]
    known = {key.name: {"not": {"type": "null"}} for key in some if not key.open}
    gone = {key.name: {"type": "null"} if key.null else False for key in some}
    return {
        "if": {"properties": {"status": {"const": status}}},
        "then": {"required": names, "properties": known},
        "else": {"properties": gone},
    }
