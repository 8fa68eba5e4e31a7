"""DRDL's drawings: its network, how a triplet judges falsely, and what the losses and their gradients do.

Points lie in the plane, where they can be seen, and not on the sphere of features; losses and arrows are computed by
the library's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from reidlib import losses
from reidpapers.show.plots.drawings import arrow, box, clear_axes, photo
from reidpapers.show.plots.style import BLUE, GREEN, GREY, INK, PURPLE, SOFT, VERMILION, figure, panels, styled

# Two images of one vehicle and one of another, as the paper's Fig. 5 has them.
POSITIVES, NEGATIVE = ((0.0, 0.0), (0.8, 0.0)), (0.92, 0.18)
# A set pair of five and five images, as its Fig. 7 has them.
CLUSTER = ((0.05, 0.62), (0.42, 0.95), (0.78, 0.55), (0.3, 0.12), (0.62, 0.3))
OTHERS = ((0.86, 0.86), (1.2, 0.35), (1.1, 1.25), (0.2, 1.4), (1.4, 0.8))
STEP, STEPS = 0.05, 60


@styled
def mixed_difference() -> Figure:
    """The paper's Figure 6: shared convolutions and fc6, an upper branch for models, a lower one, and both in fc8."""
    picture = figure(3.6)
    axis = picture.subplots()
    clear_axes(axis, 8.2, 3.6)
    photo(axis, (0.6, 1.8), BLUE)
    axis.text(0.6, 1.2, "image", ha="center", size=8.5)
    arrow(axis, (1.06, 1.8), (1.3, 1.8))
    trunk = [(1.34, 1.2), (1.34, 2.4), (2.44, 2.15), (2.44, 1.45)]
    axis.add_patch(Polygon(trunk, closed=True, facecolor="#EEF2F7", edgecolor=INK, lw=1))
    axis.text(1.88, 1.8, "shared trunk\nwith fc6", ha="center", va="center", size=8)
    for y, name, color in ((2.85, "fc7_1", PURPLE), (0.75, "fc7_2", BLUE)):
        arrow(axis, (2.48, 1.8), (3.0, y))
        box(axis, (3.4, y), 0.76, 0.42, name, color)
        arrow(axis, (3.8, y), (4.62, 1.8), color=SOFT)
    box(axis, (5.0, 1.8), 0.72, 0.42, "fc8", GREEN)
    ends = ((2.85, "softmax over models", 0.5, PURPLE), (1.8, "coupled clusters, retrieval", 1.0, GREEN),
            (0.75, "coupled clusters", 0.5, BLUE))  # fmt: skip
    for y, text, weight, color in ends:
        arrow(axis, (3.8 if y != 1.8 else 5.38, y), (5.68, y), color=color)
        axis.text(5.76, y, f"{text}\nweight {weight:g}", va="center", size=9, color=color)
    axis.text(3.4, 3.2, "which model?", ha="center", size=8.5, color=PURPLE)
    axis.text(3.4, 0.3, "which of its vehicles?", ha="center", size=8.5, color=BLUE)
    return picture


@styled
def false_judgement(margin: float = 0.2) -> Figure:
    """The paper's Figures 4 and 5: three images make two triplets, of which one sees nothing wrong; the cluster does.

    Args:
        margin: of both losses.
    """
    picture, axes = panels(3, 2.6, sharex=True, sharey=True)
    points = torch.tensor([*POSITIVES, NEGATIVE])
    for axis, anchor in zip(axes, (1, 0), strict=False):
        value, force = _forces(points, lambda p, a=anchor: losses.triplet(p[a, None], p[1 - a, None], p[2:], margin))
        axis.plot(*points[[1 - anchor, anchor, 2]].T.numpy(), color=GREY, lw=1, ls=":", zorder=1)
        _scene(axis, points, force, names=("anchor", "positive") if anchor == 0 else ("positive", "anchor"))
        axis.set_title(f"triplet: loss {value:.3f}" + ("" if value else ", no slope"))
    value, force = _forces(points, lambda p: losses.coupled_clusters(p[None, :2], p[None, 2:], margin))
    axes[2].plot(*points[:2].mean(0).tolist(), marker="x", color=INK, ms=8, mew=2, zorder=3)
    axes[2].annotate("$c$", points[:2].mean(0).tolist(), (0, 8), textcoords="offset points", ha="center")
    _scene(axes[2], points, force, names=("", ""))
    axes[2].set_title(f"coupled clusters: loss {value:.3f}")
    return picture


