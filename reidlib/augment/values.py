"""Pixel values as networks want them, and back."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# Per-channel mean and deviation of ImageNet, in 0..255: what pretrained trunks expect.
MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)


def normalise(images: Tensor) -> Tensor:
    """Images as they are, for the evaluator: uint8 ``[N, S, S, 3]`` → float32 ``[N, 3, S, S]``, channels last."""
    # Lines of S pixels times 3 channels: with three values only in the innermost place it takes ten times as long.
    scale, shift = (v.flatten().repeat(images.shape[2]) for v in normalisation(images.device))
    lines = images.reshape(*images.shape[:2], -1).float().mul_(scale).add_(shift)
    return lines.view(images.shape).permute(0, 3, 1, 2)


def pixels(images: Tensor) -> Tensor:
    """Normalised images back as pictures to look at: float32 ``[N, 3, S, S]`` → uint8 ``[N, S, S, 3]``."""
    scale, shift = normalisation(images.device)
    return ((images - shift) / scale).round().clamp(0, 255).byte().permute(0, 2, 3, 1)


@cache
def normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and offset ``[1, 3, 1, 1]`` that take 0..255 to zero mean and unit deviation."""
    mean, deviation = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    return 1 / deviation, -mean / deviation
