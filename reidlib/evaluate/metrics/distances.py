"""Distances as a function of a slice of queries, so that plain and re-ranked distances are scored by one evaluator."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Distances = Callable[[slice], Tensor]
"""``distances(rows)`` gives a slice of queries' distances to the gallery: finite float32 or float64 ``[q, G]``."""

# With at least this many rows, MKL's matrix product gives a column the same bits wherever it stands, so that results
# depend neither on the gallery's order nor on the chunk; with fewer, other kernels are chosen, and they do.
MIN_ROWS = 64
STRIP = 64  # rows that terms are added to at once: few enough to stay in a core's cache for the second
FAR = 16  # squared distance from the origin over the squared spread, from which on features are moved to it


def euclidean(query: Tensor, gallery: Tensor, *, reuse: bool = False) -> Distances:
    """Squared Euclidean distances ‖q‖² + ‖g‖² − 2 q·g; the root is left out because it ranks the same.

    Rounding may turn a distance near 0 slightly negative; it is not clipped, as that would make ties. Features that lie
    far from the origin for how far they lie apart are moved to it first, since the difference of so large terms would
    be little but rounding; that changes no distance.

    Args:
        query: float32 or float64 ``[Q, D]``.
        gallery: of the same type and device, ``[G, D]``.
        reuse: write each call's result over the last one's, which saves the time to fetch fresh memory.

    Raises:
        ValueError: no rows, widths that differ, or features that are not finite.

    Example:
        >>> euclidean(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 0.0], [0.0, 3.0]]))(slice(0, 1))
        tensor([[25.,  0.]])
    """
    query_norms, gallery_norms = _squared_norms(query, "query"), _squared_norms(gallery, "gallery")
    if query.shape[1] == gallery.shape[1] and (centre := _far_centre(gallery, gallery_norms)) is not None:
        query, gallery = query - centre, gallery - centre
        query_norms, gallery_norms = _squared_norms(query, "query"), _squared_norms(gallery, "gallery")
    return _products(query, gallery, query_norms, gallery_norms, factor=-2, reuse=reuse)


def cosine(query: Tensor, gallery: Tensor, *, reuse: bool = False) -> Distances:
    """Cosine distances 1 − q·g / (‖q‖ ‖g‖), from 0 to 2; 1 for a vector of zeros.

    Arguments and errors are those of :func:`euclidean`.
    """
    query = query * _inverse_roots(_squared_norms(query, "query"))
    gallery = gallery * _inverse_roots(_squared_norms(gallery, "gallery"))
    return _products(query, gallery, query.new_ones(len(query), 1), gallery.new_zeros(len(gallery), 1), -1, reuse)


def quadratic(query: Tensor, gallery: Tensor, own: Tensor, across: Tensor, *, reuse: bool = False) -> Distances:
    """Quadratic forms xᵀ O x + yᵀ O y + 2 xᵀ C y of a query x and a gallery item y; squared Euclidean: O = I, C = −I.

    Args:
        query: float32 or float64 ``[Q, D]``.
        gallery: of the same type and device, ``[G, D]``.
        own: O, ``[D, D]``.
        across: C, ``[D, D]``.
        reuse: see :func:`euclidean`.

    Raises:
        ValueError: what :func:`euclidean` refuses.
    """
    for features, side in ((query, "query"), (gallery, "gallery")):
        _squared_norms(features, side)
    terms = [((side @ own) * side).sum(1, keepdim=True) for side in (query, gallery)]
    return _products(query @ across, gallery, *terms, factor=2, reuse=reuse)  # type: ignore[arg-type, misc]


def _products(
    query: Tensor, gallery: Tensor, query_term: Tensor, gallery_term: Tensor, factor: float, reuse: bool
) -> Distances:
    """The function ``query_term [Q, 1] + gallery_term [G, 1]ᵀ + factor · query galleryᵀ`` of a slice of queries."""
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"query features have {query.shape[1]} columns, gallery features {gallery.shape[1]}")
    query, gallery = query.detach() * factor, gallery.detach()
    kept, copies = _distinct(gallery)
    if copies is not None:
        gallery, gallery_term = gallery[kept], gallery_term[kept]
    memory = gallery.new_empty(0, len(gallery))

    def distances(rows: slice) -> Tensor:
        nonlocal memory
        term, block = query_term[rows], _filled_up(query[rows])
        if not reuse or len(memory) < len(block):
            memory = gallery.new_empty(len(block), len(gallery))
        result = torch.mm(block, gallery.T, out=memory[: len(block)])[: len(term)]
        for strip, own in zip(result.split(STRIP), term.split(STRIP), strict=True):
            strip.add_(gallery_term.T).add_(own)
        return result if copies is None else result[:, copies]

    return distances


