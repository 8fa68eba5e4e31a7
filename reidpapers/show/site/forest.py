"""One picture of all of a paper's statements: what was compared, how large the difference is, how sure, the word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reidpapers.show.claims import Difference, Verdict, one_reason
from reidpapers.show.site.gather import Paper
from reidpapers.show.site.verdicts import scale
from reidpapers.show.templates import macros


@dataclass(frozen=True)
class Line:
    """A statement of the picture.

    Attributes:
        statement, source: what the paper says, and where.
        verdict: on it, by the measure that decides.
        pair: the difference that is drawn, of several the weakest.
    """

    statement: str
    source: str
    verdict: Verdict
    pair: Difference


def lines(verdicts: Sequence[Verdict]) -> list[Line]:
    """A line for each statement that was measured at all, in the paper's order."""
    found = []
    for verdict in verdicts:
        measured = [pair for pair in verdict.differences if pair.measured]
        if verdict.primary and measured:
            weakest = min(measured, key=lambda pair: pair.mean)
            found.append(Line(verdict.statement, verdict.claim.source, verdict, weakest))
    return found


def picture(paper: Paper, caption: str) -> Markup:
    """The forest of a paper's claims; empty where nothing was measured."""
    drawn = lines(paper.claims)
    if not drawn:
        return Markup("")
    unmeasured = sum(verdict.primary for verdict in paper.claims) - len(drawn)
    reason = one_reason(paper.claims)
    return macros("forest.j2").forest(drawn, scale([line.verdict for line in drawn]), unmeasured, caption, reason)
