"""Pictures made of images: contact sheets and the pairs of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reidpapers.show.plots.style import GREEN, GREY, INK, SOFT, VERMILION, WIDTH, figure, plain, styled

LETTER = 0.062  # inches, of a label
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
    rows, cell = math.ceil(len(images) / columns), WIDTH / columns
    labels = [_fitted(label, cell) for label in labels]
    lines = max(label.count("\n") + 1 for label in labels)
    picture = figure(rows * (cell * _aspect(images) + 0.06 + 0.135 * lines))
    picture.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = picture.subplots(rows, columns, squeeze=False).ravel()
    for axis, image, label in zip(axes, images, labels, strict=False):
        draw_image(axis, image)
        axis.set_xlabel(plain(label), fontsize=7.5, color=SOFT, labelpad=2, linespacing=1.15)
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    return picture


def _fitted(label: str, width: float) -> str:
    """A label whose parts stand below each other where they are too wide for its picture, in inches."""
    wide = any(len(line) * LETTER > width for line in label.split("\n"))
    return label.replace(" · ", "\n") if wide else label


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
        draw_image(axis, image)
        _frame(axis, color, 1.8)
    cell.suptitle({0: "positive pair", 1: "negative pair"}.get(identity, "unlabelled pair"), fontsize=8.5, color=color)
    written = [rf"$Y_{{\mathrm{{{name}}}}}$ = {'?' if y is None else int(y)}" for name, y in labels.items()]
    cell.supxlabel("   ".join(written), fontsize=8, color=INK)


def draw_image(axis: Axes, image: np.ndarray) -> None:
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
