"""Stand-ins for CPUs: small trunks, about as dear as ``small``, that keep one trait each of the multi-guided five.

None of them is a published network, and their numbers are not those of the networks they stand in for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.models.published import IBN
from reidlib.models.trunks import Trunk


def small_ibn() -> Trunk:
    """For ResNet-50-IBN: eight 3×3 convolutions as in ``small``, IBN in layers 2 to 5, the last stride removed.

    As there, the first layer and those after the removed stride have batch normalisation alone. The last map is twice
    as large as ``small``'s, so the last layers are narrower, but for the features.
    """
    widths, strides = (16, 32, 32, 48, 48, 64, 64, 128), (2, 2, 1, 2, 1, 1, 1, 1)
    layers: list[nn.Module] = []
    for number, (before, after, stride) in enumerate(zip((3, *widths), widths, strides, strict=False), start=1):
        norm = IBN(after) if 2 <= number <= 5 else nn.BatchNorm2d(after)
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), norm, nn.ReLU(inplace=True)]
    return Trunk(nn.Sequential(*layers), widths[-1])


class DenseLayer(nn.Module):
    """BN, ReLU and a 3×3 convolution, whose maps join those that came in: C channels → C + growth."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps, self.conv(F.relu(self.norm(maps), inplace=True))], dim=1)


def small_dense() -> Trunk:
    """For DenseNet-161: three blocks of dense links, a transition that halves channels and sides between them.

    Layers, growth: 2 of 16 channels at 1/4 of the side, 4 of 24 at 1/8, 4 of 16 at 1/16, where it ends as ``small``
    does: the last down-sampling is kept.
    """
    blocks = ((2, 16), (4, 24), (4, 16))
    layers = [*_conv(3, 16, stride=2), nn.Conv2d(16, 32, 3, 2, 1, bias=False)]
    channels = 32
    for number, (depth, growth) in enumerate(blocks):
        if number:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2, ceil_mode=True)]
            channels //= 2
        for _ in range(depth):
            layers.append(DenseLayer(channels, growth))
            channels += growth
    return Trunk(nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)), channels)


class Exchange(nn.Module):
    """A 3×3 convolution on each of two branches, then each branch adds the other's maps, resized to its own.

    Args:
        fine, coarse: channels of the branches; the coarse one has half the side, rounded up.
    """

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.fine, self.coarse = _conv(fine, fine), _conv(coarse, coarse)
        self.up = _conv(coarse, fine, size=1)[:2]  # without ReLU: the sum is rectified
        self.down = _conv(fine, coarse, stride=2)[:2]

    def forward(self, branches: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        fine, coarse = self.fine(branches[0]), self.coarse(branches[1])
        up = F.interpolate(self.up(coarse), size=fine.shape[2:], mode="nearest")
        return F.relu(fine + up), F.relu(coarse + self.down(fine))


class HighResolution(nn.Module):
    """Two branches, of 24 channels at 1/4 and 48 at 1/8 of the side, fused twice, then added up by a head."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv(3, 16, stride=2), *_conv(16, 32, stride=2))
        self.fine, self.coarse = _conv(32, 24), _conv(32, 48, stride=2)
        self.exchanges = nn.Sequential(Exchange(24, 48), Exchange(24, 48))
        self.down, self.last = _conv(24, 48, stride=2), _conv(48, dim, stride=2)

    def branches(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps ``[N, 24, S/4, S/4]`` and ``[N, 48, S/8, S/8]`` before the head."""
        stem = self.stem(images)
        return self.exchanges((self.fine(stem), self.coarse(stem)))

    def forward(self, images: Tensor) -> Tensor:
        fine, coarse = self.branches(images)
        return self.last(coarse + self.down(fine))


def small_hr() -> Trunk:
    """For HRNet-W18-C: a fine and a coarse branch run side by side and are fused; batch normalisation throughout."""
    return Trunk(HighResolution(128), 128)


def _conv(before: int, after: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
