"""Faces in; out come faces as a camera and a detector would give them, grey or in colour."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Annex K of ITU-T T.81 (JPEG), luminance: how coarsely each 8x8 frequency is stored at quality 50.
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


@dataclass(frozen=True)
class Augmentation:
    """How far a picture may be changed; a share is the part of a batch that is changed."""

    area: tuple[float, float] = (1.0, 1.0)  # part of the picture that is cut out, anywhere in it
    shift: float = 0.08  # of the side, either way
    scale: float = 0.12  # of the side, either way
    stretch: float = 0.05  # width against height, either way
    rotation: float = 12.0  # degrees, either way
    flip: float = 0.5  # share
    contrast: float = 0.3  # factor 1 +- this, about the picture's mean
    brightness: float = 0.12  # of full scale, either way
    gamma: float = 0.4  # exponent exp(+- this)
    grey: float = 0.2  # share of colour pictures that lose their colour
    saturation: float = 0.0  # factor of colour 1 +- this
    tint: float = 0.0  # factor of each channel 1 +- this, of half the pictures
    coarse: float = 0.2  # share made small and large again
    coarse_side: tuple[int, int] = (20, 40)  # px, the small side
    blur: float = 0.15  # share
    blur_sigma: tuple[float, float] = (0.005, 0.018)  # of the side
    jpeg: float = 0.3  # share
    jpeg_quality: tuple[int, int] = (15, 90)
    noise: float = 0.2  # share
    noise_sigma: float = 0.05  # of full scale, at most
    erase: float = 0.1  # share with a grey rectangle
    erase_side: tuple[float, float] = (0.1, 0.4)  # of the side


def augment(
    faces: torch.Tensor, side: int, options: Augmentation, generator: torch.Generator
) -> torch.Tensor:
    """Return the faces moved, lit and worsened, each in its own way.

    faces:   (B, C, H, W) float32, 0..1, on any device; C is 1 or 3
    returns: (B, C, side, side) float32, 0..1, there
    """
    import torch

    def between(least: float, most: float, count: int = len(faces)) -> torch.Tensor:
        drawn = torch.rand(count, generator=generator)  # on the CPU: the same on every device
        return least + drawn.to(faces.device) * (most - least)

    def some(share: float, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        chosen = between(0, 1) < share
        if bool(chosen.any()):
            faces[chosen] = change(faces[chosen])

    def either_way(most: float) -> torch.Tensor:
        return between(-most, most)

    zoom = between(*options.area).sqrt()
    place = [either_way(options.shift) + either_way(1) * (1 - zoom) / 2 for _ in "xy"]
    faces = warp_faces(
        faces,
        side,
        shift=torch.stack(place, 1),
        scale=zoom * (1 + either_way(options.scale)),
        stretch=1 + either_way(options.stretch),
        angle=either_way(math.radians(options.rotation)),
        mirror=between(0, 1) < options.flip,
    )
    faces = adjust_light(
        faces,
        gamma=either_way(options.gamma).exp(),
        contrast=1 + either_way(options.contrast),
        brightness=either_way(options.brightness),
    )
    if faces.shape[1] == 3:
        faces = _jitter_colour(faces, options, generator)
        some(options.grey, lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1))
    small = int(between(*options.coarse_side, count=1))  # one size for all, for speed
    some(options.coarse, lambda x: coarsen(x, small))
    some(options.blur, lambda x: blur(x, side * between(*options.blur_sigma, count=len(x))))
    some(options.jpeg, lambda x: jpeg(x, between(*options.jpeg_quality, count=len(x))))
    sigma = between(0, options.noise_sigma)[:, None, None, None]

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator).to(like.device)

    some(options.noise, lambda x: x + noise(x) * sigma[: len(x)])
    return _erase(faces, options, generator).clamp(0, 1)


def enlarge(faces: torch.Tensor, side: int) -> torch.Tensor:
    """Return the faces at the network's side: (B, C, H, W) -> (B, C, side, side), bilinear."""
    from torch.nn.functional import interpolate

    return interpolate(faces, (side, side), mode="bilinear", align_corners=False)


