"""What a head has learned from, as its card keeps it, and what of that a test would meet again.

A card keeps digests of the clips and persons of its training, not their names: enough to know one
again, and nothing to read. A clip is known by its name and that of its folder, wherever these lie.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videmo import store
from videmo.errors import CorruptModel
from videmo.evaluate.pairs import Pair, PredictedClip
from videmo.store.cards import is_plain, read_card

CARD_KEY = "seen"  # of `trained` in a card
_DIGITS = 16  # hexadecimal ones of a digest
_SHOWN = 3  # heads that a note names


@dataclass(frozen=True)
class NamedHead:
    """A head as predictions name it."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Overlap:
    """What a test has in common with the training of a head."""

    head: str
    clips: int  # of the training
    subjects: int
    met: tuple[Pair, ...]  # clips of the test that the head learned from, or of such a person

    def facts(self) -> dict[str, Any]:
        """Return it for the result of an evaluation."""
        return {
            "head": self.head, "clips": self.clips, "subjects": self.subjects,
            "met": len(self.met),
        }  # fmt: skip

    def refuse(self, tested: int) -> None:
        """Raise ManifestError where anything was met; it names the first.

        tested: how many clips the test has
        """
        if not self.met:
            return
        first, others = self.met[0].truth, len(self.met)
        raise first.row.wrong(
            f"{first.clip.path} is a clip that {self.head} learned from, or of a person whom it "
            f"did, as its card says, and so are {others} of {tested} here: a figure of them tells "
            "nothing of others; leave them out, or take them along with seen=allow"
        )


def digests(paths: Iterable[str], subjects: Iterable[str]) -> dict[str, list[str]]:
    """Return what a card keeps of a training; what has no name is left out."""
    return {
        "clips": sorted({clip_digest(path) for path in paths if path}),
        "subjects": sorted({_digest(subject) for subject in subjects if subject}),
    }


def clip_digest(path: str) -> str:
    """Return 16 hex digits for a clip: of its name and its folder's."""
    return _digest("/".join(os.path.abspath(path).split(os.sep)[-2:]))


def find_overlap(pairs: Sequence[Pair], head: store.Model) -> Overlap | None:
    """Return what a test has in common with a head's training, None where its card tells none."""
    told = (head.card.get("trained") or {}).get(CARD_KEY)
    if not isinstance(told, Mapping):
        return None
    clips, subjects = (frozenset(map(str, told.get(n) or ())) for n in ("clips", "subjects"))
    met = [
        pair
        for pair in pairs
        if clip_digest(pair.truth.clip.path) in clips
        or (pair.truth.clip.subject and _digest(pair.truth.clip.subject) in subjects)
    ]
    return Overlap(head.name, len(clips), len(subjects), tuple(met))


def heads_of(found: Iterable[PredictedClip]) -> list[NamedHead]:
    """Return the heads that answers are of, each once; those of a fold were not learned from."""
    cells = [f.row.cells for f in found if f.status == "ok" and not f.row.text("fold")]
    made = [c["provenance"] if isinstance(c.get("provenance"), Mapping) else c for c in cells]
    named = (NamedHead(str(m.get("head") or ""), str(m.get("head_sha256") or "")) for m in made)
    return [*dict.fromkeys(named)]


def find_head(named: NamedHead, given: str | None, beside: Path) -> store.Model | None:
    """Return the head of that sum, if it is here: the one given, installed, or in a folder of its
    name here or beside the predictions. A folder is it only by its sum, never by its name.

    given: a name or folder
    """
    if given and not named.sha256:  # who names a head of answers that name none, knows
        return store.load(given)
    folders = [store.find_folder(given)] if given else []
    folders += store.folders()
    if is_plain(named.name):
        folders += [Path(os.curdir) / named.name, beside / named.name]
    for folder in folders:
        try:
            model = store.Model(folder, read_card(folder / store.CARD))
            if named.sha256 and model.is_meant(named.sha256):
                return model
        except (CorruptModel, KeyError):
            continue
    return None


def why_unknown(named: NamedHead) -> str:
    """Return why nobody knows whether a head learned from the clips of a test."""
    return (
        f"{named.name} ({named.sha256[:12]}) is not here, so nobody knows whether it learned from "
        "these clips; give its folder with head="
    )


def why_untold(head: str) -> str:
    """Return the same of a head whose card tells nothing."""
    return (
        f"the card of {head} does not tell from which clips it learned, so nobody knows whether "
        "it was from these"
    )


def check_leaks(
    pairs: Sequence[Pair], found: Sequence[PredictedClip], given: str | None, beside: Path
) -> tuple[list[Overlap], list[str]]:
    """Return what the heads of the answers learned from of this test, and what is not known.

    given: a head's name or folder, or nothing; beside: where predictions lie
    """
    seen, notes = [], []
    for named in heads_of(found)[:_SHOWN]:
        model = find_head(named, given, beside)
        if model is None and named.sha256:
            notes.append(why_unknown(named))
        elif model is None:  # the answers of others, of whose training nothing can be asked
            continue
        elif (one := find_overlap(pairs, model)) is None:
            notes.append(why_untold(model.name))
        else:
            seen.append(one)
    return seen, notes


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
