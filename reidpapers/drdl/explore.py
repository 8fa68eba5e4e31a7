"""DRDL's loss playground: move the images of a set pair in the plane, and see what the loss makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from reidlib import losses
from reidpapers.drdl.config import DRDLConfig
from reidpapers.drdl.figures import CLUSTER, OTHERS
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.panel import Panel, Picture
from reidpapers.show.plots.style import GREEN, GREY, INK, SOFT, VERMILION, WIDTH, styled

LOSSES = {
    "coupled clusters, centre constant (eq. 7, 8)": "detach",
    "coupled clusters, true gradient": "full",
    "triplets, mean": "triplet",
}
POSITIVES = 5
NAMES = (*(f"p{i + 1}" for i in range(POSITIVES)), *(f"n{i + 1}" for i in range(len(OTHERS))))
REACH, STEP = 2.0, 0.05


def clusters(config: DRDLConfig) -> None:
    """Play with coupled clusters and triplets: five images of one vehicle, five of others, in the plane.

    Args:
        config: its margin is where the slider starts.
    """
    _Playground(config.margin).panel.show()


def loss(points: Tensor, kind: str, margin: float) -> Tensor:
    """A loss of a set pair in the plane: ``[10, 2]``, positives first, a value of :data:`LOSSES`."""
    positives, negatives = points[None, :POSITIVES], points[None, POSITIVES:]
    if kind == "triplet":
        return losses.set_triplets(positives, negatives, margin)[0]
    return losses.coupled_clusters(positives, negatives, margin, center=kind)[0]


def active(points: Tensor, kind: str, margin: float) -> list[tuple[int, int]]:
    """Which positives (for triplets: pairs of anchor and negative) have a hinge above 0, as (image, its rival)."""
    positives, negatives = points[:POSITIVES], points[POSITIVES:]
    far = losses.squared_distances(positives, negatives)  # [P, N]
    if kind == "triplet":
        near = losses.squared_distances(positives, positives)
        hinges = losses.hinge(near[:, :, None], far[:, None], margin)  # [anchor, positive, negative]
        hinges = hinges * ~torch.eye(POSITIVES, dtype=torch.bool)[:, :, None]
        return [(a, POSITIVES + n) for a, n in (hinges.amax(1) > 0).nonzero().tolist()]
    center = positives.mean(0)
    rival = int((negatives - center).square().sum(1).argmin())
    near = (positives - center).square().sum(1)
    hinges = losses.hinge(near, (negatives[rival] - center).square().sum(), margin)
    return [(i, POSITIVES + rival) for i in (hinges > 0).nonzero().flatten().tolist()]


def parts(points: Tensor, kind: str, margin: float) -> list[float]:
    """What each positive adds to the loss: its own term of eq. 6, or as an anchor its triplets' share."""
    positives, negatives = points[:POSITIVES], points[POSITIVES:]
    if kind == "triplet":
        near, far = losses.squared_distances(positives, positives), losses.squared_distances(positives, negatives)
        hinges = (
            losses.hinge(near[:, :, None], far[:, None], margin) * ~torch.eye(POSITIVES, dtype=torch.bool)[:, :, None]
        )
        return (hinges.sum((1, 2)) / (POSITIVES * (POSITIVES - 1) * len(negatives))).tolist()
    center = positives.mean(0)
    far = (negatives - center).square().sum(1).min()
    return (0.5 * losses.hinge((positives - center).square().sum(1), far, margin)).tolist()


