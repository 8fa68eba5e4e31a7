"""Pictures of the multi-guided paper show what the losses compute and what records hold."""

import math

import pytest
from matplotlib.figure import Figure

from reidpapers.multiguided import figures as multiguided


def test_the_arrows_are_those_of_the_losses():
    found = multiguided.steps()
    value, arrows = found["centre"]
    centers = [multiguided.CENTERS[place // 3] for place in range(9)]
    wanted = [(c[0] - f[0], c[1] - f[1]) for f, c in zip(multiguided.POINTS, centers, strict=True)]
    assert arrows.tolist() == [pytest.approx(list(one), abs=1e-5) for one in wanted]
    assert value.item() == pytest.approx(sum(x * x + y * y for x, y in wanted) / 2)
    value, arrows = found["triplet"]
    points, hinges = multiguided.POINTS, []
    for i, point in enumerate(points):
        positive = max(math.dist(point, points[j]) for j in range(9) if j // 3 == i // 3)
        negative = min(math.dist(point, points[j]) for j in range(9) if j // 3 != i // 3)
        hinges.append(max(0, positive - negative + multiguided.MARGIN))
    assert value.item() == pytest.approx(sum(hinges) / 9) and sum(hinge > 0 for hinge in hinges) > 0
    assert arrows.sum(0).abs().max() < 1e-6, "what pulls one image pulls or pushes another as much"


def test_pictures_are_drawn_with_and_without_runs():
    curve = {"0": 0.2, "0.5": 0.3}
    curves = [{"queries": curve, "tracks": curve, "both": curve}]
    drawn = [
        multiguided.pulls(),
        multiguided.thresholds(curves, {"queries": 0.25, "tracks": 0.25}),
        multiguided.thresholds([], {}),
    ]
    assert all(isinstance(figure, Figure) for figure in drawn)
    lines = [axis.lines for axis in drawn[1].axes]
    assert [len(of_axis) for of_axis in lines] == [3, 3, 2], "a line a seed, their mean, and the θ in use"
    assert list(lines[0][1].get_ydata()) == pytest.approx([20, 30])
