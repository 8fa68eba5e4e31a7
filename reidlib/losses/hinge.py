"""What the losses of relative distances share: squared distances of every pair, and the hinge that compares two."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distances ‖a‖² + ‖b‖² − 2 a·b of every pair of two sets, by one matrix product.

    At least float32, also where the caller computes in half precision: the terms of near pairs cancel. Rounding may
    still turn a distance near 0 slightly negative (by about 1e-7 for unit-length features in float32); it is not
    clipped, which would take its slope away.

    Args:
        first: features ``[..., P, D]``.
        second: features ``[..., N, D]``.

    Returns:
        ``[..., P, N]``.

    >>> squared_distances(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 0.0], [0.0, 3.0]]))
    tensor([[25.,  0.]])
    """
    with torch.autocast(first.device.type, enabled=False):
        kind = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
        first, second = first.to(kind), second.to(kind)
        norms = first.square().sum(-1).unsqueeze(-1) + second.square().sum(-1).unsqueeze(-2)
        return norms - 2 * first @ second.mT


def hinge(near: Tensor, far: Tensor, margin: float) -> Tensor:
    """[near + margin − far]₊, elementwise: 0 as soon as ``far`` exceeds ``near`` by the margin, linear before.

    Args:
        near: distances of what belongs together.
        far: distances of what does not, of a shape that broadcasts with ``near``'s.
        margin: >= 0, in units of the distances.

    Raises:
        ValueError: the margin is negative or not a number.
    """
    if not margin >= 0:
        raise ValueError(f"margin = {margin} is refused: allowed are numbers >= 0")
    return (near - far + margin).clamp_min(0)
