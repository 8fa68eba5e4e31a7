"""Pictures made of images: contact sheets, the pairs of a batch, retrieval strips."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reidpapers.show.plots.style import GREEN, GREY, INK, SOFT, VERMILION, WIDTH, figure, styled

TRUE, WRONG = GREEN, VERMILION
Pair = tuple[np.ndarray, np.ndarray, Mapping[str, float | None]]


@styled
def contact_sheet(images: Sequence[np.ndarray], labels: Sequence[str], columns: int = 8) -> Figure:
    """Images in rows, each with a small label below (a line break makes a second line).

    Args:
        images: uint8 pixels, each ``[H, W, 3]`` or ``[H, W]``.
        labels: one for each image; may be empty strings.
        columns: images a row.

    Raises:
        ValueError: no images, or not one label for each.
    """
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(f"a contact sheet needs one label an image: got {len(images)} images, {len(labels)} labels")
    rows = math.ceil(len(images) / columns)
    lines = max(label.count("\n") + 1 for label in labels)
    cell = WIDTH / columns
    picture = figure(rows * (cell * _aspect(images) + 0.06 + 0.135 * lines))
    picture.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = picture.subplots(rows, columns, squeeze=False).ravel()
    for axis, image, label in zip(axes, images, labels, strict=False):
        _image(axis, image)
        axis.set_xlabel(label, fontsize=7.5, color=SOFT, labelpad=2, linespacing=1.15)
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    return picture


@styled
def batch(pairs: Sequence[Pair], columns: int = 4) -> Figure:
    """Pairs of images side by side, below each its labels: Y = 0 where the pair shares an attribute, 1 where not.

    Args:
        pairs: two images (uint8 ``[H, W, 3]``) and their labels by attribute name, the identity's first; None for a
            label that the data does not have.
        columns: pairs a row.

    Raises:
        ValueError: there are no pairs.
    """
    if not pairs:
        raise ValueError("no pairs to draw: the batch is empty")
    rows = math.ceil(len(pairs) / columns)
    width = WIDTH / columns
    picture = figure(rows * ((width - 0.25) / 2 * _aspect([pairs[0][0]]) + 0.62))
    picture.get_layout_engine().set(w_pad=0.06, h_pad=0.05, wspace=0, hspace=0)
    for index, cell in enumerate(picture.subfigures(rows, columns, squeeze=False).ravel()):
        if index < len(pairs):
            _pair(cell, *pairs[index])
    return picture


def _pair(cell: Any, first: np.ndarray, second: np.ndarray, labels: Mapping[str, float | None]) -> None:
    axes = cell.subplots(1, 2)
    identity = next(iter(labels.values()))
    color = {0: GREEN, 1: VERMILION}.get(identity, GREY)
    for axis, image in zip(axes, (first, second), strict=True):
        _image(axis, image)
        _frame(axis, color, 1.8)
    cell.suptitle({0: "positive pair", 1: "negative pair"}.get(identity, "unlabelled pair"), fontsize=8.5, color=color)
    written = [rf"$Y_{{\mathrm{{{name}}}}}$ = {'?' if y is None else int(y)}" for name, y in labels.items()]
    cell.supxlabel("   ".join(written), fontsize=8, color=INK)


@styled
def strips(exhibits: Sequence[Mapping], images: Callable[[str], np.ndarray], count: int = 6) -> Figure:
    """Retrieval strips: a query at the left, then its ten nearest gallery images (the paper's Figure 5).

    True matches have a green frame and ✓, wrong ones a red frame and ✗; vehicle and camera stand below each image.

    Args:
        exhibits: the ``retrieval`` exhibit of a record.
        images: reads an image's pixels (uint8 ``[H, W, 3]``) by its name.
        count: how many strips at most, from the front.

    Raises:
        ValueError: there is nothing to show.
    """
    strips_shown = list(exhibits[:count])
    if not strips_shown:
        raise ValueError("no retrieval strips to draw: the record has none")
    length = max(len(one["top"]) for one in strips_shown)
    queries = [images(one["query"]["image"]) for one in strips_shown]
    cell = (WIDTH - 0.35) / (length + 1.35)
    picture = figure(len(strips_shown) * (cell * _aspect(queries) + 0.4) + 0.2)
    picture.get_layout_engine().set(w_pad=0.015, h_pad=0.03, wspace=0, hspace=0)
    grid = picture.subplots(len(strips_shown), length + 2, squeeze=False, width_ratios=(1, 0.3, *[1] * length))
    for axes, one, query in zip(grid, strips_shown, queries, strict=True):
        _strip(axes, one, query, images)
    grid[0, 0].set_title("query", fontsize=8.5, loc="center", pad=5)
    for rank in range(length):
        grid[0, rank + 2].set_title(f"{rank + 1}", fontsize=8.5, loc="center", pad=5)
    return picture


def _strip(axes: Sequence[Axes], one: Mapping, query: np.ndarray, images: Callable[[str], np.ndarray]) -> None:
    for axis in axes[1:]:
        axis.set_axis_off()
    _named(axes[0], query, one["query"])
    _frame(axes[0], INK, 1.2)
    if "ap" in one:  # not told by every exhibit
        ap = "AP –" if one["ap"] is None else f"AP {100 * one['ap']:.0f}%"
        axes[1].text(0.5, 0.5, ap, rotation=90, ha="center", va="center", fontsize=8, transform=axes[1].transAxes)
    for axis, found in zip(axes[2:], one["top"], strict=False):
        axis.set_axis_on()
        _named(axis, images(found["image"]), found)
        color, mark = (TRUE, "✓") if found["match"] else (WRONG, "✗")
        _frame(axis, color, 2.6)
        badge = {"boxstyle": "square,pad=0.18", "facecolor": color, "edgecolor": color, "linewidth": 1}
        axis.annotate(
            mark, (0, 1), (4.2, -4.2), xycoords="axes fraction", textcoords="offset points", color="white",
            fontsize=7.5, weight="bold", ha="center", va="center", bbox=badge,
        )  # fmt: skip


def _named(axis: Axes, image: np.ndarray, who: Mapping) -> None:
    """An image with its vehicle and camera in small print."""
    _image(axis, image)
    axis.set_xlabel(
        f"{who['vehicle']}\n{who['camera'] or '–'}", fontsize=6.8, color=SOFT, labelpad=2.5, linespacing=1.1
    )


def _image(axis: Axes, image: np.ndarray) -> None:
    """One image without ticks or grid."""
    look = {"cmap": "gray", "vmin": 0, "vmax": 255} if np.ndim(image) == 2 else {}
    axis.imshow(image, interpolation="lanczos", **look)
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _frame(axis: Axes, color: str, width: float) -> None:
    for spine in axis.spines.values():
        spine.set(visible=True, color=color, linewidth=width)


def _aspect(images: Sequence[np.ndarray]) -> float:
    """The tallest image's height over its width."""
    return max(image.shape[0] / image.shape[1] for image in images)
