"""Pieces of pages as HTML: tables whose numbers lead to their records, verdicts with their intervals drawn, bars."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from markupsafe import Markup

from reidpapers.run.records import Record
from reidpapers.run.runs import STALE, UNVERIFIED
from reidpapers.show import layout
from reidpapers.show.claims import MARKS, MIN_SEEDS, Claim, Difference, Verdict, interval, score
from reidpapers.show.site.gather import Paper, cost

MEANINGS: Mapping[str, str] = {
    "reproduced": "the whole interval lies above zero, or above the margin that the paper prints for its own data",
    "contradicted": "the whole interval lies below zero: here it is the other way round",
    "inconclusive": "the interval holds zero: these seeds cannot tell",
    "not run": f"fewer than {MIN_SEEDS} seeds of both, mostly because the data are licensed and not here",
}
LONGEST = 40.0  # points: differences beyond are cut off in the drawing, never in the numbers


def name_of(word: str) -> str:
    """A verdict's word as the name of a style."""
    return word.replace(" ", "-")


def anchors(paper: Paper, page: str = "") -> dict[str, str]:
    """Where the records behind each row stand: the one record itself, else the row's line in the list of records."""
    links = {}
    for place, (row, found) in enumerate(paper.found.items()):
        alone = f"{page.rpartition('/')[0]}/records/{found[0].key}.json".lstrip("/") if len(found) == 1 else None
        links[row] = alone or f"{page}#row-{place}"
    pairs = [row for table in paper.tables for row in table.rows if row.minus]
    return links | {row.name: f"{page}#{_pair(row.name)}" for row in pairs}


def _pair(name: str) -> str:
    return "pair-" + re.sub(r"\W+", "-", name).strip("-").lower()


def table(paper: Paper, number: int, page: str = "") -> Markup:
    """One of a paper's tables, ours beside the printed."""
    made = layout.to_html(paper.tables[number], paper.found, paper.name, paper.command, links=anchors(paper, page))
    return boxed(made, paper.tables[number].number)


def boxed(made: str, name: str, long: bool = False) -> Markup:
    """A table in a box that scrolls sideways on its own, reachable by keyboard; a long one's head stays in sight."""
    style = "scroll long" if long else "scroll"
    return Markup(f'<div class="{style}" role="region" tabindex="0" aria-label="{html.escape(name)}">{made}</div>')


def record_list(paper: Paper) -> Markup:
    """Every row's cost and its records, one a seed; then which rows a difference is of."""
    heads = ("row", "steps", "seconds", "images/s", "parameters", "FLOPs an image", "records, by seed")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    lines = []
    for place, (row, found) in enumerate(paper.found.items()):
        if found:
            spent = cost(found)
            numbers = (f"{spent.steps:,}", f"{spent.seconds:.0f}", f"{spent.speed:,.0f}", f"{spent.parameters:,}",
                       f"{spent.flops / 1e6:,.0f} M")  # fmt: skip
            cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
            seeds = " ".join(_seed(record, row) for record in found)
            cells += f'<td class="seeds">{seeds}{_state(found)}</td>'
        else:
            cells = '<td colspan="5"></td><td>none</td>'
        lines.append(f'<tr id="row-{place}"><th scope="row">{html.escape(row)}</th>{cells}</tr>')
    links = anchors(paper)
    for row in {row.name: row for each in paper.tables for row in each.rows if row.minus}.values():
        both = " and ".join(f'<a href="{links[name]}">{html.escape(name)}</a>' for name in row.minus)
        lines.append(f'<tr id="{_pair(row.name)}"><th scope="row">{html.escape(row.name)}</th>'
                     f'<td colspan="6">of the records of {both}, paired by seed</td></tr>')  # fmt: skip
    caption = "Medians over the seeds; of the training alone, where there are several stages of the last one."
    return boxed(_framed("records", caption, head, f"<tbody>{''.join(lines)}</tbody>"), "Cost and records", long=True)


def _framed(style: str, caption: str, head: str, body: str) -> str:
    """A table around its parts; its caption stays in sight when the table scrolls sideways."""
    return (f'<table class="{style}"><caption><span class="stay">{caption}</span></caption>'
            f"<thead><tr>{head}</tr></thead>{body}</table>")  # fmt: skip


def _seed(record: Record, row: str) -> str:
    said = html.escape(f"record of {row}, seed {record.seed}")
    return f'<a href="records/{record.key}.json" aria-label="{said}">{record.seed}</a>'


