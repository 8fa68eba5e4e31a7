"""How far apart images lie by what their vehicles share: the picture that the paper's Fig. 1 draws, measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.manifest import codes
from reidlib.evaluate import metrics
from reidpapers.run.evaluate_run import Trained

KINDS = ("vehicle", "color and type", "color", "type", "neither")
IMAGES, ROWS = 2_000, 256  # looked at; compared at once


def measure(trained: Trained, labels: Callable[[pd.DataFrame], Tensor]) -> list[dict[str, Any]]:
    """Mean distances of pairs of gallery images, at most :data:`IMAGES` that are spread evenly over the gallery.

    Args:
        trained: the network, its test images, and by which distance they are matched.
        labels: codes of identity, colour and type, ``rows → [N, 3]``, −1 where missing.
    """
    rows = trained.dataset.manifest.rows("gallery").drop_duplicates("image")
    spread = np.linspace(0, len(rows) - 1, min(IMAGES, len(rows))).astype(int)
    rows = rows.iloc[spread].reset_index(drop=True)
    features, cameras = trained.embed(rows).features, torch.as_tensor(codes(rows["camera_id"]))
    return mean_distances(features, labels(rows), cameras, trained.config.test_distance)


def mean_distances(features: Tensor, labels: Tensor, cameras: Tensor, distance: str = "euclidean") -> list[dict]:
    """Mean distance of the pairs of each kind: one vehicle; or two that share colour and type, one of them, or neither.

    Pairs from one camera are left out, since they share the background, and pairs of two vehicles whose colours or
    types are not all known.

    Args:
        features: ``[N, D]``.
        labels: codes of identity, colour and type, ``[N, 3]``, −1 where missing.
        cameras: codes, ``[N]``, −1 where missing.
        distance: ``euclidean`` or ``cosine``.

    Returns:
        ``{"shares": one of KINDS, "pairs": how many, "mean": their mean distance}`` for each kind that occurs.

    >>> line = torch.tensor([[0.0], [1.0], [5.0]])
    >>> mean_distances(line, torch.tensor([[0, 0, 0], [0, 0, 0], [1, 0, 1]]), torch.tensor([0, 1, 2]))[1]
    {'shares': 'color', 'pairs': 2, 'mean': 4.5}
    """
    apart = getattr(metrics, distance)(features.double(), features.double())
    place, sums = torch.arange(len(features)), torch.zeros(len(KINDS), 2, dtype=torch.float64)
    for rows in place.split(ROWS):
        block = apart(slice(int(rows[0]), int(rows[-1]) + 1))
        block = block.clamp_min(0).sqrt() if distance == "euclidean" else block  # the evaluator's are squared
        one_camera = (cameras[rows, None] == cameras) & (cameras >= 0)
        counted = (place > rows[:, None]) & ~one_camera  # each pair once
        kind = _kinds(labels[rows], labels)
        for number in range(len(KINDS)):
            chosen = block[counted & (kind == number)]
            sums[number] += torch.stack([torch.tensor(float(len(chosen)), dtype=torch.float64), chosen.sum()])
    return [
        {"shares": name, "pairs": int(pairs), "mean": round(total / pairs, 6)}
        for name, (pairs, total) in zip(KINDS, sums.tolist(), strict=True)
        if pairs
    ]


def _kinds(some: Tensor, every: Tensor) -> Tensor:
    """What each pair shares, by its place in :data:`KINDS`, −1 where that is not known: ``[n, N]``."""
    vehicle, color, kind = (some[:, None] == every).unbind(2)
    known = (some[:, None] >= 0).all(2) & (every >= 0).all(1)
    attributes = 4 - 2 * color.long() - kind.long()  # both 1, colour 2, type 3, neither 4
    return attributes.where(known, -1).where(~vehicle, 0)
