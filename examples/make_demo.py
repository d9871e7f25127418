"""Make examples/demo.mp4 from two photographs in the public domain.

Eileen Collins (NASA) comes with scikit-image, Grace Hopper (US Navy) with matplotlib:

    pip install scikit-image matplotlib
    python examples/make_demo.py examples/demo.mp4
    python examples/make_demo.py examples/smile.mp4 3

0 to 3 s: Collins, smiling; 3 to 5 s: Hopper; 5 to 8 s: both side by side. The picture zooms
slowly and shakes a little, as a hand-held camera does. The clip on which `videmo doctor` tests an
installation is the first second of it:

    python examples/make_demo.py videmo/doctor/demo.mp4 1
"""

import sys
from fractions import Fraction

import av
import cv2
import matplotlib.cbook
import matplotlib.image
import numpy as np
import skimage.data

RATE, WIDTH, HEIGHT = 25, 480, 360


def view(photo, centre, side, time, width):
    """Return the part of `photo` around `centre`, `side` px high, as the camera sees it."""
    shake = 2.0 * np.array([np.sin(5.1 * time), np.sin(6.7 * time + 1)])
    scale = HEIGHT / side * (1 + 0.04 * time)
    shift = np.array([width / 2, HEIGHT / 2]) - scale * np.array(centre) + shake
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(photo, matrix, (width, HEIGHT), borderMode=cv2.BORDER_REPLICATE)


def frame(time):
    """Return the (360, 480, 3) RGB picture at `time` s."""
    collins, hopper = skimage.data.astronaut(), hopper_photo()
    if time < 3:
        return view(collins, (225, 160), 300, time, WIDTH)
    if time < 5:
        return view(hopper, (255, 225), 360, time - 3, WIDTH)
    sides = (view(collins, (225, 160), 300, time - 5, WIDTH // 2),
             view(hopper, (255, 225), 360, time - 5, WIDTH // 2))  # fmt: skip
    return np.hstack(sides)


def hopper_photo():
    """Return matplotlib's sample photograph of Grace Hopper as (H, W, 3) uint8 RGB."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return matplotlib.image.imread(file, format="jpg")


def main(path, seconds="8"):
    """Write the clip as H.264."""
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "24", "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        for i in range(int(seconds) * RATE):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame(i / RATE)), "rgb24")
            picture.pts, picture.time_base = i, Fraction(1, RATE)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


if __name__ == "__main__":
    main(*sys.argv[1:])
