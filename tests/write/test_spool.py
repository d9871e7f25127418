"""Features of faces in a file of their own: what a full disk does to it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from videmo.errors import OutputError
from videmo.write.spool import begun, spool_errors

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


@pytest.mark.parametrize("rows", [1, 100_000], ids=["at its end", "half-way"])
def test_a_full_disk_is_the_runs_affair_and_names_the_place_of_the_output(
    tmp_path: Path, rows: int
) -> None:
    (tmp_path / "scratch").mkdir()
    path = str(tmp_path / "scratch" / "faces")
    os.symlink("/dev/full", path)
    with pytest.raises(OutputError) as error, begun(path) as file, spool_errors(path):
        np.save(file, np.zeros(rows))
    assert error.value.path == str(tmp_path)
    assert "free some space" in str(error.value)
