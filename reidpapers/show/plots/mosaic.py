"""Rows of small images with frames, marks and labels, on pages and in explorers, fast enough to follow a slider.

Images and text are painted into one array, which takes a tenth of a second; an axis of matplotlib for each image takes
ten times as long. A frame has a colour, a form and a mark, so that whoever does not see the one reads the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reidpapers.show.plots.style import BLUE, GREEN, GREY, INK, PAGE_DPI, SOFT, VERMILION, WIDTH

# Lengths are in pixels of a page. Colour, mark, width, and whether the frame is broken.
FRAMES = {
    "match": (GREEN, "✓", 4, False),
    "wrong": (VERMILION, "✗", 4, True),
    "junk": (GREY, "–", 2, True),
    "query": (INK, "", 2, False),
    "chosen": (BLUE, "★", 4, False),
    "plain": (SOFT, "", 1, False),
}
GAP, HEAD, TEXT, DASH = 10, 22, 13, 8  # between images; above a row; a line of text; of a dash
FEWEST = 6  # columns of retrieval strips, so that few images do not grow too large
FINE = 150 / PAGE_DPI  # scale of a picture that is drawn once, for dense screens


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


def mosaic(
    lines: Sequence[Line], columns: int, labels: int = 3, width: int = round(WIDTH * PAGE_DPI), scale: float = 1.0
) -> np.ndarray:
    """Rows of at most ``columns`` images, each with its frame and ``labels`` lines of text.

    Args:
        lines: the rows.
        columns: places in a row.
        labels: lines of text below each image.
        width: of all, in pixels of a page.
        scale: pixels of the picture for each pixel of the page.

    Returns:
        uint8 ``[H, width · scale, 3]``.

    Raises:
        ValueError: no rows, or one of more than ``columns`` images.
    """
    if not lines or max(len(line.cells) for line in lines) > columns:
        raise ValueError(f"a mosaic of {columns} columns needs rows of at most so many images, and at least one row")
    side = (width - GAP) // columns - GAP
    heads = [HEAD if line.title else 2 for line in lines]
    tops = np.cumsum([0, *(head + side + TEXT * labels + 8 for head in heads)]).tolist()
    sheet = Image.new("RGB", (round(width * scale), round(tops[-1] * scale)), "white")
    pen = ImageDraw.Draw(sheet)
    for line, start, head in zip(lines, tops, heads, strict=False):
        pen.text((GAP * scale, (start + 3) * scale), line.title, INK, _font(13 * scale, True))
        for place, cell in enumerate(line.cells):
            if cell is not None:
                left, top = GAP + place * (side + GAP), start + head
                sheet.paste(Image.fromarray(framed(cell, side, scale)), (round(left * scale), round(top * scale)))
                _words(pen, cell, left, top, side, scale)
    return np.asarray(sheet)


def framed(cell: Cell, side: int, scale: float = 1.0) -> np.ndarray:
    """An image with its frame, ``side`` pixels of a page wide: uint8 ``[S, S, 3]``; junk is pale."""
    color, _, width, broken = FRAMES[cell.frame]
    side, width = round(side * scale), round(width * scale)
    image = np.array(Image.fromarray(cell.pixels).convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
    if cell.frame == "junk":
        image = 255 - (255 - image) // 2
    place = np.arange(side)
    edge = (place < width) | (place >= side - width)
    drawn = (place // round(DASH * scale) % 2 == 0) | (not broken)
    image[edge[:, None] | edge] = 255
    image[(edge[:, None] & drawn) | (edge & drawn[:, None])] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return image


def _words(pen: ImageDraw.ImageDraw, cell: Cell, left: int, top: int, side: int, scale: float) -> None:
    """An image's mark and label."""
    color, mark, _, _ = FRAMES[cell.frame]
    if mark:
        corners = [round(scale * value) for value in (left, top, left + 16, top + 16)]
        pen.rectangle(corners, color, "white")
        middle = ((left + 8.5) * scale, (top + 8.5) * scale)
        pen.text(middle, mark, "white", _font(12 * scale, True), anchor="mm")
    for line, text in enumerate(cell.label.split("\n")):
        place = (left * scale, (top + side + 3 + TEXT * line) * scale)
        pen.text(place, _fitting(text, (side + GAP - 2) * scale, _font(10 * scale)), SOFT, _font(10 * scale))


def _fitting(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    """Text cut to a width in pixels."""
    while text and font.getlength(text) > width:
        text = f"{text[:-2]}…" if len(text) > 2 else ""
    return text


@cache
def _font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of all pictures, which comes with matplotlib; size in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def retrieval_line(strip: Mapping, images: Callable[[str], np.ndarray], *, distances: bool = False) -> Line:
    """A query and its nearest gallery images, as a record's ``retrieval`` exhibit lists them.

    Args:
        strip: ``query`` and ``top``, and ``ap`` where it is recorded.
        images: reads an image's pixels (uint8 ``[H, W, 3]``) by its name.
        distances: whether each image's distance stands below it, too.
    """
    by_place = ordinal([strip])
    cells = [Cell(images(strip["query"]["image"]), _label(strip["query"]), "query")]
    for item in strip["top"]:
        label = _label(item) + (f"\n{measured(item, by_place)}" if distances else "")
        cells.append(Cell(images(item["image"]), label, "match" if item["match"] else "wrong"))
    ap = "" if "ap" not in strip else ", AP –" if strip["ap"] is None else f", AP {100 * strip['ap']:.0f}%"
    return Line(f"query{ap}; then ranks 1 to {len(strip['top'])}", cells)


def ordinal(lists: Sequence[Mapping]) -> bool:
    """Whether a record's lists are ordered by places, as group re-ranking leaves them, and not by distances."""
    return all(float(item["distance"]).is_integer() for strip in lists for item in strip["top"])


def measured(item: Mapping, by_place: bool) -> str:
    """What an image of a list is ordered by, in words: its distance or its place."""
    return f"place {item['distance']:.0f}" if by_place else f"d = {item['distance']:.3f}"


def _label(item: Mapping) -> str:
    return f"{item['vehicle']}\n{item['camera'] or '–'}"


def strips(exhibits: Sequence[Mapping], images: Callable[[str], np.ndarray], count: int = 6) -> np.ndarray:
    """Retrieval strips: a query at the left, then its ten nearest gallery images (the paper's Figure 5).

    True matches have a whole green frame and ✓, wrong ones a broken orange frame and ✗; vehicle and camera stand below
    each image.

    Args:
        exhibits: the ``retrieval`` exhibit of a record.
        images: reads an image's pixels (uint8 ``[H, W, 3]``) by its name.
        count: how many strips at most, from the front.

    Returns:
        uint8 ``[H, W, 3]``, as :func:`reidpapers.show.plots.show` takes it.

    Raises:
        ValueError: there is nothing to show.
    """
    lines = [retrieval_line(strip, images) for strip in exhibits[:count]]
    if not lines:
        raise ValueError("no retrieval strips to draw: the record has none")
    return mosaic(lines, max(FEWEST, *(len(line.cells) for line in lines)), labels=2, scale=FINE)
