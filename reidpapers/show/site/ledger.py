"""The ledger of claims: every comparison of every paper as one line of a table, for programs and spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np

from reidpapers.show.claims import Difference, Verdict
from reidpapers.show.site.gather import JUDGED, PROFILE, Paper

COLUMNS = (
    "paper", "kind", "source", "statement", "metric", "better", "worse", "margin", "difference", "low", "high", "seeds",
    "pair", "verdict", "freshness", "dataset", "profile", "commit",
)  # fmt: skip


def to_csv(papers: Sequence[Paper]) -> str:
    """All claims and questions: a line for each pair of rows, differences and intervals in points.

    ``pair`` is the word on that line's two rows, ``verdict`` the word on the whole statement, which may be about
    several pairs ("best of"). What was not run has no difference; ``dataset`` is then the one it would take, if any.
    """
    lines_out = io.StringIO()
    writer = csv.writer(lines_out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for paper in papers:
        for kind, verdicts in (("claim", paper.claims), ("question", paper.questions)):
            for verdict in verdicts:
                writer.writerows(_lines(paper, kind, verdict))
    return lines_out.getvalue()


def _lines(paper: Paper, kind: str, verdict: Verdict) -> Iterator[tuple[str, ...]]:
    claim = verdict.claim
    for pair in verdict.differences:
        measured = np.isfinite(pair.mean)
        numbers = [f"{value:.2f}" if measured else "" for value in (pair.mean, pair.low, pair.high)]
        yield (
            paper.name, kind, claim.source, claim.statement, claim.metric, pair.better, pair.worse,
            f"{verdict.margin:g}", *numbers, " ".join(map(str, pair.seeds)), pair.word, verdict.verdict,
            _freshness(verdict) if measured else "", verdict.dataset or claim.dataset or "",
            _profile(pair) if measured else "",
            _commits(pair) if measured else "",
        )  # fmt: skip


def _freshness(verdict: Verdict) -> str:
    """Whether the records hold today; how that was found out is no matter here."""
    return "fresh" if verdict.freshness.startswith("fresh") else verdict.freshness


def _profile(pair: Difference) -> str:
    """The profile of the records behind a pair: where each has a world of its own, the judged one."""
    return JUDGED if any("worlds" in record.data for record in pair.records) else PROFILE


def _commits(pair: Difference) -> str:
    """The commits of the records behind a pair."""
    return " ".join(sorted({record.commit for record in pair.records}))
