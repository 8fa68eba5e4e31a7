"""AGNet's verification loss: cross-entropy of "one vehicle or two", with more weight on pairs that look alike.

Wang et al., "Attribute-guided Feature Learning Network for Vehicle Re-identification" (AGNet-ASL). The paper calls it
attribute-based label smoothing; with the one-hot targets of its eq. 6 it weights pairs and smooths no label.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses.multi_label import differs


def share_attributes(first: Tensor, second: Tensor, *, every: bool = True) -> Tensor:
    """Which pairs have the same attributes.

    Args:
        first, second: attribute codes ``[P, M]`` of the pairs' first and second images, −1 where one is missing.
        every: all of them, or at least one.

    Returns:
        ``[P]`` booleans; an attribute that is missing in either image is not shared, since it may differ.
    """
    apart, labelled = differs(first, second)
    shared = (apart == 0) & labelled
    return shared.all(1) if every else shared.any(1)


def pair_weights(same: Tensor, alike: Tensor, theta: float) -> Tensor:
    """ε of each pair (AGNet eq. 7): 1 − θ for one vehicle, θ for two that share their attributes, 0 for others.

    Args:
        same: ``[P]`` booleans, whether the pair shows one vehicle.
        alike: ``[P]`` booleans, whether it shares its attributes; without meaning where ``same`` holds.
        theta: θ in [0, 1].

    Returns:
        float64 ``[P]``.
    """
    return same.double() * (1 - theta) + (alike & ~same).double() * theta


def attribute_smoothing(
    logits: Tensor, same: Tensor, alike: Tensor, *, theta: float, beta: float, alpha: float
) -> Tensor:
    """AGNet's ALS loss of each pair (eq. 6): −log q − β ε log(α + q), q the probability of the pair's true class.

    With β = 0 it is the cross-entropy. With θ = 0 it is not, though the paper says so: ε is then 1 for each pair of
    one vehicle. Where q > 1 − α its second part is negative, so that the loss has −β ε log(1 + α) for its lower bound.

    Args:
        logits: ``[P, 2]``: of two vehicles, of one.
        same, alike: see :func:`pair_weights`.
        theta: θ in [0, 1].
        beta: β ≥ 0.
        alpha: α ≥ 0, which bounds how much a pair that is quite wrong can add.

    Returns:
        ``[P]``.

    >>> pair = torch.zeros(1, 2), torch.tensor([False]), torch.tensor([True])  # q = 1/2
    >>> attribute_smoothing(*pair, theta=0.5, beta=1.0, alpha=0.5)  # log 2 − ½ log 1
    tensor([0.6931])
    """
    log_q = F.log_softmax(logits, 1).gather(1, same.long()[:, None]).squeeze(1)
    log_alpha = log_q.new_full((), math.log(alpha) if alpha else -math.inf)
    weights = (beta * pair_weights(same, alike, theta)).to(log_q.dtype)
    return -log_q - weights * torch.logaddexp(log_q, log_alpha)
