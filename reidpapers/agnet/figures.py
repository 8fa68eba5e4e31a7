"""AGNet's pictures: what its loss does to each kind of pair, what its mask weighs, and the map of Fig. 7."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reidlib import losses
from reidpapers.show.plots.curves import palette
from reidpapers.show.plots.pictures import draw_image
from reidpapers.show.plots.style import (
    BLUE,
    COLORS,
    DASHES,
    GREEN,
    INK,
    PAINTS,
    SOFT,
    VERMILION,
    WIDTH,
    figure,
    panels,
    plain,
    styled,
)

KINDS = ("one vehicle", "two, same colour and type", "two others")


@styled
def smoothing(*, theta: float = 0.7, beta: float = 1.0, alpha: float = 0.1) -> Figure:
    """The verification loss and its slope against the probability q of the true class, for each kind of pair.

    Both are the loss's own: values of :func:`reidlib.losses.attribute_smoothing`, slopes by differentiation.
    """
    q = torch.linspace(0.01, 0.999, 300, dtype=torch.float64).requires_grad_()
    picture, axes = panels(2, 3.3)
    for kind, name, color, dashes in zip(range(3), KINDS, (GREEN, VERMILION, BLUE), DASHES, strict=False):
        value = pair_loss(q, kind, theta=theta, beta=beta, alpha=alpha)
        (slope,) = torch.autograd.grad(value.sum(), q)
        for axis, line in zip(axes, (value, -slope), strict=True):
            axis.plot(q.detach(), line.detach(), color=color, ls=dashes, label=name)
    axes[0].axhline(0, color=SOFT, lw=0.8)
    axes[0].set(title="loss of a pair", xlabel="q, probability of the true class", ylim=(-0.15, 4))
    axes[1].set(title="how hard it pushes q up", xlabel="q, probability of the true class", ylim=(0, 8))
    axes[0].legend(loc="upper right")
    return picture


def pair_loss(q: torch.Tensor, kind: int, **parameters: float) -> torch.Tensor:
    """ALS of pairs of one kind (an index in :data:`KINDS`) whose true class has probability ``q``."""
    same = torch.full(q.shape, kind == 0)
    logits = torch.stack([(1 - q).log(), q.log()], 1) if kind == 0 else torch.stack([q.log(), (1 - q).log()], 1)
    return losses.attribute_smoothing(logits, same, torch.full(q.shape, kind == 1), **parameters)


@styled
def embedding_map(points: Mapping[str, Sequence], purities: Mapping[str, Mapping[str, float]] | None = None) -> Figure:
    """Fig. 7: the plane of t-SNE three times, coloured by identity, colour and type.

    Args:
        points: the ``tsne`` exhibit of a record.
        purities: ``{"identity" | "color" | "type": {"purity", "chance"}}`` in [0, 1], as records hold it.

    Images whose label is unknown are left out of that panel; a paint's name is shown in its own colour. Where the map
    is empty, since all features were one point, the picture says so.
    """
    picture, axes = panels(3, 3.9)
    if not points["x"]:
        picture.text(0.5, 0.5, "no map: the features of all images are one point", ha="center", color=INK)
    x, y = np.asarray(points["x"], dtype=float), np.asarray(points["y"], dtype=float)
    for axis, (title, label) in zip(axes, (("identity", "vehicle"), ("color", "color"), ("type", "type")), strict=True):
        _labelled(axis, x, y, points[label], names=label != "vehicle")
        shares = (purities or {}).get(title)
        purity = f"\n{100 * shares['purity']:.0f}% (chance {100 * shares['chance']:.0f}%)" if shares else ""
        axis.set_title({"color": "colour"}.get(title, title) + purity)
    return picture


def _labelled(axis: Axes, x: np.ndarray, y: np.ndarray, labels: Sequence[str | None], *, names: bool) -> None:
    """Points in the colours of their labels, with a key where these are few."""
    values = sorted({label for label in labels if label is not None})
    hues = dict(zip(values, palette(len(values)), strict=True))
    colors = {label: PAINTS.get(label, hues[label]) for label in values}
    for label in values:
        chosen = np.array([value == label for value in labels])
        axis.scatter(
            x[chosen], y[chosen], s=7, color=colors[label], alpha=0.8, lw=0, label=plain(label) if names else None
        )
    axis.set(xticks=[], yticks=[])
    axis.set_box_aspect(1)
    if names and 0 < len(values) <= 12:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, fontsize=7, markerscale=1.6,
                    handletextpad=0.1, columnspacing=0.6)  # fmt: skip


@styled
def masks(rows: Mapping[str, Sequence[Mapping]], images: Callable[[str], np.ndarray], count: int = 6) -> Figure:
    """What the attribute mask weighs on a few images: where f_r and f_m are large, and the channels' weights.

    Args:
        rows: by variant, the ``masks`` exhibit of a record; all of the same images.
        images: reads an image's pixels (uint8 ``[H, W, 3]``) by its name.
        count: images at most.

    Raises:
        ValueError: there is nothing to show.
    """
    rows = {name: variant[:count] for name, variant in rows.items() if variant}
    if not rows:
        raise ValueError("no masks to draw: the records have none")
    first = next(iter(rows.values()))
    lines = 2 + len(rows)
    picture = figure(WIDTH / (len(first) + 1.6) * lines + 0.3)
    grid = picture.subplots(lines, len(first) + 1, width_ratios=(*[1] * len(first), 1.5), squeeze=False)
    for column, mask in enumerate(first):
        draw_image(grid[0, column], images(mask["image"]))
        _heat(grid[1, column], mask["before"])
    for axis in grid[:2, -1]:
        axis.set_axis_off()
    for line, (name, variant) in enumerate(rows.items(), 2):
        for column, mask in enumerate(variant):
            _heat(grid[line, column], mask["after"])
            weights = np.asarray(mask["weights"], dtype=float)
            grid[line, -1].plot(np.linspace(0, 1, len(weights)), weights / weights.mean(), lw=1, color=COLORS[0])
        grid[line, -1].axhline(1, color=SOFT, lw=0.8)
        grid[line, -1].set(ylim=(0, None), xticks=[0, 1])
        grid[line, -1].set_xlabel("rank, share of all", fontsize=7)
        grid[line, -1].tick_params(labelsize=7)
        if all(np.ptp(mask["weights"]) < 1e-3 * np.mean(mask["weights"]) for mask in variant):
            grid[line, -1].set_visible(False)  # a mask over positions: each channel's weights average one
        grid[line, 0].set_ylabel(name, fontsize=8, color=INK)
    grid[2, -1].set_title("weight / mean, by rank", fontsize=8)
    grid[0, 0].set_ylabel("image", fontsize=8, color=INK)
    grid[1, 0].set_ylabel("f_r", fontsize=8, color=INK)
    return picture


def _heat(axis: Axes, energy: Sequence[Sequence[float]]) -> None:
    axis.imshow(np.asarray(energy, dtype=float), cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
