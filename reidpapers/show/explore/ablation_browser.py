"""The ablation browser: any table's rows as CMC curves and as differences paired by seed, from their records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reidpapers.run.records import Record
from reidpapers.show.claims import MIN_SEEDS, by_place, common, interval, score
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.panel import Panel, Picture, say
from reidpapers.show.plots.style import BLUE, GREEN, GREY, INK, SOFT, VERMILION, WIDTH, look, styled

Rows = Mapping[str, Sequence[Record]]
LONGEST = 26  # letters of a line of a row's name
NO_METRICS = {"queries", "unmatched", "draws", "pairs", "threshold", "threshold_accuracy"}  # numbers that are no scores


def ablations(tables: Mapping[str, Rows]) -> None:
    """Browse tables: their rows' curves, and by how much each row differs from one of them.

    Args:
        tables: by title, the records of each row; rows without records are left out.
    """
    tables = {
        title: {row: differences for row, differences in rows.items() if differences} for title, rows in tables.items()
    }
    tables = {title: rows for title, rows in tables.items() if rows}
    if not tables:
        say("No table has runs yet.")
        return
    _Browser(tables).panel.show()


def metrics_of(rows: Rows) -> list[str]:
    """Names of the scores that every record of some rows has, as :func:`reidpapers.show.claims.score` takes them."""
    shared: dict[str, None] | None = None
    for records in rows.values():
        for record in records:
            own = {name: None for name, value in record.scores.items() if _is_score(name, value)}
            for test, scores in record.tests.items():
                own |= {f"{test} {name}": None for name, value in scores.items() if test and _is_score(name, value)}
            shared = own if shared is None else {name: None for name in shared if name in own}
    return list(shared or {})


def paired(rows: Rows, against: str, metric: str, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Differences of each other row to one, in points, one a common seed.

    Records are paired within one origin, and never where a trunk began with different weights.

    Args:
        rows: records by row name.
        against: the row that is taken off.
        metric: which score.
        seeds: those that count.
    """
    places = {row: by_place(run for run in records if run.seed in seeds) for row, records in rows.items()}
    base = places[against]
    return {
        row: [score(own[place], metric) - score(base[place], metric) for place in sorted(common(own, base))]
        for row, own in places.items() if row != against
    }  # fmt: skip


class _Browser:
    """The browser's controls and what they lead to."""

    def __init__(self, tables: Mapping[str, Rows]) -> None:
        self.tables = tables
        title = max(tables, key=lambda name: len(tables[name]))  # the one with most to see
        make = ControlMaker()
        controls = {
            "table": make.choice("table", list(tables), title, width="52em"),
            "metric": make.choice("metric", ["–"]),
            "against": make.choice("compared", ["–"], width="22em"),
            "seeds": make.several("seeds", "those that count; Ctrl or Shift with a click chooses several"),
            "last": make.steps("ranks", 20, 50, "the last rank of the curves", 5),
        }
        rows = [["table"], ["metric", "against", "seeds", "last"]]
        self.panel = Panel("ablations", make, controls, self.draw, rows, {"table": self._open})
        self.panel.quiet = True
        self._open(title)
        self.panel.quiet = False

    def _open(self, title: str) -> None:
        """Offer what a table has."""
        rows, controls = self.tables[title], self.panel.controls
        for name, options in (("metric", metrics_of(rows)), ("against", list(rows))):
            before = controls[name].value
            controls[name].options = options
            controls[name].value = before if before in options else next(iter(options), None)
        seeds = sorted({record.seed for records in rows.values() for record in records})
        controls["seeds"].options = seeds
        controls["seeds"].value = tuple(seeds)

    def draw(self, table: str, metric: str | None, against: str, seeds: Sequence[int], last: int) -> Picture:
        """Curves at the left, differences at the right."""
        rows = {
            row: [record for record in records if record.seed in seeds] for row, records in self.tables[table].items()
        }
        rows = {row: records for row, records in rows.items() if records}
        if metric is None or not rows:
            raise ValueError("no runs of these seeds: choose others" if metric else "its rows share no score")
        differences = paired(rows, against, metric, seeds) if against in rows else {}
        return Picture(
            _figure(rows, differences, metric, against, last), _text(rows, differences, table, metric, against)
        )


