"""Decode once: every image of a dataset as one uint8 array on disk, then resident on the device if it fits.

An :class:`ImageStore` is built by :mod:`reidlib.data.decoding` from ``read(image) → uint8 [H, W, 3]``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from torch import Tensor

from reidlib import processes
from reidlib.data.decoding import CorruptImages, Work, build
from reidlib.data.manifest import Dataset, MissingLabels
from reidlib.places import cache_dir

__all__ = ["CorruptImages", "ImageStore", "Resident", "cache_key", "open_masks", "open_store"]

RESIDENT_SHARE = 0.5  # of a GPU's free memory, at most; the rest belongs to training


@dataclass(frozen=True)
class ImageStore:
    """All images of a dataset at one size, or masks of some.

    Attributes:
        pixels: uint8 ``[N, S, S, 3]``, of masks ``[N, S, S]``, mapped from disk.
        names: image name → place in ``pixels``.
    """

    pixels: np.ndarray
    names: dict[str, int]

    def places(self, rows: pd.DataFrame) -> Tensor:
        """Where the images of manifest rows lie in ``pixels``: ``[len(rows)]`` integers."""
        return torch.tensor([self.names[image] for image in rows["image"]], dtype=torch.long)

    def image(self, name: str) -> np.ndarray:
        """One image, uint8 ``[S, S, 3]``."""
        return np.asarray(self.pixels[self.names[name]])

    def same_pictures(self, rows: pd.DataFrame) -> np.ndarray:
        """Integers ``[len(rows)]`` that are equal where stored pixels are: one picture under two names, say."""
        digests = [hashlib.sha256(self.image(image).tobytes()).digest() for image in rows["image"]]
        return pd.factorize(np.array(digests, dtype=object))[0]

    def resident(self, device: torch.device | str) -> Resident:
        """The store as a source of batches on a device."""
        return Resident(self.pixels, torch.device(device))


class Resident:
    """Batches of stored images on a device: from its own memory if all fit, else through a pinned buffer."""

    def __init__(self, pixels: np.ndarray, device: torch.device) -> None:
        self.device = device
        self.source = torch.from_numpy(pixels)
        self.fits = device.type == "cpu" or pixels.nbytes < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        if self.fits:
            self.source = self.source.to(device)
        self._buffer = torch.empty(0, dtype=torch.uint8)

    def __call__(self, places: Tensor) -> Tensor:
        """Images uint8 ``[len(places), S, S, 3]`` on the device, valid until the next call."""
        shape = (len(places), *self.source.shape[1:])
        if self._buffer.shape != shape:
            pinned = self.device.type == "cuda" and not self.fits
            self._buffer = torch.empty(shape, dtype=torch.uint8, device=self.source.device, pin_memory=pinned)
        torch.index_select(self.source, 0, places.to(self.source.device), out=self._buffer)
        return self._buffer.to(self.device)


def open_store(dataset: Dataset, size: int, *, workers: int = 1, progress: bool = False) -> ImageStore:
    """The image store of a dataset at ``size`` pixels, decoding what is not yet in the user's cache.

    Args:
        dataset: manifest and reader.
        size: side of the stored squares, in pixels.
        workers: processes that decode.
        progress: show a bar with an estimate of the time left.

    Raises:
        CorruptImages: images that cannot be read.
        OSError: the disk is full; nothing half-written is left.
        RuntimeError: a decoding process was killed; what is decoded is kept.
    """
    names = sorted(set(dataset.manifest.table["image"]))
    key = cache_key(dataset.manifest.origin, *names)
    files = names if dataset.root else ()
    return _open(f"{key}-{size}", Work(dataset.read, (size, size, 3), names, dataset.root, files), workers, progress)


def open_masks(
    dataset: Dataset, rows: pd.DataFrame, size: int, *, workers: int = 1, progress: bool = False
) -> ImageStore:
    """Where the vehicles are seen on the images of some rows, decoded once as :func:`open_store` does.

    Args:
        dataset: manifest and reader of masks.
        rows: of its manifest, such as those of the training images.
        size: side of the stored squares, in pixels.
        workers: processes that decode.
        progress: show a bar with an estimate of the time left.

    Returns:
        A store whose ``pixels`` ``[N, S, S]`` are 255 on the vehicle and 0 elsewhere, in the order of image names.

    Raises:
        MissingLabels: an image has no mask; the message names the column.
        CorruptImages, OSError, RuntimeError: as for :func:`open_store`.
    """
    lacking = int(rows["mask"].isna().sum())
    if lacking or dataset.read_mask is None:
        raise MissingLabels(
            f"{dataset.manifest.name} lacks column mask: {lacking or len(rows):,} of {len(rows):,} images have no mask "
            "of their vehicle; put PNG files into its folder mask, or leave out what learns from masks"
        )
    chosen = rows.drop_duplicates("image").sort_values("image")
    names = chosen["image"].tolist()
    key = cache_key("masks", dataset.manifest.origin, *names)
    files = chosen["mask"].tolist() if dataset.root else ()
    work = Work(dataset.read_mask, (size, size), names, dataset.root, files)
    return _open(f"{key}-{size}-masks", work, workers, progress)


def cache_key(*parts: str) -> str:
    """A short hash of what decides a cached file's content."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _open(key: str, work: Work, workers: int, progress: bool) -> ImageStore:
    """The store of that key, built first if it is not in the user's cache, and mended where files have changed."""
    path = cache_dir() / "images" / f"{key}.npy"
    if not path.exists() or work.changed(path):
        if workers > 1:
            processes.refuse_in_worker()  # which would wait here for the process that waits for it
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            build(path, work, workers, progress)
    # Copy-on-write: torch wants a writable array, and no one can harm the file.
    return ImageStore(np.load(path, mmap_mode="c"), {name: place for place, name in enumerate(work.names)})
