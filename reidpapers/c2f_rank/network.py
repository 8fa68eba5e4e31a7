"""C2F-Rank's network: a trunk whose features have length 1, and a classifier of vehicle models."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from reidlib import models as trunks
from reidpapers.c2f_rank.config import C2FConfig


class C2F(nn.Module):
    """Trunk and, where models are classified, a linear classifier on its features before normalisation.

    Args:
        config: which trunk, and whether there is a classifier.
        models: number of models in the data that it learns from.
    """

    def __init__(self, config: C2FConfig, models: int) -> None:
        super().__init__()
        self.trunk = trunks.build(
            config.backbone, pretrained=config.pretrained, weights=config.weights, image_size=config.image_size
        )
        if config.learning == "initial" or "classification" in config.terms:
            self.model = nn.Linear(self.trunk.dim, models)

    def forward(self, images: Tensor) -> Tensor:
        """Features f(x) of unit length: ``[N, 3, S, S]`` → ``[N, D]``; matching uses these too."""
        return F.normalize(self.trunk(images).float())
