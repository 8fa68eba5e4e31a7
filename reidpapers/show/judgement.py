"""From differences to words, for all of a paper's statements together.

One measure decides on a statement, the first that its ``tables.py`` names; the others only stand beside it. A
statement is reproduced, or contradicted, if the difference is at least :data:`~reidpapers.show.claims.LEAST` point and
its two-sided p-value, corrected by Holm for the number of statements that are judged, is below 5 %. It shows *no
difference* where the whole interval lies within a point of zero, and is *open* else. What :mod:`reidpapers.show.alive`
finds unfit is *not testable here*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from reidpapers.run.records import Record
from reidpapers.show import alive
from reidpapers.show.claims import Claim, Verdict
from reidpapers.show.measure import judge, two_sided, word


def judged(claims: Sequence[Claim], runs: Mapping[str, Sequence[Record]], *, asked: bool = False) -> list[Verdict]:
    """The verdicts on a paper's claims, in their order: words that hold for all of them together.

    Args:
        claims: all that the paper says, or all that is asked of it.
        runs: records by row name.
        asked: whether these are questions of this suite.

    Raises:
        ValueError: two records of one row share seed and origin.
    """
    found = [judge(claim, runs) for claim in claims]
    deciding = _deciding(found)
    found = [replace(one, primary=place in deciding, asked=asked) for place, one in enumerate(found)]
    tested = [place for place in deciding if found[place].verdict != "not run"]
    for place in tested:
        if reason := alive.gate([side for pair in found[place].differences for side in pair.sides]):
            found[place] = replace(found[place], verdict="not testable here", reason=reason)
    tested = [place for place in tested if not found[place].reason]
    for place, p in zip(tested, holm([two_sided(found[place].differences) for place in tested]), strict=True):
        found[place] = replace(found[place], p=p, verdict=word(found[place].claim, found[place].differences, p))
    return found


def _deciding(found: Sequence[Verdict]) -> set[int]:
    """Places of the claims that decide: of each statement the first that has runs, else the first."""
    deciding = set()
    named = sorted(range(len(found)), key=lambda place: found[place].claim.statement)
    for _, group in groupby(named, key=lambda place: found[place].claim.statement):
        places = list(group)
        deciding.add(next((place for place in places if found[place].verdict != "not run"), places[0]))
    return deciding


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979), in their order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(values, kind="stable")
    scaled = [(len(values) - rank) * values[place] for rank, place in enumerate(order)]
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if scaled else []
    return [float(value) for value in corrected]
