"""What a notebook shows of C2F-Rank's batches; no part of what makes its records."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reidlib import augment, sampler
from reidlib.data.images import ImageStore
from reidpapers.c2f_rank.config import C2FConfig
from reidpapers.c2f_rank.paper import PAPER
from reidpapers.run.training import batches


def first_batch(config: C2FConfig, store: ImageStore, rows: pd.DataFrame) -> tuple[list[np.ndarray], pd.DataFrame]:
    """The first batch of the ranking to look at: its images as augmented, and their rows, by model and vehicle."""
    config = config.canonical().but(learning="ranking")
    rows = PAPER.usable(config, rows)
    labels = PAPER.labels(rows)
    generator = sampler.generator(config.seed, PAPER.stream(config), 0)
    drawn = rows.iloc[PAPER.draw(config, labels)(0, generator).numpy()]
    batch = batches(PAPER, config, store.resident("cpu"), store.places(rows), labels)(0)
    return list(augment.pixels(batch.images).numpy()), drawn.reset_index(drop=True)
