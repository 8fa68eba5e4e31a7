"""What MLSL's loss makes of a pair of images, for the explorer of pairs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from reidlib import losses
from reidpapers.mlsl.config import ATTRIBUTES, MLSLConfig
from reidpapers.mlsl.loss import margin, outputs, term_weights
from reidpapers.mlsl.network import MLSL
from reidpapers.show.explore import Pair, Term


def pair(network: MLSL, config: MLSLConfig, images: Tensor, labels: Tensor, training: bool) -> Pair:
    """MLSL's judge: the sigmoidal units' terms, and of training images the classification's (eq. 5–7)."""
    features = network(images).float()
    weights, terms = term_weights(config), {}
    if config.learning in ("joint", "similarity"):
        columns = [ATTRIBUTES.index(name) for name in config.attributes()]
        differs, sure = losses.differs(labels[:1, columns], labels[1:, columns])
        output = outputs(network, features[:1], features[1:], config)
        values = (losses.contrastive(output, differs, margin(config)) * sure)[0]
        for place, name in enumerate(config.attributes()):
            says = float(output[0, place].detach()) if config.mapping == "sigmoid" else None
            label = float(differs[0, place]) if sure[0, place] else None
            terms[name] = Term(values[place], weights[name], says, label)
    if training and "identity" in weights:
        entropy = F.cross_entropy(network.identity(features), labels[:, 0], reduction="none")
        terms["classification"] = Term(entropy.sum(), weights["identity"])
    return Pair(features, terms)
