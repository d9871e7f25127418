"""What is kept is checked before it is used, and gives the same bits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videmo.files import compiled as rooms
from videmo.files.compiled import GRAPH, WEIGHTS, compiled
from videmo.files.openvino import import_openvino, runner

owned = pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
KEPT = {GRAPH: b"graph", WEIGHTS: b"numbers"}


@pytest.fixture
def made() -> tuple[Callable[[], Any], list[int]]:
    """What makes a network of one layer, and how often it was asked."""
    weights = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    asked: list[int] = []

    def make() -> Any:
        openvino = import_openvino()
        ops = openvino.opset8
        asked.append(1)
        rows = ops.parameter([-1, 8], np.float32)
        return openvino.Model([ops.tanh(ops.matmul(rows, weights, False, False))], [rows], "one")

    return make, asked


def answer(network: Any) -> bytes:
    rows = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    return bytes(np.asarray(runner(network)({0: rows})[0]).tobytes())  # type: ignore[dict-item]


def blobs(cache: Path) -> list[Path]:
    return sorted((cache / "compiled").glob("*.blob"))


def test_a_network_is_made_once_and_gives_the_same_bits(cache: Path, made: Any) -> None:
    make, asked = made
    first, second = (answer(compiled("one", make, threads=n)) for n in (1, 2))
    assert first == second and len(asked) == 1
    assert len(blobs(cache)) == 1


def test_other_facts_or_another_precision_are_another_network(cache: Path, made: Any) -> None:
    make, asked = made
    for facts, precision in (("one", "f32"), ("two", "f32"), ("one", "bf16")):
        compiled(facts, make, threads=1, precision=precision)
    assert len(asked) == len(blobs(cache)) == 3


def test_what_was_damaged_is_made_again(cache: Path, made: Any) -> None:
    make, asked = made
    expected = answer(compiled("one", make, threads=1))
    (blob,) = blobs(cache)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    assert answer(compiled("one", make, threads=1)) == expected and len(asked) == 2
    assert answer(compiled("one", make, threads=1)) == expected and len(asked) == 2


def test_what_openvino_cannot_read_any_more_is_made_again(
    cache: Path, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, asked = made
    compiled("one", make, threads=1)

    def refuse(*_: Any) -> None:
        raise RuntimeError("of another build")

    monkeypatch.setattr(import_openvino().Core, "import_model", refuse)
    compiled("one", make, threads=1)
    assert len(asked) == 2


def test_where_nothing_can_be_kept_it_is_made_each_time(cache: Path, made: Any) -> None:
    make, asked = made
    cache.write_text("a file where the cache would be")
    assert answer(compiled("one", make, threads=1)) == answer(compiled("one", make, threads=1))
    assert len(asked) == 2


# what another may have written is not read


@pytest.fixture
def there(tmp_path: Path) -> Path:
    path = tmp_path / "compiled" / ("0" * 64)
    rooms._write(path, KEPT)
    return path


@owned
def test_what_was_kept_is_this_users_alone(there: Path) -> None:
    assert rooms._read(there, tuple(KEPT)) == KEPT
    assert there.parent.stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o777 for path in there.parent.iterdir()} == {0o600}


@owned
@pytest.mark.parametrize("suffix", [rooms.GRAPH, rooms.WEIGHTS, rooms.SUMS])
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_made_again(there: Path, suffix: str, mode: int) -> None:
    there.with_suffix(suffix).chmod(mode)
    assert rooms._read(there, tuple(KEPT)) == {}


@owned
def test_what_another_owns_is_made_again(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert rooms._read(there, tuple(KEPT)) == (KEPT if os.geteuid() == 0 else {})
    if os.geteuid() == 0:  # what the system's own user wrote is believed
        os.chown(there.with_suffix(rooms.WEIGHTS), 12345, 12345)
        assert rooms._read(there, tuple(KEPT)) == {}


@owned
def test_a_sum_is_that_of_its_own_network(there: Path) -> None:
    for suffix in (rooms.GRAPH, rooms.WEIGHTS, rooms.SUMS):
        there.with_suffix(suffix).rename(there.with_name("1" * 64).with_suffix(suffix))
    assert rooms._read(there.with_name("1" * 64), tuple(KEPT)) == {}


def test_what_was_used_longest_ago_goes_where_there_is_too_much(
    cache: Path, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, asked = made
    for facts in ("one", "two"):
        compiled(facts, make, threads=1)
    for age, blob in enumerate(blobs(cache)):
        os.utime(blob.with_suffix(".sha256"), (age, age))
    compiled("one", make, threads=1)  # which is used now
    monkeypatch.setattr(rooms, "MOST", sum(blob.stat().st_size for blob in blobs(cache)) + 500)
    compiled("three", make, threads=1)
    assert len(blobs(cache)) == 2 and len(list((cache / "compiled").iterdir())) == 4
    compiled("one", make, threads=1)
    assert len(asked) == 3  # "two" has gone
