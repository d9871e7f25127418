"""Two runs over the same clips go in; what differs, and whether it matters, comes out.

Clips are matched by name, and by start, end and person where there are any. How far the two agree
is told of the clips that both have an answer to; who of them is right, where a truth is given, of
these and of all clips, of which those without an answer are wrong.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from videmo.data import F64, I64
from videmo.errors import InputError, UnknownName
from videmo.evaluate import Evaluation, EvaluationOptions
from videmo.evaluate.metrics import (
    bootstrap,
    cohen_kappa,
    confusion_matrix,
    mcnemar_test,
    overall_metrics,
    wilson_interval,
)
from videmo.evaluate.pairs import ANSWERS, Key, MatchBy, PredictedClip, Truth, key_of, unique_by
from videmo.evaluate.reading import LabelReader, published_set, reading_by_meaning, reading_by_name
from videmo.labels import meaning
from videmo.runs.inputs import Clip
from videmo.write.record import plain

_MADE_BY = (  # what a record tells of its making, and may differ between the runs
    "videmo", "head", "head_sha256", "backbone", "backbone_sha256", "detector", "detector_sha256",
    "decoder", "device", "recipe", "libraries",
)  # fmt: skip


@dataclass(frozen=True)
class Both:
    """One clip as the two runs see it; None where a run has no row for it."""

    a: PredictedClip | None
    b: PredictedClip | None
    truth: Truth | None = None

    @property
    def states(self) -> tuple[str, str]:
        """What each run says became of it: ok, no_face, error or missing."""
        a, b = (one.status if one else "missing" for one in (self.a, self.b))
        return a, b

    @property
    def known(self) -> PredictedClip:
        """The row of the first run that has one."""
        known = self.a or self.b
        assert known is not None
        return known

    @property
    def subject(self) -> str:
        """Who is seen, as the truth or a row tells it; "" where neither does."""
        told = self.truth.clip.subject if self.truth else None
        return told or self.known.row.text("subject")


def pair_runs(
    a: Sequence[PredictedClip],
    b: Sequence[PredictedClip],
    truths: Sequence[Truth] = (),
    *,
    by: MatchBy = "path",
) -> list[Both]:
    """Return each clip of either run, in the order of the first and then of the second.

    by: the whole path, the file's name, or that without its suffix
    truths: what is known of the clips; paths count as written, or from the folder of their file

    Raises ManifestError for a clip that is there twice, InputError where no clip is in both.
    """
    parts = _timed((*a, *b))
    first, second = (unique_by((_key(one, by, parts), one) for one in run) for run in (a, b))
    if not first.keys() & second.keys():
        raise InputError(
            f"{a[0].row.file} and {b[0].row.file} have no clip in common; compare names without "
            "folders: match_by=name"
        )
    known = _truth_by_key(truths, by, timed := _timed(t.clip for t in truths))
    clips = [Both(first.get(key), second.get(key)) for key in dict.fromkeys((*first, *second))]
    return [replace(clip, truth=known.get(_truth_key(clip.known, by, timed))) for clip in clips]


def compare_runs(clips: Sequence[Both], options: EvaluationOptions | None = None) -> Evaluation:
    """Return what differs between two runs, and with a truth which of them is right more often.

    Intervals draw subjects where every clip has one, else clips. README lists the keys.

    Raises InputError where no clip has two answers or no label is in both, ManifestError for a
    label that is not known.
    """
    options = options or EvaluationOptions()
    if ("ok", "ok") not in {clip.states for clip in clips}:
        raise InputError(f"not one of {len(clips)} clips has an answer in both runs")
    labels, read = _reading(clips, options)
    rows = [_row(clip, read) for clip in clips]
    units = _subjects(clips)
    result = {
        **_counts(clips, options, units),
        "labels": list(labels),
        "made_by": _made_by(clips),
        "agreement": _agreement(rows, labels, units, options),
        "changes": _changes(rows),
        "flips": [row for row in rows if any(row["a"][k] != row["b"][k] for k in _ANSWER)],
    }
    if any(row["truth"] for row in rows):
        result["truth"] = _against_truth(rows, labels, units, options)
    return result


_ANSWER = ("status", "label")


def _key(one: PredictedClip, by: MatchBy, parts: bool) -> Key:
    name, start, end = key_of(one.path, by, one if parts else None)
    person = one.row.text("person")
    return (f"{name}\0{person}" if person else name), start, end


def _timed(clips: Iterable[PredictedClip | Clip]) -> bool:
    """Return whether any of them is a part of its file."""
    return any(clip.start is not None or clip.end is not None for clip in clips)


def _truth_key(clip: PredictedClip | Clip, by: MatchBy, timed: bool) -> Key:
    return key_of(clip.path, by, clip if timed else None)


def _truth_by_key(truths: Sequence[Truth], by: MatchBy, timed: bool) -> dict[Key, Truth]:
    """Return what is known of a clip, by its path as written and from the folder of its file."""
    known: dict[Key, Truth] = {}
    for truth in truths:
        folder, clip = os.path.dirname(truth.row.file), truth.clip
        for path in dict.fromkeys((clip.path, os.path.join(folder, clip.path))):
            key = _truth_key(replace(clip, path=path), by, timed)
            before = known.setdefault(key, truth)
            if before.clip.label != clip.label:
                raise truth.row.wrong(
                    f"{clip.path} has another label in line {before.row.line}; remove one"
                )
    return known


def _reading(
    clips: Sequence[Both], options: EvaluationOptions
) -> tuple[tuple[str, ...], LabelReader]:
    """Return the labels that are compared, in the order of the first run, and what reads a row."""
    a, b = _labels(clip.a for clip in clips), _labels(clip.b for clip in clips)
    true = [*dict.fromkeys(c.truth.clip.label for c in clips if c.truth and c.truth.clip.label)]
    if options.by_meaning:
        sides = [true] if true else [a, b]
        labels = options.labels or min((published_set(side) for side in sides), key=len)
        return labels, reading_by_meaning(labels)
    scored = any(one and one.scores for clip in clips for one in (clip.a, clip.b))
    if not {*a} & {*b} and (scored or _meanings(a) & _meanings(b)):
        raise InputError(
            f"one run answers {', '.join(a)}, the other {', '.join(b)}: no label in common; "
            "by_meaning=True makes Happy and happiness one"
        )
    if scored or (true and not {*true} & {*a, *b}):  # then the truth names no label of its own
        true = []
    labels = options.labels or (*dict.fromkeys((*a, *b, *true)),)
    return labels, reading_by_name(labels)


def _meanings(labels: Iterable[str]) -> set[str]:
    """Return what labels mean, of those that name an emotion."""
    words = set()
    for label in labels:
        with suppress(UnknownName):
            words.add(meaning(label))
    return words


def _subjects(clips: Sequence[Both]) -> list[str] | None:
    """Return who is in each clip, None where nobody says so of one that both runs have."""
    subjects = [clip.subject for clip in clips]
    asked = [s for s, clip in zip(subjects, clips, strict=True) if "missing" not in clip.states]
    return subjects if all(asked) else None


def _labels(run: Iterable[PredictedClip | None]) -> list[str]:
    """Return the labels of a run: those with a probability first, in their order."""
    answered = [one for one in run if one and one.status == "ok"]
    scored = dict.fromkeys(label for one in answered for label in one.scores)
    return [*scored, *sorted({one.label or "" for one in answered} - {*scored})]


def _row(clip: Both, read: LabelReader) -> Evaluation:
    """Return what the runs say of one clip, in plain types; `label` is None without an answer."""
    cells = clip.known.row.cells
    told: Evaluation = {"path": plain(clip.known.path)}
    told |= {k: v for k in ("start", "end", "person") if (v := cells.get(k)) not in (None, "")}
    for side, one in (("a", clip.a), ("b", clip.b)):
        label, score = _answer(one, read)
        told[side] = {"status": one.status if one else "missing", "label": label, "score": score}
    truth = clip.truth
    label = truth.clip.label if truth else None
    told["truth"] = read(truth.row, label, {})[0] if truth and label else None
    return told


def _answer(one: PredictedClip | None, read: LabelReader) -> tuple[str | None, float | None]:
    if one is None or one.status != "ok":
        return None, None
    label, scores = read(one.row, one.label or "", one.scores)
    return label, round(scores[label], 6) if label in scores else None


def _counts(
    clips: Sequence[Both], options: EvaluationOptions, units: list[str] | None
) -> dict[str, Any]:
    """Return what became of the clips in each run, and what the intervals draw."""
    states, names = Counter(clip.states for clip in clips), (*ANSWERS, "missing")
    return {
        "clips": len(clips),
        "both": sum(n for pair, n in states.items() if "missing" not in pair),
        "only_a": sum(n for (_, b), n in states.items() if b == "missing"),
        "only_b": sum(n for (a, _), n in states.items() if a == "missing"),
        "statuses": {a: {b: states[a, b] for b in names} for a in names},
        "subjects": None if units is None else len({*units} - {""}),
        "bootstrap": {
            "units": "clips" if units is None else "subjects",
            "draws": options.draws,
            "seed": options.seed,
        },
    }


def _made_by(clips: Sequence[Both]) -> dict[str, dict[str, list[str]]]:
    """Return what both tell of their making and is not the same."""
    told = {}
    for name in _MADE_BY:
        sides = {"a": _values(name, (c.a for c in clips)), "b": _values(name, (c.b for c in clips))}
        if all(sides.values()) and sides["a"] != sides["b"]:
            told[name] = sides
    return told


def _values(name: str, run: Iterable[PredictedClip | None]) -> list[str]:
    cells = (one.row.cells for one in run if one and one.status == "ok")
    made = (c["provenance"] if isinstance(c.get("provenance"), Mapping) else c for c in cells)
    return sorted({str(m[name]) for m in made if m.get(name) not in (None, "")})


def _agreement(
    rows: Sequence[Evaluation],
    labels: Sequence[str],
    units: list[str] | None,
    options: EvaluationOptions,
) -> Evaluation:
    """Return how often the runs say the same of clips that both have an answer to."""
    both = [n for n, row in enumerate(rows) if row["a"]["label"] and row["b"]["label"]]
    some, wide = [rows[n] for n in both], len(labels)
    a, b = (_numbers([row[side]["label"] for row in some], labels) for side in ("a", "b"))
    parts = _one_hot(a * wide + b, wide * wide)
    ends = bootstrap(
        lambda sums: {"kappa": cohen_kappa(sums.reshape(-1, wide, wide))},
        parts, units and [units[n] for n in both], draws=options.draws, seed=options.seed,
    )  # fmt: skip
    counts = parts.sum(0).reshape(wide, wide)
    same = int(np.trace(counts))
    return {
        "n": len(both),
        "same": same,
        "share": round(same / len(both), 4),
        "wilson": wilson_interval(same, len(both)),
        "kappa": _rounded(cohen_kappa(counts)),
        "kappa_interval": ends["kappa"],
        "table": counts.astype(int).tolist(),
    }


def _changes(rows: Sequence[Evaluation]) -> list[Evaluation]:
    """Return which label became which, the most frequent first."""
    pairs = Counter((row["a"]["label"], row["b"]["label"]) for row in rows)
    changed = [(a, b, n) for (a, b), n in pairs.most_common() if a and b and a != b]
    return [{"a": a, "b": b, "clips": n} for a, b, n in changed]


def _against_truth(
    rows: Sequence[Evaluation],
    labels: Sequence[str],
    units: list[str] | None,
    options: EvaluationOptions,
) -> Evaluation:
    """Return both denominators: clips that both runs answer, and all that both have."""
    there = [
        n for n, row in enumerate(rows)
        if row["truth"] and "missing" not in (row["a"]["status"], row["b"]["status"])
    ]  # fmt: skip
    answered = [n for n in there if rows[n]["a"]["label"] and rows[n]["b"]["label"]]
    return {
        "unknown": sum(not row["truth"] for row in rows),
        **{
            name: _judged([rows[n] for n in some], labels, units and [units[n] for n in some],
                          options)
            for name, some in (("with_face", answered), ("all", there)) if some
        },
    }  # fmt: skip


def _judged(
    rows: Sequence[Evaluation],
    labels: Sequence[str],
    units: list[str] | None,
    options: EvaluationOptions,
) -> Evaluation:
    """Return how often each run is right, and how sure one may be of the difference, b - a."""
    truth, wide = _numbers([row["truth"] for row in rows], labels), len(labels) + 1
    found = [_numbers([row[side]["label"] for row in rows], labels) for side in ("a", "b")]
    parts = [_one_hot(truth * wide + one % wide, len(labels) * wide) for one in found]

    def difference(sums: F64) -> dict[str, F64]:
        a, b = (
            overall_metrics(half.reshape(-1, len(labels), wide))
            for half in np.split(sums, 2, axis=-1)
        )
        return {name: b[name] - a[name] for name in a}

    whole = np.concatenate(parts, axis=1)
    right = [one == truth for one in found]
    return {
        "n": len(rows),
        "a": _figures(found[0], truth, len(labels)),
        "b": _figures(found[1], truth, len(labels)),
        "difference": {k: _rounded(v[0]) for k, v in difference(whole.sum(0)[None]).items()},
        "intervals": bootstrap(difference, whole, units, draws=options.draws, seed=options.seed),
        "mcnemar": mcnemar_test(
            int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
        ),
    }


def _figures(found: I64, truth: I64, labels: int) -> Evaluation:
    figures = overall_metrics(confusion_matrix(found, truth, labels))
    right = int((found == truth).sum())
    return {
        **{k: _rounded(v) for k, v in figures.items()},
        "wilson": wilson_interval(right, len(truth)),
    }


def _numbers(names: Sequence[str | None], labels: Sequence[str]) -> I64:
    """Return the number of each label, -1 for None."""
    place = {label: n for n, label in enumerate(labels)}
    return np.array([-1 if name is None else place[name] for name in names], np.int64)


def _one_hot(cells: I64, wide: int) -> F64:
    parts = np.zeros((len(cells), wide))
    parts[np.arange(len(cells)), cells] = 1
    return parts


def _rounded(value: Any) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
