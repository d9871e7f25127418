"""A name stands for an object that is imported on first use."""

from __future__ import annotations

import importlib
import re
import sys

import pytest

from videmo.errors import UnknownName
from videmo.stages.decode import DECODERS
from videmo.stages.detect import DETECTORS
from videmo.stages.embed import BACKBONES
from videmo.stages.heads import HEADS
from videmo.stages.registry import resolve


def test_a_name_gives_what_it_stands_for() -> None:
    assert resolve("number", {"pi": "math:pi"}, "pi") == importlib.import_module("math").pi


def test_nothing_is_imported_before_the_name_is_asked_for(tmp_path, monkeypatch) -> None:
    (tmp_path / "imported_late.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    table = {"late": "imported_late:answer", "never": "there_is_no_such_module:x"}
    assert "imported_late" not in sys.modules
    assert resolve("thing", table, "late") == 42
    del sys.modules["imported_late"]


def test_an_unknown_name_lists_the_names_there_are() -> None:
    with pytest.raises(UnknownName, match="no number is called 'tau'; there is pi, e") as caught:
        resolve("number", {"pi": "math:pi", "e": "math:e"}, "tau")
    assert (caught.value.kind, caught.value.known) == ("number", ("pi", "e"))


@pytest.mark.parametrize("table", [DECODERS, DETECTORS, BACKBONES, HEADS])
def test_every_table_names_a_module_and_an_attribute(table: dict[str, str]) -> None:
    assert all(re.fullmatch(r"videmo(\.\w+)+:\w+", entry) for entry in table.values())
