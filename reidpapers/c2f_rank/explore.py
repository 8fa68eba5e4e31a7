"""C2F-Rank's loss playground: turn four images round the unit circle, and see what each term makes of them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from reidlib import losses
from reidpapers.c2f_rank.config import C2FConfig
from reidpapers.c2f_rank.figures import DEGREES, MODELS, NAMES, VEHICLES, circle
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.panel import Panel, Picture
from reidpapers.show.plots.style import GREY, INK, MARKERS, SOFT, VERMILION, WIDTH, styled

OWNED = {"i": "i, vehicle V1", "l": "l, vehicle V1", "j": "j, vehicle V2", "k": "k, vehicle V3"}
OF_MODEL = (0, 0, 0, 1)
SIGNS = {"coarse": "R_c", "fine": "R_f", "pair": "P"}
FACTORS = {"coarse": "alpha", "fine": "beta", "pair": "gamma"}
STEP = 5.0  # degrees that the fastest image is turned by a step


def ranking(config: C2FConfig) -> None:
    """Play with the loss of eq. 3–5 on the unit circle: two images of V1, one of V2 (same model), one of V3 (another).

    Args:
        config: its margins and weights are where the sliders start.
    """
    _Playground(config).panel.show()


def terms(points: Tensor, margins: tuple[float, float]) -> dict[str, Tensor]:
    """R_c, R_f and P of the four images, ``[4, 2]``, which are brought to unit length."""
    return losses.coarse_to_fine(
        F.normalize(points), torch.tensor(VEHICLES), torch.tensor(OF_MODEL), coarse_margin=margins[0],
        fine_margin=margins[1], coarse_nearest=10, fine_nearest=3,
    )  # fmt: skip


def active(points: Tensor, margins: tuple[float, float]) -> dict[str, list[tuple[int, int, int]]]:
    """The tuples (image, near one, far one) of either ranking whose hinge is above 0."""
    distance = losses.squared_distances(points, points)
    related = losses.relations(torch.tensor(VEHICLES), torch.tensor(OF_MODEL))
    sides = {
        "coarse": (related.same_model, related.other_model, margins[0]),
        "fine": (related.same_vehicle, related.same_model, margins[1]),
    }
    found = {}
    for name, (near, far, margin) in sides.items():
        hinges = losses.hinge(distance[:, :, None], distance[:, None], margin)
        found[name] = [tuple(one) for one in ((hinges > 0) & near[:, :, None] & far[:, None]).nonzero().tolist()]
    return found


class _Playground:
    """Places on the circle, margins and weights."""

    def __init__(self, config: C2FConfig) -> None:
        self.weights = {name: getattr(config, factor) for name, factor in FACTORS.items()}
        make = ControlMaker()
        controls = {
            **{name: make.slider(OWNED[name], DEGREES[i], 180, 1, "degrees round the circle", -180)
               for i, name in enumerate(NAMES)},
            "coarse": make.slider("margin M_c", config.margin_coarse, 1, 0.01, "of the coarse ranking"),
            "fine": make.slider("margin M_f", config.margin_fine, 1, 0.01, "of the fine ranking"),
            "step": make.button("one step down", "turn the images against the gradient of the weighted sum"),
            "reset": make.button("start again", "every image where it was"),
        }  # fmt: skip
        rows = [list(NAMES[:2]), list(NAMES[2:]), ["coarse", "fine", "step", "reset"]]
        presses = {"step": self._step, "reset": self._reset}
        self.panel = Panel("ranking", make, controls, self.draw, rows, None, presses)

    def draw(self, coarse: float, fine: float, **degrees: float) -> Picture:
        """A circle for each term: active tuples, and the way down for each image."""
        places, margins = [degrees[name] for name in NAMES], (coarse, fine)
        values, slopes = self._slopes(places, margins)
        tuples = active(circle(places), margins)
        total = sum(self.weights[name] * value for name, value in values.items())
        parts = ", ".join(f"{SIGNS[name]} = {value:.3f}" for name, value in values.items())
        said = "; ".join(
            f"{SIGNS[name]} has {len(found)} active: {', '.join(''.join(NAMES[i] for i in one) for one in found)}"
            if found else f"{SIGNS[name]} has no active tuple" for name, found in tuples.items()
        )  # fmt: skip
        weighted = " + ".join(f"{self.weights[name]:g} {SIGNS[name]}" for name in SIGNS)
        text = (
            f"{parts}; {weighted} = {total:.1f}. Tuples (image, near, far): {said}. Lines: near (solid) and far "
            "(dotted) of active tuples; arrows: a step down the term's gradient along the circle."
        )
        return Picture(_figure(circle(places), values, slopes, tuples), text)

    def _slopes(self, degrees: list[float], margins: tuple[float, float]) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Each term's value, and its gradient at the four images."""
        points = circle(degrees).requires_grad_()
        found = terms(points, margins)
        slopes = {name: torch.autograd.grad(value, points, retain_graph=True)[0] for name, value in found.items()}
        return {name: value.item() for name, value in found.items()}, slopes

    def _step(self) -> None:
        controls = self.panel.controls
        degrees = [controls[name].value for name in NAMES]
        _, slopes = self._slopes(degrees, (controls["coarse"].value, controls["fine"].value))
        slope = sum(self.weights[name] * found for name, found in slopes.items())
        x, y = circle(degrees).T
        turn = -(slope[:, 1] * x - slope[:, 0] * y)  # along the circle, anticlockwise
        turn = STEP * turn / turn.abs().max().clamp_min(1e-9)
        for name, place, by in zip(NAMES, degrees, turn.tolist(), strict=True):
            controls[name].value = round((place + by + 180) % 360 - 180)

    def _reset(self) -> None:
        for name, place in zip(NAMES, DEGREES, strict=True):
            self.panel.controls[name].value = place


