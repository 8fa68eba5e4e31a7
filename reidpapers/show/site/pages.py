"""The pages: what stands on each, filled into the templates in ``page/``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reidpapers.show.site import parts
from reidpapers.show.site.errata import KINDS, Erratum
from reidpapers.show.site.gather import PROFILE, SEEDS, Paper, facts

COMPARED = "compared"  # not a paper, but all their methods on equal terms
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("page")),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters["prose"] = prose
    return made


def _render(template: str, **values: Any) -> str:
    shared = {"parts": parts, "meanings": parts.MEANINGS, "profile": PROFILE, "seeds": len(SEEDS)}
    return _templates().get_template(template).render(**shared, **values)


def prose(text: str) -> Markup:
    """A docstring's or table's text: ``code``, *emphasis* and [Chapter](link) become markup, all else is escaped."""
    made = re.sub(r"``?([^`]+)``?", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?!\w)", r"<em>\1</em>", made))


def overview(papers: Sequence[Paper], errata: Sequence[Erratum]) -> str:
    """The first page: every paper in a card, all methods in one table, and where the numbers come from."""
    real = [paper for paper in papers if paper.name != COMPARED]
    every = [verdict for paper in real for verdict in paper.claims]
    together = next((paper for paper in papers if paper.name == COMPARED), None)
    return _render(
        "index.html.j2", title="Vehicle re-identification papers, reproduced", up="", papers=real, together=together,
        count=_word(len(real)), every=every, errata=_counted(real, errata),
        runs=sum(len(paper.records) for paper in papers), hours=_hours(papers),
        facts=facts(record for paper in papers for record in paper.records),
    )  # fmt: skip


def paper(shown: Paper, papers: Sequence[Paper], errata: Sequence[Erratum]) -> str:
    """A paper's page: its tables beside the printed numbers, its claims, cost and records, errata."""
    return _render(
        "paper.html.j2", title=shown.short, up="../", paper=shown, papers=papers, facts=facts(shown.records),
        errata=[one for one in errata if one.paper == shown.name], hours=_hours([shown]),
        drawn=parts.distinct(shown), is_paper=shown.name != COMPARED,
    )  # fmt: skip


def errata_page(papers: Sequence[Paper], errata: Sequence[Erratum]) -> str:
    """The errata, paper by paper."""
    real = [paper for paper in papers if paper.name != COMPARED]
    by_paper = [(paper, [one for one in errata if one.paper == paper.name]) for paper in real]
    return _render("errata.html.j2", title="Errata", up="", by_paper=by_paper, kinds=KINDS, total=len(errata))


def _counted(papers: Sequence[Paper], errata: Sequence[Erratum]) -> Mapping[str, int]:
    return {paper.name: sum(one.paper == paper.name for one in errata) for paper in papers}


def _hours(papers: Sequence[Paper]) -> str:
    """Time of all runs' training, one thread each."""
    seconds = sum(record.cost["seconds"] for paper in papers for record in paper.records)
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes"


def _word(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)
