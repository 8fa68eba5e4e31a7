"""The unit in which penalties and thresholds are said: Euclidean distance, and its mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reidlib.evaluate.metrics import Distances

ROWS = 256  # queries at once


def rooted(distances: Distances) -> Distances:
    """Euclidean distances from squared ones, which :func:`reidlib.evaluate.metrics.euclidean` gives.

    The result is float64: a float32 root would let neighbouring squares fall together and make ties. Squares that
    rounding turned slightly negative stay so, −√|d|, and keep their order.

    Example:
        >>> rooted(lambda rows: torch.tensor([[9.0, 16.0]])[rows])(slice(0, 1))
        tensor([[3., 4.]], dtype=torch.float64)
    """

    def lengths(rows: slice) -> Tensor:
        squares = distances(rows)
        return squares.abs().double().sqrt_().copysign_(squares)

    return lengths


def mean_distance(distances: Distances, queries: int) -> float:
    """The mean over all pairs of a query and a gallery image, in one pass over the distances.

    Args:
        distances: plain or re-ranked.
        queries: their number, at least 1.

    Raises:
        ValueError: no queries, or a mean that is not finite.
    """
    if queries < 1:
        raise ValueError(f"a mean over {queries} queries: at least one query is needed")
    total, pairs = 0.0, 0
    for start in range(0, queries, ROWS):
        block = distances(slice(start, min(start + ROWS, queries)))
        total += float(block.sum(dtype=torch.float64))
        pairs += block.numel()
    if not math.isfinite(total):
        raise ValueError("the distances are not all finite (NaN or infinity), so they have no mean")
    return total / pairs


def check_size(block: Tensor, what: str, rows: slice, queries: int, gallery: int) -> None:
    """Refuse a block of distances that is not of these rows of as many queries and of as large a gallery."""
    expected = len(range(*rows.indices(queries))), gallery
    if tuple(block.shape) != expected:
        raise ValueError(f"distances are {tuple(block.shape)}, but {what} of these rows and the gallery {expected}")


def at_least_zero(**values: float) -> None:
    """Refuse a weight, penalty or threshold that is negative or not finite, by its name."""
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} = {value!r} is refused: allowed are finite numbers from 0")