def _squared_norms(features: Tensor, side: str) -> Tensor:
    """|x|² of each row, ``[N, 1]``; refuses what no distance can be computed from."""
    if features.ndim != 2 or not len(features) or features.dtype not in (torch.float32, torch.float64):
        kind = f"{features.dtype} {tuple(features.shape)}"
        raise ValueError(f"{side} features are {kind}: needed are float32 or float64 [N, D] with N > 0")
    norms = torch.cat([(part * part).sum(1, keepdim=True) for part in features.detach().split(STRIP)])
    if bad := (~norms.isfinite()).nonzero()[:, 0].tolist():
        raise ValueError(
            f"{side} features are not finite in {len(bad)} of {len(features)} rows, first in rows {bad[:10]}"
        )
    return norms


def _far_centre(features: Tensor, norms: Tensor) -> Tensor | None:
    """A point near the features' mean, ``[D]``, if that is far from the origin for their spread; else None.

    The point's coordinates are whole multiples of a power of two about as large as the spread: moving features that lie
    on a coarse grid themselves rounds nothing off, so that their ties stay ties.

    Args:
        features: ``[N, D]``.
        norms: their squared norms, ``[N, 1]``.
    """
    features = features.detach()
    mean = torch.mv(features.T, features.new_full((len(features),), 1 / len(features)))
    if float(mean.double().square().sum()) * (FAR + 1) <= float(norms.double().mean()) * FAR:
        return None
    spread = math.sqrt(sum(float((part - mean).double().square().sum()) for part in features.split(STRIP)))
    spread /= math.sqrt(features.numel())
    step = 2.0 ** math.floor(math.log2(spread)) if spread > 0 else 0.0
    return (mean / step).round() * step if step > 0 and (mean / step).isfinite().all() else None


def _inverse_roots(squares: Tensor) -> Tensor:
    """1 / √x, and 0 at 0."""
    return torch.where(squares > 0, squares.rsqrt(), 0.0)


def _filled_up(block: Tensor) -> Tensor:
    """The block with rows of zeros below it, up to :data:`MIN_ROWS`."""
    missing = MIN_ROWS - len(block)
    return block if missing <= 0 else torch.cat([block, block.new_zeros(missing, block.shape[1])])


def _distinct(gallery: Tensor) -> tuple[Tensor, Tensor | None]:
    """Indices of the gallery's distinct rows, and each item's place among them (None where no row is repeated).

    A matrix product may give two equal columns different last bits, by their place in its blocks. Computing each
    distinct row once makes ties of equal features exact on every machine, so that a collapsed model cannot be lucky.
    Only rows that agree in a few columns, told by an integer hash, are compared in full.
    """
    step = -(-gallery.shape[1] // 16) or 1
    few = (gallery[:, ::step].double() + 0.0).cpu().numpy().view(np.int64)  # adding 0 turns −0 into 0
    weights = np.random.default_rng(0).integers(2**62, size=few.shape[1]) * 2 + 1
    _, hashed, count = np.unique((few * weights).sum(1), return_inverse=True, return_counts=True)
    origin = np.arange(len(gallery))
    if len(suspects := np.flatnonzero(count[hashed] > 1)):
        rows = np.ascontiguousarray((gallery[torch.from_numpy(suspects)] + 0.0).cpu().numpy())
        _, first, same = np.unique(rows.view(f"V{rows[0].nbytes}")[:, 0], return_index=True, return_inverse=True)
        origin[suspects] = suspects[first][same]
    kept, copies = np.unique(origin, return_inverse=True)
    on = gallery.device
    return torch.from_numpy(kept).to(on), None if len(kept) == len(gallery) else torch.from_numpy(copies).to(on)
