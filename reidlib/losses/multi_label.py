"""MLSL's loss of labelled pairs, from elementwise distances to the contrastive loss of each attribute.

Alfasly et al., "Multi-Label-Based Similarity Learning for Vehicle Re-Identification", IEEE Access 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor

DISTANCES = ("absolute", "euclidean", "multiplication")


def pair_distance(first: Tensor, second: Tensor, distance: str) -> Tensor:
    """Elementwise difference of two images' features, the *vector scheme* (MLSL eq. 3, Table 6, Fig. 7a).

    Args:
        first, second: features ``[P, D]`` of the pairs' first and second images.
        distance: ``absolute`` ``|a − b|``, ``euclidean`` (a − b)², or ``multiplication`` a ⊙ b.

    Returns:
        ``[P, D]``, non-negative for the two differences.

    Raises:
        ValueError: the shapes differ, or the distance is unknown.
    """
    if first.shape != second.shape:
        raise ValueError(f"a pair's features differ in shape: {tuple(first.shape)} and {tuple(second.shape)}")
    if distance == "absolute":
        return (first - second).abs()
    if distance == "euclidean":
        return (first - second).square()
    if distance == "multiplication":
        return first * second
    raise ValueError(f"distance = {distance!r} is refused: allowed are {', '.join(DISTANCES)}")


def reduce_distance(vector: Tensor, distance: str) -> Tensor:
    """One number a pair from its elementwise distance, the *scalar scheme* (MLSL Table 6, Fig. 7b).

    Args:
        vector: output of :func:`pair_distance`, ``[..., D]``.
        distance: ``absolute`` gives ``Σ|a − b|``, ``euclidean`` ‖a − b‖₂, ``multiplication`` a · b.

    Returns:
        ``[..., 1]``; float32 for half precisions, whose sums overflow and whose slope at 0 is NaN.
    """
    total = (vector.float() if vector.dtype.itemsize < 4 else vector).sum(-1, keepdim=True)
    # The root's slope is infinite at 0, where the two images' features agree: stop just short of it.
    return total.clamp_min(1e-12).sqrt() if distance == "euclidean" else total


def contrastive(output: Tensor, differs: Tensor, margin: float) -> Tensor:
    """Contrastive loss of each pair and attribute (MLSL eq. 6, one term).

    (1 − Y) ½ d² + Y ½ max(0, margin − d)²

    Args:
        output: d, ``[P, M]``: outputs of the sigmoidal units in (0, 1), or plain distances ≥ 0.
        differs: Y, ``[P, M]``: 0 where the pair shares the attribute, 1 where it does not.
        margin: > 0, in units of ``output``.

    Returns:
        ``[P, M]``, ≥ 0.

    >>> contrastive(torch.tensor([[0.5], [0.5]]), torch.tensor([[0.0], [1.0]]), margin=0.75)
    tensor([[0.1250],
            [0.0312]])
    """
    pull = 0.5 * output.square()
    push = 0.5 * (margin - output).clamp_min(0).square()
    return torch.where(differs > 0, push, pull)


def differs(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Labels of pairs (MLSL section IV-C): Y = 0 where a pair shares an attribute, 1 where it does not.

    Args:
        first, second: label codes ``[P]`` or ``[P, M]``, −1 where a label is missing.

    Returns:
        Y as float, and whether both labels are there, without which Y means nothing; of the same shape.
    """
    return (first != second).float(), (first >= 0) & (second >= 0)


def masked_mean(values: Tensor, labelled: Tensor) -> Tensor:
    """Mean over the pairs that have the label, for each attribute: ``[P, M]`` → ``[M]``; 0 where none has it."""
    return (values * labelled).sum(0) / labelled.sum(0).clamp_min(1)
