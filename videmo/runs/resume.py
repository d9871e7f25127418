"""An output that is whole already: what is in it, whether it may be gone on with, what is added.

    emotions.csv.receipt   what the output was made of: the kind of run, and the state of each input

The receipt follows the journal once an output is whole, for most formats have no place for it. An
output without its own (moved, or changed since) is known by what its rows say, and its inputs are
taken to have changed if they are younger than it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videmo.errors import InputError, MergeError, OutputError
from videmo.files import remote
from videmo.runs.inputs import Clip
from videmo.runs.journal import RunFacts, State, differences, state_of
from videmo.runs.shards.merge import replace_rows
from videmo.runs.shards.part import OpenFiles
from videmo.runs.shards.parts import PARTS, read_part
from videmo.write.schema import STATUSES, TIME_DIGITS
from videmo.write.sink import open_file

RECEIPT = ".receipt"
FORMATS = (*PARTS, "parquet", "npz")  # that can be added to
_BEGINNING = b'{"output": ['
ClipKey = tuple[str, float | None, float | None]  # path, start and end in s


@dataclass(frozen=True)
class Expected:
    """What an output is to be: its clips, its format, and what makes it."""

    clips: Sequence[Clip]
    kind: RunFacts
    settings: dict[str, str | None]  # what each row says of itself, as far as it is known
    format: str
    labelled: bool = False  # whether it keeps label, split and subject of clips


@dataclass(frozen=True)
class FinishedOutput:
    """What an output holds that may be gone on with."""

    good: frozenset[ClipKey]
    states: Mapping[ClipKey, list[Any]]  # of the receipt

    def has(self, clip: Clip) -> bool:
        """Return whether a clip has a record there that is no failure."""
        return key_of(clip) in self.good


def read_finished(out: str, file: str, expected: Expected) -> FinishedOutput:
    """Return what a whole output holds.

    file: where it lies here
    Raises OutputError where it differs from what is expected, but for clips that it lacks.
    """
    if expected.format not in FORMATS:
        raise OutputError(
            out, f"is complete, and {expected.format} is to be looked at: ndjson, json, csv, tsv, "
            "parquet and npz are gone on with; --overwrite makes it again"
        )  # fmt: skip
    receipt = _read_receipt(out)
    if receipt and (found := differences(receipt["kind"], expected.kind)):
        raise _other_clips(out, found)
    rows = _rows(out, file, expected)
    wanted = {key_of(clip) for clip in expected.clips}
    if dropped := [place for place in rows if place not in wanted]:
        more = f" and {len(dropped) - 1} more" if len(dropped) > 1 else ""
        raise OutputError(
            out, f"holds {_clip_text(dropped[0])}{more}, which is not asked for now; name it too, "
            "choose another --out, or give --overwrite"
        )  # fmt: skip
    states = {(path, start, end): rest for path, start, end, *rest in receipt["inputs"]} \
        if receipt else {}  # fmt: skip
    for clip in expected.clips:
        if rows.get(key_of(clip), "error") != "error":
            _unchanged(out, file, clip, states, expected.labelled)
    good = frozenset(place for place, status in rows.items() if status != "error")
    return FinishedOutput(good, states)


def key_of(clip: Clip) -> ClipKey:
    """Return what a clip is known by in an output, whose times are rounded."""
    return clip.path, _rounded(clip.start), _rounded(clip.end)


def add_rows(out: str, file: str, part: str, expected: Expected) -> None:
    """Write an output again with the rows of a part, which take the places of those it had.

    file: where the output lies here; part: a file of the same format
    """
    replace_rows([file, part], expected.format, out, expected.clips)


def write_receipt(
    out: str, expected: Expected, states: Mapping[ClipKey, State], before: FinishedOutput | None
) -> None:
    """Write down what an output, which is there now, was made of.

    states: of inputs that were read in this run
    """
    with open_file(out + RECEIPT) as sink:
        head = {"output": list(state_of(out)), "kind": dict(expected.kind)}
        sink.write(json.dumps(head) + "\n")
        for clip in expected.clips:
            place = key_of(clip)
            known = before.states.get(place, [])[:2] if before else []
            state = states.get(place) or known or state_of(clip.path)
            facts = _facts(clip) if expected.labelled else []
            sink.write(json.dumps([*place, *state, *facts]) + "\n")


def refuse_receipt(out: str) -> None:
    """Raise OutputError where something else lies under the name of the receipt."""
    content = _content(out + RECEIPT)
    if content and not content.startswith(_BEGINNING):
        step = "move it away, or choose another --out"
        raise OutputError(out + RECEIPT, f"is no receipt of videmo; {step}")


def _read_receipt(out: str) -> dict[str, Any] | None:
    """Return kind and inputs of an output's receipt, None if it has none of its own."""
    try:
        head, *inputs = map(json.loads, _content(out + RECEIPT).splitlines())
        return {**head, "inputs": inputs} if head["output"] == list(state_of(out)) else None
    except (ValueError, KeyError, TypeError):
        return None


