"""Drawings that explain the method: the model, the distance schemes, what the contrastive loss pulls and pushes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from reidpapers.show.plots.style import BLUE, GREEN, INK, ORANGE, PURPLE, SOFT, VERMILION, figure, panels, styled

Point = tuple[float, float]
ATTRIBUTES = (("identity", BLUE), ("colour", PURPLE), ("type", ORANGE))


@styled
def distance_schemes() -> Figure:
    """The paper's Figure 7: the distance as a vector, one weight an element (a), and as one number (b)."""
    picture, axes = panels(2, 2.9)
    titles = ("(a) vector scheme", "(b) scalar scheme")
    notes = ("one weight for each element", "one weight for the whole distance")
    for axis, title, note, count in zip(axes, titles, notes, (6, 1), strict=True):
        clear_axes(axis, 4.1, 2.6)
        axis.set_title(title)
        _scheme(axis, count)
        axis.text(2.65, 0.12, note, ha="center", color=SOFT, size=8.5)
    return picture


def _scheme(axis: Axes, count: int) -> None:
    """Two vectors, their distance of ``count`` elements, and the sigmoidal unit that reads it."""
    for y, name, color in ((1.95, "$x_a$", BLUE), (0.75, "$x_b$", VERMILION)):
        _column(axis, (0.45, y), 6, color)
        axis.text(0.2, y, name, ha="center", va="center", size=11)
    symbol = "$|x_a - x_b|$" if count > 1 else r"$\sum_j\,|x_{a,j} - x_{b,j}|$"
    arrow(axis, (0.62, 1.95), (1.42, 1.45))
    arrow(axis, (0.62, 0.75), (1.42, 1.25))
    _column(axis, (1.58, 1.35), count, GREEN, side=0.155 if count > 1 else 0.24)
    axis.text(*((1.58, 2.02) if count > 1 else (1.95, 1.86)), symbol, ha="center", va="center", size=9.5)
    top = 1.35 + 0.155 * (count - 1) / 2
    for y in np.linspace(top, 2.7 - top, count):
        arrow(axis, (1.72, y), (2.66, 1.35 + 0.25 * (y - 1.35)), tip=count == 1, color=SOFT)
    axis.text(2.25, 1.78 if count > 1 else 1.47, "$w$", ha="center", va="center", size=10.5, color=SOFT)
    _unit(axis, (2.88, 1.35), GREEN)
    arrow(axis, (3.12, 1.35), (3.5, 1.35))
    axis.text(3.56, 1.35, "$d$", va="center", size=11)
    axis.text(3.72, 1.35, "0 same\n1 other", va="center", size=7.5, color=SOFT)


@styled
def model() -> Figure:
    """The paper's Figure 2: one trunk, identity softmax on each image, three sigmoidal units on their distance."""
    picture = figure(4.3)
    axis = picture.subplots()
    clear_axes(axis, 8.2, 4.3)
    for y, side, color in ((3.3, "a", BLUE), (1.0, "b", VERMILION)):
        _branch(axis, y, side, color)
    arrow(axis, (1.86, 2.86), (1.86, 1.44), both=True, color=SOFT, dashed=True)
    axis.text(1.94, 2.15, "shared\nweights", va="center", size=8, color=SOFT)
    _column(axis, (3.86, 2.15), 8, GREEN, side=0.13)
    axis.text(3.72, 2.15, r"$D = |x_a - x_b|$", ha="right", va="center", size=9.5)
    arrow(axis, (3.14, 3.0), (3.72, 2.55), bend=-0.15)
    arrow(axis, (3.14, 1.3), (3.72, 1.75), bend=0.15)
    for y, (name, color) in zip((2.8, 2.15, 1.5), ATTRIBUTES, strict=True):
        _attribute(axis, y, name, color)
    return picture


def _branch(axis: Axes, y: float, side: str, color: str) -> None:
    """One image through the trunk to its features and its identity softmax."""
    photo(axis, (0.6, y), color)
    axis.text(0.6, y - 0.52, f"image $I_{side}$", ha="center", va="center", size=8.5)
    arrow(axis, (1.06, y), (1.36, y))
    trunk = [(1.4, y - 0.42), (1.4, y + 0.42), (2.32, y + 0.24), (2.32, y - 0.24)]
    axis.add_patch(Polygon(trunk, closed=True, facecolor="#EEF2F7", edgecolor=INK, lw=1))
    axis.text(1.84, y, "trunk", ha="center", va="center", size=9)
    arrow(axis, (2.36, y), (2.86, y))
    _column(axis, (3.0, y), 8, color, side=0.095)
    axis.text(3.0, y + 0.53, f"$x_{side}$", ha="center", va="center", size=10.5)
    arrow(axis, (3.14, y), (4.3, y))
    box(axis, (4.98, y), 1.3, 0.5, "identity\nsoftmax", INK)
    arrow(axis, (5.65, y), (6.15, y))
    axis.text(6.22, y, rf"$\alpha\,L_{{\mathrm{{cls}}}}({side})$", va="center", size=10)


