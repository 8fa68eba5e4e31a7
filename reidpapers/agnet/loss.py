"""AGNet's loss (eq. 2, 4 and 6–8): identity, colour and type of each image, and whether a pair shows one vehicle."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from reidlib import losses
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.network import AGNet
from reidpapers.run.training import Batch


def terms(network: AGNet, batch: Batch, config: AGNetConfig) -> dict[str, Tensor]:
    """The terms of eq. 8, unweighted: means over images, and over pairs for the verification.

    Images whose colour or type is unknown count for the other terms only.
    """
    category, attribute = network.embeddings(batch.images)  # [2P, W]
    vehicle, *attributes = batch.labels.T
    values = {"identity": F.cross_entropy(network.identity(category).float(), vehicle)}  # eq. 4
    if config.branches == "full":
        for name, head, label in zip(("color", "type"), (network.color, network.kind), attributes, strict=True):
            entropy = F.cross_entropy(head(attribute).float(), label, ignore_index=-1, reduction="none")  # eq. 2
            values[name] = losses.masked_mean(entropy[:, None], (label >= 0)[:, None])[0]
    if config.verifies():
        logits = network.verify(*category.chunk(2)).float()
        values["verification"] = pair_losses(logits, batch.labels, config).mean()
    return values


def pair_losses(logits: Tensor, labels: Tensor, config: AGNetConfig) -> Tensor:
    """The verification loss of each pair, ``[P, 2]`` → ``[P]``, from the labels ``[2P, 3]`` of its images."""
    first, second = labels.chunk(2)
    same = first[:, 0] == second[:, 0]
    if config.verification == "ce":
        return F.cross_entropy(logits, same.long(), reduction="none")
    alike = losses.share_attributes(first[:, 1:], second[:, 1:], every=config.alike == "both")
    return losses.attribute_smoothing(
        logits, same, alike, theta=config.theta, beta=config.beta, alpha=config.alpha_smooth
    )


def term_weights(config: AGNetConfig) -> dict[str, float]:
    """Factor of each term in the total (eq. 8)."""
    weights = {"identity": config.weight_category}
    if config.branches == "full":
        weights |= dict.fromkeys(("color", "type"), config.weight_attribute)
    return weights | ({"verification": config.weight_verification} if config.verifies() else {})
