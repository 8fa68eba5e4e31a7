"""One look for every picture, and the way a picture gets onto a page.

Pictures are plain :class:`matplotlib.figure.Figure` objects, made without pyplot, so that nothing is registered,
nothing leaks and no backend is needed.
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from reidpapers.show.templates import macros

# Okabe and Ito (2008), told apart with every common form of colour blindness; yellow is left out, too pale on white.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#6B7280"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK, SOFT, FAINT = "#1F2937", "#4B5563", "#E5E7EB"
# A verdict's colour, on the site too, whose style sheet has the same.
VERDICTS = {
    "reproduced": "#1a6b35", "contradicted": "#a1260d", "no difference": "#1f5c99", "open": "#8a5c00",
    "not testable here": "#57606a", "not run": "#57606a",
}  # fmt: skip
# What is called by a paint's name is drawn in it.
PAINTS = {
    "black": "#1b1b1b", "white": "#cfd4da", "gray": "#7d838c", "grey": "#7d838c", "silver": "#a9b4be", "red": "#c62828",
    "blue": "#1f5fbf", "green": "#2e8b57", "yellow": "#e0b400", "orange": "#ef7d00", "brown": "#7a4a21",
    "golden": "#b8962e", "gold": "#b8962e", "beige": "#c9b48a", "purple": "#7b3fa0", "pink": "#e48bb0",
}  # fmt: skip

WIDTH = 8.2  # inches; a page shows a picture at PAGE_DPI pixels an inch, so about 900 pixels wide
PAGE_DPI = 110
PHOTOGRAPHS = 2**16  # colours: a picture of more shows photographs, not lines alone
QUALITY = 85  # of pictures with many colours, in WebP's percent: no difference is seen at the size they are shown

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9.5,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": "#9CA3AF",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": "#9CA3AF",
    "ytick.color": "#9CA3AF",
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "figure.facecolor": "white",
    "mathtext.fontset": "dejavusans",
}


def look(index: int) -> dict[str, Any]:
    """Colour, dashes and marker of a picture's line by its number, no two of the first 32 alike."""
    again = index // len(COLORS)
    return {
        "color": COLORS[index % len(COLORS)],
        "ls": DASHES[(index + again) % len(DASHES)],
        "marker": MARKERS[(index + again) % len(MARKERS)],
    }


P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the suite's style and leave matplotlib's own settings as they were."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


def plain(label: str) -> str:
    r"""A label of the data as it is, whatever its dollar signs: between two of them matplotlib sets mathematics.

    >>> print(plain("$a^$ sedan"))
    \$a^\$ sedan
    """
    return str(label).replace("$", r"\$")


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure in constrained layout, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def panels(count: int, height: float, **kwargs: object) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` axes side by side."""
    drawing = figure(height)
    return drawing, list(drawing.subplots(1, count, squeeze=False, **kwargs)[0])


def blank(text: str) -> Figure:
    """A picture that says why there is none."""
    drawing = figure(1.0)
    drawing.text(0.5, 0.5, text, ha="center", va="center", color=SOFT)
    return drawing


def pixels(picture: Figure | np.ndarray, dpi: int) -> np.ndarray:
    """A picture as pixels, uint8 ``[H, W, 3]``; a figure is laid out once, where ``savefig`` does it twice."""
    if isinstance(picture, np.ndarray):
        return picture
    before = picture.get_dpi()
    picture.set_dpi(dpi)
    canvas = FigureCanvasAgg(picture)
    canvas.draw()
    picture.set_dpi(before)
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def png(figure: Figure, dpi: int = 150) -> bytes:
    """A figure as a compact PNG of at most 256 colours."""
    compact = io.BytesIO()
    image = Image.fromarray(pixels(figure, dpi))
    image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(compact, "PNG", optimize=True)
    return compact.getvalue()


def webp(picture: Figure | np.ndarray, dpi: int = 150) -> bytes:
    """A picture as the smaller of two WebP pictures: of 256 colours without loss, or of all colours at a high quality.

    Lines and letters are smaller without loss; a picture of images is smaller, and keeps its colours, the other way,
    so that the first is not tried on it.
    """
    exact, close = io.BytesIO(), io.BytesIO()
    image = Image.fromarray(pixels(picture, dpi))
    image.save(close, "WEBP", quality=QUALITY, method=4, use_sharp_yuv=True)
    if image.getcolors(PHOTOGRAPHS) is None:
        return close.getvalue()
    few = image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    few.save(exact, "WEBP", lossless=True, quality=60, method=4)
    return min(exact.getvalue(), close.getvalue(), key=len)


def markup(picture: Figure | np.ndarray, caption: str, alt: str, dpi: int = 150) -> str:
    """A picture as an HTML ``<figure>``: picture inside, described in ``alt``, with a caption below.

    Args:
        picture: a figure, or pixels, uint8 ``[H, W, 3]``, drawn at ``dpi``.
        caption: what to see in the picture, plain text.
        alt: the picture in words, for those who do not see it.
        dpi: resolution of the stored picture; it is shown at :data:`PAGE_DPI`, so more looks crisp on dense screens.

    Raises:
        ValueError: no caption or no alternative text.
    """
    if not caption.strip() or not alt.strip():
        raise ValueError("a picture needs a caption that says what to see, and an alternative text that describes it")
    data = base64.b64encode(webp(picture, dpi)).decode("ascii")
    inches = picture.shape[1] / dpi if isinstance(picture, np.ndarray) else picture.get_figwidth()
    width = round(inches * PAGE_DPI)
    return macros("figure.j2").figure(f"data:image/webp;base64,{data}", width, caption, alt)


def show(picture: Figure | np.ndarray, caption: str, alt: str, dpi: int = 150) -> None:
    """Display a picture in a notebook as :func:`markup` makes it, then release a figure's memory."""
    display(HTML(markup(picture, caption, alt, dpi)))
    if isinstance(picture, Figure):
        picture.clear()
