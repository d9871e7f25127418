"""What never ends is refused, by whatever command it is read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from videmo.cli.config import read_config
from videmo.errors import InputError, ModelError
from videmo.evaluate.pairs import read_predictions
from videmo.files import bounded
from videmo.files.wheels import BUNDLED, read_network
from videmo.runs import csv_text
from videmo.runs.shards.part import open_part
from videmo.stages.heads.prior import read_shares
from videmo.store.cards import read_card
from videmo.write.npz import load_features

ENDLESS = Path("/dev/zero")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIST", "SETTINGS"):
        monkeypatch.setattr(bounded, name, 1 << 20)
    monkeypatch.setattr(bounded.read_bounded, "__defaults__", (1 << 20,))
    monkeypatch.setattr(csv_text, "LIST", 1 << 20)


@pytest.mark.skipif(not ENDLESS.exists(), reason="there is no /dev/zero")
@pytest.mark.parametrize(
    "read",
    [
        lambda: csv_text.read_bytes(str(ENDLESS)),
        lambda: csv_text.read_standard_input(io.BytesIO(b"a" * (3 << 20))),
        lambda: read_predictions(str(ENDLESS)),
        lambda: read_config(ENDLESS),
        lambda: read_shares(ENDLESS, ("Happy",)),
        lambda: read_card(ENDLESS),
    ],
    ids=["list", "standard input", "records", "config", "prior", "card"],
)
def test_an_endless_file_is_refused(read) -> None:
    with pytest.raises((InputError, ModelError), match=r"more than \d+ (megabytes|MB)"):
        read()


@pytest.mark.skipif(not ENDLESS.exists(), reason="there is no /dev/zero")
@pytest.mark.parametrize(
    "read",
    [lambda: open_part(str(ENDLESS)), lambda: load_features(ENDLESS),
     lambda: read_network(BUNDLED[0], ENDLESS)],
    ids=["part", "features", "network"],
)  # fmt: skip
def test_what_is_read_more_than_once_is_a_file(read) -> None:
    with pytest.raises((InputError, ModelError), match=r"no file|more than \d+ megabytes"):
        read()
