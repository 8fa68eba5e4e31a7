"""The figure of scores on the site: a line a row, with a dot for each seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from reidpapers.show import ran
from reidpapers.show.claims import interval, metric_name, score
from reidpapers.show.layout import has
from reidpapers.show.site.gather import Paper
from reidpapers.show.site.tables import anchors
from reidpapers.show.templates import macros


def figure(paper: Paper, metric: str, caption: str, rows: Sequence[str], page: str = "") -> Markup:
    """Each row's score, a dot a seed, its mean and interval as a line.

    Args:
        paper: whose rows.
        metric: the score.
        caption: what to see.
        rows: names of rows; those without such a score are left out.
        page: where the list of records stands.
    """
    scores = {row: [score(r, metric) for r in paper.found.get(row, ()) if has(r, metric)] for row in rows}
    scores = {row: values for row, values in scores.items() if values}
    if not scores:
        return Markup("")
    low, high = _bounds([value for values in scores.values() for value in values])
    links, lines = anchors(paper, page), []
    for row, values in scores.items():
        mean, half = interval(values)
        name = ran.named(row, paper.found[row])
        lines.append({"name": name, "link": links[row], "scores": values, "mean": mean, "half": half or 0.0})
    return macros("scores.j2").figure(lines, low, high, metric_name(metric), caption)


def distinct(paper: Paper) -> list[str]:
    """Rows to draw together: those on the first row's data, and of several names for the same runs only one."""
    names: dict[tuple[str, ...], str] = {}
    first = next((records[0].data["digest"] for records in paper.found.values() if records), None)
    for row, records in sorted(paper.found.items(), key=lambda item: item[0].startswith("given")):
        if records and records[0].data["digest"] == first:
            names.setdefault(tuple(record.key for record in records), row)
    return [row for row in paper.found if row in names.values()]


def _bounds(scores: Sequence[float]) -> tuple[float, float]:
    """Round ends of an axis, a multiple of four points apart, that all scores lie well within."""
    low = 2 * math.floor((min(scores) - 1) / 2)
    steps = max(1, math.ceil((max(scores) + 1 - low) / 4))
    return float(low), float(low + 4 * steps)
