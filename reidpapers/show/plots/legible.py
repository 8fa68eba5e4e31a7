"""What a reader could not read in a figure: text that is cut, text over text, an axis that says nothing.

Found from the boxes of the text that is truly drawn, so that ticks out of view and hidden labels are no matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D, Bbox

LEAST = 1.5  # pixels: boxes hold a little air around the letters


def faults(figure: Figure, *, laid_out: bool = False) -> list[str]:
    """Everything that cannot be read, in words; none in a good figure.

    Args:
        figure: which.
        laid_out: whether it was drawn before, so that all is in its place.
    """
    drawn = _texts(figure, laid_out)
    return [*_cut(figure, drawn), *_overlaps(drawn), *_unnamed(figure)]


def _texts(figure: Figure, laid_out: bool) -> list[tuple[str, Bbox]]:
    """Each piece of text that is drawn, and its box in pixels."""
    canvas, drawn = FigureCanvasAgg(figure), []
    if not laid_out:
        canvas.draw()  # what is drawn first is not yet in its place
    renderer = canvas.get_renderer()
    draw_text = renderer.draw_text

    def record(gc, x, y, text, properties, angle, ismath=False, mtext=None):  # noqa: ANN001, ANN202
        width, height, descent = renderer.get_text_width_height_descent(text, properties, ismath)
        corners = Bbox([[0, -descent], [width, height - descent]]).corners()
        turned = Affine2D().rotate_deg(angle).translate(x, renderer.height - y).transform(corners)
        drawn.append((text, Bbox([turned.min(axis=0), turned.max(axis=0)])))
        draw_text(gc, x, y, text, properties, angle, ismath, mtext)

    renderer.draw_text = record
    try:
        figure.draw(renderer)
    finally:
        renderer.draw_text = draw_text
    return [(text, box) for text, box in drawn if text.strip()]


def _cut(figure: Figure, drawn: list[tuple[str, Bbox]]) -> Iterator[str]:
    width, height = figure.bbox.size
    for text, box in drawn:
        beyond = max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)
        if beyond > LEAST:
            yield f"{text!r} is cut: {beyond:.0f} pixels lie beyond the figure"


def _overlaps(drawn: list[tuple[str, Bbox]]) -> Iterator[str]:
    for (first, one), (second, other) in combinations(drawn, 2):
        common = Bbox.intersection(one, other)
        if common is not None and min(common.width, common.height) > LEAST:
            yield f"{first!r} overlaps {second!r}"


def _unnamed(figure: Figure) -> Iterator[str]:
    """Axes whose numbers nothing explains: a label, a figure's own for all its axes, or a title over the values."""
    for number, axes in enumerate(figure.axes):
        title = axes.get_title(loc="left") or axes.get_title()
        for name, instead in (("x", figure.get_supxlabel()), ("y", figure.get_supylabel() or title)):
            if not instead and _numbered(axes, name) and not getattr(axes, f"get_{name}label")().strip():
                yield f"axes {number} ({title!r}) have no {name}-label"


def _numbered(axes: Axes, name: str) -> bool:
    """Whether an axis shows numbers; words, as of categories, explain themselves."""
    if not axes.get_visible() or not axes.axison:
        return False
    axis = getattr(axes, f"{name}axis")
    labels = [label.get_text().replace("−", "-") for label in axis.get_ticklabels() if label.get_visible()]
    return axis.get_visible() and any(_is_number(label) for label in labels)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
