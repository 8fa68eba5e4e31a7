"""A trunk and a classifier of vehicles."""

from __future__ import annotations

from torch import Tensor, nn

from reidlib import models
from sixth.config import SixthConfig


class Network(nn.Module):
    """``[N, 3, S, S]`` → features ``[N, D]``; ``identity`` classifies them."""

    def __init__(self, config: SixthConfig, identities: int) -> None:
        super().__init__()
        self.trunk = models.build(config.backbone, image_size=config.image_size)
        self.identity = nn.Linear(self.trunk.dim, identities)

    def forward(self, images: Tensor) -> Tensor:
        return self.trunk(images)