def _attribute(axis: Axes, y: float, name: str, color: str) -> None:
    """One attribute's dropout, sigmoidal unit and contrastive loss."""
    arrow(axis, (3.97, 2.15 + 0.5 * (y - 2.15)), (4.3, y), color=SOFT)
    box(axis, (4.68, y), 0.7, 0.32, "dropout", SOFT, dashed=True)
    arrow(axis, (5.06, y), (5.36, y))
    _unit(axis, (5.58, y), color, radius=0.19)
    short = {"identity": "id", "colour": "col", "type": "type"}[name]
    arrow(axis, (5.8, y), (6.15, y))
    axis.text(5.97, y + 0.13, rf"$d_{{\mathrm{{{short}}}}}$", ha="center", va="center", size=8.5)
    loss = rf"$\lambda\,L(d_{{\mathrm{{{short}}}}},\,Y_{{\mathrm{{{short}}}}})$"
    axis.text(6.22, y, loss, va="center", size=10, color=color)
    axis.text(7.55, y, name, va="center", size=9, color=color)


@styled
def pull_push(margin: float = 1.0) -> Figure:
    """The contrastive loss of eq. 6 on a sigmoidal output d in (0, 1), and its slope: what a pair does to d.

    Args:
        margin: beyond which a pair that differs is left alone.
    """
    picture, (left, right) = panels(2, 3.1)
    d = np.linspace(0, 1, 401)
    gap = np.maximum(0, margin - d)
    same = {"color": GREEN, "ls": "-", "label": "$Y=0$, shared: pulled to 0"}
    other = {"color": VERMILION, "ls": (0, (5, 1.5)), "label": "$Y=1$, different: pushed to 1"}
    left.plot(d, d**2 / 2, **same)
    left.plot(d, gap**2 / 2, **other)
    left.set_title("loss")
    left.legend(loc="upper center")
    left.set_ylim(0, max(0.5, margin**2 / 2) * 1.3)
    right.axhline(0, color=INK, lw=0.8)
    right.plot(d, d, **same)
    right.plot(d, -gap, **other)
    right.set_title("slope: the pull (+) and the push (−)")
    for axis in (left, right):
        axis.set(xlabel="output $d$ of the sigmoidal unit", xlim=(0, 1))
    return picture


def clear_axes(axis: Axes, width: float, height: float) -> None:
    """A drawing board without ticks or spines, one unit an inch at :data:`WIDTH`."""
    axis.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axis.set_axis_off()


def _column(axis: Axes, centre: Point, count: int, color: str, side: float = 0.155) -> None:
    """A vector as a column of cells, shaded as values might be."""
    x, y = centre
    for index, shade in enumerate((0.75, 0.3, 0.55, 0.2, 0.85, 0.4, 0.65, 0.25)[:count]):
        low = y + side * (count / 2 - index - 1)
        axis.add_patch(Rectangle((x - side / 2, low), side, side, facecolor=color, alpha=shade, lw=0))
        axis.add_patch(Rectangle((x - side / 2, low), side, side, facecolor="none", edgecolor=INK, lw=0.8))


def _unit(axis: Axes, centre: Point, color: str, radius: float = 0.22) -> None:
    """A sigmoidal unit: a circle with the sigmoid in it."""
    axis.add_patch(Circle(centre, radius, facecolor="white", edgecolor=color, lw=1.8, zorder=3))
    z = np.linspace(-6, 6, 61)
    x, y = centre[0] + z / 6 * radius * 0.62, centre[1] + (1 / (1 + np.exp(-z)) - 0.5) * radius
    axis.plot(x, y, color=color, lw=1.6, zorder=4)


def box(axis: Axes, centre: Point, width: float, height: float, text: str, color: str, dashed: bool = False) -> None:
    corner = (centre[0] - width / 2, centre[1] - height / 2)
    look = {"facecolor": "white", "edgecolor": color, "lw": 1, "ls": "--" if dashed else "-", "zorder": 3}
    axis.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.06", **look))
    axis.text(*centre, text, ha="center", va="center", size=8.5, zorder=4, linespacing=1.15)


def arrow(
    axis: Axes, start: Point, end: Point, *, color: str = INK, tip: bool = True, both: bool = False,
    dashed: bool = False, bend: float = 0.0,
) -> None:  # fmt: skip
    style = "<|-|>" if both else "-|>" if tip else "-"
    look = {"arrowstyle": style, "mutation_scale": 8, "shrinkA": 0, "shrinkB": 0, "lw": 1.0, "color": color}
    line = "--" if dashed else "-"
    axis.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", linestyle=line, **look))


def photo(axis: Axes, centre: Point, color: str) -> None:
    """A small picture of a car."""
    x, y = centre
    axis.add_patch(Rectangle((x - 0.42, y - 0.38), 0.84, 0.76, facecolor="#F3F4F6", edgecolor=INK, lw=1))
    body = [
        (-0.33, -0.14),
        (-0.33, 0.02),
        (-0.2, 0.05),
        (-0.1, 0.2),
        (0.14, 0.2),
        (0.24, 0.05),
        (0.33, 0.0),
        (0.33, -0.14),
    ]
    axis.add_patch(Polygon([(x + dx, y + dy) for dx, dy in body], closed=True, facecolor=color, lw=0))
    for dx in (-0.19, 0.19):
        axis.add_patch(Circle((x + dx, y - 0.15), 0.075, facecolor=INK, edgecolor="white", lw=1))
