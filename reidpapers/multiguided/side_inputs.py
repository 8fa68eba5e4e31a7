"""What a method may know beside the images that it learns from: their original sizes and their vehicles' masks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.images import ImageStore, cache_key, open_masks
from reidlib.data.manifest import Dataset
from reidlib.places import cache_dir, draft_of


def original_sizes(dataset: Dataset, rows: pd.DataFrame) -> Tensor:
    """Width and height of the original images of rows, ``[N, 2]`` in pixels: from headers, read once, then cached.

    Args:
        dataset: whose rows.
        rows: of its manifest.

    Raises:
        ValueError: an image cannot be read.
    """
    images = rows["image"].tolist()
    path = cache_dir() / "images" / f"{cache_key('sizes', dataset.manifest.origin, *images)}-sizes.npy"
    if not path.exists():
        read = dataset.read_size or (lambda image: dataset.read(image).shape[1::-1])
        sizes = np.array([read(image) for image in images], np.int64).reshape(-1, 2)
        with draft_of(path) as draft:
            np.save(draft, sizes)
    return torch.from_numpy(np.load(path))


def masks(dataset: Dataset, rows: pd.DataFrame, size: int, *, workers: int = 1) -> Tensor:
    """The masks of rows, uint8 ``[N, S, S]``: 255 on the vehicle and 0 elsewhere; see :func:`open_masks`.

    Raises:
        MissingLabels: an image has no mask; the message names the column.
    """
    store = open_masks(dataset, rows, size, workers=workers)
    return stored(store, rows)


def stored(store: ImageStore, rows: pd.DataFrame) -> Tensor:
    """A store's images or masks in the order of rows; not copied where they lie in that order on disk."""
    places = store.places(rows)
    pixels = torch.from_numpy(store.pixels)
    return pixels if torch.equal(places, torch.arange(len(pixels))) else pixels[places]
