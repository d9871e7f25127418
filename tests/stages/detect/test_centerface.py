"""CenterFace: what its maps say, and that it is told apart from what a build brings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videmo.errors import ModelError
from videmo.files.wheels import CENTERFACE, RETINAFACE_MOBILENET, find_network, read_network
from videmo.stages.detect import Detection
from videmo.stages.detect.centerface import CenterFace


def maps(height: int, width: int) -> tuple[np.ndarray, ...]:
    return tuple(np.zeros((1, n, height // 4, width // 4), np.float32) for n in (1, 2, 2, 10))


def test_a_cell_tells_middle_size_and_points() -> None:
    find = CenterFace.__new__(CenterFace)  # its network is not needed
    find.options = Detection("centerface", score=0.5)
    heat, size, offset, points = maps(64, 96)
    heat[0, 0, 5, 10], heat[0, 0, 2, 2] = 0.8, 0.4
    size[0, :, 5, 10] = np.log([8, 6])  # of 4 px: 32 px high, 24 px wide
    offset[0, :, 5, 10] = 0.25, 0.5  # down, right
    points[0, :, 5, 10] = [y_or_x for share in (0, 0.25, 0.5, 0.75, 1) for y_or_x in (share, 1)]
    box, score, marks = find.faces_in((heat, size, offset, points), 64, 96)
    middle = np.array([(10 + 1) * 4, (5 + 0.75) * 4])
    half = np.array([12, 16])
    assert box == pytest.approx(np.concatenate([middle - half, middle + half])[None])
    assert score == pytest.approx([0.8])
    assert marks[0, :, 1] == pytest.approx(box[0, 1] + 32 * np.array([0, 0.25, 0.5, 0.75, 1]))
    assert marks[0, :, 0] == pytest.approx(box[0, 2])


def test_without_a_sure_cell_there_is_no_face() -> None:
    find = CenterFace.__new__(CenterFace)
    find.options = Detection("centerface")
    assert [len(of) for of in find.faces_in(maps(32, 32), 32, 32)] == [0, 0, 0]


def test_a_network_that_no_build_brings_is_to_be_pulled(cache: Path) -> None:
    assert find_network(CENTERFACE) is None
    with pytest.raises(ModelError) as caught:
        read_network(CENTERFACE)
    assert "models pull centerface" in str(caught.value) and "built" not in str(caught.value)
    assert RETINAFACE_MOBILENET != CENTERFACE