def _content(name: str) -> bytes:
    """Return what a file holds, wherever it is; nothing where it cannot be read."""
    try:
        return remote.read_bytes(name) if remote.is_url(name) else Path(name).read_bytes()
    except (OSError, InputError):
        return b""


def _rows(out: str, file: str, expected: Expected) -> dict[ClipKey, str]:
    """Return the status of every clip in an output whose rows are of the expected settings."""
    rows = {}
    with closing(OpenFiles()) as files:
        try:
            for row in read_part(file, expected.format, files).summaries(partial=False):
                _same(out, row.settings, expected.settings)
                place = row.path, _rounded(row.start), _rounded(row.end)
                rows[place] = STATUSES[row.status]
        except (InputError, MergeError) as error:
            reason = f"cannot be gone on with ({error}); --overwrite makes it again"
            raise OutputError(out, reason) from error
    return rows


def _same(out: str, row: Mapping[str, str], wanted: Mapping[str, str | None]) -> None:
    found = [f"{name} {row[name]} -> {value or ''}" for name, value in wanted.items()
             if row.get(name, "") != (value or "") and name in row]  # fmt: skip
    if found:
        raise _other_clips(out, found)


def _other_clips(out: str, found: Sequence[str]) -> OutputError:
    return OutputError(
        out, f"was made in another way ({'; '.join(found)}); give the options of that run, "
        "choose another --out, or give --overwrite"
    )  # fmt: skip


def _unchanged(
    out: str, file: str, clip: Clip, states: Mapping[ClipKey, list[Any]], labelled: bool
) -> None:
    """Raise OutputError for an input, or what is known of it, that is not as it was."""
    size, changed = state_of(clip.path)
    known = states.get(key_of(clip))
    if size == -1:  # what is gone cannot be made again, and its record is true of what was there
        return
    if known and known[0] != -1 and known[:2] != [size, changed]:
        what = f"{known[0]} -> {size} bytes" if known[0] != size else "at another time"
    elif not known and isinstance(changed, int) and changed > os.stat(file).st_mtime_ns:
        what = "it is younger"
    elif known and labelled and known[2:] != _facts(clip):
        what = f"label, split, subject {known[2:]} -> {_facts(clip)}"
    else:
        return
    raise OutputError(
        out, f"{clip.path} has changed since ({what}); --overwrite makes all again"
    )  # fmt: skip


def _facts(clip: Clip) -> list[str | None]:
    return [clip.label, clip.split, clip.subject]


def _rounded(time: float | None) -> float | None:
    return None if time is None else round(time, TIME_DIGITS)


def _clip_text(place: ClipKey) -> str:
    path, start, end = place
    part = [f"{word} {time:g} s" for word, time in (("from", start), ("to", end))
            if time is not None]  # fmt: skip
    return " ".join([path, *part])
