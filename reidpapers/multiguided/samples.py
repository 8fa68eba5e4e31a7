"""Images that the notebook shows: a batch, the augmentation step by step, and predicted masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib import sampler
from reidlib.augment import pixels
from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset
from reidpapers.multiguided.config import MultiGuidedConfig
from reidpapers.multiguided.evaluation import unpacked
from reidpapers.multiguided.paper import PAPER
from reidpapers.multiguided.side_inputs import masks, original_sizes
from reidpapers.run.training import Training, batches

STEPS = {
    "other background": {"extractor": "dense161bs", "substitute": 1.0, "shrink": 0.0, "erase": 0.0, "pad": 0.0},
    "shrunk": {"extractor": "res50", "shrink": 1.0, "erase": 0.0, "pad": 0.0},
    "cropped": {"extractor": "res50", "shrink": 0.0, "erase": 0.0},
    "erased": {"extractor": "res50", "shrink": 0.0, "erase": 1.0, "pad": 0.0},
}


def sample_batch(
    config: MultiGuidedConfig, dataset: Dataset, store: ImageStore
) -> tuple[list[np.ndarray], pd.DataFrame]:
    """The first batch of Res50 to look at: its images as augmented, and their rows, by vehicle."""
    config = config.member("res50").canonical()
    rows = PAPER.usable(config, dataset.manifest.rows("train"))
    labels, side_inputs = PAPER.labels(rows), PAPER.side_inputs(config, Training(dataset, rows, store, ()))
    draws = sampler.generator(config.seed, PAPER.stream(config), 0)
    chosen = rows.iloc[PAPER.draw(config, labels)(0, draws).numpy()]
    batch = batches(PAPER, config, store.resident("cpu"), store.places(rows), labels, side_inputs)(0)
    return list(pixels(batch.images).numpy()), chosen.reset_index(drop=True)


def augmented(
    config: MultiGuidedConfig, dataset: Dataset, store: ImageStore, rows: pd.DataFrame
) -> dict[str, list[np.ndarray]]:
    """Images before and after each step of the augmentation, each step by itself and done to every image.

    Masks are the dataset's own; without any, there is no other background. What is not large is not shrunk.
    """
    images = torch.as_tensor(store.pixels[store.places(rows).numpy()])
    side_inputs = {"size": original_sizes(dataset, rows)}
    pictures = {"as they are": list(images.numpy())}
    masked = dataset.read_mask is not None and rows["mask"].notna().all()
    if masked:
        side_inputs["mask"] = masks(dataset, rows, config.image_size)
        pictures["mask"] = list(side_inputs["mask"].numpy())
    for name, changes in STEPS.items():
        if masked or changes["extractor"] != "dense161bs":
            pictures[name] = _stepped(config.but(learning="extractor", **changes), images, side_inputs)
    return pictures


def predicted_masks(exhibit: Sequence[Mapping[str, Any]], store: ImageStore) -> tuple[list[np.ndarray], list[str]]:
    """The images of a PSPNet's exhibit, then the masks that it predicts, and a label for each."""
    pictures = [store.image(item["image"]) for item in exhibit]
    predictions = [unpacked(item["mask"], store.pixels.shape[1]) for item in exhibit]
    return [*pictures, *predictions], [*[""] * len(exhibit), *[f"IoU {item['iou']:.2f}" for item in exhibit]]


def _stepped(config: MultiGuidedConfig, images: Tensor, side_inputs: dict[str, Tensor]) -> list[np.ndarray]:
    """Images after the augmentation of a configuration."""
    draws = torch.Generator().manual_seed(3)
    return list(pixels(PAPER.augment(config)(images.clone(), side_inputs, draws)).numpy())
