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

    Thresholds are shares of the mean distance of a query and a gallery image, taken before anything is changed. That of
    the tracks is held against distances without penalties, unless ``config.theta_on`` says otherwise.
    """
    mean = rerank.mean_distance(_plain(query, gallery), len(query))
    if config.groups in ("both", "queries"):
        query = rerank.group_means(query, threshold=config.theta_query * mean)
    distances = _plain(query, gallery)
    if config.reciprocal:
        distances = rerank.k_reciprocal(query, gallery, k1=config.k1, k2=config.k2, weight=config.plain_weight)
        mean = rerank.mean_distance(distances, len(query))
    near = distances
    if config.constraint:
        sides = [attributes.loc[rows["image"]] for rows in (query_rows, gallery_rows)]
        colors, types = ([side[name].to_numpy(copy=True) for side in sides] for name in ATTRIBUTES)
        distances = rerank.attribute_constraint(
            distances, tuple(types), tuple(colors), type_penalty=config.delta_type, color_penalty=config.delta_color,
            literal=config.literal,
        )  # fmt: skip
    if config.groups in ("both", "tracks"):
        tracks = codes(gallery_rows["track_id"])
        near = near if config.theta_on == "distance" else distances
        distances = rerank.insert_tracks(distances, tracks, threshold=config.theta_gallery * mean, near=near)
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
    curves: dict[str, dict[float, float]] = {}
    for groups in ("queries", "tracks", "both"):
        settings = MultiGuidedConfig(constraint=False, groups=groups)
        curves[groups] = {}
        for theta in thetas:
            config = settings.model_copy(update={"theta_query": theta, "theta_gallery": theta})
            scores = protocols.evaluate("aicity2020", both, table, distance=reranking(config, None))
            curves[groups][theta] = scores.mAP
    return curves


def best(curve: dict[float, float]) -> float:
    """The θ of the highest mAP, the smallest of equals."""
    return min(curve, key=lambda theta: (-curve[theta], theta))


def synthetic(config: MultiGuidedConfig) -> dict[str, list[float]]:
    """An ensemble's post-processing of synthetic features: the part of a probe that sees it; nothing without any."""
    if config.learning != "ensemble" or reranking(config, None) is None:
        return {}
    place = np.arange(60)
    draws = torch.Generator().manual_seed(0)
    vehicles = torch.as_tensor(place % 12)
    centres = torch.randn(12, 16, generator=draws, dtype=torch.float64)
    features = centres[vehicles] + torch.randn(60, 16, generator=draws, dtype=torch.float64) / 2
    rows = pd.DataFrame({"image": place.astype(str), "track_id": (place % 12 * 3 + place // 20).astype(str)})
    attributes = pd.DataFrame({"color": place % 5, "type": place % 12 // 4}, index=rows["image"])
    query, gallery = rows[:20].reset_index(drop=True), rows[20:].reset_index(drop=True)
    distances = processed(config, attributes, features[:20], features[20:], query, gallery)
    # Weighed by column: places in a ranking add up to the same, whichever image has which.
    return {"reranked": (distances(slice(0, 20)).double() @ torch.arange(40.0, dtype=torch.float64)).tolist()}
