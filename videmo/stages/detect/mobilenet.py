"""Faces and five points by RetinaFace with a MobileNet of a quarter of the width, on the CPU.

The network is that of biubug6's Pytorch_Retinaface (MIT), trained on WIDER FACE.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from videmo.data import F64
from videmo.files.openvino import import_openvino
from videmo.files.wheels import RETINAFACE_MOBILENET
from videmo.stages.detect.anchors import OVERLAP, anchors, decode
from videmo.stages.detect.settled import SettledDetector

FILE = RETINAFACE_MOBILENET.wheel  # what `models pull` fetches


class RetinaFaceMobileNet(SettledDetector):
    """RetinaFace-MobileNet."""

    network = RETINAFACE_MOBILENET
    picture = "input"
    mean = (123, 117, 104)  # which the network wants taken off
    overlap = OVERLAP

    def faces_in(self, answers: Any, height: int, width: int) -> tuple[F64, F64, F64]:
        """Return box (M, 4), score (M,) and points (M, 5, 2) of the anchors that hold a face."""
        score = answers["conf"][0, :, 1]
        sure = np.nonzero(score >= self.options.score)[0]
        box, points = decode(
            anchors(height, width)[sure], answers["loc"][0, sure], answers["landmarks"][0, sure]
        )
        return box.astype(np.float64), score[sure].astype(np.float64), points.astype(np.float64)

    def make_network(self, content: bytes) -> Any:
        """Return the `openvino.Model` of the ONNX."""
        openvino = import_openvino()
        layout, kind = openvino.Layout, openvino.Type
        colours = openvino.preprocess.ColorFormat
        steps = openvino.preprocess.PrePostProcessor(openvino.Core().read_model(content))
        pixels = steps.input()
        pixels.tensor().set_element_type(kind.u8).set_layout(layout("NHWC"))
        pixels.tensor().set_color_format(colours.RGB)
        pixels.model().set_layout(layout("NCHW"))
        pixels.preprocess().convert_element_type(kind.f32).convert_color(colours.BGR)
        pixels.preprocess().mean([float(one) for one in self.mean[::-1]])
        return steps.build()