def warp_faces(
    faces: torch.Tensor,
    side: int,
    *,
    shift: torch.Tensor,
    scale: torch.Tensor,
    stretch: torch.Tensor,
    angle: torch.Tensor,
    mirror: torch.Tensor,
) -> torch.Tensor:
    """Return (B, C, side, side): each face (B, C, H, W) seen through a box that missed it.

    shift (B, 2) and scale (B,) are in sides of the box, stretch (B,) is width over height,
    angle (B,) radians, mirror (B,) bool. Beyond its border a picture goes on as it ended.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    across = scale * stretch * torch.where(mirror, -1.0, 1.0)
    down = scale / stretch
    cos, sin = angle.cos(), angle.sin()
    x, y = 2 * shift[:, 0], 2 * shift[:, 1]  # the grid is 2 wide
    theta = torch.stack([cos * across, -sin * down, x, sin * across, cos * down, y], 1)
    grid = affine_grid(theta.view(-1, 2, 3), [len(faces), 1, side, side], align_corners=False)
    return grid_sample(faces, grid, padding_mode="border", align_corners=False)


def adjust_light(
    faces: torch.Tensor, *, gamma: torch.Tensor, contrast: torch.Tensor, brightness: torch.Tensor
) -> torch.Tensor:
    """Return the faces ** gamma, with contrast about their mean and brightness added; each (B,)."""
    gamma, contrast, brightness = (x[:, None, None, None] for x in (gamma, contrast, brightness))
    faces = faces.clamp(1e-4, 1) ** gamma
    mean = faces.mean((1, 2, 3), keepdim=True)
    return ((faces - mean) * contrast + mean + brightness).clamp(0, 1)


def _jitter_colour(
    faces: torch.Tensor, options: Augmentation, generator: torch.Generator
) -> torch.Tensor:
    """Return colour faces as under other lamps, and with more or less of their colour."""
    import torch

    count = len(faces)
    if options.tint:
        some = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
        off = (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1) * options.tint
        faces = faces * (1 + off * some).to(faces.device)
    if options.saturation:
        off = (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1) * options.saturation
        grey = faces.mean(1, keepdim=True)
        faces = grey + (faces - grey) * (1 + off).to(faces.device)
    return faces.clamp(0, 1)


def coarsen(faces: torch.Tensor, small: int) -> torch.Tensor:
    """Return the faces as if they had been `small` px wide and were enlarged."""
    from torch.nn.functional import interpolate

    shrunk = interpolate(faces, (small, small), mode="bilinear", antialias=True)
    return enlarge(shrunk, faces.shape[-1])


def blur(faces: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return the faces blurred by a Gaussian 7 px wide, each with its own sigma (B,) in px."""
    import torch
    from torch.nn.functional import conv2d, pad

    _, channels, height, width = faces.shape
    place = torch.arange(-3, 4, device=faces.device)
    line = torch.exp(-(place[None] ** 2) / (2 * sigma[:, None] ** 2))
    line = (line / line.sum(1, keepdim=True)).repeat_interleave(channels, 0)  # (B C, 7)
    flat = faces.reshape(1, -1, height, width)  # a group a channel of a face
    flat = conv2d(pad(flat, (3, 3, 3, 3), mode="reflect"), line.view(-1, 1, 7, 1), groups=len(line))
    return conv2d(flat, line.view(-1, 1, 1, 7), groups=len(line)).view(faces.shape)


def jpeg(faces: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Return the faces with their 8x8 frequencies rounded as JPEG does at `quality`, (B,) 1-100."""
    import torch
    from torch.nn.functional import pad

    count, side = len(faces), faces.shape[-1]
    quality = quality.view(count, 1, 1, 1, 1)
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)  # as in libjpeg
    step = (
        (torch.tensor(_LUMINANCE, device=faces.device) * factor).round().clamp(1, 255)
    )  # (B, 1, 1, 8, 8)
    k = torch.arange(8.0, device=faces.device)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2  # orthonormal DCT-II
    basis[0] /= math.sqrt(2)
    whole = pad(faces, (0, -side % 8, 0, -side % 8), mode="replicate")  # of blocks
    blocks = whole.reshape(count, -1, 8, whole.shape[-1] // 8, 8).transpose(2, 3) * 255 - 128
    waves = basis @ blocks @ basis.T
    blocks = basis.T @ ((waves / step).round() * step) @ basis
    whole = ((blocks + 128) / 255).transpose(2, 3).reshape(whole.shape)
    return whole[..., :side, :side].clamp(0, 1)


def _erase(faces: torch.Tensor, options: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Cover a part of some faces with one grey."""
    import torch

    count, side = len(faces), faces.shape[-1]
    least, most = options.erase_side
    size = least + torch.rand(2, count, 1, generator=generator) * (most - least)
    start = torch.rand(2, count, 1, generator=generator) * (1 - size)
    place = torch.arange(side)[None, None] / side
    inside = (place >= start) & (place < start + size)  # (2, B, side): down and across
    chosen = torch.rand(count, 1, 1, generator=generator) < options.erase
    hole = inside[0][:, :, None] & inside[1][:, None, :] & chosen
    grey = torch.rand(count, 1, 1, 1, generator=generator).to(faces.device)
    return torch.where(hole[:, None].to(faces.device), grey, faces)
