"""AGNet's pictures: drawn from the loss's own values, and from what records hold."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reidpapers.agnet import figures
from reidpapers.show import plots
from reidpapers.show.plots import legible


def test_the_lines_are_the_losss_own_values():
    made = figures.smoothing(theta=0.3, beta=0.5, alpha=0.1)
    lines = {line.get_label(): line for line in made.axes[0].get_lines() if line.get_label() in figures.KINDS}
    slopes = dict(zip(figures.KINDS, (line for line in made.axes[1].get_lines()), strict=True))
    for name, epsilon in zip(figures.KINDS, (0.7, 0.3, 0.0), strict=True):
        for place in (0, 150, 299):
            q = float(lines[name].get_xdata()[place])
            wanted = -math.log(q) - 0.5 * epsilon * math.log(0.1 + q)
            assert lines[name].get_ydata()[place] == pytest.approx(wanted)
            assert slopes[name].get_ydata()[place] == pytest.approx(1 / q + 0.5 * epsilon / (0.1 + q))


def test_a_pairs_loss_is_of_its_kind():
    q = torch.tensor([0.25], dtype=torch.float64)
    found = [figures.pair_loss(q, kind, theta=0.5, beta=1.0, alpha=0.0).item() for kind in range(3)]
    assert found == pytest.approx([1.5 * math.log(4), 1.5 * math.log(4), math.log(4)])


def test_the_map_has_a_panel_an_attribute_with_its_purity():
    points = {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 0.0], "vehicle": ["a", "b", "c"], "color": ["red", None, "white"],
              "type": ["bus", "bus", "van"]}  # fmt: skip
    made = figures.embedding_map(points, {"color": {"purity": 0.634, "chance": 0.1}})
    assert [axis.get_title("left") for axis in made.axes] == ["identity", "colour\n63% (chance 10%)", "type"]
    shown = [sum(len(each.get_offsets()) for each in axis.collections) for axis in made.axes]
    assert shown == [3, 2, 3], "an unknown colour is not shown"


def test_masks_show_each_image_and_each_variant():
    one = {"image": "a", "weights": [3.0, 1.0], "before": [[1.0, 0.5], [0.0, 0.2]], "after": [[1.0, 0.0], [0.0, 0.0]]}
    made = figures.masks(
        {"printed": [one, one], "none": [], "spatial": [one, one]}, lambda name: np.zeros((8, 8, 3), np.uint8)
    )
    assert len(made.axes) == 4 * 3
    (line, *_), _ = made.axes[8].get_lines()[:2], None
    assert list(line.get_ydata()) == [1.5, 0.5]
    even = {**one, "weights": [1.0, 1.0]}
    grid = figures.masks({"printed": [one], "spatial": [even]}, lambda name: np.zeros((8, 8, 3), np.uint8)).axes
    assert [grid[place].get_visible() for place in (5, 7)] == [True, False]
    with pytest.raises(ValueError, match="no masks to draw"):
        figures.masks({"none": []}, None)


def test_panels_of_test_sets_show_their_own_scores():
    record = SimpleNamespace(scores={"cmc": [0.1] * 5}, tests={"small": {"cmc": [0.4, 0.5, 0.6, 0.7, 0.8]}})
    made = plots.cmc_panels({"small": {"a": [record]}, "own": {"a": [record]}}, 5, tests={"small": "small"})
    found = [axis.get_lines()[0].get_ydata().tolist() for axis in made.axes]
    assert found == [pytest.approx([40, 50, 60, 70, 80]), pytest.approx([10] * 5)]


def test_swept_values_are_named_where_there_is_room():
    record = SimpleNamespace(scores={"mAP": 0.5}, tests={})
    for metrics, ticks in (("mAP",), [0.0, 0.2, 0.5, 1.0, 2.0, 8.0]), (("mAP",) * 2, [0.0, 0.5, 1.0, 2.0, 8.0]):
        made = plots.sweep({value: [record] for value in (0.0, 0.2, 0.5, 1.0, 2.0, 8.0)}, metrics, "ω")
        assert list(made.axes[0].get_xticks()) == ticks and not legible.faults(made)
        assert len(made.axes[0].get_lines()[0].get_xdata()) == 6
