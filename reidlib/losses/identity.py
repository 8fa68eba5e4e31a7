"""Losses of a batch's labels: cross-entropy where some are missing, batch-hard triplets, and the centre loss.

The last two are terms of the multi-guided system (section 3.1), which takes them and their form from "Bag of Tricks and
a Strong Baseline for Deep Person Re-Identification" (Luo et al., CVPR workshops 2019).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses.hinge import hinge, squared_distances


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy, a mean over the images that have a label: −(1/L) Σ_i log softmax(z_i)[y_i].

    Where a dataset lacks some labels of an attribute, its other images still teach it. torch's own mean over such a
    batch is not a number where no image has a label; here it is 0.

    Args:
        logits: z, ``[N, C]``; at least float32 is computed in.
        labels: y, codes ``[N]`` from 0 to C − 1, −1 where one is missing.

    Returns:
        A scalar ≥ 0; 0, with a gradient of 0, where no image has a label.

    >>> cross_entropy(torch.tensor([[0.0, 0.0], [9.0, 1.0]]), torch.tensor([0, -1]))  # log 2
    tensor(0.6931)
    """
    total = F.cross_entropy(_widened(logits), labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp_min(1)


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Triplet loss of each image with its farthest positive and its nearest negative in the batch (multi-guided eq. 3).

    (1/A) Σ_a [d_p − d_n + α]₊ with d_p = max ‖f_a − f_p‖ over the other images of a's identity and d_n = min
    ‖f_a − f_n‖ over those of others: distances with root. The mean is over all A images that have both, also those
    whose hinge is 0. Which images are the hardest is a constant to the gradient.

    Args:
        features: f, ``[N, D]``, as they are: neither normalised nor bounded.
        labels: identity codes ``[N]``, none missing.
        margin: α >= 0, in units of the distances.

    Returns:
        A scalar ≥ 0 of float32 at least; 0, with a gradient of 0, where no image has both.

    Raises:
        ValueError: as many labels as images are needed, none below 0; or the margin is negative.

    Two images of identity 0 and one of identity 1; d_p = 3 for both, d_n = 4 for the first and 5 for the second:

    >>> f = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> batch_hard_triplet(f, torch.tensor([0, 0, 1]), margin=1.5)
    tensor(0.2500)
    """
    _check(features, labels)
    same = labels[:, None] == labels
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positives, negatives = same & ~itself, ~same
    with torch.no_grad():
        distances = squared_distances(features, features)  # the root changes no order
        farthest = distances.masked_fill(~positives, -torch.inf).argmax(1)
        nearest = distances.masked_fill(~negatives, torch.inf).argmin(1)
    counted = positives.any(1) & negatives.any(1)
    values = hinge(_distance(features, features[farthest]), _distance(features, features[nearest]), margin)
    return values.where(counted, 0).sum() / counted.count_nonzero().clamp_min(1)


def center_loss(features: Tensor, labels: Tensor, centers: Tensor) -> Tensor:
    """½ Σ_j ‖f_j − c_{y_j}‖², summed over the batch (multi-guided eq. 2; Wen et al., ECCV 2016).

    A sum, as printed: it grows with the batch, and the paper's weight of 0.0005 is meant for it. Both features and
    centres take gradients: Σ (c − f) over its images for a centre, 0 for one without images.

    Args:
        features: f, ``[N, D]``.
        labels: y, codes ``[N]`` from 0 to C − 1.
        centers: c, ``[C, D]``, one centre an identity.

    Returns:
        A scalar ≥ 0 of float32 at least.

    Raises:
        ValueError: shapes that do not fit, or a label that has no centre.

    >>> center_loss(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([1, 0]), torch.zeros(2, 2))
    tensor(13.)
    """
    _check(features, labels)
    if centers.ndim != 2 or centers.shape[1] != features.shape[1]:
        raise ValueError(f"centres of shape {tuple(centers.shape)} for features of width {features.shape[1]}")
    if len(labels) and (highest := int(labels.max())) >= len(centers):
        raise ValueError(f"label {highest} has no centre: allowed are 0 to {len(centers) - 1}")
    return 0.5 * (_widened(features) - _widened(centers)[labels]).square().sum()


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """‖a − b‖ of each row. The root's slope is infinite at 0, where two features agree: it stops just short of it."""
    return (_widened(first) - _widened(second)).square().sum(1).clamp_min(1e-12).sqrt()


def _widened(features: Tensor) -> Tensor:
    """At least float32, also where the caller computes in half precision: near features cancel, sums round."""
    return features.to(torch.promote_types(features.dtype, torch.float32))


def _check(features: Tensor, labels: Tensor) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"features of shape {tuple(features.shape)} and labels of shape {tuple(labels.shape)}: needed are [N, D]"
            " and [N]"
        )
    if missing := int((labels < 0).sum()):
        raise ValueError(f"{missing} of {len(labels)} images have no identity: leave them out of the batch")
