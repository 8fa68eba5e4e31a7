"""What records say of a claim: differences paired by seed, their intervals and p-values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from scipy import stats

from reidpapers.run import imagenet
from reidpapers.run.records import Record
from reidpapers.run.release import not_the_release
from reidpapers.show.claims import (
    FRESHNESS,
    LEAST,
    LEVEL,
    MIN_SEEDS,
    MIN_WORLDS,
    Claim,
    Difference,
    Origin,
    Verdict,
    Word,
    common,
    interval,
    origin,
    score,
)
from reidpapers.show.sides import rows_of, value_of

ByOrigin = Mapping[Origin, Mapping[int, Record]]  # a row's records
Rows = Mapping[str, Mapping[int, Record]]  # one origin's records by row and seed


def judge(claim: Claim, runs: Mapping[str, Sequence[Record]]) -> Verdict:
    """The verdict on a claim from the records of each row.

    Differences are paired by seed, within one :func:`origin`: a record is never paired with one of another processor,
    device or dataset, nor one whose trunk began with other ImageNet weights than the same trunk of the other's. Where
    several origins hold all rows, the one with the most common seeds speaks, and what it leaves out is counted. Two
    rows that no processor has both of are compared without pairs. At least :data:`MIN_SEEDS` seeds are needed. What is
    claimed of a dataset is held against its release alone. A claim over several rows is reproduced if every pair is,
    contradicted if any is.

    Args:
        claim: the claim.
        runs: records by row name; a missing row is a row without runs.

    Raises:
        ValueError: two records of one row share seed and origin, so that pairing would be a choice.
    """
    groups = {
        name: _grouped(name, [run for run in runs.get(name, ()) if _is_about(claim, run)])
        for side in (claim.better, *claim.rivals) for name in rows_of(side)
    }  # fmt: skip
    first = rows_of(claim.better)[0]
    group = max(sorted(groups[first]), key=lambda group: _support(claim, _of_group(groups, group)), default=None)
    rows = _of_group(groups, group)
    dataset = next((record.data["name"] for record in rows[first].values()), None)
    foreign = next(filter(None, map(not_the_release, rows[first].values())), "")
    margin = claim.within or (claim.margin if dataset == claim.margin_dataset and not foreign else 0.0)
    pairs = tuple(_difference(claim, rival, rows, margin) for rival in claim.rivals)
    left_out = sum(len(by_seed) for by_group in groups.values() for by_seed in by_group.values())
    left_out -= sum(map(len, rows.values()))
    if claim.printed is None and left_out and not any(pair.measured for pair in pairs):
        apart = [_unpaired(claim, rival, groups, margin) for rival in claim.rivals]
        pairs, left_out = (tuple(apart), 0) if all(pair.measured for pair in apart) else (pairs, left_out)
    used = [record for pair in pairs for record in pair.records]
    worst = max((record.freshness for record in used), key=FRESHNESS.index, default="fresh")
    where = (used[0].device["type"], dataset) if used else (None, None)
    return Verdict(
        claim, together(pair.word for pair in pairs), pairs, margin, *where, worst, left_out, foreign if used else ""
    )


def _is_about(claim: Claim, record: Record) -> bool:
    """Whether a claim is about a record's data: any, or the release of the claim's dataset."""
    return claim.dataset is None or (claim.dataset == record.data["name"] and not not_the_release(record))


def _grouped(row: str, records: Iterable[Record]) -> dict[Origin, dict[int, Record]]:
    """One row's records by origin, then by seed."""
    groups: dict[Origin, dict[int, Record]] = defaultdict(dict)
    for record in records:
        group = origin(record)
        if record.seed in groups[group]:
            where = f"seed {record.seed} on {group[0]} {group[1]}, data {group[2][:12]}"
            raise ValueError(f"row {row!r} has two records of {where}: pass one of them")
        groups[group][record.seed] = record
    return dict(groups)


def _of_group(groups: Mapping[str, ByOrigin], group: Origin | None) -> Rows:
    return {name: by_group.get(group, {}) for name, by_group in groups.items()}  # type: ignore[call-overload]


def _support(claim: Claim, rows: Rows) -> tuple[int, int]:
    """How many seeds a group's rows have in common for the claim's weakest pair, then over all pairs."""
    shared = [len(_seeds((claim.better, rival), rows)) for rival in claim.rivals]
    return min(shared), sum(shared)


def _seeds(sides: Iterable[str], rows: Rows) -> set[int]:
    """Seeds that all rows behind some sides have in common."""
    first, *others = [rows[name] for side in sides for name in rows_of(side)]
    return set(first).intersection(*(common(first, other) for other in others))


