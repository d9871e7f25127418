"""How many labelled faces MTCNN finds, and how near its five points are."""

from __future__ import annotations

from pathlib import Path

import pytest
from found import labelled, measure


def test_two_hundred_labelled_faces_are_found(shared: Path) -> None:
    found, error = measure(labelled(shared / "data" / "ytf_faces.parquet", 200))
    assert found >= 0.98  # 99 % within the chance of 200
    assert error <= 0.08  # of the distance between the eyes


@pytest.mark.slow
def test_ninety_nine_of_a_hundred_labelled_faces_are_found(shared: Path) -> None:
    found, error = measure(labelled(shared / "data" / "ytf_faces.parquet", 1000))
    assert found >= 0.99
    assert error <= 0.08
