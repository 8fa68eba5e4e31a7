"""The pages: what stands on each, filled into the templates beside this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reidpapers.show.claims import MARKS
from reidpapers.show.site import counted, forest, scores, study, tables, verdicts
from reidpapers.show.site import record_list as records
from reidpapers.show.site.errata import KINDS, Erratum
from reidpapers.show.site.gather import PROFILE, SEEDS, Paper, facts
from reidpapers.show.templates import environment

VEHICLES = "vehicles.webp"  # the picture of them, in the site's folder
COMPARED = "compared"  # not a paper, but all their methods on equal terms
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _render(template: str, **values: Any) -> str:
    shared = {
        "tables": tables, "verdicts": verdicts, "scores": scores, "forest": forest, "study": study, "counted": counted,
        "vehicles": VEHICLES, "marks": MARKS, "profile": PROFILE, "seeds": len(SEEDS),
    }  # fmt: skip
    return environment().get_template(template).render(**shared, **values)


def overview(papers: Sequence[Paper], errata: Sequence[Erratum]) -> str:
    """The first page: every paper in a card, all methods in one table, and where the numbers come from."""
    real = [paper for paper in papers if paper.name != COMPARED]
    claims = [verdict for paper in real for verdict in paper.claims]
    together = next((paper for paper in papers if paper.name == COMPARED), None)
    return _render(
        "index.html.j2", title="Vehicle re-identification papers, reproduced", up="", papers=real, together=together,
        count=_word(len(real)), claims=claims, errata={paper.name: len(_of(paper, errata)) for paper in real},
        runs=sum(len(paper.records) for paper in papers), hours=_hours(papers),
        facts=facts(record for paper in papers for record in paper.records),
    )  # fmt: skip


def paper(subject: Paper, papers: Sequence[Paper], errata: Sequence[Erratum]) -> str:
    """A paper's page: its tables beside the printed numbers, its claims, cost and records, errata."""
    return _render(
        "paper.html.j2", title=subject.short, up="../", paper=subject, papers=papers, facts=facts(subject.records),
        errata=_of(subject, errata), hours=_hours([subject]), drawn=scores.distinct(subject),
        is_paper=subject.name != COMPARED,
    )  # fmt: skip


def record_list(subject: Paper, papers: Sequence[Paper]) -> str:
    """The runs behind a paper's numbers, each to read and to download."""
    return _render(
        "records.html.j2", title=f"{subject.short}, runs", up="../", paper=subject, papers=papers,
        cards=records.cards(subject),
    )  # fmt: skip


def errata_page(papers: Sequence[Paper], errata: Sequence[Erratum]) -> str:
    """The errata, paper by paper."""
    real = [paper for paper in papers if paper.name != COMPARED]
    together = next((paper for paper in papers if paper.name == COMPARED), None)
    by_paper = [(paper, _of(paper, errata)) for paper in real]
    return _render(
        "errata.html.j2", title="Errata", up="", by_paper=by_paper, together=together, kinds=KINDS, total=len(errata),
    )  # fmt: skip


def _of(paper: Paper, errata: Sequence[Erratum]) -> list[Erratum]:
    return [erratum for erratum in errata if erratum.paper == paper.name]


def _hours(papers: Sequence[Paper]) -> str:
    """Time of all runs' training, one thread each."""
    seconds = sum(record.cost["seconds"] for paper in papers for record in paper.records)
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes"


def _word(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)