class _Playground:
    """Points, margin and loss."""

    def __init__(self, margin: float) -> None:
        self.points = torch.tensor([*CLUSTER, *OTHERS], dtype=torch.float64)
        make = ControlMaker()
        controls = {
            "kind": make.choice("loss", list(LOSSES), width="30em"),
            "margin": make.slider("margin", margin, max(1.0, 2 * margin), 0.01, "α of the loss"),
            "point": make.choice("image", NAMES, width="11em"),
            "x": make.slider("its x", float(self.points[0, 0]), REACH, 0.01, "of the image chosen", -0.5),
            "y": make.slider("its y", float(self.points[0, 1]), REACH, 0.01, "of the image chosen", -0.5),
            "step": make.button("one step down", "move every image along its arrow"),
            "reset": make.button("start again", "every image where it was"),
        }
        links = {
            "point": self._choose,
            "x": lambda value: self._move(0, value),
            "y": lambda value: self._move(1, value),
        }
        rows = [["kind", "margin", "step", "reset"], ["point", "x", "y"]]
        presses = {"step": self._step, "reset": self._reset}
        self.panel = Panel("clusters", make, controls, self.draw, rows, links, presses)

    def draw(self, kind: str, margin: float, point: str, **others: Any) -> Picture:
        """The images, the active pairs and where the loss moves them."""
        how = LOSSES[kind]
        value, force = self._force(how, margin)
        pairs = active(self.points, how, margin)
        moved = NAMES.index(point)
        arrow = float(force[moved].norm())
        counted = f"{len(pairs)} active pairs of anchor and negative" if how == "triplet" else (
            f"{len(pairs)} of {POSITIVES} positives are active" + (f", against {NAMES[pairs[0][1]]}" if pairs else "")
        )  # fmt: skip
        text = (
            f"{kind}: loss {value:.3f} at margin {margin:.2f}; {counted} (dotted). ● images of one vehicle, ✕ of "
            f"others, + their centre c. Arrows: a step down the gradient; that of {point} is {arrow:.3f} long."
        )
        return Picture(
            _figure(self.points, force, pairs, moved, parts(self.points, how, margin), how != "triplet"), text
        )

    def _force(self, how: str, margin: float) -> tuple[float, Tensor]:
        leaf = self.points.clone().requires_grad_()
        value = loss(leaf, how, margin)
        return value.item(), -torch.autograd.grad(value, leaf)[0]

    def _choose(self, point: str) -> None:
        x, y = self.points[NAMES.index(point)].tolist()
        self.panel.controls["x"].value, self.panel.controls["y"].value = x, y

    def _move(self, axis: int, value: float) -> None:
        self.points[NAMES.index(self.panel.controls["point"].value), axis] = value

    def _step(self) -> None:
        controls = self.panel.controls
        _, force = self._force(LOSSES[controls["kind"].value], controls["margin"].value)
        self.points = (self.points + STEP * force).clamp(-0.5, REACH)
        self._choose(controls["point"].value)

    def _reset(self) -> None:
        self.points = torch.tensor([*CLUSTER, *OTHERS], dtype=torch.float64)
        self._choose(self.panel.controls["point"].value)


@styled
def _figure(
    points: Tensor, force: Tensor, pairs: list[tuple[int, int]], chosen: int, added: list[float], centred: bool
) -> Figure:
    made = Figure(figsize=(WIDTH, 4.4))
    axis = made.add_axes((0.02, 0.02, 0.58, 0.96))
    for first, second in pairs:
        axis.plot(*points[[first, second]].T.numpy(), color=GREY, lw=0.9, ls=":", zorder=1)
    positives, negatives = points[:POSITIVES].numpy(), points[POSITIVES:].numpy()
    axis.plot(*positives.T, ls="", marker="o", color=GREEN, ms=8, zorder=3)
    axis.plot(*negatives.T, ls="", marker="X", color=VERMILION, ms=9, zorder=3)
    axis.plot(*points[chosen].tolist(), ls="", marker="o", ms=17, mfc="none", mec=INK, mew=1.4, zorder=3)
    if centred:
        center = positives.mean(0)
        axis.plot(*center, ls="", marker="+", color=INK, ms=11, mew=2, zorder=3)
        axis.annotate("c", center, (6, 6), textcoords="offset points")
    moving = force.norm(dim=1) > 1e-9
    for name, place, move in zip(NAMES, points.tolist(), force, strict=True):
        x, y = (-15 * move / move.norm()).tolist() if move.norm() > 1e-9 else (12, -11)  # behind its arrow
        axis.annotate(name, place, (x, y), textcoords="offset points", ha="center", va="center", color=SOFT, size=8)
    if moving.any():
        length = force.norm(dim=1, keepdim=True)
        shown = (0.35 * force / (length * length.max()).sqrt().clamp_min(1e-12))[moving]
        axis.quiver(*points[moving].T.numpy(), *shown.T.numpy(), angles="xy", scale_units="xy", scale=1, color=INK,
                    width=0.005, zorder=4)  # fmt: skip
    axis.set(xlim=(-0.55, REACH + 0.05), ylim=(-0.55, REACH + 0.05), aspect="equal", xticklabels=[], yticklabels=[])
    axis.set_xticks(np.arange(-0.5, REACH + 0.1, 0.5))
    axis.set_yticks(np.arange(-0.5, REACH + 0.1, 0.5))
    beside = made.add_axes((0.7, 0.2, 0.27, 0.6))
    beside.barh(range(POSITIVES), added, color=GREEN, height=0.55)
    beside.set_yticks(range(POSITIVES), NAMES[:POSITIVES])
    beside.set(ylim=(POSITIVES - 0.5, -0.5), title="each adds to the loss", xlim=(0, max(0.2, 1.1 * max(added))))
    beside.grid(axis="y", visible=False)
    return made
