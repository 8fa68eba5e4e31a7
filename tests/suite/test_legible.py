"""Figures can be read: no text is cut or lies over other text, and every axis with numbers says what they are."""

import numpy as np
import pytest
from test_plots import rows

from reidpapers.run.papers import PAPERS, load
from reidpapers.show import plots
from reidpapers.show.explore import ablation_browser
from reidpapers.show.measure import judge
from reidpapers.show.plots import style
from reidpapers.show.plots.legible import faults


def plain(title="", x="steps", y="loss"):
    figure = style.figure(2.0, 4.0)
    axes = figure.subplots()
    axes.plot([0, 1000], [0, 1])
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(title)
    return figure, axes


def test_a_good_figure_has_no_fault():
    assert faults(plain("a title")[0]) == []


def test_text_beyond_the_edge_is_cut():
    figure, axes = plain()
    axes.annotate("far out", (1.05, 0.5), xycoords="figure fraction", annotation_clip=False).set_in_layout(False)
    (fault,) = faults(figure)
    assert fault.startswith("'far out' is cut: ") and "beyond the figure" in fault


def test_text_over_text_is_found_also_where_it_is_turned():
    figure, _ = plain()
    figure.text(0.6, 0.6, "first words", rotation=90)
    figure.text(0.57, 0.7, "second")
    assert faults(figure) == ["'first words' overlaps 'second'"]
    figure, _ = plain()
    figure.text(0.6, 0.5, "first words", rotation=90)
    figure.text(0.7, 0.5, "second")
    assert faults(figure) == []


def test_ticks_that_collide_are_found():
    figure, axes = plain()
    axes.set_xticks([500, 505], ["five hundred", "five hundred and five"])
    assert any("overlaps" in fault for fault in faults(figure))


def test_numbers_need_a_label_and_words_do_not():
    assert faults(plain(x="", y="")[0]) == ["axes 0 ('') have no x-label", "axes 0 ('') have no y-label"]
    figure, axes = plain(x="")
    axes.set_xticks([0, 1000], ["sedan", "van"])
    assert faults(figure) == []
    figure, axes = plain(x="", y="")
    axes.set_axis_off()
    assert faults(figure) == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.cmc({"a method of a long name": rows(0.2, 0.4), "another": rows(0.5, 0.6)}, ranks=10),
        lambda: plots.sweep({0.1: rows(0.2), 0.3: rows(0.3), 0.5: rows(0.4)}),
        lambda: plots.pull_push(),
        lambda: plots.cmc_panels({"(a)": {"x": rows(0.2)}, "(b)": {"x": rows(0.4)}}),
        lambda: plots.cmc_panels(dict.fromkeys("abc", {"given configuration": rows(0.2), "Only-ID": rows(0.3)})),
        lambda: plots.cmc({f"one of many methods, {n}": rows(0.1 * n, 0.1 * n + 0.05) for n in range(1, 8)}),
        lambda: plots.sweep({0.0: rows(0.2), 0.1: rows(0.3), 1.0: rows(0.4)}, label="α"),
        lambda: plots.history(rows(0.2)),
        lambda: plots.distance_schemes(),
        lambda: plots.contact_sheet([np.zeros((64, 64, 3), np.uint8)] * 16, ["red mpv\nsim_0163 · sim_c005"] * 16, 8),
    ],
    ids=["cmc", "sweep", "pull_push", "cmc_panels", "one key", "many", "close ticks", "history", "schemes", "sheet"],
)
def test_the_shared_figures_can_be_read(draw):
    assert faults(draw()) == []


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_claims_and_tables_can_be_read_in_one_picture(name):
    """With its own names of rows, long ones too, whatever they scored."""
    tables = load(name).tables
    claims = [claim for claim in tables.CLAIMS if claim.metric in ("mAP", "top1", "large top1") and not claim.dataset]
    scored = {row.name: rows(0.2, 0.25, 0.3, 0.22, 0.28) for row in tables.rows("all")}
    for found in scored.values():
        for record in found:
            record.tests = {"large": record.scores}
    verdicts = [judge(claim, scored) for claim in claims]
    assert faults(plots.forest(verdicts)) == []
    longest = sorted(scored, key=len)[-11:]
    browser = ablation_browser._Browser({"table": {row: scored[row] for row in longest}})
    assert faults(browser.draw("table", "mAP", longest[0], [0, 1, 2, 3, 4], 20).drawn) == []
