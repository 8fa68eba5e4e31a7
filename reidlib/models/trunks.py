"""What a trunk is, and those of the suite's own that are plain rows of 3×3 convolutions: for CPUs and for digits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Pixels = tuple[tuple[float, float, float], tuple[float, float, float]]
# Mean and deviation of the channels that weights were trained with, for values in [0, 1].
IMAGENET: Pixels = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SYMMETRIC: Pixels = ((0.5,) * 3, (0.5,) * 3)  # values in [−1, 1]


def mean(maps: Tensor) -> Tensor:
    """Over all places: ``[N, D, s, s]`` → ``[N, D]``."""
    return maps.mean((2, 3))


class Trunk(nn.Module):
    """Convolutions, then the mean over the map: ``[N, 3, S, S]`` → ``[N, dim]``; ``maps`` gives ``[N, dim, s, s]``.

    Args:
        layers: the convolutions.
        dim: channels of their last map.
        pixels: mean and deviation that the layers want their images normalised with. Images come with ImageNet's.
        pool: takes the mean.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, layers: nn.Module, dim: int, *, pixels: Pixels = IMAGENET, pool: Callable[[Tensor], Tensor] = mean
    ) -> None:
        super().__init__()
        self.layers, self.dim, self.pixels, self.pool = layers, dim, pixels, pool
        if pixels != IMAGENET:
            old, new = (torch.tensor(values).view(2, 1, 3, 1, 1) for values in (IMAGENET, pixels))
            self.register_buffer("scale", old[1] / new[1], persistent=False)
            self.register_buffer("shift", (old[0] - new[0]) / new[1], persistent=False)

    def maps(self, images: Tensor) -> Tensor:
        """The last map, ``[N, dim, s, s]``."""
        return self.layers(images if self.pixels == IMAGENET else images * self.scale + self.shift)

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.maps(images))


def small() -> Trunk:
    """The small trunk for CPUs: eight 3×3 convolutions of 16 to 128 channels, each with batch normalisation."""
    widths, strides = (16, 32, 32, 64, 64, 96, 96, 128), (2, 2, 1, 2, 1, 2, 1, 1)
    layers: list[nn.Module] = []
    for before, after, stride in zip((3, *widths), widths, strides, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return Trunk(nn.Sequential(*layers), widths[-1])


def digits(*, reduction: str = "stride") -> Trunk:
    """MLSL's tiny network for MNIST: four 3×3 layers of 128, 128, 128 and 2 filters (section V-A2, Table 4).

    Args:
        reduction: how the map shrinks, which the paper leaves open: ``stride`` 2 in the first three layers, or
            ``pool``: 2×2 max pooling after them.

    Raises:
        ValueError: another reduction.
    """
    if reduction not in ("stride", "pool"):
        raise ValueError(f"reduction = {reduction!r} is refused: allowed are stride, pool")
    layers: list[nn.Module] = []
    for before in (3, 128, 128):
        layers += [nn.Conv2d(before, 128, 3, 2 if reduction == "stride" else 1, 1, bias=False)]
        layers += [nn.BatchNorm2d(128), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if reduction == "pool" else []
    return Trunk(nn.Sequential(*layers, nn.Conv2d(128, 2, 3, 1, 1)), 2)
