"""Faces and five points by CenterFace (Xu et al. 2019, arXiv 1911.03599), on the CPU: for crowds.

One map tells how likely the middle of a face lies in a square of 4 px, others how large it is,
where in the square the middle lies, and where the points are. The network is that of
Star-Clouds/CenterFace (MIT), trained on WIDER FACE.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from videmo.data import F64
from videmo.files.openvino import import_openvino
from videmo.files.wheels import CENTERFACE
from videmo.stages.detect.settled import SettledDetector

FILE = CENTERFACE.wheel  # what `models pull` fetches
CELL = 4  # px of a frame in one number of a map
HEAT, SIZE, OFFSET, POINTS = range(4)  # the network's outputs in their order


class CenterFace(SettledDetector):
    """CenterFace."""

    network = CENTERFACE
    picture, mean = "input.1", (0, 0, 0)
    overlap = 0.3  # as its authors have it

    def faces_in(self, answers: Any, height: int, width: int) -> tuple[F64, F64, F64]:
        """Return box (M, 4), score (M,) and points (M, 5, 2) of the cells that are sure enough."""
        heat, size, offset, points = (answers[n][0].astype(np.float64) for n in range(4))
        y, x = np.nonzero(heat[0] >= self.options.score)
        side = np.exp(size[::-1, y, x].T) * CELL  # (M, 2) width and height; the maps are y, x
        middle = (np.stack([x, y], 1) + offset[::-1, y, x].T + 0.5) * CELL
        corner = middle - side / 2
        at = points[:, y, x].reshape(5, 2, -1)[:, ::-1].transpose(2, 0, 1)  # shares of the box
        marks = corner[:, None] + at * side[:, None]
        return np.concatenate([corner, corner + side], 1), heat[0, y, x], marks

    def make_network(self, content: bytes) -> Any:
        """Return the `openvino.Model` of the ONNX."""
        openvino = import_openvino()
        layout, kind = openvino.Layout, openvino.Type
        network = openvino.Core().read_model(content)
        network.reshape([1, 3, -1, -1])  # the file says 32 x 32, which its layers do not need
        steps = openvino.preprocess.PrePostProcessor(network)
        steps.input().tensor().set_element_type(kind.u8).set_layout(layout("NHWC"))
        steps.input().model().set_layout(layout("NCHW"))
        steps.input().preprocess().convert_element_type(kind.f32)
        return steps.build()
