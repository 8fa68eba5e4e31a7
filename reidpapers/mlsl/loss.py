"""MLSL's loss (eq. 1, 2 and 5–7): classification in stage 1, joined by a contrastive loss on pairs in stage 2."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from reidlib import losses
from reidpapers.mlsl.config import ATTRIBUTES, MLSLConfig
from reidpapers.mlsl.network import MLSL, plain_distance
from reidpapers.run.training import Batch


def classification(network: MLSL, batch: Batch) -> dict[str, Tensor]:
    """Stage 1: softmax cross-entropy on vehicle identity (eq. 1, 2)."""
    return {"identity": F.cross_entropy(network.identity(network(batch.images)), batch.labels[:, 0])}


def pairwise(network: MLSL, batch: Batch, config: MLSLConfig) -> dict[str, Tensor]:
    """Stage 2: L = α (L_cls(a) + L_cls(b)) + Σ_m λ_m L_m (eq. 5–7), term by term and unweighted, means over pairs."""
    features = network(batch.images).float()  # [2P, D]
    terms: dict[str, Tensor] = {}
    if config.learning != "similarity":
        each = F.cross_entropy(network.identity(features), batch.labels[:, 0], reduction="none")  # [2P]
        terms["identity"] = each.unflatten(0, (2, -1)).mean(1).sum()
    if config.learning != "continued":
        first, second = features.chunk(2)  # [P, D] each
        columns = [ATTRIBUTES.index(name) for name in config.attributes()]
        differs, known = losses.differs(*batch.labels[:, columns].chunk(2))  # [P, M]
        output = outputs(network, first, second, config)  # [P, M]
        values = losses.masked_mean(losses.contrastive(output, differs, margin(config)), known)  # [M]
        terms |= dict(zip(config.attributes(), values, strict=True))
    return terms


def outputs(network: MLSL, first: Tensor, second: Tensor, config: MLSLConfig) -> Tensor:
    """What the contrastive loss sees of each pair: the units' outputs ``[P, M]``, or without units its distance."""
    return network.units(first, second) if config.mapping == "sigmoid" else plain_distance(first, second, config)


def margin(config: MLSLConfig) -> float:
    """From where on a pair that differs is far enough apart, in units of :func:`outputs`."""
    return config.plain_margin if config.mapping == "none" and config.plain == "sum" else config.margin


def term_weights(config: MLSLConfig) -> dict[str, float]:
    """Factor of each term in the total (eq. 7)."""
    if config.learning == "feature":
        return {"identity": 1.0}
    weights = {} if config.learning == "similarity" else {"identity": config.alpha}
    if config.learning != "continued":
        weights |= {name: getattr(config, f"weight_{name}") for name in config.attributes()}
    return weights
