"""Batched augmentation on the device: every sample its own crop, rotation and brightness, in one pass.

The draws come from a CPU generator, so that a CPU and a GPU augment alike. Large buffers are kept from batch to
batch: allocating them anew costs more than the arithmetic.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.augment.values import normalisation


class Augment:
    """Random crop, rotation and brightness of a batch of square uint8 images (MLSL section IV-B).

    Args:
        crop: ≥ 1: a crop keeps at least 1/crop of each side, at a random place, and is scaled back.
        rotation: at most this many degrees either way.
        brightness: in [0, 1): a factor from 1 − brightness to 1 + brightness.
        flip: mirror half of the images left to right.
    """

    def __init__(
        self, *, crop: float = 1.1, rotation: float = 2.0, brightness: float = 0.2, flip: bool = False
    ) -> None:
        turn = math.radians(rotation)
        # Lowest value and span of each uniform draw: kept share of a side, angle, place of the crop in x and y,
        # mirror (where negative), brightness.
        limits = ((1.0, 1 / crop - 1), (-turn, 2 * turn), (-1.0, 2.0), (-1.0, 2.0), (-0.5 * flip, 1.0),
                  (1 - brightness, 2 * brightness))  # fmt: skip
        self._lowest, self._span = torch.tensor(limits).T[:, :, None]
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augmented, normalised images.

        Args:
            images: uint8 ``[N, S, S, 3]``.
            generator: CPU generator of the draws.

        Returns:
            float32 ``[N, 3, S, S]``, channels last in memory.
        """
        affine, gain = self._draw(len(images), generator)
        source = self._buffer("source", (len(images), 3, *images.shape[1:3]), images.device)
        source.copy_(images.permute(0, 3, 1, 2))
        grid = self._grid(affine.to(images.device), images.shape[1])
        output = F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)
        scale, shift = normalisation(images.device)
        output.mul_(scale * gain.to(images.device)[:, None, None, None]).add_(shift)
        return torch.stack(output.unbind(1), -1).permute(0, 3, 1, 2)  # faster than contiguous(channels_last)

    def _draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """An affine map ``[N, 2, 3]`` from output to input coordinates in [−1, 1], and a brightness factor ``[N]``."""
        draws = torch.rand((6, count), generator=generator)
        keep, angle, x, y, mirror, gain = torch.addcmul(self._lowest, draws, self._span)
        sign, room = torch.where(mirror < 0, -1.0, 1.0), 1 - keep
        cos, sin = keep * angle.cos(), keep * angle.sin()
        affine = torch.stack([cos * sign, -sin, x * room, sin * sign, cos, y * room], 1)
        return affine.view(count, 2, 3), gain

    def _grid(self, affine: Tensor, size: int) -> Tensor:
        """Sampling grid ``[N, S, S, 2]`` of affine maps ``[N, 2, 3]``, written into a buffer.

        An affine map is a row of numbers plus a column of numbers, and with x and y each in a plane of its own both
        the sum and the sampling run along memory: a thirtieth of a matrix product's time.
        """
        planes = self._buffer("grid", (len(affine), 2, size, size), affine.device)
        centres = _centres(size, affine.device)
        rows = affine[:, :, 0, None, None] * centres  # [N, 2, 1, S]
        columns = affine[:, :, 1, None, None] * centres[:, None] + affine[:, :, 2, None, None]  # [N, 2, S, 1]
        return torch.add(rows, columns, out=planes).permute(0, 2, 3, 1)

    def _buffer(self, name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        key = f"{name} {shape} {device}"
        if key not in self._buffers:
            layout = torch.channels_last if name == "source" else torch.contiguous_format
            self._buffers[key] = torch.empty(shape, device=device, memory_format=layout)
        return self._buffers[key]


@cache
def _centres(size: int, device: torch.device) -> Tensor:
    """Pixel centres of a line of ``size`` pixels that reaches from −1 to 1, ``[size]``."""
    return (torch.arange(size, device=device) * 2 + 1) / size - 1
