"""A look at a folder of one's own pictures: counts, what it cannot do, twins, and a sheet of what it shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from reidlib.data import DataSource, load
from reidlib.data.files import SHOWN, DatasetError
from reidlib.data.manifest import Dataset
from reidpapers.check import damage
from reidpapers.check.official import label_lines
from reidpapers.check.papers import lines as on_papers
from reidpapers.run.scorable import unscorable

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

ROWS, COLUMNS, SIDE = 12, 8, 96  # of a contact sheet: vehicles, pictures of each, pixels


def check(root: str | Path | None, sheet: Path | None = None, papers: Iterable[Paper] = ()) -> tuple[str, bool]:
    """What is in a folder of pictures, for a reader; see :func:`reidlib.data.folder.load`.

    Args:
        root: the folder.
        sheet: where to write a contact sheet, an image file: one vehicle a row.
        papers: whose default options are tried on the data.

    Returns:
        The report, and whether the folder can be used.
    """
    dataset = load(DataSource("folder", root and str(root)))
    rows = dataset.manifest.table.drop_duplicates("image")
    broken, twins = _looked_at(dataset, rows["image"].tolist())
    impossible = unscorable(dataset)
    number = rows["vehicle_id"].value_counts()
    lone = sorted(number.index[number == 1])
    lines = [dataset.note, f"  tests by the rule {dataset.tests[0].protocol!r}", "", *_counts(dataset), ""]
    lines += [*label_lines(dataset.manifest.table), ""]
    lines += [f"vehicles with one picture: {len(lone):,}{_examples(lone)}"]
    lines += [f"pictures that are the same, pixel by pixel: {len(twins):,}{_examples(twins)}"]
    lines += [f"images: {len(rows) - len(broken):,} of {len(rows):,} can be decoded and show no damage"]
    lines += [f"  {problem}" for problem in list(broken.values())[:SHOWN]]
    lines += [f"cannot be scored: {problem}" for problem in impossible]
    lines += on_papers("folder", root, papers)
    if sheet:
        contact_sheet(dataset, [image for image in rows["image"] if image not in broken]).save(sheet)
        lines.append(f"contact sheet: {sheet}")
    usable = not broken and not impossible
    return "\n".join([*lines, "", "ready" if usable else "not ready: mend what is named above"]), usable


def contact_sheet(dataset: Dataset, images: Sequence[str]) -> Image.Image:
    """Some of these pictures, of the first vehicles: one a row, in as many blocks as fit."""
    rows = dataset.manifest.table.drop_duplicates("image")
    rows = rows[rows["image"].isin(images)]
    width = min(COLUMNS, int(rows["vehicle_id"].value_counts().max()) if len(rows) else 1)
    groups = list(rows.groupby("vehicle_id"))[: ROWS * (COLUMNS // width)]
    page = Image.new("RGB", (COLUMNS * SIDE, min(ROWS, max(1, len(groups))) * SIDE), "white")
    for number, (_, pictures) in enumerate(groups):
        block, row = divmod(number, ROWS)
        for column, image in enumerate(pictures["image"].iloc[:width]):
            picture = Image.fromarray(dataset.read(image))
            picture.thumbnail((SIDE, SIDE))
            page.paste(picture, ((block * width + column) * SIDE, row * SIDE))
    return page


def _counts(dataset: Dataset) -> list[str]:
    """A line a split."""
    counts = dataset.manifest.counts().items()
    return [f"{split:12}" + ", ".join(f"{count:,} {kind}" for kind, count in n.items()) for split, n in counts]


def _looked_at(dataset: Dataset, images: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What is wrong with pictures, by name, and pairs of those that show the same."""
    broken: dict[str, str] = {}
    first: dict[bytes, str] = {}
    twins = []
    for image in images:
        try:
            pixels = np.ascontiguousarray(dataset.read(image))
        except DatasetError as error:
            broken[image] = str(error)
            continue
        key = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest()
        if (other := first.setdefault(key, image)) != image:
            twins.append(f"{other} = {image}")
    return broken | damage.of_files(dataset.root, [image for image in images if image not in broken]), twins


def _examples(names: Sequence[str]) -> str:
    """The first few, in brackets."""
    return f" ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})" if names else ""
