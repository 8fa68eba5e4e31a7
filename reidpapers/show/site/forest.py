"""One picture of all of a paper's statements: what was compared, how large the difference is, how sure, the word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from reidpapers.show.claims import Difference, Verdict
from reidpapers.show.site.gather import Paper
from reidpapers.show.site.verdicts import scale
from reidpapers.show.templates import macros


@dataclass(frozen=True)
class Line:
    """A statement of the picture.

    Attributes:
        statement, source: what the paper says, and where.
        verdict: on the first of its comparisons that was measured.
        pair: the difference that is drawn.
        further: how many other comparisons stand behind the statement, by word.
    """

    statement: str
    source: str
    verdict: Verdict
    pair: Difference
    further: str


def lines(verdicts: Sequence[Verdict]) -> list[Line]:
    """A line for each statement that was measured at all, in the paper's order."""
    found = []
    for (statement, source), group in groupby(verdicts, key=lambda v: (v.claim.statement, v.claim.source)):
        measured = [verdict for verdict in group if any(pair.measured for pair in verdict.differences)]
        if measured:
            first, *others = measured
            pair = next(pair for pair in first.differences if pair.measured)
            words = [other.verdict for other in others]
            further = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
            found.append(Line(statement, source, first, pair, further))
    return found


def picture(paper: Paper, caption: str) -> Markup:
    """The forest of a paper's claims; empty where nothing was measured."""
    drawn = lines(paper.claims)
    if not drawn:
        return Markup("")
    unmeasured = len({(v.claim.statement, v.claim.source) for v in paper.claims}) - len(
        {(line.statement, line.source) for line in drawn}
    )
    return macros("forest.j2").forest(drawn, scale([line.verdict for line in drawn]), unmeasured, caption)
