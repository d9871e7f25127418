"""Pictures of high dynamic range go in; what a screen of standard range shows comes out.

White of 203 cd/m2, as ITU-R BT.2408 has it, is the white of the result. Up to KNEE all is as it
was, above it highlights are pressed together, and what is brighter than PEAK is white.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from videmo.data import F32, U8, Array

PQ, HLG = 16, 18  # transfer characteristics in ITU-T H.273
TRANSFER_NAMES = {PQ: "PQ", HLG: "HLG"}
WHITE = 203.0  # cd/m2, of diffuse white in both (ITU-R BT.2408, table 1)
PEAK = 1000.0  # cd/m2, of the screen that HLG and most masters in PQ are made for
KNEE = 0.5  # of white, linear; faces are darker
_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020
_NARROWER = np.array(  # linear BT.2020 to BT.709 (ITU-R BT.2407, 2)
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
_STEPS = 4096  # of the square root of light, so fine that no dark tone is lost


def to_standard(pixels: Array, transfer: int) -> U8:
    """Return RGB (H, W, 3) uint8 with the primaries of BT.709.

    pixels: RGB (H, W, 3) uint16 with the primaries of BT.2020; transfer: PQ or HLG
    """
    light: F32 = _light(transfer)[pixels]  # of white
    if transfer == HLG:  # the scene's, which a screen shows with more contrast (BT.2100, table 5)
        light *= (PEAK / WHITE) * np.power(light @ _LUMA, 0.2)[..., None]
    light = light @ _NARROWER.T
    roots = np.sqrt(light.clip(0, PEAK / WHITE) * (WHITE / PEAK))
    return _shown()[(roots * (_STEPS - 1) + 0.5).astype(np.uint16)]


def warning(transfer: int) -> str:
    """Return what a record says of such pictures."""
    return (
        f"high dynamic range ({TRANSFER_NAMES[transfer]}): shown as on a screen of standard "
        "range, from which the models have learned"
    )


@cache
def _light(transfer: int) -> F32:
    """Return the light of each of 65,536 codes: PQ's of white, HLG's of the scene, 0 to 1."""
    code = np.arange(1 << 16) / 65535
    if transfer == PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        root = code ** (1 / m2)
        light: Any = 10_000 / WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:  # ARIB STD-B67
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return np.asarray(light, np.float32)


@cache
def _shown() -> U8:
    """Return the code that a screen of standard range shows for each step of light."""
    light = (np.arange(_STEPS) / (_STEPS - 1)) ** 2 * PEAK / WHITE
    over, room, most = np.maximum(light - KNEE, 0), 1 - KNEE, PEAK / WHITE - KNEE
    # goes on from the knee without a corner, and is 1 at the peak
    tone = np.minimum(light, KNEE) + over / (1 + over * (1 / room - 1 / most))
    return np.rint(255 * tone ** (1 / 2.4)).astype(np.uint8)  # BT.1886
