"""Real and simulated training images together: a street preset of the embedded vehicles and its clean companion.

The multi-guided system learns from AI City's images and from VehicleX's, which are clean and of other vehicles. The
clean companion of a street preset stands for those: other vehicles, nothing in the way, for training only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pandas as pd

from reidlib.data.aicity2020 import PREFIX
from reidlib.data.manifest import Dataset, Manifest
from reidpapers.vehicles import rendered
from reidpapers.vehicles.render import Preset, Share

T = TypeVar("T")

SUFFIX = "_simulated"  # of a preset's name, in a configuration
PREFIXED = ("image", "vehicle_id", "camera_id", "track_id", "mask")  # columns whose names may clash
NOTE = (
    " Its training part also has {images:,} images of {vehicles} vehicles of the clean preset, which stand for a "
    "simulation."
)


def simulated_preset(preset: str | Preset) -> Preset:
    """The clean companion of a preset: as many training vehicles and images, nothing in the way, hardly a test side."""
    chosen = rendered.PRESETS[preset] if isinstance(preset, str) else preset
    return replace(chosen, name=f"{chosen.name}-clean", test=Share(2, 4, 4, 2), occlusion=0.0)


def load(preset: str | Preset = "small", seed: int = 0) -> Dataset:
    """A street preset with its clean companion's training images; tests are the street's alone.

    Names of the companion's images, vehicles, cameras and tracks carry the prefix ``sim_``, as AI City's simulated ones
    do here. Distances between cameras are the street's.

    Args:
        preset: the street preset, by name or as it is.
        seed: of the street; the companion takes the next, as an export does.

    Raises:
        ValueError: an unknown preset or a negative seed.
    """
    street, clean = rendered.load(preset, seed), rendered.load(simulated_preset(preset), seed + 1)
    rows = clean.manifest.rows("train")
    rows = rows.assign(**{column: PREFIX + rows[column] for column in PREFIXED})
    table = pd.concat([street.manifest.table, rows], ignore_index=True)
    origin = f"{street.manifest.origin}\nsimulated\n{clean.manifest.origin}"
    return replace(
        street,
        manifest=Manifest(f"{street.manifest.name} and simulated", table, origin),
        read=partial(_dispatched, street.read, clean.read),
        read_mask=partial(_dispatched, street.read_mask, clean.read_mask),
        read_size=partial(_dispatched, street.read_size, clean.read_size),
        note=street.note + NOTE.format(images=len(rows), vehicles=rows["vehicle_id"].nunique()),
    )


def _dispatched(street: Callable[[str], T], clean: Callable[[str], T], image: str) -> T:
    """What there is of an image, from the part that it belongs to."""
    return clean(image.removeprefix(PREFIX)) if image.startswith(PREFIX) else street(image)
