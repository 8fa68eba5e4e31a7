"""Losses as pure functions of tensors; each names its paper and equation.

:mod:`~reidlib.losses.multi_label` holds MLSL's contrastive loss, :mod:`~reidlib.losses.smoothing` AGNet's loss of
pairs, :mod:`~reidlib.losses.sets` DRDL's triplet and coupled clusters losses, :mod:`~reidlib.losses.ranking` the
coarse-to-fine ranking loss, :mod:`~reidlib.losses.identity` cross-entropy over the images that have a label, the
multi-guided system's triplet and centre losses. What compares distances with a margin is in
:mod:`~reidlib.losses.hinge`.
"""

from reidlib.losses.hinge import hinge, squared_distances
from reidlib.losses.identity import batch_hard_triplet, center_loss, cross_entropy
from reidlib.losses.multi_label import DISTANCES, contrastive, differs, masked_mean, pair_distance, reduce_distance
from reidlib.losses.ranking import NORMALISATIONS, Relations, coarse_to_fine, nearest, ranking, relations
from reidlib.losses.sets import (
    CENTERS,
    REDUCTIONS,
    center_gradients,
    coupled_clusters,
    gradient_angle,
    set_triplets,
    triplet,
)
from reidlib.losses.smoothing import attribute_smoothing, pair_weights, share_attributes

__all__ = [
    "CENTERS", "DISTANCES", "NORMALISATIONS", "REDUCTIONS", "Relations", "attribute_smoothing", "batch_hard_triplet",
    "center_gradients", "center_loss", "coarse_to_fine", "contrastive", "coupled_clusters", "cross_entropy", "differs",
    "gradient_angle", "hinge", "masked_mean", "nearest", "pair_distance", "pair_weights", "ranking", "reduce_distance",
    "relations", "set_triplets", "share_attributes", "squared_distances", "triplet",
]  # fmt: skip
