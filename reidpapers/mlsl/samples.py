"""What a notebook shows of MLSL's batches; no part of what makes its records."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reidlib import augment, losses
from reidlib.data.images import ImageStore
from reidpapers.mlsl.config import ATTRIBUTES, MLSLConfig
from reidpapers.mlsl.paper import PAPER
from reidpapers.run.training import batches


def sample_pairs(
    config: MLSLConfig, store: ImageStore, rows: pd.DataFrame, count: int
) -> list[tuple[np.ndarray, np.ndarray, dict[str, float | None]]]:
    """A small batch of stage 2 to look at: both images as augmented, and Y of each attribute (None: unknown)."""
    config = config.canonical().but(learning="joint", pairs=count)
    batch = batches(PAPER, config, store.resident("cpu"), store.places(rows), PAPER.labels(rows))(0)
    first, second = (half.numpy() for half in augment.pixels(batch.images).chunk(2))
    differs, known = losses.differs(*batch.labels.chunk(2))
    targets = [
        {name: float(y) if sure else None for name, y, sure in zip(ATTRIBUTES, *pair, strict=True)}
        for pair in zip(differs, known, strict=True)
    ]
    return list(zip(first, second, targets, strict=True))
