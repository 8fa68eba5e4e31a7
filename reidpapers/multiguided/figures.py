"""Pictures of the multi-guided paper: what its losses pull and push, and what its thresholds are chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from reidlib import losses
from reidpapers.show.plots.curves import NO_RUNS
from reidpapers.show.plots.style import BLUE, COLORS, DASHES, GREEN, INK, SOFT, VERMILION, blank, panels, styled

# Features of three identities, three images each, and the identities' centres.
POINTS = ((0.2, 0.3), (1.5, 0.2), (0.9, 1.5), (2.1, 1.3), (3.3, 0.9), (2.9, 2.2), (0.7, 2.7), (1.7, 3.1), (1.5, 2.1))
CENTERS = ((0.8, 0.6), (2.8, 1.5), (1.2, 2.7))
LOOKS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "D"))
MARGIN = 0.5


def steps() -> dict[str, tuple[Tensor, Tensor]]:
    """Steps against the slopes of triplet and centre loss at the toy features: value and ``[9, 2]`` each, by name."""
    who = torch.arange(9) // 3
    step_losses = {
        "triplet": lambda f: losses.batch_hard_triplet(f, who, MARGIN),
        "centre": lambda f: losses.center_loss(f, who, torch.tensor(CENTERS)),
    }
    steps_by_loss = {}
    for name, loss in step_losses.items():
        f = torch.tensor(POINTS, requires_grad=True)
        value = loss(f)
        steps_by_loss[name] = value.detach(), -torch.autograd.grad(value, f)[0]
    return steps_by_loss


@styled
def pulls() -> Figure:
    """What triplet and centre loss do to nine images of three identities: the step against the slope at each."""
    picture, axes = panels(2, 3.7)
    titles = {"triplet": "triplet, on $f$ (eq. 3)", "centre": "centre, on $f$ (eq. 2)"}
    for axis, (name, (value, arrows)) in zip(axes, steps().items(), strict=True):
        scale = 0.9 / float(arrows.norm(dim=1).max())
        for place, (x, y) in enumerate(POINTS):
            color, marker = LOOKS[place // 3]
            axis.plot(x, y, marker=marker, color=color, ms=8, mec="white", ls="", zorder=3)
            dx, dy = (scale * arrows[place]).tolist()
            if abs(dx) + abs(dy) > 1e-3:
                look = {"arrowstyle": "-|>", "color": INK, "lw": 1.3, "shrinkA": 3, "shrinkB": 0}
                axis.annotate("", (x + dx, y + dy), (x, y), arrowprops=look, zorder=4)
        if name == "centre":
            for (x, y), (color, _) in zip(CENTERS, LOOKS, strict=True):
                axis.plot(x, y, marker="+", color=color, ms=13, mew=2.2, ls="", zorder=2)
        axis.set(xlim=(-0.4, 3.9), ylim=(-0.5, 3.7), aspect="equal", xticks=[], yticks=[])
        axis.set_title(f"{titles[name]}: {float(value):.2f}")
        axis.grid(visible=False)
    return picture


@styled
def thresholds(curves: Sequence[Mapping[str, Mapping[str, float]]], chosen: Mapping[str, float]) -> Figure:
    """mAP on training vehicles against θ, by use of it: thin lines are seeds, the dotted one is the θ in use.

    Args:
        curves: the ``thresholds`` exhibit of records, one a seed: by ``queries``, ``tracks`` or ``both``, θ → mAP.
        chosen: the θ in use, by the same names.
    """
    if not curves:
        return blank(NO_RUNS)
    picture, axes = panels(3, 2.9, sharey=True)
    titles = {"queries": "grouping queries", "tracks": "inserting tracks", "both": "both, with one θ"}
    for index, (axis, (name, title)) in enumerate(zip(axes, titles.items(), strict=True)):
        values = [float(theta) for theta in curves[0][name]]
        lines = np.array([[100 * curve[name][theta] for theta in curves[0][name]] for curve in curves])
        for line in lines:
            axis.plot(values, line, color=COLORS[index], lw=0.7, alpha=0.35)
        axis.plot(values, lines.mean(0), color=COLORS[index], ls=DASHES[index], marker="o", ms=4)
        if name in chosen:
            axis.axvline(chosen[name], color=SOFT, ls=":", lw=1.2)
        axis.set(xlabel="θ, in mean distances", title=title)
    axes[0].set_ylabel("mAP on training vehicles, %")
    return picture
