"""C2F-Rank's drawings: the slopes and marks that they show are those of the loss."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from reidpapers.c2f_rank import figures

CASES = [figures.DEGREES, (10.0, 80.0, 60.0, -40.0), (0.0, 30.0, 45.0, 40.0)]


@pytest.mark.parametrize("degrees", CASES)
def test_the_corrected_gradients_are_autograds(degrees):
    points = figures.circle(degrees)
    i, l, j, k = points  # noqa: E741
    ours, _ = figures.slopes(points)
    square = lambda a, b: float(((a - b) ** 2).sum())  # noqa: E731
    a = float(square(i, j) - square(i, k) + 0.2 > 0)
    b = 2.0 * (square(i, l) - square(i, j) + 0.2 > 0)
    wanted = [2 * a * (k - j) + 2 * b * (j - l) + 2 * (i - l), 2 * (b + 1) * (l - i), 2 * (a - b) * (j - i)]
    assert torch.allclose(ours, torch.stack([*wanted, 2 * a * (i - k)]), atol=1e-12)


@pytest.mark.parametrize("degrees", CASES)
def test_printed_gradients_of_j_k_and_l_leave_nothing_along_the_circle(degrees):
    points = figures.circle(degrees)
    ours, printed = (figures.tangential(points, gradient) for gradient in figures.slopes(points))
    assert printed[1:].abs().max() < 1e-12 and printed[0].abs().max() > 0.1
    assert ours[1].norm() > 0.1


def test_the_default_drawing_has_both_hinges_active():
    _, printed = figures.slopes(figures.circle(figures.DEGREES))
    assert (printed.norm(dim=1) > 0.1).all()


def test_descent_on_the_terms_orders_images_as_the_paper_draws_it():
    made = figures.structured(steps=400)
    before, after = (axis.texts[0].get_text() for axis in made.axes)
    assert "$R_c$ = 0.00, $R_f$ = 0.00" in after and "= 0.00" not in before


def test_mined_marks_are_the_nearest_of_each_kind():
    place = torch.arange(24)
    features = F.normalize(torch.randn(24, 6, generator=torch.Generator().manual_seed(0)))
    made = figures.mined(features, place // 2, place // 8, anchor=5, k1=4, k2=3)
    axis = made.axes[0]
    distance = (features[5] - features).square().sum(1)
    for line, (there, taken) in enumerate(((1, 1), (6, 3), (16, 4))):
        marks = [mark for mark in axis.get_lines() if mark.get_ydata()[0] == line]
        assert len(marks) == there
        filled = sorted(mark.get_xdata()[0] for mark in marks if mark.get_markerfacecolor() != "white")
        every = sorted(mark.get_xdata()[0] for mark in marks)
        assert filled == every[:taken] and f"{taken} taken" in {text.get_text() for text in axis.texts}
        assert every[0] >= float(distance.sort().values[1]) - 1e-5


def test_drawings_are_figures_and_convergence_is_the_mean_over_seeds():
    assert isinstance(figures.coarse_to_fine(), Figure) and isinstance(figures.printed_gradients(), Figure)
    runs = [SimpleNamespace(history={"iteration": [0, 5], "fine": values}) for values in ([0.2, 0.1], [0.4, 0.3])]
    figure = figures.convergence({"FGR": runs, "none": [], "other": [SimpleNamespace(history={"coarse": [1]})]})
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_ydata()) == pytest.approx([0.3, 0.2])
    assert not figures.convergence({"FGR": []}).axes  # it says that there are no runs
