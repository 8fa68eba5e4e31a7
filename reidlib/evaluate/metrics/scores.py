"""What an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RANKS = 50


@dataclass(frozen=True)
class Scores:
    """What an evaluation found, over all queries and for each.

    Attributes:
        mAP: mean of ``ap`` over the queries with a match, 0 to 1.
        cmc: share of these queries whose first match ranks at or before 1, 2, …, 50; shape ``[50]``, 0 to 1.
        ap: each query's average precision, 0 to 1; NaN where it has no match. Shape ``[Q]``.
        first: each query's rank of its first match, from 1, junk left out; 0 where it has no match. Shape ``[Q]``.
        unmatched: number of queries without a match; they are in no mean.
        draws: where the protocol draws its gallery several times, each draw's scores; ``mAP`` and ``cmc`` are then
            their means, and what is said of each query is the first draw's.
    """

    mAP: float
    cmc: np.ndarray
    ap: np.ndarray
    first: np.ndarray
    unmatched: int
    draws: tuple[Scores, ...] = ()

    @classmethod
    def of(cls, ap: np.ndarray, first: np.ndarray) -> Scores:
        """Scores from per-query results.

        Raises:
            ValueError: no query has a match.

        Example:
            >>> scores = Scores.of(np.array([1.0, 0.5, np.nan]), np.array([1, 2, 0]))
            >>> scores.mAP, scores.top(1), scores.top(2), scores.unmatched
            (0.75, 0.5, 1.0, 1)
        """
        matched = first > 0
        if not matched.any():
            raise ValueError(f"none of {len(first)} queries has a match in the gallery: check the vehicle labels")
        cmc = (first[matched, None] <= np.arange(1, RANKS + 1)).mean(0)
        return cls(float(ap[matched].mean()), cmc, ap, first, int((~matched).sum()))

    @classmethod
    def averaged(cls, draws: list[Scores]) -> Scores:
        """The mean of one or more draws' scores; a single one is returned as it is."""
        if len(draws) == 1:
            return draws[0]
        mean_ap, cmc = np.mean([scores.mAP for scores in draws]), np.mean([scores.cmc for scores in draws], axis=0)
        first = draws[0]
        return cls(float(mean_ap), cmc, first.ap, first.first, first.unmatched, tuple(draws))

    def top(self, k: int) -> float:
        """CMC at rank ``k``, 0 to 1.

        Raises:
            ValueError: ``k`` is not within 1 and 50.
        """
        if not 1 <= k <= RANKS:
            raise ValueError(f"top({k}): allowed are ranks 1 to {RANKS}")
        return float(self.cmc[k - 1])

    def deviation(self, metric: str) -> float:
        """Standard deviation over the draws (divided by their number less one) of ``mAP`` or ``top<k>``; NaN of one.

        Raises:
            ValueError: another metric.

        Example:
            >>> one, other = (Scores.of(np.array([1.0, ap]), np.array([1, 2])) for ap in (0.5, 0.1))
            >>> round(Scores.averaged([one, other]).deviation("mAP"), 4), one.deviation("top5")
            (0.1414, nan)
        """
        if metric != "mAP" and not (metric.startswith("top") and metric[3:].isdecimal()):
            raise ValueError(f"deviation of {metric!r}: allowed are mAP and top1 to top{RANKS}")
        values = [draw.mAP if metric == "mAP" else draw.top(int(metric[3:])) for draw in self.draws or (self,)]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
