"""How common each label is held to be: probabilities in, those of other shares out.

A network learns how common a label is in what it was trained on, and answers with it. Dividing
that out (Saerens, Latinne and Decaestecker 2002) asks what it sees of the face alone; another
file's shares put those of other people in its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videmo.errors import InputError, ModelError
from videmo.files.bounded import SETTINGS, read_bounded

NATURAL, BALANCED = "natural", "balanced"


@dataclass(frozen=True)
class ClassShares:
    """How common labels were in a training, and how far an answer is to be freed of that."""

    shares: Mapping[str, float]  # label -> 0..1
    power: float  # 0 keeps the answers, 1 divides by the shares; chosen on validation

    @classmethod
    def of_card(cls, plain: Any, labels: Sequence[str], model: str) -> ClassShares:
        """Return what a card tells of an output; raises ModelError where it does not."""
        try:
            told = cls({label: float(plain["shares"][label]) for label in labels}, plain["power"])
            if min(told.shares.values()) > 0 and 0 <= told.power <= 2:
                return told
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        raise ModelError(
            f"{model}: its card does not tell how common its labels were in the training; "
            "prior=natural takes its answers as they are"
        )

    def factors(self, prior: str | Path) -> tuple[float, ...]:
        """Return what each label's probability is to be multiplied by; none for natural.

        prior: natural, balanced (every label alike), or a JSON file of a share for each label
        Raises InputError for a file that has no such shares.
        """
        if str(prior) == NATURAL:
            return ()
        wanted = dict.fromkeys(self.shares, 1.0)
        if str(prior) != BALANCED:
            wanted = read_shares(Path(prior), tuple(self.shares))
        raw = [(wanted[label] / share) ** self.power for label, share in self.shares.items()]
        return tuple(round(factor / max(raw), 6) for factor in raw)


def read_shares(path: Path, labels: Sequence[str]) -> dict[str, float]:
    """Return the share of each label, above 0, from JSON such as {"Happy": 0.4, ...}."""
    wants = f"give natural, balanced, or JSON with a share above 0 for each of {', '.join(labels)}"
    try:
        told = json.loads(read_bounded(path, SETTINGS).decode())
        shares = {label: float(told[label]) for label in labels}
    except OSError as error:
        raise InputError(
            f"prior {path}: {(error.strerror or str(error)).lower()}; {wants}"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"prior {path}: not read ({error!r}); {wants}") from error
    if odd := [label for label, share in shares.items() if not 0 < share < float("inf")]:
        raise InputError(f"prior {path}: {odd[0]} is {shares[odd[0]]:g}; {wants}")
    return shares