@styled
def cluster_forces(margin: float = 0.2) -> Figure:
    """The paper's Figure 7: what moves a set pair, by its printed gradient and by the true one, and where it ends.

    Args:
        margin: of the coupled clusters loss.
    """
    picture, axes = panels(3, 3.5, sharex=True, sharey=True)
    points = torch.tensor([*CLUSTER, *OTHERS])
    angle = losses.gradient_angle(points[None, :5], points[None, 5:], margin).item()
    titles = ("centre constant (eq. 7, 8)", f"true gradient, {angle:.0f}° away")
    for axis, center, title in zip(axes, losses.CENTERS, titles, strict=False):
        value, force = _forces(points, _clusters(margin, center))
        _scene(axis, points, force)
        axis.set_title(title)
        axis.set_xlabel(f"loss {value:.3f}")
    for _ in range(STEPS):
        points = points + STEP * _forces(points, _clusters(margin, "detach"))[1]
    value, _ = _forces(points, _clusters(margin, "detach"))
    _scene(axes[2], points, None)
    axes[2].set_title(f"after {STEPS} steps of the first")
    axes[2].set_xlabel(f"loss {value:.3f}")
    return picture


@styled
def angles(degrees: Sequence[float]) -> Figure:
    """How far the printed gradient points from the true one: a histogram over set pairs.

    Args:
        degrees: angle of each set pair; those without a gradient (not a number) are left out and counted.
    """
    picture = figure(2.6)
    axis = picture.subplots()
    values = np.asarray(degrees, dtype=float)
    finite = values[np.isfinite(values)]
    axis.hist(finite, bins=np.arange(0, 181, 5), color=BLUE, edgecolor="white")
    axis.set(xlabel="angle between the two gradients of a set pair, degrees", ylabel="set pairs", xlim=(0, 180))
    axis.set_title(f"{len(finite)} set pairs, {len(values) - len(finite)} without a gradient")
    return picture


@styled
def vehicles_of_models(counts: Sequence[int]) -> Figure:
    """The paper's Figure 9: number of vehicles of each model, the most frequent first."""
    picture = figure(2.6)
    axis = picture.subplots()
    ordered = sorted(counts, reverse=True)
    axis.bar(range(1, len(ordered) + 1), ordered, color=BLUE, width=0.85)
    axis.set(xlabel="vehicle models, most frequent first", ylabel="vehicles", xlim=(0.4, len(ordered) + 0.6))
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="x", visible=False)
    return picture


def _clusters(margin: float, center: str) -> Callable[[Tensor], Tensor]:
    return lambda points: losses.coupled_clusters(points[None, :5], points[None, 5:], margin, center=center)


def _forces(points: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[float, Tensor]:
    """A loss at some points, and the negative of its gradient: where each of them is moved."""
    leaf = points.clone().requires_grad_()
    value = loss(leaf).sum()
    return value.item(), -torch.autograd.grad(value, leaf)[0]


def _scene(axis: Axes, points: Tensor, force: Tensor | None, names: Sequence[str] = ()) -> None:
    """Positives as dots, negatives as crosses, and an arrow a point that is moved: its length grows with the root."""
    count = 2 if len(points) == 3 else 5
    axis.scatter(*points[:count].T.numpy(), color=GREEN, s=42, zorder=3)
    axis.scatter(*points[count:].T.numpy(), color=VERMILION, marker="X", s=48, zorder=3)
    if len(points) != 3:
        axis.plot(*points[:count].mean(0).tolist(), marker="x", color=INK, ms=8, mew=2, zorder=3)
    for point, name in zip(points.tolist(), names, strict=False):
        axis.annotate(name, point, (0, -15), textcoords="offset points", ha="center", color=SOFT, size=8.5)
    longest = 1.0 if force is None else float(force.norm(dim=1).max())
    for point, move in zip(points, torch.zeros(0, 2) if force is None else force, strict=False):
        if move.norm() > 1e-6:
            end = point + 0.3 * move / (longest * move.norm()) ** 0.5
            look = {"arrowstyle": "-|>", "color": INK, "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
            axis.annotate("", end.tolist(), point.tolist(), arrowprops=look, annotation_clip=False, zorder=4)
    low, high = points.min(0).values.tolist(), points.max(0).values.tolist()
    axis.set(xlim=(low[0] - 0.25, high[0] + 0.35), ylim=(low[1] - 0.35, high[1] + 0.35), aspect="equal")
    axis.set_xticklabels([])
    axis.set_yticklabels([])
