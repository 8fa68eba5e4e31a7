"""Softmax cross-entropy and batch-hard triplets (Hermans et al., 2017)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from reidlib import losses
from reidpapers.run.training import Batch
from sixth.config import SixthConfig
from sixth.network import Network


def terms(config: SixthConfig, network: Network, batch: Batch) -> dict[str, Tensor]:
    """Both terms, unweighted."""
    features, vehicles = network(batch.images), batch.labels[:, 0]
    return {
        "identity": F.cross_entropy(network.identity(features), vehicles),
        "triplet": losses.batch_hard_triplet(features, vehicles, margin=config.margin),
    }
