"""Decode once: every image of a dataset as one uint8 array on disk, then resident on the device if it fits.

An :class:`ImageStore` is built from ``read(image) → uint8 [H, W, 3]`` in chunks by several processes, each of which
writes its chunks into the array itself and then marks them as done. So nothing waits in memory however many images
there are, and a build that was stopped at any moment goes on with the chunks that are missing. The finished array
appears under its name all at once.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from reidlib import processes
from reidlib.data.manifest import Dataset, MissingLabels, Reader
from reidlib.places import FULL, UNSUPPORTED, cache_dir, lock_of

CHUNK = 128  # images that are decoded, written and marked together
RESIDENT_SHARE = 0.5  # of a GPU's free memory, at most; the rest belongs to training


class CorruptImages(ValueError):
    """Some images cannot be read: all are counted, the first ten named."""


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
    return _open(f"{key}-{size}", dataset.read, names, (size, size, 3), workers, progress)


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
    names = sorted(set(rows["image"]))
    key = cache_key("masks", dataset.manifest.origin, *names)
    return _open(f"{key}-{size}-masks", dataset.read_mask, names, (size, size), workers, progress)


def cache_key(*parts: str) -> str:
    """A short hash of what decides a cached file's content."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _open(
    key: str, read: Reader, names: Sequence[str], shape: tuple[int, ...], workers: int, progress: bool
) -> ImageStore:
    """The store of that key, built first if it is not in the user's cache."""
    path = cache_dir() / "images" / f"{key}.npy"
    if not path.exists():
        if workers > 1:
            processes.refuse_in_worker()  # which would wait here for the process that waits for it
        with lock_of(path):
            if not path.exists():
                _build(path, read, names, shape, workers, progress)
    # Copy-on-write: torch wants a writable array, and no one can harm the file.
    return ImageStore(np.load(path, mmap_mode="c"), {name: place for place, name in enumerate(names)})


def _build(
    path: Path, read: Reader, names: Sequence[str], shape: tuple[int, ...], workers: int, progress: bool
) -> None:
    """Decode all images into ``path``, resuming a build that was stopped."""
    array, marks = path.with_suffix(".partial"), path.with_suffix(".chunks")
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    try:
        # The marks are made last, so that an array without them, or with too few, is one whose making was stopped.
        if not array.exists() or not marks.exists() or marks.stat().st_size != len(chunks):
            marks.unlink(missing_ok=True)
            _allocate(array, (len(names), *shape))
            marks.write_bytes(bytes(len(chunks)))
        work = _Work(read, array, marks, shape, np.load(array, mmap_mode="r").offset)
        corrupt = _fill(work, chunks, workers, progress)
    except OSError as error:
        if error.errno not in FULL:
            raise
        for file in (array, marks):
            file.unlink(missing_ok=True)
        needed = f"{len(names) * math.prod(shape) / 1e9:.2f} GB of decoded images in {path.parent}"
        advice = "make room, or name another folder by REIDLIB_CACHE"
        raise OSError(error.errno, f"no space for {needed}: {advice}") from error
    if corrupt:
        shown = "\n  ".join(sorted(corrupt)[:10])
        raise CorruptImages(f"{len(corrupt)} of {len(names)} images cannot be read:\n  {shown}")
    os.replace(array, path)
    marks.unlink()


def _fill(work: _Work, chunks: Sequence[Sequence[str]], workers: int, progress: bool) -> list[str]:
    """Decode the chunks that are not yet marked, and show how far that is; a line for each unreadable image."""
    corrupt: list[str] = []
    jobs = [(number, chunks[number]) for number, done in enumerate(work.marks.read_bytes()) if not done]
    total, left = sum(map(len, chunks)), sum(len(names) for _, names in jobs)
    with tqdm(
        total=total, initial=total - left, desc="images", unit="image", smoothing=0.1, disable=not progress
    ) as bar:
        for place, (count, problems) in enumerate(_carried_out(work, jobs, workers)):
            if place == 0:
                bar.unpause()  # processes take seconds to start, which say nothing of the time left
            corrupt += problems
            bar.update(count)
    return corrupt


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Reserve the array's whole space now, so that a full disk shows here and not in the middle."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise


@dataclass(frozen=True)
class _Work:
    """A store in the making, as the processes that make it know it.

    Attributes:
        read: from an image's name to its pixels.
        array: the unfinished file.
        marks: one byte a chunk beside it: 1 where the chunk is in the array, 0 where it is not.
        shape: of one stored image ``(S, S, 3)`` or mask ``(S, S)``.
        offset: bytes in ``array`` before the first image.
    """

    read: Reader
    array: Path
    marks: Path
    shape: tuple[int, ...]
    offset: int

    def chunk(self, job: tuple[int, Sequence[str]]) -> tuple[int, list[str]]:
        """Decode a chunk, given by number and names, into the array; the number of images, and what is wrong."""
        number, names = job
        images, problems = self._decoded(names)
        if not problems:
            with self.array.open("r+b") as file:
                file.seek(self.offset + number * CHUNK * images[0].nbytes)
                file.write(images)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())  # before its mark, whatever the machine does next
            with self.marks.open("r+b") as file:
                file.seek(number)
                file.write(b"\1")
        return len(names), problems

    def _decoded(self, names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
        """Images read and resized, uint8 ``[N, S, S, 3]`` or masks, and a line for each that cannot be read."""
        images, problems = np.zeros((len(names), *self.shape), np.uint8), []
        for place, name in enumerate(names):
            try:
                image = Image.fromarray(self.read(name))
                images[place] = np.asarray(image.resize(self.shape[:2], Image.Resampling.BILINEAR))  # type: ignore[arg-type]
            except (OSError, ValueError, SyntaxError) as error:
                if isinstance(error, OSError) and error.errno in FULL:  # of a reader that keeps what it draws
                    raise
                problems.append(f"{name}: {error}")
        return images if len(self.shape) == 3 else np.where(images >= 128, np.uint8(255), np.uint8(0)), problems


def _carried_out(work: _Work, jobs: list[tuple[int, Sequence[str]]], workers: int) -> Iterator[tuple[int, list[str]]]:
    """What each chunk's decoding gave, in this process or in several."""
    if workers == 1 or len(jobs) < 4:
        yield from map(work.chunk, jobs)
        return
    with processes.pool(
        min(workers, len(jobs)), kept="what is decoded is kept, and the same command goes on with the rest"
    ) as pool:
        yield from pool.map(work.chunk, jobs)
