"""DRDL's networks: the mixed difference network (section 3.3, Fig. 6), and its branches alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib import models
from reidpapers.drdl.config import DRDLConfig

FC7 = 1024  # width of VGG_CNN_M_1024's fc7


class DRDL(nn.Module):
    """The mixed difference network (Fig. 6), or one branch of it.

    The branches share the trunk, fc6 included. Features that distances are taken of are outputs of a layer without
    ReLU; fc7_1, and what fc8 sees of fc7_2, have one. They have length 1 when they leave the network (section 3.1).

    Args:
        config: trunk, branches and their width.
        classes: number of models (or makes) that the upper branch tells apart.
    """

    def __init__(self, config: DRDLConfig, classes: int) -> None:
        super().__init__()
        self.trunk = models.build(
            config.backbone, pretrained=config.pretrained, weights=config.weights, image_size=config.image_size
        )
        width = config.embedding
        self.kind, self.dropout = config.network, config.dropout
        if self.kind == "single":
            self.fc7 = nn.Linear(self.trunk.dim, width)
        else:
            self.fc7_1 = nn.Linear(self.trunk.dim, width)
            self.model = nn.Linear(width, classes)
        if self.kind == "mixed":
            self.fc7_2 = nn.Linear(self.trunk.dim, width)
            self.fc8 = nn.Linear(2 * width, width)
        begin_as_published(self, config)

    def forward(self, images: Tensor) -> Tensor:
        """Features for matching, of length 1: ``[N, 3, S, S]`` → ``[N, E]``."""
        return self.branches(images)[{"single": "lower", "mixed": "mixed", "upper": "upper"}[self.kind]]

    def branches(self, images: Tensor) -> dict[str, Tensor]:
        """All there are: ``lower`` and ``mixed`` (fc8) features ``[N, E]``, of the upper branch also its ``logits``."""
        shared = self.trunk(images)  # fc6 of VGG_CNN_M_1024: [N, 4096]
        if self.kind == "single":
            return {"lower": unit(self.fc7(shared))}
        upper = F.relu(self.fc7_1(shared))  # [N, E]
        outputs = {"upper": unit(upper), "logits": self.model(self._dropped(upper))}
        if self.kind == "mixed":
            lower = self.fc7_2(shared)  # [N, E]
            both = self._dropped(torch.cat([upper, F.relu(lower)], 1))  # [N, 2E]
            outputs |= {"lower": unit(lower), "mixed": unit(self.fc8(both))}
        return outputs

    def _dropped(self, features: Tensor) -> Tensor:
        """Dropout in training; of rate 0 it draws no random numbers."""
        return F.dropout(features, self.dropout, self.training) if self.dropout else features


def begin_as_published(network: DRDL, config: DRDLConfig) -> None:
    """Each fc7 begins as VGG_CNN_M_1024's, from the file that its trunk begins with, where it is as wide (section 3.4).

    Raises:
        ValueError: the file lacks an fc7 of that width.
    """
    if config.backbone != "vgg_cnn_m_1024" or config.embedding != FC7:
        return
    if begin := models.starting_weights(config.backbone, pretrained=config.pretrained, weights=config.weights):
        for name in network._modules.keys() & {"fc7", "fc7_1", "fc7_2"}:
            models.load_weights(getattr(network, name), begin.path, prefix="fc7.")


def unit(features: Tensor) -> Tensor:
    """Features of length 1, in float32: ‖f(x)‖ = 1 (section 3.1)."""
    return F.normalize(features.float(), dim=1)
