"""AGNet: trunk, mask, two branches and the verification network (section III, Fig. 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reidlib import models
from reidpapers.agnet.config import AGNetConfig


class AttributeMask(nn.Module):
    """M = softmax(conv1×1(GAP(f_r))) (eq. 1): a weight a channel, ``[N, C, s, s]`` → ``[N, C, 1, 1]``, of sum 1.

    Two readings beside it have weights that are 1 in the mean, so that they do not scale the map by 1/C: ``scaled`` is
    C times the same; ``spatial`` leaves GAP out and softens over each channel's positions, ``[N, C, s, s]``.
    """

    def __init__(self, dim: int, kind: str) -> None:
        super().__init__()
        self.kind, self.weigh = kind, nn.Conv2d(dim, dim, 1)

    def forward(self, maps: Tensor) -> Tensor:
        if self.kind == "spatial":
            logits = self.weigh(maps).flatten(2)  # [N, C, s·s]
            return logits.softmax(2).mul(logits.shape[2]).unflatten(2, maps.shape[2:])
        weights = self.weigh(maps.mean((2, 3), keepdim=True)).softmax(1)
        return weights * maps.shape[1] if self.kind == "scaled" else weights


def embedding(dim: int, config: AGNetConfig) -> nn.Module:
    """A branch's embedding of its map's mean, ``[N, C]`` → ``[N, W]``.

    Batch normalisation undoes the scale 1/C that eq. 1 gives f_m: a linear layer alone cannot learn from it.
    """
    if config.embedding == "linear":
        return nn.Linear(dim, config.width)
    return nn.Sequential(nn.Linear(dim, config.width, bias=False), nn.BatchNorm1d(config.width))


class AGNet(nn.Module):
    """Trunk, mask, the two branches' embeddings with their classifiers, and the verification network (Fig. 2).

    Args:
        config: which of them.
        identities, colors, types: their numbers in the training data.
    """

    def __init__(self, config: AGNetConfig, identities: int, colors: int, types: int) -> None:
        super().__init__()
        self.both, self.feature, self.alpha = config.branches == "full", config.feature, config.alpha_feature
        self.trunk = models.build(
            config.backbone, pretrained=config.pretrained, weights=config.weights, image_size=config.image_size
        )
        dim, width = self.trunk.dim, config.width
        self.category, self.identity = embedding(dim, config), nn.Linear(width, identities)
        self.mask = self.guide = None
        if config.masks():
            self.mask, self.guide = AttributeMask(dim, config.mask), nn.Conv2d(dim, dim, 1)
        if self.both:
            self.attribute = embedding(dim, config)
            self.color, self.kind = nn.Linear(width, colors), nn.Linear(width, types)
        if config.verifies():
            self.verification = nn.Linear(width, 2)

    def embeddings(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Category and attribute embedding, ``[N, W]`` each; None for the second where there is no such branch."""
        shared = self.trunk.maps(images)  # f_r, [N, C, s, s]; the category branch starts from it too: f_c = f_r
        category = attended = shared
        if self.mask is not None:
            mask = self.mask(shared)
            attended = shared * mask  # f_m
            category = shared + shared * self.guide(mask)  # f_cs = f_c + f_attr, eq. 3
        attribute = self.attribute(attended.mean((2, 3))) if self.both else None
        return self.category(category.mean((2, 3))), attribute

    def forward(self, images: Tensor) -> Tensor:
        """Matching features (eq. 5): ``[N, 3, S, S]`` → ``[N, 2W]``, or ``[N, W]`` of one embedding alone."""
        category, attribute = self.embeddings(images)
        if attribute is None or self.feature == "id":
            return category
        return attribute if self.feature == "attr" else torch.cat([attribute, (1 - self.alpha) * category], 1)

    def verify(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits of two vehicles and of one from the square layer (f_1 − f_2)²: ``[P, W]`` twice → ``[P, 2]``."""
        return self.verification((first - second).square())