def _state(found: Sequence[Record]) -> str:
    """What a reader must know of records that are not fresh."""
    states = {record.freshness for record in found}
    words = "stale: made by other code" if STALE in states else "unverified" if UNVERIFIED in states else ""
    return f' <em class="stale">{words}</em>' if words else ""


def tally(verdicts: Sequence[Verdict]) -> Markup:
    """How many verdicts there are of each word, as a bar and in words."""
    counts = {word: sum(verdict.verdict == word for verdict in verdicts) for word in MARKS}
    bars = "".join(f'<span class="{name_of(word)}" style="flex-grow:{count}"></span>'
                   for word, count in counts.items() if count)  # fmt: skip
    words = "".join(f"<li>{badge(word, str(count))}</li>" for word, count in counts.items() if count)
    return Markup(f'<div class="tally" aria-hidden="true">{bars}</div><ul class="counts">{words}</ul>')


def badge(word: str, before: str = "") -> Markup:
    """A verdict as colour, mark and word."""
    said = html.escape(f"{before} {word}".strip())
    return Markup(f'<span class="verdict {name_of(word)}"><span aria-hidden="true">{MARKS[word]}</span> {said}</span>')


def verdicts(paper: Paper, found: Sequence[Verdict], caption: str, page: str = "") -> Markup:
    """Verdicts by statement, a line for each measure and pair of rows, its interval drawn beside the numbers."""
    links, scale = anchors(paper, page), _scale(found)
    heads = ("measure and rows", "verdict", "difference, points", "95% interval", "", "seeds")
    head = "".join(f'<th scope="col">{name}</th>' if name else _axis(scale) for name in heads)
    bodies = []
    for (statement, source), group in groupby(
        found, key=lambda verdict: (verdict.claim.statement, verdict.claim.source)
    ):
        lines = "".join(_lines(verdict, links, scale) for verdict in group)
        title = f'<span class="stay">{html.escape(statement)} <span class="source">{html.escape(source)}</span></span>'
        bodies.append(f'<tbody><tr><th scope="rowgroup" colspan="{len(heads)}">{title}</th></tr>{lines}</tbody>')
    return boxed(_framed("verdict-list", caption, head, "".join(bodies)), "Verdicts", long=True)


def _scale(found: Sequence[Verdict]) -> float:
    """Half of the drawn range, in points: wide enough for every interval, within reason."""
    ends = [abs(end) for verdict in found for pair in verdict.differences for end in (pair.low, pair.high)]
    known = [end for end in ends if np.isfinite(end)]
    return min(LONGEST, max([2.0, *known]) * 1.05)


def _axis(scale: float) -> str:
    """The head of the drawn intervals: what their ends are."""
    return (f'<th scope="col" class="drawn"><span class="ends"><span>−{scale:.0f}</span><span>0</span>'
            f"<span>+{scale:.0f}</span></span></th>")  # fmt: skip


def _lines(verdict: Verdict, links: Mapping[str, str], scale: float) -> str:
    """A verdict's lines: one a pair; the word on all together stands in the first."""
    lines, measure = [], layout.title(verdict.claim.metric)
    for place, pair in enumerate(verdict.differences):
        span = f' rowspan="{len(verdict.differences)}"' if len(verdict.differences) > 1 else ""
        word = f"<td{span}>{badge(verdict.verdict)}{_old(verdict)}</td>" if place == 0 else ""
        known, href = np.isfinite(pair.mean), links.get(pair.better, "#records")
        mean = f'<a href="{href}">{_signed(pair.mean)}</a>' if known else "–"
        limits = f"{_signed(pair.low)} to {_signed(pair.high)}" if known else "–"
        seeds = f"{len(pair.seeds)}" if known else f"{len(pair.seeds)} of {MIN_SEEDS}"
        drawn = interval_line(pair, verdict.margin, scale) if known else ""
        lead = f'<th scope="row">{measure} <span class="pair">{_compared(verdict.claim, pair, links)}</span></th>'
        numbers = f'<td class="number">{mean}</td><td class="number">{limits}</td><td class="drawn">{drawn}</td>'
        lines.append(f'<tr>{lead}{word}{numbers}<td class="number">{seeds}</td></tr>')
    return "".join(lines)


def _old(verdict: Verdict) -> str:
    return f' <em class="stale">{verdict.freshness} records</em>' if verdict.freshness in (STALE, UNVERIFIED) else ""


