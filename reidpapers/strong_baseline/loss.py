"""The strong baseline's loss (sections 3.3 to 3.6): smoothed identities, batch-hard triplets, and the centre loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib import losses
from reidpapers.run.training import Batch
from reidpapers.strong_baseline.config import StrongConfig
from reidpapers.strong_baseline.network import Strong


def terms(network: Strong, batch: Batch, config: StrongConfig) -> dict[str, Tensor]:
    """Identity by f_bn with smoothed labels (section 3.3), triplet and centre loss of f (3.5, 3.6), unweighted.

    The centres follow the features of a batch that is learnt from.
    """
    identities = batch.labels[:, 0]
    f, f_bn = network.features(batch.images)
    values = {
        "identity": F.cross_entropy(network.identity(f_bn).float(), identities, label_smoothing=config.smoothing),
        "triplet": losses.batch_hard_triplet(f, identities, config.margin),
        "center": losses.center_loss(f, identities, network.centers.values),
    }
    if network.training:
        network.centers.follow(f, identities)
    return values


def term_weights(config: StrongConfig) -> dict[str, float]:
    """Factor of each term in the total (section 3.6)."""
    return {"identity": 1.0, "triplet": config.triplet_weight, "center": config.center_weight}


def untaught(labels: Tensor, smoothing: float) -> float:
    """The identity loss of the best guess that looks at no image: the entropy of the smoothed labels' shares.

    Args:
        labels: codes ``[N]`` from 0, every one of them there.
        smoothing: ε: a label is 1 − ε + ε/C for its own of C identities, ε/C for every other.

    >>> round(untaught(torch.tensor([0, 0, 1, 1]), 0.1), 4)  # log 2
    0.6931
    """
    shares = labels.bincount().double() / len(labels)
    return float(torch.special.entr((1 - smoothing) * shares + smoothing / len(shares)).sum())
