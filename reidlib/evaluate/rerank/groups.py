"""Group re-ranking: near queries share a feature, a near gallery image brings its track.

Multi-guided learning (AI City Challenge 2020, team 44), §3.3. The paper has one threshold θ; each of the two functions
here has its own. Both are Euclidean distances.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from reidlib.evaluate import metrics
from reidlib.evaluate.metrics import Distances
from reidlib.evaluate.rerank.units import ROWS, at_least_zero


def query_groups(query: Tensor, threshold: float) -> np.ndarray:
    """Which group each query is of, ``[Q]``: codes from 0 in the order of the groups' first queries.

    Two queries are of one group if a chain of queries joins them, each closer than ``threshold`` to the next; that
    is the least grouping that parts no two queries closer than θ.

    Raises:
        ValueError: a negative threshold; features that no distance can be computed from.

    Example:
        >>> query_groups(torch.tensor([[0.0], [9.0], [1.0], [2.0]]), threshold=1.5).tolist()
        [0, 1, 0, 0]
    """
    at_least_zero(threshold=threshold)
    squares = metrics.euclidean(query, query, reuse=True)
    every = np.arange(len(query))
    groups = every
    for start in range(0, len(query), ROWS):
        rows = slice(start, min(start + ROWS, len(query)))
        # A distance rounded below 0 is not below a threshold of 0.
        near = (squares(rows).clamp(min=0) < threshold**2).nonzero().cpu().numpy().T
        # So far joined: each query with the first of its group. That keeps the edges few, however large θ is.
        first = np.unique(groups, return_index=True)[1][groups]
        ends = np.r_[near[0] + start, every], np.r_[near[1], first]
        edges = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(len(query), len(query)))
        groups = connected_components(edges, directed=False)[1]
    first, group = np.unique(groups, return_index=True, return_inverse=True)[1:]
    return np.argsort(np.argsort(first))[group]


def group_means(query: Tensor, threshold: float) -> Tensor:
    """Query features with each replaced by its group's mean, ``[Q, D]``; a query without near ones keeps its own.

    Groups are those of :func:`query_groups`, with whose arguments and errors.
    """
    groups = torch.from_numpy(query_groups(query, threshold)).to(query.device)
    # In double precision, so that the mean of one feature, or of equal ones, is that very feature.
    sums = query.new_zeros(int(groups.max()) + 1, query.shape[1], dtype=torch.float64)
    sums.index_add_(0, groups, query.detach().double())
    return (sums / groups.bincount()[:, None])[groups].to(query.dtype)


def insert_tracks(
    distances: Distances, tracks: np.ndarray, threshold: float, *, near: Distances | None = None
) -> Distances:
    """Places in the ranking in which a near gallery image brings the images of its track in right after it.

    The ranking by distance d is walked down. An image with e < θ is followed by all images of its track that are not
    yet placed, nearest first. So the result orders a query's gallery images by (a, d): first by a, then by d, with::

        a(i, j) = min {d(i, j); d(i, k) : k of the track of j, e(i, k) < θ}

    The distance returned is the image's place in that order: the number of gallery images before it, which is exact
    (no number between neighbouring distances has to be found) and keeps ties: images equal in a and d have one place.
    It is therefore the last step of a composition; distances are no more to be had from it.

    Args:
        distances: d, of the ranking.
        tracks: the gallery's track codes, ``[G]``; a negative one is a track of its own.
        threshold: θ, at least 0; 0 (or anything below the least distance) leaves the ranking as it is.
        near: e, in the unit of θ (the paper: Euclidean); None: d itself.

    Returns:
        float32 (float64 for a gallery beyond 2²⁴ images) places from 0.

    Raises:
        ValueError: a negative threshold; no gallery image has a track; (when called) a gallery of another size.
    """
    at_least_zero(threshold=threshold)
    codes = np.asarray(tracks, dtype=np.int64)
    if codes.ndim != 1 or not (codes >= 0).any():
        raise ValueError("group re-ranking needs 'track_id', which no gallery image has: leave it out, or name tracks")
    codes = np.where(codes >= 0, codes, codes.max() + 1 + np.arange(len(codes)))
    own, of = np.unique(codes, return_inverse=True)
    index = torch.from_numpy(of)

    def places(rows: slice) -> Tensor:
        old = distances(rows)
        if old.shape[1] != len(index):
            raise ValueError(f"track codes of {len(index)} gallery images, but distances to {old.shape[1]}")
        on = index.to(old.device)
        bringing = old.where((old if near is None else near(rows)) < threshold, torch.inf)
        first = old.new_full((len(old), len(own)), torch.inf).scatter_reduce_(1, on.expand_as(old), bringing, "amin")
        return _places(first[:, on].minimum(old), old)

    return places


def _places(first: Tensor, second: Tensor) -> Tensor:
    """How many of a row's items come before each in the order by (first, second); ``[q, G]``."""
    order = second.argsort(dim=1, stable=True)
    order = order.gather(1, first.gather(1, order).argsort(dim=1, stable=True))
    steps = torch.arange(order.shape[1], device=order.device).repeat(len(order), 1)
    first, second = first.gather(1, order), second.gather(1, order)
    changed = (first[:, 1:] != first[:, :-1]) | (second[:, 1:] != second[:, :-1])
    steps[:, 1:] *= changed  # the start of each run of equal items, and 0 within it
    dtype = torch.float32 if order.shape[1] <= 2**24 else torch.float64
    starts = steps.cummax(1).values.to(dtype)
    return torch.empty_like(starts).scatter_(1, order, starts)
