"""Drawings of C2F-Rank: what its terms do to points on a circle, the mining, the printed gradients, and convergence.

Points on the unit circle are features of unit length in the plane; every loss and slope is the library's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from reidlib import losses
from reidpapers.show.claims import Record
from reidpapers.show.plots.curves import NO_RUNS
from reidpapers.show.plots.style import (
    BLUE,
    COLORS,
    DASHES,
    GREEN,
    GREY,
    INK,
    MARKERS,
    ORANGE,
    SOFT,
    VERMILION,
    blank,
    figure,
    panels,
    styled,
)

MODELS = {0: ("model A", BLUE), 1: ("model B", ORANGE)}
# Images of vehicles V1 (twice) and V2 of model A and of V3 of model B, at degrees round the circle.
NAMES, VEHICLES, DEGREES = ("i", "l", "j", "k"), (0, 0, 1, 2), (0.0, 100.0, 55.0, -58.0)
WEIGHTS = {"coarse": 100.0, "fine": 1000.0, "pair": 10.0}  # α, β, γ


def circle(degrees: Sequence[float]) -> Tensor:
    """Points of the unit circle, float64 ``[N, 2]``."""
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], 1)


def terms(points: Tensor, vehicles: Sequence[int], models: Sequence[int]) -> dict[str, Tensor]:
    """R_c, R_f and P of points ``[N, 2]``, which need not have unit length, with the paper's margins and mining."""
    return losses.coarse_to_fine(
        F.normalize(points), torch.tensor(vehicles), torch.tensor(models), coarse_margin=0.2, fine_margin=0.2,
        coarse_nearest=10, fine_nearest=3,
    )  # fmt: skip


@styled
def coarse_to_fine(degrees: Sequence[float] = DEGREES) -> Figure:
    """What each term does to four images on the unit circle: its value, and the way down it for each image.

    Args:
        degrees: where images i and l of vehicle V1, j of V2 (same model) and k of V3 (other model) lie.
    """
    drawing, axes = panels(3, 3.4)
    titles = {"coarse": "coarse ranking $R_c$", "fine": "fine ranking $R_f$", "pair": "pair term $P$"}
    models = (0, 0, 0, 1)
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        points = circle(degrees).requires_grad_()
        value = terms(points, VEHICLES, models)[name]
        (slope,) = torch.autograd.grad(value, points)
        _circle(axis, f"{title} = {value.item():.2f}")
        steps = -0.55 * slope / max(float(slope.norm(dim=1).max()), 1e-9)
        _images(axis, points.detach(), VEHICLES, models, NAMES, [steps])
        for point, step in zip(points.detach(), steps, strict=True):
            if step.norm() > 1e-6:
                _arrow(axis, point, step, INK)
    _legend(drawing, 3)
    return drawing


