"""Scores from distances and labels; the rules and equations are at the package's head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlib.evaluate.metrics.counting import count
from reidlib.evaluate.metrics.distances import MIN_ROWS, Distances
from reidlib.evaluate.metrics.scores import DEPTH, Scores

TIES = ("pessimistic", "sklearn")
DIVISORS = ("matches", "found")
CHUNK = 2**25  # distances at once, 128 MiB in float32; a slot costs about as much memory as 16 of them
ROWS = 1024  # queries at once; more do not make the matrix product faster

Slots = tuple[np.ndarray, np.ndarray]
"""A few gallery indices for each of some queries, filled up to one width, and which slots are valid; ``[q, slots]``."""


@dataclass(frozen=True)
class Relevance:
    """Which gallery items are a query's matches and which are junk, told by integer codes rather than by a Q × G table.

    A gallery item is *junk* for a query, and then counts as absent, if their junk codes are equal; else it is a *match*
    if their identities are equal. A negative code equals nothing.

    Attributes:
        query, gallery: identity codes, shapes ``[Q]`` and ``[G]``.
        query_junk, gallery_junk: junk codes of the same shapes; None where the protocol has no junk.

    Raises:
        ValueError: codes that are no integers, no query, no gallery item, or junk codes of another length.
    """

    query: np.ndarray
    gallery: np.ndarray
    query_junk: np.ndarray | None = None
    gallery_junk: np.ndarray | None = None

    def __post_init__(self) -> None:
        for side in ("query", "gallery"):
            codes = _codes(getattr(self, side), f"{side} codes")
            if codes.ndim != 1 or not len(codes):
                raise ValueError(f"{side} codes have shape {codes.shape}: at least one {side} item is needed, as [N]")
            junk = getattr(self, f"{side}_junk")
            junk = np.full(len(codes), -1) if junk is None else _codes(junk, f"{side} junk codes")
            if junk.shape != codes.shape:
                raise ValueError(f"{side} junk codes have shape {junk.shape}, but the {side} codes {codes.shape}")
            object.__setattr__(self, side, codes)
            object.__setattr__(self, f"{side}_junk", junk)


def _codes(values: Any, name: str) -> np.ndarray:
    """Codes as int64; refuses what a cast would change, such as 1.7 or a hash beyond 63 bits."""
    codes = np.asarray(values)
    if codes.size and (codes.dtype.kind not in "iu" or int(codes.max()) > np.iinfo(np.int64).max):
        example = codes.max() if codes.dtype.kind == "u" else codes.flat[0]
        raise ValueError(f"{name} are {codes.dtype}, such as {example!r}: needed are integers of 64 bits with a sign")
    return codes.astype(np.int64)


def score(
    distances: Distances,
    relevance: Relevance,
    *,
    ties: str = "pessimistic",
    depth: int | None = None,
    divisor: str = "matches",
    chunk: int | None = None,
) -> Scores:
    """CMC and mAP of queries against a gallery, exact under the chosen rule for ties.

    Args:
        distances: plain (:func:`~reidlib.evaluate.metrics.euclidean`, :func:`~reidlib.evaluate.metrics.cosine`) or
            re-ranked. Only their order matters.
        relevance: matches and junk.
        ties: ``"pessimistic"`` or ``"sklearn"``, see the package's head.
        depth: results that count towards AP, at least 1: a match that ranks later adds nothing. CMC and ``first`` know
            no such limit. Default: the whole gallery.
        divisor: what AP's sum is divided by: ``"matches"``, all of the query's, or ``"found"``, those within ``depth``
            (AP is then 0 where none is).
        chunk: queries at once, at least 1; the result does not depend on it. Default: what fits 128 MiB of distances.

    Raises:
        ValueError: unknown ``ties`` or ``divisor``; ``depth`` below 1; distances of the wrong shape or not finite; no
            query has a match.

    Example:
        >>> from reidlib.evaluate.metrics import euclidean
        >>> query, gallery = torch.tensor([[0.0]]), torch.tensor([[1.0], [2.0], [3.0], [4.0]])
        >>> score(euclidean(query, gallery), Relevance([7], [7, 8, 8, 7])).mAP  # (1/1 + 2/4) / 2
        0.75
    """
    if ties not in TIES:
        raise ValueError(f"ties={ties!r}: allowed are {', '.join(TIES)}")
    if divisor not in DIVISORS:
        raise ValueError(f"divisor={divisor!r}: allowed are {', '.join(DIVISORS)}")
    if depth is not None and depth < 1:
        raise ValueError(f"depth={depth!r}: allowed are 1 and more, or None for the whole gallery")
    queries, gallery = len(relevance.query), len(relevance.gallery)
    matches = _Lists.of(relevance.query, relevance.gallery)
    junk = _Lists.of(relevance.query_junk, relevance.gallery_junk)  # type: ignore[arg-type]
    fitting = CHUNK // (gallery + 16 * int(matches.count.max() + junk.count.max()))
    most = chunk or min(max(MIN_ROWS, fitting), ROWS)
    even = -(-queries // -(-queries // most))  # a small last chunk would be slow
    results = []
    for start in range(0, queries, even):
        rows = slice(start, min(start + even, queries))
        columns, valid = matches.slots(rows)
        codes = relevance.gallery_junk[columns]  # type: ignore[index]
        valid &= (codes < 0) | (codes != relevance.query_junk[rows, None])  # type: ignore[index]
        block = _shaped(distances(rows), rows, gallery)
        per_query, finite = _score_block(block, (columns, valid), junk.slots(rows), ties, depth, divisor)
        _refuse_unless(finite, rows)
        results.append(per_query)
    ap, first, inp, ap100 = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return Scores.of(ap, first, inp=inp, ap100=ap100)


def ranked(
    distances: Distances, relevance: Relevance, queries: np.ndarray, k: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest gallery items of a few queries, junk left out: what a retrieval strip shows.

    At equal distance the non-matches come first, as in the scores, then the order of the gallery.

    Args:
        distances: see :func:`score`.
        relevance: matches and junk.
        queries: indices of the queries, ``[n]``.
        k: items a query.

    Returns:
        Gallery indices (−1 where fewer than ``k`` items are left), distances (NaN there) and whether each item is a
        match; each ``[n, k]``.
    """
    index, distance = np.full((len(queries), k), -1), np.full((len(queries), k), np.nan)
    match = np.zeros((len(queries), k), dtype=bool)
    for row, query in enumerate(queries):
        rows = slice(int(query), int(query) + 1)
        values = _shaped(distances(rows), rows, len(relevance.gallery))[0].double().cpu().numpy()
        _refuse_unless(bool(np.isfinite(values).all()), rows)
        junk, code = relevance.query_junk[query], relevance.query[query]  # type: ignore[index]
        matches = (relevance.gallery == code) & (code >= 0)
        order = np.lexsort((matches, values))
        order = order[(junk < 0) | (relevance.gallery_junk[order] != junk)][:k]  # type: ignore[index]
        index[row, : len(order)], distance[row, : len(order)] = order, values[order]
        match[row, : len(order)] = matches[order]
    return index, distance, match


