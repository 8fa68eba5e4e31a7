"""The strong baseline's network: a trunk without its last down-sampling, BNNeck, and a classifier of identities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from reidlib import models
from reidpapers.multiguided.network import Centers
from reidpapers.strong_baseline.config import StrongConfig

# The convolutions that halve a trunk's map for the last time.
LAST = {
    "small": ("15",),
    "mobilenet_v1": ("blocks.4.0.conv_dw",),
    "mobilenet_v2": ("14.conv.1.0",),
    "efficientnet_lite0": ("blocks.5.0.conv_dw",),
    "resnet50": ("layer4.0.conv2", "layer4.0.downsample.0"),
}


def trunk(config: StrongConfig) -> nn.Module:
    """A trunk whose last down-sampling is left out where ``last_stride`` is 1, so that its last map has twice the side.

    Stride changes no weight, so ImageNet weights fit. Of ``small``, which no paper has, it is the last of its four
    strides; ``resnet50_ibn`` and ``small_ibn`` come without. The other trunks shrink their maps by pooling, or on
    several branches at once: they stay as they are.
    """
    built = models.build(
        config.backbone, pretrained=config.pretrained, weights=config.weights, image_size=config.image_size
    )
    for name in LAST.get(config.backbone, ()):
        built.layers.get_submodule(name).stride = (config.last_stride, config.last_stride)
    return built


class Strong(nn.Module):
    """Trunk → f → BNNeck → f_bn → identities (Luo et al., CVPR workshops 2019, section 3.5, Fig. 5).

    Args:
        config: which trunk.
        data: ``identities``, the number of vehicles to tell apart.
    """

    def __init__(self, config: StrongConfig, data: Mapping[str, Any]) -> None:
        super().__init__()
        self.trunk = trunk(config)
        self.neck = models.BNNeck(self.trunk.dim)
        self.identity = nn.Linear(self.trunk.dim, data["identities"], bias=False)
        self.centers = Centers(data["identities"], self.trunk.dim)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """f, which triplet and centre loss see, and f_bn, which the classifier sees: ``[N, 3, S, S]`` → ``[N, D]``."""
        f = self.trunk(images)
        return f, self.neck(f)

    def forward(self, images: Tensor) -> Tensor:
        """What matching uses, by its cosine: f_bn, ``[N, 3, S, S]`` → ``[N, D]``."""
        return self.features(images)[1]