@styled
def _figure(points: Tensor, values: dict[str, float], slopes: dict[str, Tensor], tuples: dict[str, list]) -> Figure:
    picture = Figure(figsize=(WIDTH, 3.2))
    for place, (name, sign) in enumerate(SIGNS.items()):
        axis = picture.add_axes((place / 3, 0.1, 1 / 3, 0.9))
        angle = np.linspace(0, 2 * math.pi, 121)
        axis.plot(np.cos(angle), np.sin(angle), color=SOFT, lw=0.8)
        lines = [*tuples.get(name, [])] or ([(0, 1, None)] if name == "pair" else [])
        for image, near, far in lines:
            axis.plot(*points[[image, near]].T.numpy(), color=GREY, lw=1.2)
            if far is not None:
                axis.plot(*points[[image, far]].T.numpy(), color=VERMILION, lw=1.2, ls=":")
        _images(axis, points)
        _arrows(axis, points, slopes[name])
        axis.set(xlim=(-1.45, 1.45), ylim=(-1.35, 1.5), aspect="equal")
        axis.text(0, 1.43, f"${sign}$ = {values[name]:.3f}", ha="center", va="top", weight="bold")
        axis.set_axis_off()
    picture.text(0.5, 0.03, "●  V1, model A      ■  V2, model A      ▲  V3, model B", ha="center", color=SOFT, size=8.5)
    return picture


def _images(axis: Axes, points: Tensor) -> None:
    for place, (x, y) in enumerate(points.tolist()):
        look = {"marker": MARKERS[VEHICLES[place]], "color": MODELS[OF_MODEL[place]][1]}
        axis.plot(x, y, ls="", ms=9, mec="white", zorder=4, **look)
        axis.text(0.78 * x, 0.78 * y, NAMES[place], ha="center", va="center", style="italic")


def _arrows(axis: Axes, points: Tensor, slope: Tensor) -> None:
    """A step against the gradient at each image, the longest of one length."""
    moving = slope.norm(dim=1) > 1e-9
    if moving.any():
        step = (-0.5 * slope / slope.norm(dim=1).max())[moving]
        axis.quiver(*points.detach()[moving].T.numpy(), *step.T.numpy(), angles="xy", scale_units="xy", scale=1,
                    color=INK, width=0.009, zorder=5)  # fmt: skip
