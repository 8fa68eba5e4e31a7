"""Rows of small images with frames, marks and labels, fast enough to follow a slider.

Images and text are painted into one array, which takes a tenth of a second; axes of their own for each image, as on a
page that is drawn once, take a whole one. A frame has a colour, a form and a mark, so that whoever does not see the one
reads the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reidpapers.show.plots.style import BLUE, GREEN, GREY, INK, SOFT, VERMILION, WIDTH

# Colour, mark, width in pixels, and whether the frame is broken.
FRAMES = {
    "match": (GREEN, "✓", 4, False),
    "wrong": (VERMILION, "✗", 4, True),
    "junk": (GREY, "–", 2, True),
    "query": (INK, "", 2, False),
    "chosen": (BLUE, "★", 4, False),
    "plain": (SOFT, "", 1, False),
}
DPI, GAP, HEAD, TEXT, DASH = 110, 10, 22, 13, 8  # an inch; between images; above a row; a line of text; of a dash


@dataclass(frozen=True)
class Cell:
    """One image.

    Attributes:
        pixels: uint8 ``[H, W, 3]`` or ``[H, W]``.
        label: up to four short lines below it.
        frame: a name in :data:`FRAMES`.
    """

    pixels: np.ndarray
    label: str
    frame: str = "plain"


@dataclass(frozen=True)
class Line:
    """A row of images, under a title unless it is empty; None leaves a place free."""

    title: str
    cells: Sequence[Cell | None]


def mosaic(lines: Sequence[Line], columns: int, labels: int = 3, width: int = round(WIDTH * DPI)) -> np.ndarray:
    """Rows of at most ``columns`` images, each with its frame and ``labels`` lines of text: uint8 ``[H, width, 3]``.

    Raises:
        ValueError: no rows, or one of more than ``columns`` images.
    """
    if not lines or max(len(line.cells) for line in lines) > columns:
        raise ValueError(f"a mosaic of {columns} columns needs rows of at most so many images, and at least one row")
    side = (width - GAP) // columns - GAP
    heads = [HEAD if line.title else 2 for line in lines]
    tops = np.cumsum([0, *(head + side + TEXT * labels + 8 for head in heads)]).tolist()
    sheet = Image.new("RGB", (width, tops[-1]), "white")
    pen = ImageDraw.Draw(sheet)
    for line, start, head in zip(lines, tops, heads, strict=False):
        pen.text((GAP, start + 3), line.title, INK, _font(13, True))
        for place, cell in enumerate(line.cells):
            if cell is not None:
                left, top = GAP + place * (side + GAP), start + head
                sheet.paste(Image.fromarray(framed(cell, side)), (left, top))
                _words(pen, cell, left, top, side)
    return np.asarray(sheet)


def framed(cell: Cell, side: int) -> np.ndarray:
    """An image of ``side`` pixels with its frame, uint8 ``[side, side, 3]``; junk is pale."""
    color, _, width, broken = FRAMES[cell.frame]
    image = np.array(Image.fromarray(cell.pixels).convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
    if cell.frame == "junk":
        image = 255 - (255 - image) // 2
    place = np.arange(side)
    edge = (place < width) | (place >= side - width)
    drawn = (place // DASH % 2 == 0) | (not broken)
    image[edge[:, None] | edge] = 255
    image[(edge[:, None] & drawn) | (edge & drawn[:, None])] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return image


def _words(pen: ImageDraw.ImageDraw, cell: Cell, left: int, top: int, side: int) -> None:
    """An image's mark and label."""
    color, mark, _, _ = FRAMES[cell.frame]
    if mark:
        pen.rectangle((left, top, left + 16, top + 16), color, "white")
        pen.text((left + 8.5, top + 8.5), mark, "white", _font(12, True), anchor="mm")
    for line, text in enumerate(cell.label.split("\n")):
        pen.text((left, top + side + 3 + TEXT * line), _fitting(text, side + GAP - 2), SOFT, _font(10))


def _fitting(text: str, width: int) -> str:
    """Text cut to a width in pixels."""
    while text and _font(10).getlength(text) > width:
        text = f"{text[:-2]}…" if len(text) > 2 else ""
    return text


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of all pictures, which comes with matplotlib; size in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)
