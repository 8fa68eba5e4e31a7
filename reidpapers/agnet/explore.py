"""What AGNet's loss makes of a pair of images, for the explorer of pairs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.loss import pair_losses, term_weights
from reidpapers.agnet.network import AGNet
from reidpapers.show.explore import Pair, Term


def pair(network: AGNet, config: AGNetConfig, images: Tensor, labels: Tensor, training: bool) -> Pair:
    """AGNet's judge: the verification network's term, and of training images the classifications' (eq. 8).

    The features are the category embedding and, where there is one, the attribute embedding beside it.
    """
    parts = [part for part in network.embeddings(images) if part is not None]
    features = torch.cat(parts, 1).float()
    category, *attribute = features.split([part.shape[1] for part in parts], 1)
    weights, terms = term_weights(config), {}
    if config.verifies():
        logits = network.verify(category[:1], category[1:])
        differs = float(labels[0, 0] != labels[1, 0])
        value = pair_losses(logits, labels, config).sum()
        terms["verification"] = Term(value, weights["verification"], float(logits.detach().softmax(1)[0, 0]), differs)
    if training:
        heads = {"identity": (network.identity, category, 0)}
        if attribute:
            heads |= {"color": (network.color, attribute[0], 1), "type": (network.kind, attribute[0], 2)}
        for name, (head, part, column) in heads.items():
            entropy = F.cross_entropy(head(part), labels[:, column], ignore_index=-1, reduction="none")
            terms[name] = Term(entropy.sum() / (labels[:, column] >= 0).sum().clamp_min(1), weights[name])
    return Pair(features, terms)