@styled
def structured(steps: int = 400, seed: int = 3) -> Figure:
    """The paper's Figure 2 from real descent: images on the unit circle before and after following the three terms.

    Args:
        steps: of gradient descent on α R_c + β R_f + γ P, over the images' places themselves.
        seed: of where they start.
    """
    vehicles = [v for v in range(4) for _ in range(4)]  # V1 and V2 of model A, V3 and V4 of model B
    models = [v // 2 for v in vehicles]
    draw = torch.Generator().manual_seed(seed)
    angle = 360 * torch.rand(len(vehicles), generator=draw, dtype=torch.float64)
    before = circle(angle.tolist())
    points = before.clone().requires_grad_()
    for _ in range(steps):
        values = terms(points, vehicles, models)
        (slope,) = torch.autograd.grad(sum(WEIGHTS[name] * value for name, value in values.items()), points)
        with torch.no_grad():
            # Normalised steps that shrink: a point on a circle has only one way to go round.
            points -= 0.1 * slope / slope.norm(dim=1, keepdim=True).max().clamp_min(1e-9)
            points /= points.norm(dim=1, keepdim=True)
    drawing, axes = panels(2, 4.2)
    signs = {"coarse": "R_c", "fine": "R_f", "pair": "P"}
    for axis, where, title in zip(axes, (before, points.detach()), ("before", f"after {steps} steps"), strict=True):
        values = terms(where, vehicles, models)
        sizes = ", ".join(f"${sign}$ = {float(values[name]):.2f}" for name, sign in signs.items())
        _circle(axis, f"{title}: {sizes}")
        _images(axis, where, vehicles, models)
    _legend(drawing, 4)
    return drawing


@styled
def mined(features: Tensor, vehicles: Tensor, models: Tensor, anchor: int = 0, k1: int = 10, k2: int = 3) -> Figure:
    """One image's squared distances to the rest of its batch, by relation; filled: those that the loss takes.

    Args:
        features: of unit length, ``[N, D]``.
        vehicles, models: codes ``[N]``.
        anchor: which image.
        k1, k2: how many of the nearest images of other models, and of other vehicles of the model, are taken.
    """
    distances = losses.squared_distances(features, features)
    related = losses.relations(vehicles, models)
    taken = {"other_model": k1, "same_model": k2, "same_vehicle": len(features)}
    looks = {
        "same_vehicle": ("same vehicle ($P$)", GREEN, "o"),
        "same_model": ("other vehicle, same model ($N_v$)", BLUE, "s"),
        "other_model": ("other model ($N_m$)", VERMILION, "D"),
    }
    drawing = figure(2.5)
    axis = drawing.subplots()
    for line, (name, (_, color, marker)) in enumerate(looks.items()):
        nearest, there = losses.nearest(distances, getattr(related, name), taken[name])
        chosen = set(nearest[anchor][there[anchor]].tolist())
        for image in getattr(related, name)[anchor].nonzero().flatten().tolist():
            fill = color if image in chosen else "white"
            axis.plot(float(distances[anchor, image].detach()), line, marker=marker, ms=7, mec=color, mfc=fill, ls="")
        axis.text(1.01, line, f"{len(chosen)} taken", color=color, va="center", transform=axis.get_yaxis_transform())
    axis.set_yticks(range(3), [label for label, _, _ in looks.values()])
    axis.set(xlabel="squared distance $D$ to the anchor", ylim=(2.5, -0.5))
    axis.margins(x=0.03)
    axis.grid(axis="y", visible=False)
    return drawing


def slopes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of one image's ranking loss with respect to i, l, j and k: by autograd, and as printed (eq. 7–10).

    The loss is that of anchor i in eq. 6 without the classification, over the tuples (i, j, k) and (i, l, j). Its
    weights are α = γ = 1 and β = 2, so that what pulls j and what pushes it do not cancel.

    Args:
        points: f of i, l, j, k, ``[4, 2]``.

    Returns:
        Two tensors ``[4, 2]``.
    """
    f = points.clone().requires_grad_()
    distance = losses.squared_distances(f[:1], f)[0]  # D(i, ·)
    coarse = losses.hinge(distance[2], distance[3], 0.2)
    fine = losses.hinge(distance[1], distance[2], 0.2)
    (ours,) = torch.autograd.grad(coarse + 2 * fine + distance[1], f)
    i, l, j, k = points  # noqa: E741 — the paper's names
    a, b = float(coarse > 0), 2 * float(fine > 0)  # α μ(J_ijk) and β μ(J_ijl)
    printed = torch.stack([2 * a * (k - j) + 2 * b * (j - l) + 2 * i, -2 * b * l - 2 * l, 2 * (b - a) * j, 2 * a * k])
    return ours, printed


def tangential(points: Tensor, gradient: Tensor) -> Tensor:
    """What is left of a gradient ``[N, D]`` once it has passed through the normalisation of unit-length points."""
    return gradient - (gradient * points).sum(1, keepdim=True) * points


@styled
def printed_gradients(degrees: Sequence[float] = DEGREES) -> Figure:
    """The gradient of the loss, and the one that eq. 8–10 print: along the radius, which normalisation takes away.

    Args:
        degrees: where i, l, j and k lie; both hinges must be active there.
    """
    points = circle(degrees)
    drawing, axes = panels(2, 3.9)
    titles = ("the gradient of the loss", "as eq. 7–10 print it")
    for axis, title, gradient in zip(axes, titles, slopes(points), strict=True):
        _circle(axis, title, 2.3)
        along = tangential(points, gradient)
        _images(axis, points, VEHICLES, (0, 0, 0, 1), NAMES, [-0.16 * gradient, -0.16 * along])
        for point, whole, part in zip(points, gradient, along, strict=True):
            _arrow(axis, point, -0.16 * whole, GREY, dashed=True)
            if part.norm() > 1e-6:
                _arrow(axis, point, -0.16 * part, INK)
    handles = [
        Line2D([], [], color=GREY, ls="--", label="step against the gradient"),
        Line2D([], [], color=INK, label="what normalisation leaves of it"),
    ]
    drawing.legend(handles=handles, loc="outside lower center", ncols=2)
    return drawing


@styled
def convergence(results: Mapping[str, Sequence[Record]], term: str = "fine") -> Figure:
    """One term over training, for several variants: the mean of their seeds.

    Args:
        results: records by the name of the curve; those without records are left out.
        term: which, unweighted.
    """
    results = {name: [r for r in records if term in r.history] for name, records in results.items()}
    results = {name: records for name, records in results.items() if records}
    if not results:
        return blank(NO_RUNS)
    drawing = figure(3.4)
    axis = drawing.subplots()
    for index, (name, records) in enumerate(results.items()):
        look = {"color": COLORS[index % len(COLORS)], "ls": DASHES[index % len(DASHES)], "label": name}
        shortest = min(len(record.history[term]) for record in records)
        mean = np.mean([record.history[term][:shortest] for record in records], axis=0)
        axis.plot(records[0].history["iteration"][:shortest], mean, **look)
    axis.set(xlabel="iteration", ylabel=f"{term} term, unweighted", yscale="log")
    axis.legend(ncols=2)
    return drawing


def _circle(axis: Axes, title: str, top: float = 1.6) -> None:
    """An empty unit circle, with room for arrows and its title up to ``top``."""
    angle = np.linspace(0, 2 * math.pi, 181)
    axis.plot(np.cos(angle), np.sin(angle), color=SOFT, lw=0.8, zorder=1)
    axis.set(xlim=(-1.35, 1.5), ylim=(-1.25, top), aspect="equal")
    # Inside the axes, since the layout leaves no room for what stands above those that are switched off.
    axis.text(0, 1, title, fontsize=9.5, fontweight="bold", va="top", transform=axis.transAxes)
    axis.set_axis_off()


def _images(
    axis: Axes, points: Tensor, vehicles: Sequence[int], models: Sequence[int], names: Sequence[str] = (),
    steps: Sequence[Tensor] = (),
) -> None:  # fmt: skip
    """Images as marks: the colour is the model, the form the vehicle; if given, a name beside each, clear of arrows."""
    for place, (x, y) in enumerate(points.tolist()):
        color, marker = MODELS[models[place]][1], MARKERS[vehicles[place]]
        axis.plot(x, y, marker=marker, color=color, ms=9, mec="white", mew=0.9, ls="", zorder=4)
        if names:
            axis.text(*_clear(points, place, steps), f"${names[place]}$", ha="center", va="center", size=11)


def _clear(points: Tensor, place: int, steps: Sequence[Tensor], away: float = 0.2) -> list[float]:
    """Where a point's name is farthest from arrows, other points and the circle, of places all round the point."""
    angle = torch.linspace(0, 2 * math.pi, 25, dtype=points.dtype)[:-1]
    spots = points[place] + away * torch.stack([angle.cos(), angle.sin()], 1)
    along = torch.linspace(0, 1, 20, dtype=points.dtype)[:, None, None]
    arrows = [(points + along * step).flatten(0, 1) for step in steps]
    taken = torch.cat([points, *arrows])
    room = torch.cdist(spots, taken).min(1).values
    return spots[torch.minimum(room, (spots.norm(dim=1) - 1).abs()).argmax()].tolist()


def _arrow(axis: Axes, start: Tensor, step: Tensor, color: str, dashed: bool = False) -> None:
    """An arrow from a point along a step."""
    look = {"arrowstyle": "-|>", "color": color, "lw": 1.4, "ls": "--" if dashed else "-", "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (start + step).tolist(), start.tolist(), arrowprops=look, zorder=5, annotation_clip=False)


def _legend(drawing: Figure, vehicles: int) -> None:
    """Which form is which vehicle, which colour which model; the last vehicles are of model B."""
    handles = []
    for vehicle in range(vehicles):
        name, color = MODELS[int(vehicle > 1)]
        look = {"marker": MARKERS[vehicle], "color": color, "ls": "", "ms": 8}
        handles.append(Line2D([], [], label=f"V{vehicle + 1}, {name}", **look))
    drawing.legend(handles=handles, loc="outside lower center", ncols=vehicles)
