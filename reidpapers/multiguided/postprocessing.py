"""What happens to an ensemble's distances (section 3.3), and how its thresholds are found without a test identity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.manifest import codes
from reidlib.evaluate import metrics, protocols, rerank
from reidlib.evaluate.metrics import Distances
from reidlib.evaluate.protocols import Reranking
from reidpapers.multiguided.config import ATTRIBUTES, MultiGuidedConfig

THETAS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # that :func:`thresholds` tries, in mean distances


def reranking(config: MultiGuidedConfig, attributes: pd.DataFrame | None) -> Reranking | None:
    """An ensemble's distance; None where it has no post-processing.

    Args:
        config: which steps.
        attributes: predicted codes, columns ``color`` and ``type`` by image; None without attribute constraint.
    """
    if not (config.constraint or config.reciprocal or config.groups != "none"):
        return None
    return Reranking(partial(processed, config, attributes))


def processed(
    config: MultiGuidedConfig,
    attributes: pd.DataFrame | None,
    query: Tensor,
    gallery: Tensor,
    query_rows: pd.DataFrame,
    gallery_rows: pd.DataFrame,
) -> Distances:
    """Distances after grouping of queries, attribute constraint (eq. 6) and insertion of tracks, in this order.

    Thresholds are shares of the mean distance of a query and a gallery image, taken before anything is changed.
    """
    mean = rerank.mean_distance(_plain(query, gallery), len(query))
    if config.groups in ("both", "queries"):
        query = rerank.group_means(query, threshold=config.theta_query * mean)
    distances = _plain(query, gallery)
    if config.reciprocal:
        distances = rerank.k_reciprocal(query, gallery, k1=config.k1, k2=config.k2, weight=config.plain_weight)
        mean = rerank.mean_distance(distances, len(query))
    if config.constraint:
        sides = [attributes.loc[rows["image"]] for rows in (query_rows, gallery_rows)]
        colors, types = ([side[name].to_numpy(copy=True) for side in sides] for name in ATTRIBUTES)
        distances = rerank.attribute_constraint(
            distances, tuple(types), tuple(colors), type_penalty=config.delta_type, color_penalty=config.delta_color,
            literal=config.literal,
        )  # fmt: skip
    if config.groups in ("both", "tracks"):
        tracks = codes(gallery_rows["track_id"])
        distances = rerank.insert_tracks(distances, tracks, threshold=config.theta_gallery * mean)
    return distances


def _plain(query: Tensor, gallery: Tensor) -> Distances:
    return rerank.rooted(metrics.euclidean(query, gallery))


def thresholds(features: Tensor, rows: pd.DataFrame, thetas: Sequence[float] = THETAS) -> dict[str, dict[float, float]]:
    """mAP over the first 100 for each θ, as the queries', as the tracks' and as that of both: what θ is chosen by.

    Args:
        features: signatures ``[N, D]`` of *training* images.
        rows: their manifest rows; the first image of a vehicle and camera queries all.
        thetas: in mean distances.

    Returns:
        ``{"queries": {θ: mAP}, "tracks": {θ: mAP}, "both": {θ: mAP}}``, fractions of 1.
    """
    first = ~rows.duplicated(["vehicle_id", "camera_id"]).to_numpy()
    table = pd.concat([rows[first].assign(split="query"), rows.assign(split="gallery")], ignore_index=True)
    both = torch.cat([features[torch.as_tensor(np.flatnonzero(first))], features])
    found: dict[str, dict[float, float]] = {}
    for groups in ("queries", "tracks", "both"):
        settings = MultiGuidedConfig(constraint=False, groups=groups)
        found[groups] = {}
        for theta in thetas:
            tried = settings.model_copy(update={"theta_query": theta, "theta_gallery": theta})
            scores = protocols.evaluate("aicity2020", both, table, distance=reranking(tried, None))
            found[groups][theta] = scores.mAP
    return found


def best(curve: dict[float, float]) -> float:
    """The θ of the highest mAP, the smallest of equals."""
    return min(curve, key=lambda theta: (-curve[theta], theta))
