"""What a notebook shows of DRDL's batches; no part of what makes its records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from reidlib import augment, losses
from reidlib.data.images import ImageStore
from reidpapers.drdl.config import DRDLConfig
from reidpapers.drdl.network import DRDL
from reidpapers.drdl.paper import PAPER
from reidpapers.run.training import Batch, batches


def set_pairs(
    config: DRDLConfig, store: ImageStore, rows: pd.DataFrame, count: int
) -> tuple[list[np.ndarray], list[str]]:
    """A small batch to look at: images as augmented, a set pair after the other, and the label that each set shares."""
    config = config.canonical().but(sets=count)
    batch = _first_batch(config, store, rows)
    codes = batch.labels[:, config.identity()].view(count, 2, -1).tolist()
    captions = [
        f"{name}\nnumber {code}"
        for pair in codes
        for name, half in zip(("positive", "negative"), pair, strict=True)
        for code in half
    ]
    return list(augment.pixels(batch.images).numpy()), captions


def gradient_angles(config: DRDLConfig, network: DRDL, store: ImageStore, rows: pd.DataFrame) -> list[float]:
    """Degrees between the printed and the true gradient of coupled clusters, for each set pair of the first batch."""
    config = config.canonical()
    batch = _first_batch(config, store, rows)
    with torch.no_grad():
        features = network.to("cpu").eval()(batch.images).unflatten(0, (config.sets, 2, config.set_size))
    return losses.gradient_angle(*features.unbind(1), config.margin).tolist()


def _first_batch(config: DRDLConfig, store: ImageStore, rows: pd.DataFrame) -> Batch:
    rows = PAPER.usable(config, rows)
    return batches(PAPER, config, store.resident("cpu"), store.places(rows), PAPER.labels(rows))(0)
