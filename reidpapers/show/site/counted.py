"""What rows cost beside what they score: counted, since seconds say nothing of runs that shared a processor."""

from __future__ import annotations

from markupsafe import Markup

from reidpapers.run.papers import load
from reidpapers.show import layout
from reidpapers.show.claims import metric_name
from reidpapers.show.site.gather import Paper
from reidpapers.show.site.tables import anchors
from reidpapers.show.templates import macros


def table(paper: Paper) -> Markup:
    """Scores and counted costs of every row that was run; empty where a paper's tables count none."""
    count = getattr(load(paper.name).tables, "counted", None)
    rows = {name: records for name, records in paper.found.items() if records}
    if not (count and rows):
        return Markup("")
    links, lines = anchors(paper), []
    for name, records in rows.items():
        scores = [layout.cell(records, column) for column in paper.columns]
        lines.append({"name": name, "link": links[name], "scores": scores, "costs": count(records[0])})
    return macros("counted.j2").table(lines, [metric_name(column) for column in paper.columns])
