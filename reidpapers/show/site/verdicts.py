"""Verdicts on the site: how many there are of each word, and each with its interval drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from markupsafe import Markup

from reidpapers.show import ran
from reidpapers.show.claims import MARKS, MIN_SEEDS, MIN_WORLDS, Verdict, one_reason
from reidpapers.show.site.gather import Paper, studied
from reidpapers.show.site.tables import anchors
from reidpapers.show.templates import macros

MEANINGS: Mapping[str, str] = {
    "reproduced": "the better row is ahead by a point or more, or by more than the margin that the paper prints for "
    "its own data; p below 5 %, corrected for the paper's number of statements",
    "contradicted": "as surely the other way round",
    "no difference": "the whole 95 % interval lies within a point of zero",
    "open": "these replicates cannot tell",
    "not testable here": "a run that did not learn, or networks that know too little, so that no order means anything",
    "not run": f"fewer than {MIN_WORLDS} replicates of both, or {MIN_SEEDS} seeds on data of one's own; or data that "
    "are licensed and not here",
}
LONGEST = 40.0  # points: differences beyond are cut off in the drawing, never in the numbers


def tally(verdicts: Sequence[Verdict]) -> Markup:
    """How many statements there are of each word, as a bar and in words."""
    words = [verdict.verdict for verdict in verdicts if verdict.primary]
    counts = [(word, mark, words.count(word)) for word, mark in MARKS.items()]
    return macros("verdicts.j2").tally([count for count in counts if count[2]])


def verdict_list(paper: Paper, verdicts: Sequence[Verdict], caption: str) -> Markup:
    """Verdicts by statement, a line for each measure and pair of rows, its interval drawn beside the numbers."""
    groups = groupby(verdicts, key=lambda verdict: (verdict.statement, verdict.claim.source))
    statements = [(statement, source, list(group)) for (statement, source), group in groups]
    links = anchors(paper)
    links |= {row: links[studied(row)] for row in paper.study}
    caption = f"{caption} {ran.sentence(paper.study or paper.found)}".strip()
    return macros("verdicts.j2").list(statements, links, scale(verdicts), caption, one_reason(verdicts))


def scale(verdicts: Sequence[Verdict]) -> float:
    """Half of the drawn range, in points: wide enough for every interval, within reason."""
    pairs = [pair for verdict in verdicts for pair in verdict.differences if pair.measured]
    ends = [abs(end) for pair in pairs for end in (pair.low, pair.high)]
    return min(LONGEST, max([2.0, *ends]) * 1.05)
