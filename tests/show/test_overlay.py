"""What is drawn on a frame, where, and what a veil leaves of a face."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.show.overlay import Mark, Overlay, colour_of, veil

GREY = 90


def frame(height=360, width=480):
    return np.full((height, width, 3), GREY, np.uint8)


def outline(picture, person):
    """Return x0 y0 x1 y1 of the pixels in the pure colour of a person."""
    y, x = np.nonzero((picture == np.array(colour_of(person), np.uint8)).all(-1))
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_a_box_is_drawn_around_the_face():
    got = Overlay(360, 480).draw(frame(), [Mark(np.array([100.0, 80, 200, 220]), 2, [])], "")
    assert outline(got, 2) == pytest.approx([100, 80, 200, 220], abs=4)  # its line lies outside
    assert (got[90:210, 110:190] == GREY).all()


@pytest.mark.parametrize("box", [(0, 0, 480, 360), (-9, 300, 60, 380), (470, 350, 480, 360)])
def test_a_face_at_the_border_keeps_its_words_on_the_frame(box):
    scores = [("Happy", 0.9), ("Sad", 0.1)]
    got = Overlay(360, 480).draw(frame(), [Mark(np.array(box, float), 1, scores)], "0:01.00")
    bare = Overlay(360, 480).draw(frame(), [Mark(np.array(box, float), 1, [])], "0:01.00")
    assert got.shape == (360, 480, 3)
    assert ((got != bare).any(-1)).sum() > 500


def test_bars_are_as_long_as_their_shares():
    scores = [("Happy", 0.75), ("Sad", 0.25)]
    got = Overlay(720, 960).draw(
        frame(720, 960), [Mark(np.array([300.0, 200, 500, 400]), 1, scores)], ""
    )
    red = got[..., 0].astype(int) - got[..., 2]  # person 1 is orange: more red than blue
    below = red[420:]
    lengths = np.sort((below > 60).sum(1))[::-1]
    steps = lengths[lengths > 20]
    assert steps.max() / np.median(steps[steps < steps.max() / 2]) == pytest.approx(3, rel=0.25)


def test_a_veil_leaves_four_colours_and_the_rest_as_it_was(rng):
    pixels = rng.integers(0, 255, (120, 160, 3)).astype(np.uint8)
    before = pixels.copy()
    veil(pixels, [np.array([60.0, 40, 100, 80])])
    changed = (pixels != before).any(-1)
    y, x = np.nonzero(changed)
    assert [x.min(), y.min(), x.max() + 1, y.max() + 1] == pytest.approx([50, 30, 110, 90], abs=2)
    inside = pixels[32:88, 52:108].astype(float)
    assert np.abs(np.diff(inside, axis=1)).max() < 20  # of noise that jumps by 250


@pytest.mark.parametrize("box", [(-50, -50, -20, -20), (0, 0, 1, 1), (150, 110, 400, 300)])
def test_a_veil_at_the_border_stays_on_the_frame(box):
    pixels = frame(120, 160)
    veil(pixels, [np.array(box, float)])
    assert (pixels == GREY).all()
