"""Scores of an evaluation: over all queries, for each, and over draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

RANKS = 50
DEPTH = 100  # of mAP@100


@dataclass(frozen=True)
class Scores:
    """Scores of an evaluation, over all queries and for each.

    Attributes:
        mAP: mean of ``ap`` over the queries with a match, 0 to 1.
        cmc: share of these queries whose first match ranks at or before 1, 2, …, 50; shape ``[50]``, 0 to 1.
        ap: each query's average precision, 0 to 1; NaN where it has no match. Shape ``[Q]``.
        first: each query's rank of its first match, from 1, junk left out; 0 where it has no match. Shape ``[Q]``.
        unmatched: number of queries without a match; they are in no mean.
        draws: where the protocol draws its gallery several times, each draw's scores; ``mAP`` and ``cmc`` are then
            their means, and what is said of each query is the first draw's.
        inp: each query's inverse negative penalty (the package's head), 0 to 1; NaN where it has no match. ``[Q]``.
        ap100: each query's AP over the first 100 results, divided by all its matches; NaN as above. ``[Q]``.
    """

    mAP: float
    cmc: np.ndarray
    ap: np.ndarray
    first: np.ndarray
    unmatched: int
    draws: tuple[Scores, ...] = ()
    inp: np.ndarray | None = None
    ap100: np.ndarray | None = None

    @classmethod
    def of(
        cls, ap: np.ndarray, first: np.ndarray, *, inp: np.ndarray | None = None, ap100: np.ndarray | None = None
    ) -> Scores:
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
        return cls(float(ap[matched].mean()), cmc, ap, first, int((~matched).sum()), inp=inp, ap100=ap100)

    @classmethod
    def averaged(cls, draws: list[Scores]) -> Scores:
        """The mean of one or more draws' scores; a single one is returned as it is."""
        if len(draws) == 1:
            return draws[0]
        mean_ap, cmc = np.mean([scores.mAP for scores in draws]), np.mean([scores.cmc for scores in draws], axis=0)
        return replace(draws[0], mAP=float(mean_ap), cmc=cmc, draws=tuple(draws))

    @property
    def mINP(self) -> float:
        """Mean inverse negative penalty of the queries with a match, 0 to 1; over the draws where there are several."""
        return self._mean("inp")

    @property
    def mAP100(self) -> float:
        """Mean AP of their first 100 results; the same."""
        return self._mean("ap100")

    def _mean(self, name: str) -> float:
        """Mean of a per-query result over the queries with a match, then over the draws; NaN where it is not there."""
        values = [(getattr(draw, name), draw.first > 0) for draw in self.draws or (self,)]
        return float(np.mean([np.nan if value is None else value[matched].mean() for value, matched in values]))

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
            >>> first, second = (Scores.of(np.array([1.0, ap]), np.array([1, 2])) for ap in (0.5, 0.1))
            >>> round(Scores.averaged([first, second]).deviation("mAP"), 4), first.deviation("top5")
            (0.1414, nan)
        """
        if metric != "mAP" and not (metric.startswith("top") and metric[3:].isdecimal()):
            raise ValueError(f"deviation of {metric!r}: allowed are mAP and top1 to top{RANKS}")
        values = [draw.mAP if metric == "mAP" else draw.top(int(metric[3:])) for draw in self.draws or (self,)]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
