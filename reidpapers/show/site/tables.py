"""A paper's tables on the site: numbers that lead to their records, and the list of these with what they cost."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup

from reidpapers.run.papers import load
from reidpapers.run.records import Record
from reidpapers.show import layout, ran
from reidpapers.show.layout import Row, Table
from reidpapers.show.site.gather import Paper, cost
from reidpapers.show.templates import macros

HEADS = ("steps", "seconds", "images/s", "parameters", "FLOPs an image")  # of what runs cost
TIMED = HEADS[1:3]


def anchors(paper: Paper, page: str = "") -> dict[str, str]:
    """Where the records behind each row stand: the one record itself, else the row's line in the list of records."""
    links = {}
    for place, (row, records) in enumerate(paper.found.items()):
        links[row] = f"{page}#row-{place}"
        if len(records) == 1:
            links[row] = f"{page.rpartition('/')[0]}/records.html#{records[0].key}".lstrip("/")
    return links | {row.name: f"{page}#{_pair_anchor(row)}" for row in _pairs(paper)}


def _pairs(paper: Paper) -> list[Row]:
    """The rows that show a difference of two others, each once."""
    return list({row.name: row for table in paper.tables for row in table.rows if row.minus}.values())


def _pair_anchor(row: Row) -> str:
    return "pair-" + re.sub(r"\W+", "-", row.name).strip("-").lower()


def results(paper: Paper, number: int, page: str = "") -> Markup:
    """A paper's table by its place in the list, ours beside the printed; rows without numbers of ours are folded."""
    table = paper.tables[number]
    ours, others = layout.parted(table, paper.found)
    parts = [_boxed(part, paper, page) if part.rows else "" for part in (ours, others)]
    return macros("tables.j2").parted(table, len(others.rows), *parts)


def _boxed(table: Table, paper: Paper, page: str) -> Markup:
    content = layout.to_html(table, paper.found, paper.name, paper.command, links=anchors(paper, page))
    return macros("tables.j2").box(table.number, caller=lambda: content)


def record_list(paper: Paper) -> Markup:
    """Every row's cost and its records, one a seed; then which rows a difference is of.

    Rows that are compared by what they cost show no seconds: not every run had its processor to itself.
    """
    counted = hasattr(load(paper.name).tables, "counted")
    rows = [
        {"name": ran.named(name, records), "records": records, "costs": _costs(records), "state": layout.state(records)}
        for name, records in paper.found.items()
    ]
    pairs = [{"anchor": _pair_anchor(row), "name": row.name, "minus": row.minus} for row in _pairs(paper)]
    heads = [head for head in HEADS if not (counted and head in TIMED)]
    return macros("tables.j2").records(rows, pairs, heads, anchors(paper))


def _costs(records: Sequence[Record]) -> dict[str, str]:
    """Steps, seconds, speed, parameters and FLOPs of a row's runs as text; none where there are no runs."""
    if not records:
        return {}
    spent = cost(records)
    values = (f"{spent.steps:,}", f"{spent.seconds:.0f}", f"{spent.speed:,.0f}", f"{spent.parameters:,}",
              f"{spent.flops / 1e6:,.0f} M")  # fmt: skip
    return dict(zip(HEADS, values, strict=True))
