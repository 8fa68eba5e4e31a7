"""MLSL's network (section III, Fig. 2): a trunk, an identity classifier, and sigmoidal units that look at pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reidlib import losses, models
from reidpapers.mlsl.config import MLSLConfig


class MLSL(nn.Module):
    """Trunk, identity classifier and sigmoidal units (Fig. 2).

    Args:
        config: which trunk and units.
        identities: C, number of training vehicles.
    """

    def __init__(self, config: MLSLConfig, identities: int) -> None:
        super().__init__()
        self.trunk = models.build(
            config.backbone,
            pretrained=config.pretrained,
            weights=config.weights,
            reduction=config.digits_reduction,
            image_size=config.image_size,
        )
        self.identity = nn.Sequential(nn.Dropout(config.identity_dropout), nn.Linear(self.trunk.dim, identities))
        if config.learning in ("similarity", "joint") and config.mapping == "sigmoid":
            self.units = SigmoidalUnits(self.trunk.dim, config)

    def forward(self, images: Tensor) -> Tensor:
        """Matching features x: ``[N, 3, S, S]`` → ``[N, D]``."""
        return self.trunk(images)


class SigmoidalUnits(nn.Module):
    """d_m = σ(w_m · dropout(D(x_a, x_b)) + b_m), one unit an attribute m (eq. 3, 4).

    In the scalar scheme w_m and b_m are those of a batch normalisation over the pairs, unless ``scalar`` is ``bare``.

    Args:
        dim: D, width of the features.
        config: attributes, distance, scheme and dropout.
    """

    def __init__(self, dim: int, config: MLSLConfig) -> None:
        super().__init__()
        self.distance, self.scheme = config.distance, config.scheme
        before = config.scheme == "vector" or config.scalar_dropout
        self.dropout = nn.Dropout(config.dropout if before else 0.0)
        width = dim if config.scheme == "vector" else 1
        normalised = config.scheme == "scalar" and config.scalar == "normalised"
        self.maps = nn.ModuleList(
            _standardised(config.distance) if normalised else nn.Linear(width, 1) for _ in config.attributes()
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """How much each pair differs in each attribute: ``[P, D]``, ``[P, D]`` → ``[P, M]`` in (0, 1)."""
        vector = losses.pair_distance(first, second, self.distance)  # [P, D]
        outputs = []
        for unit in self.maps:  # each unit drops elements of its own
            seen = self.dropout(vector)
            if self.scheme == "scalar":
                seen = losses.reduce_distance(seen, self.distance)  # [P, 1]
            outputs.append(torch.sigmoid(unit(seen)))
        return torch.cat(outputs, 1)


def _standardised(distance: str) -> nn.BatchNorm1d:
    """A linear map of one number that starts in the sigmoid's middle, whatever the number's scale: ``[P, 1]``.

    A random weight on a bare sum saturates the sigmoid, on either side. This one starts at 1, so that pairs which lie
    farther apart differ more; products grow with likeness, so theirs starts at −1.
    """
    unit = nn.BatchNorm1d(1)
    nn.init.constant_(unit.weight, -1.0 if distance == "multiplication" else 1.0)
    return unit


def plain_distance(first: Tensor, second: Tensor, config: MLSLConfig) -> Tensor:
    """No-ML's distance of each pair, without a mapping layer (section V-A3): ``[P, D]``, ``[P, D]`` → ``[P, 1]``.

    Its elements are averaged (of the Euclidean distance, their squares under the root), or added as they are.
    """
    total = losses.reduce_distance(losses.pair_distance(first, second, config.distance), config.distance)
    count = first.shape[-1] if config.plain == "mean" else 1
    return total / (count**0.5 if config.distance == "euclidean" else count)
