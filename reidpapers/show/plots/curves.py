"""Pictures of records: CMC curves, sweeps, loss histories, 2-D features and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from reidpapers.run.records import Record
from reidpapers.show.claims import Verdict, interval, metric_name, score
from reidpapers.show.plots.style import (
    COLORS,
    GREY,
    INK,
    MARKERS,
    SOFT,
    VERDICTS,
    WIDTH,
    blank,
    figure,
    look,
    panels,
    plain,
    styled,
)

NO_RUNS = "no runs yet: the table shows the commands that make them"
NO_STEPS = "no training: the run takes the features of another as they are"
VERDICT_MARKS = {
    "reproduced": "o", "contradicted": "X", "no difference": "D", "open": "D", "not testable here": "o", "not run": "_",
}  # fmt: skip
BANDS = 4  # curves at most, that each have a band: more hide each other
REACHED = 99.5  # percent: a curve that has come so far is flat from there
SPAN = 4.0  # points at least from the bottom of a panel to its top, so that chance does not look like a trend
LETTER = 0.08  # inches, of a tick's label


@styled
def cmc(curves: Mapping[str, Sequence[Record]], ranks: int = 20, title: str | None = None, test: str = "") -> Figure:
    """Mean CMC over seeds, with the 95% interval where there are several: a band, or bars where curves are many.

    Args:
        curves: records by the name of the curve; a name without records is left out of the picture.
        ranks: the last rank drawn, at most 50; fewer where every curve is flat before.
        title: a line above the picture.
        test: name of the test set; empty: the principal one.

    Raises:
        ValueError: no curve has a record, or a record's CMC is shorter than ``ranks``.
    """
    picture = figure(3.9)
    axis = picture.subplots()
    _cmc(axis, curves, ranks, test, to_end=False)
    axis.set_ylim(top=min(100.5, axis.get_ylim()[1]))
    picture.axes[0].set_title(title or "")
    return picture


@styled
def cmc_panels(
    groups: Mapping[str, Mapping[str, Sequence[Record]]], ranks: int = 20, tests: Mapping[str, str] | None = None
) -> Figure:
    """Several CMC pictures side by side on one scale, as in the paper's Figures 3 and 6: curves by panel title.

    A panel without any record is left out; without any panel, the picture says so.

    Args:
        groups: curves by panel title, records by the name of the curve.
        ranks: the last rank drawn, at most 50.
        tests: the test set of a panel, by its title; those not named show the principal one.
    """
    groups = {title: curves for title, curves in groups.items() if any(curves.values())}
    if not groups:
        return blank(NO_RUNS)
    picture, axes = panels(len(groups), 3.6, sharey=True)
    one_key = len({tuple(curves) for curves in groups.values()}) == 1
    for axis, (title, curves) in zip(axes, groups.items(), strict=True):
        _cmc(axis, curves, ranks, (tests or {}).get(title, ""), keyed=not one_key)
        axis.set_title(title)
        axis.label_outer()
    if one_key:
        handles, labels = axes[0].get_legend_handles_labels()
        picture.legend(handles, labels, loc="outside lower center", ncols=3)
    axes[0].set_ylim(top=min(100.5, axes[0].get_ylim()[1]))  # they share it; only now are all curves drawn
    return picture


def _cmc(
    axis: Axes, curves: Mapping[str, Sequence[Record]], ranks: int, test: str, *, keyed: bool = True,
    to_end: bool = True,
) -> None:  # fmt: skip
    """Curves on one axis, with a key of them; to the last rank also where they are flat before."""
    curves = {name: records for name, records in curves.items() if records}
    if not curves:
        raise ValueError("no CMC to draw: no curve has a record")
    rank = np.arange(1, ranks + 1)
    spreads = [_spread([[score(record, f"{test} top{k}".strip()) for k in rank] for record in records])
               for records in curves.values()]  # fmt: skip
    reached = [k for k in rank[1:] if all(mean[k - 1] >= REACHED for mean, _ in spreads)]
    flat = reached[0] if reached and not to_end else ranks
    for index, ((name, records), (mean, half)) in enumerate(zip(curves.items(), spreads, strict=True)):
        color, dashes = look(index)["color"], look(index)["ls"]
        axis.plot(rank, mean, color=color, ls=dashes, label=f"{name} ({_seeds(len(records))})")
        if len(curves) <= BANDS:
            axis.fill_between(rank, mean - half, np.minimum(mean + half, 100), color=color, alpha=0.14, lw=0)
        else:
            every = (index, len(curves))  # each curve's bars at ranks of its own
            axis.errorbar(rank, mean, yerr=half, errorevery=every, color=color, ls="", elinewidth=1.1, capsize=2)
    beyond = f" (from {flat} on all are above {REACHED:g}%)" if flat < ranks else ""
    axis.set(xlabel=f"rank $k${beyond}", ylabel="queries matched within rank $k$, %", xlim=(1, flat))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axis.set_xticks([1, *[tick for tick in axis.get_xticks() if 1 + flat / 15 < tick <= flat]])
    if keyed:
        axis.legend(loc="lower right")


def _spread(rows: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 95% half-width of each column; a half-width of 0 for one row."""
    pairs = [interval(column) for column in np.asarray(rows, dtype=float).T]
    return np.array([mean for mean, _ in pairs]), np.array([half or 0.0 for _, half in pairs])


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