def _compared(claim: Claim, pair: Difference, links: Mapping[str, str]) -> str:
    """Which rows, each leading to its records."""
    rival = html.escape(pair.worse) + ("" if claim.printed is None else f" (printed {claim.printed:g})")
    known = np.isfinite(pair.mean)
    names = [f'<a href="{links[row]}">{text}</a>' if known and row in links else text
             for row, text in ((pair.better, html.escape(pair.better)), (pair.worse, rival))]  # fmt: skip
    return f"{names[0]} − {names[1]}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def interval_line(pair: Difference, margin: float, scale: float) -> str:
    """A difference and its interval as a dot on a line; the numbers beside it say the same."""

    def at(value: float) -> str:
        return f"{50 + 50 * max(-1.0, min(1.0, value / scale)):.1f}%"

    extra = f'<line class="margin" x1="{at(margin)}" x2="{at(margin)}" y1="1" y2="15"/>' if margin else ""
    return (f'<svg class="{name_of(pair.word)}" width="100%" height="16" aria-hidden="true">'
            f'<line class="zero" x1="50%" x2="50%" y1="0" y2="16"/>{extra}'
            f'<line x1="{at(pair.low)}" x2="{at(pair.high)}" y1="8" y2="8"/>'
            f'<circle cx="{at(pair.mean)}" cy="8" r="4"/></svg>')  # fmt: skip


def scores(paper: Paper, column: str, caption: str, rows: Sequence[str], page: str = "") -> Markup:
    """A figure: each row's score, a dot a seed, its mean and interval as a line.

    Args:
        paper: whose rows.
        column: the score.
        caption: what to see.
        rows: names of rows; those without such a score are left out.
        page: where the list of records stands.
    """
    values = {row: [score(r, column) for r in paper.found.get(row, ()) if layout.has(r, column)] for row in rows}
    values = {row: found for row, found in values.items() if found}
    if not values:
        return Markup("")
    low, high = _bounds([value for found in values.values() for value in found])
    links = anchors(paper, page)
    lines = "".join(f'<li><a class="name" href="{links[row]}">{html.escape(row)}</a>{_dots(found, low, high)}</li>'
                    for row, found in values.items())  # fmt: skip
    ticks = [low + (high - low) * part / 4 for part in range(5)]
    marks = "".join(f"<span>{tick:.0f}</span>" for tick in ticks)
    title = layout.title(column)
    return Markup(
        f'<figure class="dots"><ol aria-label="{html.escape(title)} in percent, mean over seeds">{lines}</ol>'
        f'<div class="axis" aria-hidden="true"><span class="name">{title}, percent</span>'
        f'<span class="ticks">{marks}</span></div><figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def distinct(paper: Paper) -> list[str]:
    """Rows to draw together: those on the first row's data, and of several names for the same runs only one."""
    shown: dict[tuple[str, ...], str] = {}
    first = next((found[0].data["digest"] for found in paper.found.values() if found), None)
    for row, found in sorted(paper.found.items(), key=lambda item: item[0].startswith("given")):
        if found and found[0].data["digest"] == first:
            shown.setdefault(tuple(record.key for record in found), row)
    return [row for row in paper.found if row in shown.values()]


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Round ends of an axis, a multiple of four points apart, that all values lie well within."""
    low = 2 * np.floor((min(values) - 1) / 2)
    steps = max(1, np.ceil((max(values) + 1 - low) / 4))
    return float(low), float(low + 4 * steps)


def _dots(values: Sequence[float], low: float, high: float) -> str:
    """A row's seeds as dots, mean and interval as a line."""

    def at(value: float) -> str:
        return f"{100 * max(0.0, min(1.0, (value - low) / (high - low))):.1f}%"

    mean, half = interval(values)
    ends = (mean - half, mean + half) if half is not None else (mean, mean)
    dots = "".join(f'<circle cx="{at(value)}" cy="11" r="3.5"/>' for value in values)
    return (f'<span class="track"><svg width="100%" height="22" aria-hidden="true">'
            f'<line x1="{at(ends[0])}" x2="{at(ends[1])}" y1="11" y2="11"/>{dots}'
            f'<line class="mean" x1="{at(mean)}" x2="{at(mean)}" y1="3" y2="19"/></svg></span>'
            f'<span class="value">{mean:.1f}</span>')  # fmt: skip
