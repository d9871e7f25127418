"""The ResNet of dlib's face recognition, which timm has not: who somebody is, in 128 numbers.

The layers are those of `dnn_face_recognition_ex.cpp` in dlib (Davis King). What dlib calls affine,
a factor and an addend for each channel behind a convolution, is in the convolution here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

NAME = "dlib_resnet"
DIM = 256
# Channels in and out of each block, in the order of the data, and whether it halves the picture.
BLOCKS = (
    (32, 32, False), (32, 32, False), (32, 32, False),
    (32, 64, True), (64, 64, False), (64, 64, False), (64, 64, False),
    (64, 128, True), (128, 128, False), (128, 128, False),
    (128, 256, True), (256, 256, False), (256, 256, False),
    (256, 256, True),
)  # fmt: skip


def dlib_resnet() -> torch.nn.Module:
    """Return the network: pictures (M, 3, 150, 150) -> features (M, 256).

    A strided layer of dlib has no padding; where the two ways of a block end in different sizes,
    the smaller is filled up with zeros at the right, below, and behind its channels.
    """
    import torch
    from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu

    def grown(x: torch.Tensor, channels: int, side: int) -> torch.Tensor:
        more = side - x.shape[-1]
        return pad(x, (0, more, 0, more, 0, channels - x.shape[1]))

    class Block(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self, c: int, d: int, halved: bool) -> None:
            super().__init__()
            self.halved = halved
            first = {"stride": 2} if halved else {"padding": 1}
            self.conv1 = torch.nn.Conv2d(c, d, 3, **first)
            self.conv2 = torch.nn.Conv2d(d, d, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv2(relu(self.conv1(x)))
            if self.halved:
                x = avg_pool2d(x, 2)
            side = max(x.shape[-1], y.shape[-1])
            return relu(grown(x, y.shape[1], side) + grown(y, y.shape[1], side))

    class DlibResNet(torch.nn.Module):  # type: ignore[misc]
        head_hidden_size = DIM  # as networks of timm say it

        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Conv2d(3, 32, 7, stride=2)
            self.blocks = torch.nn.Sequential(*(Block(*of) for of in BLOCKS))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = max_pool2d(relu(self.stem(x)), 3, 2)
            return self.blocks(x).mean((2, 3))

    return DlibResNet()
