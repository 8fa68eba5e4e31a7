"""The embedded vehicles: a labelled world from a seed, as one dataset, alone or with simulated images beside it."""

from __future__ import annotations

from reidlib.data.manifest import COLUMNS, Dataset
from reidpapers.vehicles import rendered, simulated

LABELS = frozenset(COLUMNS) - {"image", "split"}
PRESETS = (*rendered.PRESETS, *(f"{name}{simulated.SUFFIX}" for name in rendered.PRESETS))


def worlds(preset: str) -> str:
    """What the worlds of a preset have in common, where replicates differ in their world: all but the seed, hashed.

    Empty for presets of which one world is used for all seeds of training.
    """
    street = preset.removesuffix(simulated.SUFFIX)
    return f"{preset} {rendered.world(street).family[:16]}" if street.startswith("study") else ""


def load(preset: str, seed: int = 0) -> Dataset:
    """The vehicles of a preset by its name in a configuration, where ``_simulated`` adds clean ones to training.

    Raises:
        ValueError: an unknown preset or a negative seed.
    """
    street = preset.removesuffix(simulated.SUFFIX)
    return rendered.load(preset, seed) if street == preset else simulated.load(street, seed)