@styled
def sweep(
    records: Mapping[float, Sequence[Record]],
    metrics: Sequence[str] = ("mAP", "top1", "top5"),
    label: str = "dropout rate before the sigmoidal units",
) -> Figure:
    """Scores against a swept value, one panel a metric on a scale of its own; bars are 95% intervals over seeds.

    Args:
        records: records by swept value; values without records are left out.
        metrics: which scores.
        label: the swept value's name.

    Without any record, the picture says so.
    """
    values = sorted(value for value, runs in records.items() if runs)
    if not values:
        return blank(NO_RUNS)
    picture, axes = panels(len(metrics), 3.0, sharex=True)
    for index, (axis, metric) in enumerate(zip(axes, metrics, strict=True)):
        pairs = [interval([score(record, metric) for record in records[value]]) for value in values]
        means, halves = [mean for mean, _ in pairs], [np.nan if half is None else half for _, half in pairs]
        color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
        axis.errorbar(values, means, yerr=halves, capsize=3, elinewidth=1.2, color=color, marker=marker)
        single = [(value, mean) for value, mean, half in zip(values, means, halves, strict=True) if np.isnan(half)]
        if single:
            axis.plot(*zip(*single, strict=True), color=color, marker=marker, mfc="white", ls="", zorder=3)
        axis.set_title(f"{metric_name(metric)}, %")
        axis.margins(x=0.07, y=0.12)
        _at_least(axis, SPAN)
        ticks = _apart(values, 0.85 * WIDTH / len(metrics))
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    alone = " (hollow: one seed, so that a point or two may be chance)" if single else ""
    picture.supxlabel(f"{label}{alone}", fontsize=9.5, color=SOFT)
    return picture


def _at_least(axis: Axes, span: float) -> None:
    """Widen a panel's range of values about its middle."""
    low, high = axis.get_ylim()
    more = max(0.0, span - (high - low)) / 2
    axis.set_ylim(low - more, high + more)


def _apart(values: Sequence[float], inches: float) -> list[float]:
    """Those of ascending values that leave room for their labels on an axis of some length."""
    kept = [values[0]]
    for value in values[1:]:
        between = (value - kept[-1]) / (values[-1] - values[0]) * inches
        if between >= LETTER * (len(f"{value:g}") + len(f"{kept[-1]:g}")) / 2:
            kept.append(value)
    return kept


@styled
def history(records: Sequence[Record]) -> Figure:
    """Loss terms against the iteration, one thin line a seed and a strong mean, over the learning rate.

    Args:
        records: runs of one configuration, one a seed; their histories name the same terms.

    Of runs that train nothing the picture says so.

    Raises:
        ValueError: there are no records, or their histories name different terms.
    """
    terms = [set(record.history) - {"iteration", "rate"} for record in records]
    if not records or any(names != terms[0] for names in terms):
        raise ValueError(f"histories of one configuration are needed, not {[sorted(names) for names in terms]}")
    if not terms[0]:
        return blank(NO_STEPS)
    picture = figure(4.4)
    top, bottom = picture.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    ordered = sorted(terms[0], key=lambda name: (name != "total", name))
    for index, name in enumerate(ordered):
        _term(top, records, name, look(index)["color"], look(index)["ls"])
    top.set(yscale="log" if _positive(records, ordered) else "linear", ylabel="loss term")
    top.legend(ncols=min(len(ordered), 5), loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0)
    bottom.plot(records[0].history["iteration"], records[0].history["rate"], color=SOFT)
    bottom.set(xlabel="iteration", ylabel="rate", ylim=(0, None))
    bottom.margins(x=0.01)
    highest = max(records[0].history["rate"])
    bottom.set_yticks([0, highest], ["0", f"{highest:g}"])
    return picture


