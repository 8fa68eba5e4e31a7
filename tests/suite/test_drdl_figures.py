"""DRDL's drawings say what the losses say."""

import pytest
import torch

from reidlib import losses
from reidpapers.drdl import figures


def titles(figure):
    return [axis.get_title(loc="left") for axis in figure.axes]


def test_one_triplet_is_blind_to_what_the_cluster_sees():
    near, blind, cluster = titles(figures.false_judgement(0.2))
    assert near == "triplet: loss 0.793" and blind == "triplet: loss 0.000, no slope"
    # The centre is (0.4, 0), both positives 0.16 from it; the negative (0.52, 0.18) away, so 0.3028.
    assert cluster == f"coupled clusters: loss {0.16 + 0.2 - 0.3028:.3f}"


def arrows(axis):
    return [text for text in axis.texts if getattr(text, "arrow_patch", None) is not None]


def test_arrows_are_drawn_for_points_that_are_moved_alone():
    figure = figures.false_judgement(0.2)
    assert [len(arrows(axis)) for axis in figure.axes] == [3, 0, 3]
    printed, true, end = figures.cluster_forces(0.2).axes
    points = torch.tensor([*figures.CLUSTER, *figures.OTHERS])[None]
    slopes = losses.center_gradients(points[:, :5], points[:, 5:], 0.2)
    moved = sum(int((slope.norm(dim=2) > 0).sum()) for slope in slopes)
    assert len(arrows(printed)) == moved < len(arrows(true)) and not arrows(end)


def test_steps_along_the_printed_gradient_end_without_a_loss():
    first, second, last = (axis.get_xlabel() for axis in figures.cluster_forces(0.2).axes)
    assert first == second != last == "loss 0.000"


def test_counts_and_angles():
    assert titles(figures.angles([10.0, float("nan"), 90.0])) == ["2 set pairs, 1 without a gradient"]
    heights = [bar.get_height() for bar in figures.vehicles_of_models([1, 5, 3]).axes[0].patches]
    assert heights == [5, 3, 1]
    texts = " ".join(text.get_text() for text in figures.mixed_difference().axes[0].texts)
    assert all(name in texts for name in ("fc7_1", "fc7_2", "fc8", "softmax"))


def test_a_negative_margin_is_refused():
    with pytest.raises(ValueError, match="margin"):
        figures.cluster_forces(-1.0)
