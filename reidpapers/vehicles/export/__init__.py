"""Rendered benchmarks written in the folder layouts of the official datasets, so that what reads those can be tried.

The JPEG bytes are copied as they are. Each layout is a file of its own with one function, :data:`LAYOUTS` names them.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from reidlib import processes
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import aicity2020, compcars, vehicle1m, vehicleid, veri776, veriwild
from reidpapers.vehicles.export.source import Source, rendered_source
from reidpapers.vehicles.render import Preset
from reidpapers.vehicles.simulated import simulated_preset

__all__ = ["LAYOUTS", "Source", "export", "rendered_source", "simulated_preset"]

CHUNK = 64  # images that a process draws at a time

# Each writes into an empty folder and returns the exported names, "dir/file.jpg", by split and rendered image.
LAYOUTS: dict[str, Callable[[Source, Path], pd.Series]] = {
    "veri776": veri776.write,
    "vehicleid": vehicleid.write,
    "veriwild": veriwild.write,
    "vehicle1m": vehicle1m.write,
    "compcars": compcars.write,
    "aicity2020": aicity2020.write,
}
WITH_SIMULATION = {"aicity2020"}


def export(
    layout: str,
    folder: str | Path,
    *,
    preset: str | Preset = "small",
    seed: int = 0,
    workers: int = 1,
    progress: bool = False,
) -> Path:
    """Write a rendered preset in the layout of an official dataset.

    The tree is written beside ``folder`` and takes its name when it is complete: a full disk or Ctrl-C leaves nothing
    under that name.

    Args:
        layout: a name in :data:`LAYOUTS`.
        folder: where to; it must be absent or empty.
        preset: a name in :data:`reidpapers.vehicles.rendered.PRESETS`, or a preset of your own.
        seed: the rendered benchmark's; a simulated part, where the layout has one, takes the next.
        workers: processes that draw the pictures that are not yet in the user's cache.
        progress: show a bar over the drawing, with an estimate of the time left.

    Returns:
        The folder.

    Raises:
        ValueError: an unknown layout or preset, a negative seed, or no workers.
        FileExistsError: there is something in the folder already.
        OSError: the disk is full.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}: allowed are {', '.join(LAYOUTS)}")
    if workers < 1:
        raise ValueError(f"workers {workers}: allowed is 1 or more")
    folder = _empty(Path(folder).expanduser().absolute())
    parts = [(preset, seed)]
    simulated = None
    if layout in WITH_SIMULATION:
        parts.append((simulated_preset(preset), seed + 1))
        simulated = rendered_source(*parts[1])
    source = rendered_source(preset, seed, simulated)
    try:
        for chosen, number in parts:
            _draw(chosen, number, workers, progress)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            made = Path(scratch, folder.name)
            made.mkdir()
            LAYOUTS[layout](source, made)
            if folder.exists():
                folder.rmdir()
            os.replace(made, folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC, f"no space left on the disk of {folder.parent} or of the cache; nothing was exported"
            ) from error
        raise
    return folder


def _empty(folder: Path) -> Path:
    """The folder, if an export may take its place."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(f"{folder} is no plain folder: name one that is absent or empty")
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a folder that is absent or empty")
    return folder


def _draw(preset: str | Preset, seed: int, workers: int, progress: bool) -> None:
    """Draw all pictures of a benchmark into the user's cache, by several processes if asked."""
    images = sorted(set(rendered.load(preset, seed).manifest.table["image"]))
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    work = partial(_draw_chunk, preset, seed)
    with tqdm(total=len(images), desc="pictures", unit="image", disable=not progress) as bar:
        if workers == 1 or len(chunks) < 4:
            for count in map(work, chunks):
                bar.update(count)
            return
        with processes.pool(workers, kept="what is drawn is kept, and the same command goes on with the rest") as pool:
            for count in pool.map(work, chunks):
                bar.update(count)


def _draw_chunk(preset: str | Preset, seed: int, images: Sequence[str]) -> int:
    """Draw a few pictures; returns how many."""
    for image in images:
        rendered.world(preset, seed).jpeg(image)
    return len(images)
