"""What the notebook shows of the training data: how much is labelled, a few pairs, how many pairs of each kind."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reidlib import augment as augmentation
from reidlib import losses
from reidlib.data.images import ImageStore
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.paper import PAPER
from reidpapers.run.training import batches
from reidpapers.show import layout


def labelled(config: AGNetConfig, rows: pd.DataFrame) -> dict[str, str]:
    """On VehicleID, how many training images and vehicles have labels here and in the paper (section IV-B).

    Args:
        config: its dataset.
        rows: usable training rows.

    Returns:
        A line for a page; nothing for other data, for which the paper prints no such numbers.
    """
    if config.dataset != "vehicleid" or config.held_out:
        return {}
    row = "VehicleID with attribute labels"
    counts = {"vehicles": rows["vehicle_id"].nunique(), "images": len(rows)}
    printed = {name: int(layout.value("agnet", "§IV-B", row, name)) for name in counts}
    same = "as in the paper" if counts == printed else "the paper has {vehicles:,} and {images:,}".format(**printed)
    return {"with colour and model": f"{counts['vehicles']:,} vehicles, {counts['images']:,} images; {same}"}


def sample_pairs(
    config: AGNetConfig, store: ImageStore, rows: pd.DataFrame, count: int
) -> list[tuple[np.ndarray, np.ndarray, dict[str, bool | float]]]:
    """A small batch: both images of each pair as augmented, its labels and its weight ε in the loss.

    Args:
        config: whose batch.
        store: the decoded images.
        rows: training rows.
        count: pairs; half of them show one vehicle.

    Returns:
        For each pair two uint8 arrays ``[S, S, 3]`` and ``{"one vehicle", "same colour and type", "ε"}``.
    """
    config = config.canonical().but(pairs=count, positive=0.5)
    rows = PAPER.usable(config, rows)
    batch = batches(PAPER, config, store.resident("cpu"), store.places(rows), PAPER.labels(rows))(0)
    first, second = batch.labels.chunk(2)
    same = first[:, 0] == second[:, 0]
    alike = losses.share_attributes(first[:, 1:], second[:, 1:], every=config.alike == "both")
    weights = losses.pair_weights(same, alike, config.theta)
    labels = [
        {"one vehicle": vehicle, "same colour and type": attributes, "ε": round(weight, 6)}
        for vehicle, attributes, weight in zip(same.tolist(), alike.tolist(), weights.tolist(), strict=True)
    ]
    images = (half.numpy() for half in augmentation.pixels(batch.images).chunk(2))
    return list(zip(*images, labels, strict=True))


def pair_kinds(config: AGNetConfig, rows: pd.DataFrame) -> dict[str, str]:
    """How many pairs of each kind a batch of the run has, on average, and how much the loss's second part weighs them.

    Beside it, how many were of two vehicles alike if pairs were drawn as they come.

    Args:
        config: its pairs, θ, and what equal attributes are.
        rows: training rows.
    """
    config = config.canonical().trained()
    hard, drawn = (config.pairs * PAPER.hard_share(each, rows) for each in (config, config.but(hard=0)))
    kinds = {
        "one vehicle": (config.positives(), 1 - config.theta),
        "two vehicles that share their attributes": (hard, config.theta),
        "two other vehicles": (config.pairs - config.positives() - hard, 0.0),
    }
    texts = {name: f"{count:.2f} of {config.pairs} pairs, ε = {weight:g}" for name, (count, weight) in kinds.items()}
    return {**texts, "that share their attributes, if drawn as they come": f"{drawn:.2f} of {config.pairs} pairs"}
