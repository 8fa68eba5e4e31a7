"""Verdicts on the site: how many there are of each word, and each with its interval drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from markupsafe import Markup

from reidpapers.show.claims import MARKS, MIN_SEEDS, Verdict
from reidpapers.show.site.gather import Paper
from reidpapers.show.site.tables import anchors
from reidpapers.show.templates import macros

MEANINGS: Mapping[str, str] = {
    "reproduced": "the whole interval lies above zero, or above the margin that the paper prints for its own data; of "
    "what should change little, below its bound",
    "contradicted": "the whole interval lies below zero: here it is the other way round",
    "inconclusive": "the interval holds zero: these seeds cannot tell",
    "not run": f"fewer than {MIN_SEEDS} seeds of both, mostly because the data are licensed and not here",
}
LONGEST = 40.0  # points: differences beyond are cut off in the drawing, never in the numbers


def tally(verdicts: Sequence[Verdict]) -> Markup:
    """How many verdicts there are of each word, as a bar and in words."""
    counts = [(word, mark, sum(verdict.verdict == word for verdict in verdicts)) for word, mark in MARKS.items()]
    return macros("verdicts.j2").tally([count for count in counts if count[2]])


def verdict_list(paper: Paper, verdicts: Sequence[Verdict], caption: str) -> Markup:
    """Verdicts by statement, a line for each measure and pair of rows, its interval drawn beside the numbers."""
    groups = groupby(verdicts, key=lambda verdict: (verdict.claim.statement, verdict.claim.source))
    statements = [(statement, source, list(group)) for (statement, source), group in groups]
    return macros("verdicts.j2").list(statements, anchors(paper), scale(verdicts), caption)


def scale(verdicts: Sequence[Verdict]) -> float:
    """Half of the drawn range, in points: wide enough for every interval, within reason."""
    pairs = [pair for verdict in verdicts for pair in verdict.differences if pair.measured]
    ends = [abs(end) for pair in pairs for end in (pair.low, pair.high)]
    return min(LONGEST, max([2.0, *ends]) * 1.05)
