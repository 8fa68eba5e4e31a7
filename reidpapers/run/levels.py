"""What loss terms amount to where a network tells nothing apart: yardsticks of whether a run has learnt anything."""

from __future__ import annotations

import torch
from torch import Tensor


def entropy(codes: Tensor) -> float:
    """Cross-entropy, in nats, of guesses that follow the labels' shares: codes ``[N]``, −1 where unknown.

    >>> round(entropy(torch.tensor([0, 0, 1, 1, -1])), 4)
    0.6931
    """
    return float(torch.special.entr(_shares(codes)).sum())


def unlike(codes: Tensor) -> float:
    """The chance that two images drawn by lot have different labels: codes ``[N]``, −1 where unknown.

    >>> round(unlike(torch.tensor([0, 0, 1, 1, -1])), 4)
    0.5
    """
    return float(1 - _shares(codes).square().sum())


def _shares(codes: Tensor) -> Tensor:
    counts = codes[codes >= 0].bincount().double()
    return counts / counts.sum()
