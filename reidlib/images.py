"""Decode once: every image of a dataset as one uint8 array on disk, then resident on the device if it fits.

An :class:`ImageStore` is built from ``read(image) → uint8 [H, W, 3]`` in chunks by several processes. A build that was
stopped goes on at the first chunk that is missing; the finished array appears under its name all at once.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import current_process, get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from reidlib.config import cache_dir
from reidlib.manifest import Dataset, Reader

CHUNK = 128
RESIDENT_SHARE = 0.5  # of a GPU's free memory, at most; the rest belongs to training


class CorruptImages(ValueError):
    """Some images cannot be read: all are counted, the first ten named."""


@dataclass(frozen=True)
class ImageStore:
    """All images of a dataset at one size.

    Attributes:
        pixels: uint8 ``[N, S, S, 3]``, mapped from disk.
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
        OSError: the disk is full; nothing half-written is left under the store's name.
    """
    names = sorted(set(dataset.manifest.table["image"]))
    text = "\n".join([dataset.manifest.origin, *names])
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    path = cache_dir() / "images" / f"{key}-{size}.npy"
    if not path.exists():
        if workers > 1 and current_process().name != "MainProcess":
            # A started process runs an unguarded script anew, and would wait here for the one that waits for it.
            raise RuntimeError("images are decoded by processes: put a script's work under if __name__ == '__main__':")
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                _build(path, dataset.read, names, size, workers, progress)
    # Copy-on-write: torch wants a writable array, and no one can harm the file.
    return ImageStore(np.load(path, mmap_mode="c"), {name: place for place, name in enumerate(names)})


def _build(path: Path, read: Reader, names: Sequence[str], size: int, workers: int, progress: bool) -> None:
    """Decode all images into ``path``, resuming a build that was stopped."""
    partial, log = path.with_suffix(".partial"), path.with_suffix(".done")
    shape = (len(names), size, size, 3)
    if not partial.exists() or not log.exists():
        log.write_text("")
        _allocate(partial, shape)
    pixels = np.lib.format.open_memmap(partial, mode="r+")
    done = {int(line) for line in log.read_text().splitlines() if line}
    chunks = {start: names[start : start + CHUNK] for start in range(0, len(names), CHUNK) if start not in done}
    corrupt: list[str] = []
    bar = tqdm(total=len(names), initial=len(names) - sum(map(len, chunks.values())), desc="images", unit="image",
               disable=not progress)  # fmt: skip
    with bar, log.open("a") as finished:
        for start, images, problems in _decoded(read, chunks, size, workers):
            pixels[start : start + len(images)] = images
            pixels.flush()
            corrupt += problems
            if not problems:
                finished.write(f"{start}\n")
                finished.flush()
            bar.update(len(images))
    if corrupt:
        shown = "\n  ".join(sorted(corrupt)[:10])
        raise CorruptImages(f"{len(corrupt)} of {len(names)} images cannot be read:\n  {shown}")
    del pixels
    os.replace(partial, path)
    log.unlink()


def _decoded(read: Reader, chunks: dict[int, Sequence[str]], size: int, workers: int):
    """Yield (start, uint8 images, problems) of each chunk, from this process or several."""
    jobs = [(read, start, names, size) for start, names in chunks.items()]
    if workers == 1 or len(jobs) < 4:
        yield from map(_decode, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_decode, jobs)


def _decode(job: tuple[Reader, int, Sequence[str], int]) -> tuple[int, np.ndarray, list[str]]:
    """Read and resize one chunk; an unreadable image leaves zeros and a line that names it."""
    read, start, names, size = job
    images, problems = np.zeros((len(names), size, size, 3), np.uint8), []
    for place, name in enumerate(names):
        try:
            image = Image.fromarray(read(name))
            images[place] = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        except (OSError, ValueError, SyntaxError) as error:
            problems.append(f"{name}: {error}")
    return start, images, problems


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Reserve the array's whole space now, so that a full disk shows here and not in the middle."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    try:
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        size = path.stat().st_size
        path.unlink()
        if error.errno == errno.ENOSPC:
            raise OSError(f"no space for {size / 1e9:.1f} GB of decoded images in {path.parent}") from error
        raise