@dataclass(frozen=True)
class _Lists:
    """Each query's gallery items of the same code: ``order[start[q] : start[q] + count[q]]``."""

    order: np.ndarray
    start: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, query: np.ndarray, gallery: np.ndarray) -> _Lists:
        order = np.argsort(gallery, kind="stable")
        start, stop = (np.searchsorted(gallery[order], query, side) for side in ("left", "right"))
        return cls(order, start, np.where(query < 0, 0, stop - start))

    def slots(self, rows: slice) -> Slots:
        """The lists of a slice of queries, at least one slot wide."""
        steps = np.arange(max(1, self.count[rows].max()))
        positions = np.minimum(self.start[rows, None] + steps, len(self.order) - 1)
        return self.order[positions], steps < self.count[rows, None]


def _shaped(block: Tensor, rows: slice, gallery: int) -> Tensor:
    """Distances of the right kind and shape."""
    expected = (rows.stop - rows.start, gallery)
    if tuple(block.shape) != expected or block.dtype not in (torch.float32, torch.float64):
        kind = f"{block.dtype} {tuple(block.shape)}"
        raise ValueError(f"{_name(rows)} are {kind}: the labels ask for float32 or float64 {expected}")
    return block.detach().contiguous()


def _refuse_unless(finite: bool, rows: slice) -> None:
    if not finite:
        raise ValueError(f"{_name(rows)} are not all finite (NaN or infinity)")


def _name(rows: slice) -> str:
    return f"distances of queries {rows.start} to {rows.stop - 1}"


def _score_block(
    block: Tensor, matches: Slots, junk: Slots, ties: str, depth: int | None, divisor: str
) -> tuple[tuple[np.ndarray, ...], bool]:
    """AP, first rank, INP and AP at depth 100 of each query of a block ``[q, G]``: the equations at the package's head.

    And whether its distances are finite; if not, the others mean nothing.
    """
    thresholds, number = _ascending_at(block, *matches)
    left_out, _ = _ascending_at(block, *junk)
    level = torch.searchsorted(thresholds, thresholds, right=True)  # m_k, [q, m]
    below, finite = count(block, thresholds, number)
    near = below - torch.searchsorted(left_out, thresholds, right=True)  # m_k + n_k
    slot = torch.arange(thresholds.shape[1], device=block.device)
    place = slot + 1 if ties == "pessimistic" else level  # k or m_k
    rank = place + near - level
    precision = place.double() / rank
    of_match = slot < number[:, None]

    def ap(depth: int | None, divisor: str) -> Tensor:
        counted = of_match if depth is None else of_match & (rank <= depth)
        divided = number if divisor == "matches" else counted.sum(1).clamp(min=1).where(number > 0, 0)
        return precision.where(counted, 0.0).sum(1) / divided  # 0 / 0 is the NaN of a query without a match

    first = torch.where(number > 0, 1 + near[:, 0] - level[:, 0], 0)
    last = (near - level).masked_fill(~of_match, 0).amax(1)  # non-matches that rank before the last match
    results = ap(depth, divisor), first, number / (number + last), ap(DEPTH, "matches")
    return tuple(values.cpu().numpy() for values in results), finite


def _ascending_at(block: Tensor, columns: np.ndarray, valid: np.ndarray) -> tuple[Tensor, Tensor]:
    """Distances at the valid slots, ascending and filled up with infinity, ``[q, m]``, and their number, ``[q]``."""
    columns, valid = torch.from_numpy(columns).to(block.device), torch.from_numpy(valid).to(block.device)  # type: ignore[assignment]
    return block.gather(1, columns).masked_fill_(~valid, torch.inf).sort(1).values, valid.sum(1)  # type: ignore[call-overload]
