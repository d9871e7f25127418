"""MobileFaceNet, which timm has not, under the names that InsightFace gave its tensors.

The network is that of Chen et al. 2018 (arXiv:1804.07573, Table 1). Names, widths and the layers
behind the last convolution are those of `mbf` in InsightFace's arcface_torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from videmo.errors import InputError

if TYPE_CHECKING:
    import torch

NAME = "mobilefacenet"
SIDE, LAST = 112, 7  # px of a picture, and what four strides of two leave of it


def mobilefacenet(
    blocks: Sequence[int] = (1, 4, 6, 2), scale: int = 2, dim: int = 512
) -> torch.nn.Module:
    """Return the network: pictures (M, 3, 112, 112) -> features (M, dim), of any length.

    blocks: bottlenecks without a stride in each stage; 1 in the first is a convolution alone
    scale: its stages are so many times as wide as the paper's; its bottlenecks inside are not
    Calling it raises InputError for pictures of another size.
    """
    import torch

    class Block(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self, *layers: Any, residual: bool = False) -> None:
            super().__init__()
            self.layers, self.residual = torch.nn.Sequential(*layers), residual

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.layers(x) if self.residual else self.layers(x)

    def conv(
        c: int, d: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> torch.nn.Module:
        padding = 1 if kernel == 3 else 0
        layer = torch.nn.Conv2d(c, d, kernel, stride, padding, groups=groups, bias=False)
        behind = () if linear else (torch.nn.PReLU(d),)
        return Block(layer, torch.nn.BatchNorm2d(d), *behind)

    def bottleneck(c: int, d: int, inside: int, stride: int = 1) -> torch.nn.Module:
        layers = (
            conv(c, inside),
            conv(inside, inside, 3, stride, inside),
            conv(inside, d, linear=True),
        )
        return Block(*layers, residual=stride == 1)

    def stage(c: int, inside: int, count: int) -> torch.nn.Module:
        return Block(*(bottleneck(c, c, inside) for _ in range(count)))

    class MobileFaceNet(torch.nn.Module):  # type: ignore[misc]
        head_hidden_size = dim  # as networks of timm say it

        def __init__(self) -> None:
            super().__init__()
            c, d = 64 * scale, 128 * scale
            # in 64 groups at any width, so that wider than the paper's it is not depthwise
            first = conv(c, c, 3, groups=64) if blocks[0] == 1 else stage(c, 128, blocks[0])
            strided = ((c, c, 128), (c, d, 256), (d, d, 512))
            plain = ((c, 128), (d, 256), (d, 256))
            later = chain.from_iterable(
                (bottleneck(*wide, stride=2), stage(*narrow, count))
                for wide, narrow, count in zip(strided, plain, blocks[1:], strict=True)
            )
            self.layers = torch.nn.ModuleList([conv(3, c, 3, 2), first, *later])
            self.conv_sep = conv(d, 512)
            self.features = Block(
                conv(512, 512, LAST, groups=512, linear=True), torch.nn.Flatten(),
                torch.nn.Linear(512, dim, bias=False), torch.nn.BatchNorm1d(dim),
            )  # fmt: skip

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[-1] != SIDE or x.shape[-2] != SIDE:
                raise InputError(f"{NAME} looks at squares of {SIDE} px; choose that size")
            for layer in self.layers:
                x = layer(x)
            return self.features(self.conv_sep(x))

    return MobileFaceNet()
