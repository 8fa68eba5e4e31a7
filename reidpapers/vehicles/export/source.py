"""What an export copies: rows of a rendered benchmark and its encoded files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from reidlib.data.pictures import mask_name
from reidpapers.vehicles import rendered
from reidpapers.vehicles.render import Preset


@dataclass(frozen=True)
class Source:
    """A rendered benchmark to be laid out anew.

    Attributes:
        table: the rows of its manifest.
        jpeg: from an image's name to the bytes of its JPEG file.
        mask: from an image's name to the bytes of its mask, a PNG file.
        camera_distances: metres between its cameras, a square frame by camera name.
        simulated: a second, clean benchmark for a layout with a simulated part; its training rows are used.
    """

    table: pd.DataFrame
    jpeg: Callable[[str], bytes]
    mask: Callable[[str], bytes]
    camera_distances: pd.DataFrame
    simulated: Source | None = None

    def rows(self, split: str) -> pd.DataFrame:
        """The rows of one split, in manifest order with a fresh index."""
        return self.table[self.table["split"] == split].reset_index(drop=True)

    def copy(self, images: Iterable[str], names: Iterable[str], folder: Path) -> None:
        """Write images as ``dir/file.jpg`` and their masks as ``mask/dir/file.png``: the bytes as they are."""
        for image, name in zip(images, names, strict=True):
            _put(folder / name, self.jpeg(image))
            _put(folder / mask_name(name), self.mask(image))


def rendered_source(preset: str | Preset, seed: int, simulated: Source | None = None) -> Source:
    """A rendered preset as the source of an export; labels only, pictures are drawn when they are copied.

    Raises:
        ValueError: an unknown preset or a negative seed.
    """
    dataset, drawn = rendered.load(preset, seed), rendered.world(preset, seed)
    return Source(dataset.manifest.table, drawn.jpeg, drawn.mask, drawn.camera_distances, simulated)


def _put(path: Path, content: bytes) -> None:
    """Write a file, making its folder on the way."""
    try:
        path.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
