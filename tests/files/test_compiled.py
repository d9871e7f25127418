"""Kept networks: what another may have written is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from videmo.files import compiled

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")


@pytest.fixture
def there(tmp_path: Path) -> Path:
    path = tmp_path / "compiled" / ("0" * 64)
    compiled._write(path, b"graph", b"numbers")
    return path


def test_what_was_kept_is_this_users_alone(there: Path) -> None:
    assert compiled._read(there) == (b"graph", b"numbers")
    assert there.parent.stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o777 for path in there.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("suffix", [compiled.GRAPH, compiled.NUMBERS, compiled.SUMS])
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_made_again(there: Path, suffix: str, mode: int) -> None:
    there.with_suffix(suffix).chmod(mode)
    assert compiled._read(there) is None


def test_what_another_owns_is_made_again(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert compiled._read(there) == ((b"graph", b"numbers") if os.geteuid() == 0 else None)
    if os.geteuid() == 0:  # what the system's own user wrote is believed
        os.chown(there.with_suffix(compiled.NUMBERS), 12345, 12345)
        assert compiled._read(there) is None


def test_a_sum_is_that_of_its_own_network(there: Path) -> None:
    for suffix in (compiled.GRAPH, compiled.NUMBERS, compiled.SUMS):
        there.with_suffix(suffix).rename(there.with_name("1" * 64).with_suffix(suffix))
    assert compiled._read(there.with_name("1" * 64)) is None
