"""High dynamic range, as a screen of standard range shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videmo.errors import VideoError
from videmo.stages.decode import Sampling, open_video
from videmo.stages.decode.hdr import HLG, PQ, to_standard


def grey(share: float) -> np.ndarray:
    """Return one pixel of this share of the highest code."""
    return np.full((1, 1, 3), round(share * 65535), np.uint16)


@pytest.mark.parametrize(("transfer", "card", "white"), [(HLG, 0.38, 0.75), (PQ, 0.38, 0.58)])
def test_a_grey_card_and_white_are_where_bt_2408_has_them(
    transfer: int, card: float, white: float
) -> None:
    # 26 and 203 cd/m2 (table 1); as a screen of gamma 2.4 shows 0.128 of white, and white pressed
    # to 0.78 of it to leave room for highlights
    for code, shown in ((card, 108), (white, 230)):
        assert abs(to_standard(grey(code), transfer).astype(int) - shown).max() <= 4


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_grey_stays_grey_and_more_light_is_never_darker(transfer: int) -> None:
    shown = np.array([to_standard(grey(share), transfer)[0, 0] for share in np.linspace(0, 1, 99)])
    assert (np.ptp(shown.astype(int), axis=1) <= 1).all()
    assert (np.diff(shown[:, 0].astype(int)) >= 0).all()
    assert (shown[0], shown[-1]) == (pytest.approx(0), pytest.approx(255))


@pytest.mark.parametrize(
    "name", ["reported/hlg.mov", "odd/exo__hdr10-video-with-sdr-container.mp4"]
)
def test_a_real_one_is_told_and_decord_refuses_it(shared: Path, name: str) -> None:
    with open_video(shared / "clips" / name) as video:
        frames = next(video.read(Sampling(every=20)))
    assert "high dynamic range" in video.warnings[0]
    assert frames.pixels.dtype == np.uint8
    pytest.importorskip("decord")
    with pytest.raises(VideoError, match=r"high dynamic range.*decoder=pyav"):
        open_video(shared / "clips" / name, "decord")
