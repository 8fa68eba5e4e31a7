"""What a paper's loss makes of a pair of images.

A paper says by a :data:`Judge` what its loss makes of a pair; the rest is the same for all of them. With x_a, x_b the
features and v a term's value times its weight, the force that a step of descent puts on x_a along the line to x_b is

    f = ∂v/∂x_a · (x_a − x_b) / ‖x_a − x_b‖,

above 0 where it pulls the two together, below 0 where it pushes them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib import losses
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.loss import pair_losses
from reidpapers.agnet.loss import term_weights as agnet_weights
from reidpapers.agnet.network import AGNet
from reidpapers.mlsl.config import ATTRIBUTES, MLSLConfig
from reidpapers.mlsl.loss import term_weights
from reidpapers.mlsl.network import MLSL


@dataclass(frozen=True)
class Term:
    """What one term of a loss makes of a pair.

    Attributes:
        value: a scalar with its graph, unweighted.
        weight: its factor in the total.
        says: the network's output on how much the pair differs, 0 to 1; None for a term without one.
        differs: the label Y, 0 where the pair shares the attribute and 1 where not; None where there is none.
    """

    value: Tensor
    weight: float = 1.0
    says: float | None = None
    differs: float | None = None


@dataclass(frozen=True)
class Pair:
    """What a network makes of a pair.

    Attributes:
        features: ``[2, D]``, part of the graph of every term.
        terms: by name, in the order in which they are shown.
    """

    features: Tensor
    terms: Mapping[str, Term]


Judge = Callable[[nn.Module, Any, Tensor, Tensor, bool], Pair]
"""``(network, config, images [2, 3, S, S], labels [2, L], training) → Pair``; ``training``: both are training images,
so that the first label is a class of the identity classifier. The network is in evaluation mode."""


def mlsl_pair(network: MLSL, config: MLSLConfig, images: Tensor, labels: Tensor, training: bool) -> Pair:
    """MLSL's judge: the sigmoidal units' terms, and of training images the classification's (eq. 5–7)."""
    features = network(images).float()
    weights, terms = term_weights(config), {}
    if config.learning in ("joint", "similarity"):
        columns = [ATTRIBUTES.index(name) for name in config.attributes()]
        differs, sure = losses.differs(labels[:1, columns], labels[1:, columns])
        if config.mapping == "sigmoid":
            output, margin = network.units(features[:1], features[1:]), config.margin
        else:
            vector = losses.pair_distance(features[:1], features[1:], config.distance)
            output, margin = losses.reduce_distance(vector, config.distance), config.plain_margin
        values = (losses.contrastive(output, differs, margin) * sure)[0]
        for place, name in enumerate(config.attributes()):
            says = float(output[0, place].detach()) if config.mapping == "sigmoid" else None
            label = float(differs[0, place]) if sure[0, place] else None
            terms[name] = Term(values[place], weights[name], says, label)
    if training and "identity" in weights:
        each = F.cross_entropy(network.identity(features), labels[:, 0], reduction="none")
        terms["classification"] = Term(each.sum(), weights["identity"])
    return Pair(features, terms)


def agnet_pair(network: AGNet, config: AGNetConfig, images: Tensor, labels: Tensor, training: bool) -> Pair:
    """AGNet's judge: the verification network's term, and of training images the classifications' (eq. 8).

    The features are the category embedding and, where there is one, the attribute embedding beside it.
    """
    parts = [part for part in network.embeddings(images) if part is not None]
    features = torch.cat(parts, 1).float()
    category, *attribute = features.split([part.shape[1] for part in parts], 1)
    weights, terms = agnet_weights(config), {}
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
            each = F.cross_entropy(head(part), labels[:, column], ignore_index=-1, reduction="none")
            terms[name] = Term(each.sum() / (labels[:, column] >= 0).sum().clamp_min(1), weights[name])
    return Pair(features, terms)


def forces(pair: Pair) -> dict[str, float]:
    """By term, how strongly it pulls (above 0) or pushes (below 0) the first image's features; 0 for equal features."""
    apart = (pair.features[0] - pair.features[1]).detach()
    along = apart / apart.norm().clamp_min(1e-12)
    found = {}
    for name, term in pair.terms.items():
        slope = torch.autograd.grad(term.weight * term.value, pair.features, retain_graph=True, allow_unused=True)[0]
        found[name] = 0.0 if slope is None else float(slope[0] @ along)
    return found
