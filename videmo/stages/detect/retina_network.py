"""RetinaFace's network (Deng et al. 2020) with a ResNet-50, its tensors named as published.

Three levels of the ResNet go through a feature pyramid and a context module each; three small
layers tell of every anchor a box, whether it is a face, and five points.
"""

from __future__ import annotations

from typing import Any

from videmo.files.extras import require
from videmo.files.quiet import quiet

CHANNELS = 256  # of each level of the pyramid
LEVELS = {"layer2": 512, "layer3": 1024, "layer4": 2048}  # of the ResNet, and their channels
ANCHORS = 2  # of each place


def network() -> Any:
    """Return the network without trained weights: pictures (N, 3, H, W) to what it says of anchors.

    Boxes (N, A, 4), logits of no face and face (N, A, 2), points (N, A, 10), finest level first.
    Raises MissingDependency.
    """
    require("torch", "torchvision")
    import torch
    from torch import nn

    with quiet():
        from torchvision.models import resnet50

    context, head = _context(), _head()

    class Network(nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self) -> None:
            super().__init__()
            whole = resnet50(weights=None)
            self.body = nn.ModuleDict({n: m for n, m in whole.named_children() if n not in _LAST})
            self.fpn = _pyramid()()
            self.ssh1, self.ssh2, self.ssh3 = context(), context(), context()
            self.BboxHead = nn.ModuleList(head(4) for _ in LEVELS)
            self.ClassHead = nn.ModuleList(head(2) for _ in LEVELS)
            self.LandmarkHead = nn.ModuleList(head(10) for _ in LEVELS)

        def forward(self, x: Any) -> tuple[Any, ...]:
            levels = []
            for name, layer in self.body.items():
                x = layer(x)
                if name in LEVELS:
                    levels.append(x)
            looks = (self.ssh1, self.ssh2, self.ssh3)
            levels = [look(of) for look, of in zip(looks, self.fpn(*levels), strict=True)]
            return tuple(
                torch.cat([head(of) for head, of in zip(heads, levels, strict=True)], 1)
                for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
            )

    return Network()


_LAST = ("avgpool", "fc")  # of a ResNet, which tell what a picture shows


def _convolved(channels: int, out: int, side: int = 3, *, relu: bool = True) -> Any:
    from torch import nn

    layers = [nn.Conv2d(channels, out, side, padding=side // 2, bias=False)]
    return nn.Sequential(*layers, nn.BatchNorm2d(out), *[nn.ReLU()] * relu)


def _pyramid() -> Any:
    """Return the class that brings what coarse levels know to the finer ones."""
    from torch import nn

    class Pyramid(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for level, channels in enumerate(LEVELS.values(), 1):
                setattr(self, f"output{level}", _convolved(channels, CHANNELS, 1))
            self.merge1 = _convolved(CHANNELS, CHANNELS)
            self.merge2 = _convolved(CHANNELS, CHANNELS)

        def forward(self, fine: Any, middle: Any, coarse: Any) -> tuple[Any, ...]:
            grown = nn.functional.interpolate
            fine, middle, coarse = self.output1(fine), self.output2(middle), self.output3(coarse)
            middle = self.merge2(middle + grown(coarse, size=middle.shape[2:]))
            return self.merge1(fine + grown(middle, size=fine.shape[2:])), middle, coarse

    return Pyramid


def _context() -> Any:
    """Return the class that looks at 3, 5 and 7 px around each place, by small convolutions."""
    import torch
    from torch import nn

    class Context(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv3X3 = _convolved(CHANNELS, CHANNELS // 2, relu=False)
            self.conv5X5_1 = _convolved(CHANNELS, CHANNELS // 4)
            self.conv5X5_2 = _convolved(CHANNELS // 4, CHANNELS // 4, relu=False)
            self.conv7X7_2 = _convolved(CHANNELS // 4, CHANNELS // 4)
            self.conv7x7_3 = _convolved(CHANNELS // 4, CHANNELS // 4, relu=False)

        def forward(self, x: Any) -> Any:
            wide = self.conv5X5_1(x)
            parts = [self.conv3X3(x), self.conv5X5_2(wide), self.conv7x7_3(self.conv7X7_2(wide))]
            return torch.cat(parts, 1).relu()

    return Context


def _head() -> Any:
    """Return the class that tells so many numbers of every anchor of a level."""
    from torch import nn

    class Head(nn.Module):  # type: ignore[misc]
        def __init__(self, numbers: int) -> None:
            super().__init__()
            self.numbers = numbers
            self.conv1x1 = nn.Conv2d(CHANNELS, ANCHORS * numbers, 1)

        def forward(self, x: Any) -> Any:
            return self.conv1x1(x).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, self.numbers))

    return Head