def _difference(claim: Claim, rival: str, rows: Rows, margin: float) -> Difference:
    """One pair of sides: mean difference, interval and word."""
    sides = (claim.better,) if claim.printed is not None else (claim.better, rival)
    seeds = tuple(sorted(_seeds(sides, rows)))
    used = tuple(rows[name][seed] for side in sides for name in rows_of(side) for seed in seeds)
    if len(seeds) < _least(claim, used):
        return Difference(claim.better, rival, np.nan, np.nan, np.nan, seeds, "not run", records=used)

    def points(side: str, seed: int) -> float:
        return value_of(side, [score(rows[name][seed], claim.metric) for name in rows_of(side)])

    beaten = {s: points(rival, s) if claim.printed is None else claim.printed for s in seeds}
    differences = [points(claim.better, s) - beaten[s] for s in seeds]
    mean, half = interval(differences)
    error, freedom = float(np.std(differences, ddof=1)) / len(seeds) ** 0.5, len(seeds) - 1
    ends, ours = _ends(claim, mean, error, freedom, margin), len(rows_of(claim.better)) * len(seeds)
    low, high = mean - half, mean + half
    return _worded(claim, Difference(claim.better, rival, mean, low, high, seeds, "open", True, used, *ends, ours))


def _least(claim: Claim, records: Iterable[Record]) -> int:
    """How many replicates a difference needs."""
    return claim.replicates or (MIN_WORLDS if any("worlds" in record.data for record in records) else MIN_SEEDS)


def _ends(claim: Claim, mean: float, error: float, freedom: float, margin: float) -> tuple[float, float]:
    """One-sided p-values: that a difference speaks for the claim, and that it speaks against it."""
    if claim.within:
        return _tail(margin - mean, error, freedom), _tail(mean - margin, error, freedom)
    return _tail(mean - margin, error, freedom), _tail(-mean, error, freedom)


def _tail(excess: float, error: float, freedom: float) -> float:
    """The chance of an excess as large, if there were none."""
    if not error:
        return 0.0 if excess > 0 else 1.0
    return float(stats.t.sf(excess / error, freedom))


def _unpaired(claim: Claim, rival: str, groups: Mapping[str, ByOrigin], margin: float) -> Difference:
    """Two rows of one device type and dataset, but of two processors: Welch's interval."""
    places = [
        ((), ()),
        *((tuple(mine.values()), tuple(theirs.values()))
          for a, mine in groups.get(claim.better, {}).items() for b, theirs in groups.get(rival, {}).items()
          if (a[0], a[2]) == (b[0], b[2]) and _begin_alike(mine.values(), theirs.values())),
    ]  # fmt: skip
    mine, theirs = max(places, key=lambda place: min(map(len, place)))
    seeds = tuple(sorted({record.seed for record in (*mine, *theirs)}))
    if min(len(mine), len(theirs)) < _least(claim, mine):
        return Difference(claim.better, rival, np.nan, np.nan, np.nan, seeds, "not run", paired=False)
    first, second = ([score(record, claim.metric) for record in row] for row in (mine, theirs))
    mean = float(np.mean(first) - np.mean(second))
    low, high, error, freedom = mean, mean, 0.0, 1.0
    if np.ptp(first) or np.ptp(second):
        welch = stats.ttest_ind(first, second, equal_var=False)
        low, high = map(float, welch.confidence_interval(0.95))
        freedom = float(welch.df)
        error = (high - mean) / float(stats.t.ppf(0.975, freedom))
    ends = _ends(claim, mean, error, freedom, margin)
    pair = Difference(claim.better, rival, mean, low, high, seeds, "open", False, (*mine, *theirs), *ends, len(mine))
    return _worded(claim, pair)


def _begin_alike(mine: Iterable[Record], theirs: Iterable[Record]) -> bool:
    return all(imagenet.agree(first.weights, second.weights) for first, second in product(mine, theirs))


def _worded(claim: Claim, pair: Difference) -> Difference:
    """A difference with the word that it would have by itself."""
    return replace(pair, word=word(claim, [pair], two_sided([pair])))


def two_sided(pairs: Sequence[Difference]) -> float:
    """The p-value of a claim's pairs: for it all of them must speak, against it the strongest, as often as tried."""
    above, below = max(pair.above for pair in pairs), min(1.0, len(pairs) * min(pair.below for pair in pairs))
    return min(1.0, 2 * min(above, below))


def word(claim: Claim, pairs: Sequence[Difference], p: float) -> Word:
    """The word on a claim whose pairs were measured, by a two-sided p-value, corrected or not.

    Args:
        claim: the claim.
        pairs: its differences, one for each row to beat.
        p: of all of them together, see :func:`two_sided`.
    """
    least = -np.inf if claim.within else LEAST
    if p <= LEVEL:
        speaks = max(pair.above for pair in pairs) <= min(pair.below for pair in pairs)
        if speaks and min(pair.mean for pair in pairs) >= least:
            return "reproduced"
        if not speaks and min(pair.mean for pair in pairs) <= -least:
            return "contradicted"
    inside = all(pair.low > -LEAST and pair.high < LEAST for pair in pairs)
    return "no difference" if inside and not claim.within else "open"


def together(words: Iterable[Word]) -> Word:
    """The word on several pairs: one contradiction decides, then a missing pair, then the weakest."""
    words = set(words)
    order: tuple[Word, ...] = ("contradicted", "not run", "open", "no difference", "reproduced")
    return next(word for word in order if word in words)