def _term(axis: Axes, records: Sequence[Record], name: str, color: str, dashes: object) -> None:
    """One loss term: every seed faintly, and their mean where all logged the same iterations."""
    steps = [list(record.history["iteration"]) for record in records]
    lines = [np.asarray(record.history[name], dtype=float) for record in records]
    shared = all(step == steps[0] for step in steps)
    if len(records) > 1 or not shared:
        for step, line in zip(steps, lines, strict=True):
            axis.plot(step, line, color=color, lw=0.7, alpha=0.3, label=None if shared else name)
    if shared:
        axis.plot(steps[0], np.mean(lines, axis=0), color=color, ls=dashes, label=name)


def _positive(records: Sequence[Record], names: Sequence[str]) -> bool:
    return all(np.nanmin(np.asarray(record.history[name], dtype=float)) > 0 for record in records for name in names)


@styled
def scatter(maps: Mapping[str, Mapping[str, Sequence]]) -> Figure:
    """Two-dimensional features, a panel a map, each class in a colour and named at its centre (the paper's Figure 4).

    Args:
        maps: by panel title, the ``map`` exhibit of a record: ``x``, ``y`` and ``label`` of equal lengths.
    """
    picture, axes = panels(len(maps), 3.3 if len(maps) > 1 else 5.2)
    labels = sorted({str(label) for points in maps.values() for label in points["label"]})
    colors = dict(zip(labels, palette(len(labels)), strict=True))
    for axis, (title, points) in zip(axes, maps.items(), strict=True):
        x, y = np.asarray(points["x"], dtype=float), np.asarray(points["y"], dtype=float)
        names = np.asarray([str(label) for label in points["label"]])
        axis.scatter(x, y, c=[colors[name] for name in names], s=5, alpha=0.55, lw=0)
        for name in sorted(set(names)):
            _name_class(axis, name, np.median(x[names == name]), np.median(y[names == name]), colors[name])
        axis.set_title(title)
        axis.set(xlabel="feature 1")
        axis.set_box_aspect(1)
        axis.margins(0.06)
        axis.tick_params(labelsize=8)
    axes[0].set_ylabel("feature 2")
    return picture


def palette(count: int) -> list:
    """Colours for ``count`` classes: the suite's own first, then evenly spaced hues."""
    more = [(0.55, 0.34, 0.16), (0.60, 0.62, 0.05)]
    own = [*COLORS, *more]
    return own[:count] if count <= len(own) else sns.husl_palette(count, l=0.55)


def _name_class(axis: Axes, name: str, x: float, y: float, color: object) -> None:
    outline = [withStroke(linewidth=3.5, foreground="white")]
    axis.text(x, y, plain(name), color=color, size=13, weight="bold", ha="center", va="center", path_effects=outline)


@styled
def forest(verdicts: Sequence[Verdict]) -> Figure:
    """Every claim's paired differences with their 95% intervals; a mark, a colour and a word for each verdict.

    A short upright bar shows a printed margin where one was tested. Pairs that were not run have no interval.

    Raises:
        ValueError: there are no verdicts.
    """
    pairs = [(verdict, pair) for verdict in verdicts for pair in verdict.differences]
    if not pairs:
        raise ValueError("no differences to draw: there are no verdicts")
    picture = figure(1.0 + 0.36 * len(pairs))
    axis = picture.subplots()
    axis.axvline(0, color=INK, lw=1)
    for line, (verdict, pair) in enumerate(pairs):
        color, marker = (VERDICTS[verdict.verdict], VERDICT_MARKS[verdict.verdict]) if verdict.primary else (GREY, "o")
        if pair.measured:
            axis.plot([pair.low, pair.high], [line, line], color=color, lw=2.2, solid_capstyle="butt")
            axis.plot(pair.mean, line, marker=marker, color=color, ms=7, mec="white", mew=0.8)
        if verdict.margin:
            axis.plot([verdict.margin] * 2, [line - 0.35, line + 0.35], color=INK, lw=1.6)
        stale = " (stale)" if verdict.stale else ""
        words = f"{verdict.mark} {verdict.said}{stale}" if verdict.primary else ""
        axis.text(1.02, line, words, color=color, va="center", transform=axis.get_yaxis_transform())
    names = [_wrapped(f"{pair.better} − {pair.worse}, {v.claim.measure}") for v, pair in pairs]
    axis.set_yticks(range(len(pairs)), names)
    axis.set(ylim=(len(pairs) - 0.4, -0.6), xlabel="difference, points (95% interval)")
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    return picture


def _wrapped(text: str, length: int = 48) -> str:
    """A long comparison in two lines, so that its name leaves room for what is drawn."""
    first, minus, second = text.partition(" − ")
    return text if len(text) <= length or not minus else f"{first} −\n{second}"
