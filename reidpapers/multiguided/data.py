"""Which images a run learns from, and what their labels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.aicity2020 import PREFIX
from reidlib.data.manifest import codes
from reidpapers.multiguided.config import ATTRIBUTES, MultiGuidedConfig
from reidpapers.run import datasets

HELD_OUT = 0.2  # of the real training vehicles that have masks, for the PSPNet's IoU
FEWEST_HELD_OUT = 2


def label_codes(rows: pd.DataFrame) -> Tensor:
    """Codes ``[N, 3]`` of vehicle, colour and type; −1 where colour or type is not known."""
    return torch.as_tensor(np.stack([codes(rows[name]) for name in ("vehicle_id", *ATTRIBUTES)], 1))


def is_simulated(rows: pd.DataFrame) -> np.ndarray:
    """Which rows of a manifest are simulated, by their vehicles' names: ``[N]`` booleans."""
    return rows["vehicle_id"].str.startswith(PREFIX).to_numpy(bool, na_value=False)


def usable(config: MultiGuidedConfig, rows: pd.DataFrame) -> pd.DataFrame:
    """The training rows that a run learns from.

    Simulated ones only where they are asked for; for a classifier those whose attribute is known; for the PSPNet those
    that have a mask, without the held-out vehicles.
    """
    kept = np.ones(len(rows), bool) if config.simulated else ~is_simulated(rows)
    if config.learning.startswith("classifier"):
        kept &= rows[config.learning.removeprefix("classifier_")].notna().to_numpy(bool)
    if config.learning == "segmenter":
        kept &= rows["mask"].notna().to_numpy(bool) & ~rows["vehicle_id"].isin(held_out(rows)).to_numpy(bool)
    return rows[kept].reset_index(drop=True)


def held_out(rows: pd.DataFrame) -> list[str]:
    """The real training vehicles that the PSPNet does not learn from: a fifth, drawn once for all."""
    masked = rows[rows["mask"].notna() & ~is_simulated(rows)]
    vehicles = np.sort(masked["vehicle_id"].unique())
    count = max(FEWEST_HELD_OUT, round(HELD_OUT * len(vehicles)))
    return np.random.default_rng(0).permutation(vehicles)[:count].tolist()


def classes(config: MultiGuidedConfig) -> dict[str, Any]:
    """What networks are built for: number of vehicles, and the names that stand for an attribute's codes 0, 1, ….

    All kinds of runs are built for the same ones: those of the images that extractors learn from.
    """
    rows = datasets.load(config.source).manifest.rows("train")
    rows = rows if config.simulated else rows[~is_simulated(rows)]
    names = {name: np.sort(rows[name].dropna().unique()).tolist() for name in ATTRIBUTES}
    return {"identities": rows["vehicle_id"].nunique(), "colors": names["color"], "types": names["type"]}