@styled
def _figure(rows: Rows, differences: Mapping[str, list[float]], metric: str, against: str, last: int) -> Figure:
    lines = len(rows)
    drawing = Figure(figsize=(WIDTH, max(3.4, 1.4 + 0.3 * lines)))
    left, right = drawing.add_axes((0.07, 0.14, 0.36, 0.78)), drawing.add_axes((0.7, 0.14, 0.28, 0.78))
    looks = {row: look(place) for place, row in enumerate(rows)}
    test = metric.rpartition(" ")[0]
    if all((record.tests.get(test, {}) if test else record.scores).get("cmc") for r in rows.values() for record in r):
        _curves(left, rows, looks, test, last)
    else:
        _levels(left, rows, looks, metric)
    _differences(right, rows, differences, looks, against)
    return drawing


def _curves(axis: Axes, rows: Rows, looks: Mapping[str, Any], test: str, last: int) -> None:
    """Mean CMC of each row over its seeds."""
    rank = np.arange(1, last + 1)
    for row, records in rows.items():
        mean = np.mean([[score(record, f"{test} top{k}".strip()) for k in rank] for record in records], axis=0)
        axis.plot(rank, mean, **looks[row], markevery=max(1, last // 6), ms=4.5, lw=1.4)
    axis.set(xlabel="rank", title="% matched within rank", xlim=(1, last))


def _levels(axis: Axes, rows: Rows, looks: Mapping[str, Any], metric: str) -> None:
    """Each row's scores, a mark a seed, where there are no curves."""
    for line, (row, records) in enumerate(rows.items()):
        values = [score(record, metric) for record in records]
        axis.plot(values, [line] * len(values), ls="", marker=looks[row]["marker"], color=looks[row]["color"], ms=6)
    axis.set(title=f"{metric}, %", ylim=(len(rows) - 0.5, -0.5), yticks=[])


def _differences(
    axis: Axes, rows: Rows, differences: Mapping[str, list[float]], looks: Mapping[str, Any], against: str
) -> None:
    """Mean paired difference of each row with its 95% interval; the name is that of the curve at the left, too."""
    axis.axvline(0, color=INK, lw=1)
    for line, row in enumerate(rows):
        key = {"marker": looks[row]["marker"], "ls": looks[row]["ls"], "color": looks[row]["color"]}
        axis.plot([-0.92, -0.84], [line, line], transform=axis.get_yaxis_transform(), clip_on=False, **key)
        axis.text(-0.8, line, fill(row, LONGEST), transform=axis.get_yaxis_transform(), va="center", fontsize=8,
                  linespacing=1.0)  # fmt: skip
        values = differences.get(row, [])
        if not values:
            words = "compared with" if row == against else "not paired: other seeds or machine"
            axis.text(0.5, line, words, transform=axis.get_yaxis_transform(), va="center", ha="center", fontsize=7.5,
                      color=SOFT)  # fmt: skip
            continue
        mean, half = _interval(values)
        color = GREY if half is None else GREEN if mean > half else VERMILION if mean < -half else BLUE
        if half is not None:
            axis.plot([mean - half, mean + half], [line, line], color=color, lw=2.2, solid_capstyle="butt")
        axis.plot(mean, line, marker=looks[row]["marker"], color=color, ms=7, mec="white", ls="")
    axis.set(ylim=(len(rows) - 0.5, -0.5), yticks=[], title="difference, points", xlabel="paired by seed, 95% interval")
    axis.grid(axis="y", visible=False)


def _text(rows: Rows, differences: Mapping[str, list[float]], table: str, metric: str, against: str) -> str:
    parts = []
    for row, values in differences.items():
        if values:
            mean, half = _interval(values)
            wide = "" if half is None else f" ± {half:.1f}"
            parts.append(f"{row} {mean:+.1f}{wide}".replace("-", "−"))
    most = max((len(values) for values in differences.values()), default=0)
    compared = (
        f"{metric} against {against} over at most {most} common seeds, in points: {'; '.join(parts)}. " if parts else ""
    )
    warning = f"An interval needs {MIN_SEEDS} seeds. " if parts and most < MIN_SEEDS else ""
    return f"{table}, {len(rows)} rows with runs. {compared}{warning}".strip()


def _interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half-width; no width of fewer seeds than a claim needs."""
    mean, half = interval(values)
    return mean, half if len(values) >= MIN_SEEDS else None


def _is_score(name: str, value: Any) -> bool:
    return isinstance(value, int | float) and name not in NO_METRICS
