"""Published networks as trunks, with timm's or torchvision's layers and the changes that the papers state.

Layers have the names of the published weights, so that a file fits as it is. Those of timm begin from its own random
draws, but for ResNets: their residual branches would begin at zero.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.models.trunks import IMAGENET, SYMMETRIC, Pixels, Trunk
from reidlib.models.weights import he_normal


class IBN(nn.Module):
    """Instance-batch normalisation (Pan et al., ECCV 2018): half of the channels by instance, the others by batch.

    Instance normalisation takes an image's own mean and deviation out of each of its maps, and with them much of its
    light and colour; batch normalisation keeps them. Parts are named as in the authors' weights, ``IN`` and ``BN``.

    Args:
        channels: an even number.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.IN = nn.InstanceNorm2d(channels // 2, affine=True)
        self.BN = nn.BatchNorm2d(channels // 2)

    def forward(self, maps: Tensor) -> Tensor:
        first, second = maps.chunk(2, dim=1)
        return torch.cat([self.IN(first), self.BN(second)], dim=1)


def mobilenet_v1(*, padding: str = "", epsilon: float = 1e-5, pixels: Pixels = IMAGENET) -> Trunk:
    """MobileNet v1 (Howard et al. 2017), MLSL's trunk (III-A): 1024 channels at 1/32 of the side.

    Args:
        padding: the border of convolutions with stride 2: empty for the same on all sides, or ``same``:
            TensorFlow's, which has the odd pixel at the right and at the bottom.
        epsilon: of batch normalisation; TensorFlow's weights were trained with 1e-3.
        pixels: see :class:`Trunk`.
    """
    layers = _timm("mobilenetv1_100", pad_type=padding, bn_eps=epsilon)
    return Trunk(layers, layers.num_features, pixels=pixels, pool=_pool)


def mobilenet_v2() -> Trunk:
    """MobileNet v2 (Sandler et al. 2018): 1280 channels at 1/32 of the side."""
    import torchvision

    return Trunk(torchvision.models.mobilenet_v2().features, 1280)


def efficientnet_lite0() -> Trunk:
    """EfficientNet-Lite0: 1280 channels at 1/32 of the side. It pads as TensorFlow does and wants pixels in [−1, 1]."""
    layers = _timm("tf_efficientnet_lite0")
    return Trunk(layers, layers.num_features, pixels=SYMMETRIC)


def squeezenet1_1() -> Trunk:
    """SqueezeNet 1.1 (Iandola et al. 2016): 512 channels at 1/16 of the side; no normalisation."""
    import torchvision

    return Trunk(torchvision.models.squeezenet1_1().features, 512)


def googlenet() -> Trunk:
    """GoogLeNet (Szegedy et al. 2015), the trunk of C2F-Rank ("Parameter Setting"), up to ``pool5``: 1024 channels.

    torchvision's form, with batch normalisation after every convolution. That makes the two auxiliary classifiers
    needless, which carried the gradient in the original; they are left out, as is the dropout before the classifier.
    torchvision's weights expect pixels in [−1, 1].
    """
    import torchvision

    model = torchvision.models.GoogLeNet(num_classes=1, aux_logits=False, init_weights=False)
    parts = {name: part for name, part in model.named_children() if name not in ("avgpool", "dropout", "fc")}
    layers = nn.Sequential(OrderedDict(parts))
    he_normal(layers)  # torchvision's own start draws from a truncated normal, which takes far longer
    return Trunk(layers, 1024, pixels=SYMMETRIC, pool=_pool)


def resnet50() -> Trunk:
    """ResNet-50 (He et al. 2016), AGNet's trunk (section III): 2048 channels at 1/32 of the side, 7×7 at 224 pixels."""
    layers = _timm("resnet50", zero_init_last=False)
    return Trunk(layers, layers.num_features)


def resnet50_ibn() -> Trunk:
    """ResNet-50-IBN without its last down-sampling (multi-guided section 3.1): 2048 channels at 1/16 of the side.

    IBN stands for batch normalisation after the first 1×1 convolution of the residual branch in layers 1 to 3. The
    paper says "for each block" and names IBN-Net, whose published form (IBN-Net-a) leaves layer 4 plain: what tells
    identities apart shall not be normalised away where features are most specific. The paper's ImageNet weights exist
    for that form alone, so that form it is. Stride changes no weight, so they fit.
    """
    trunk = resnet50()
    for block in (*trunk.layers.layer1, *trunk.layers.layer2, *trunk.layers.layer3):  # type: ignore[misc]
        block.bn1 = IBN(block.conv1.out_channels)
    # Blocks shrink the map in their 3×3 convolution and in the short cut.
    first = trunk.layers.layer4[0]  # type: ignore[index]
    first.conv2.stride = first.downsample[0].stride = (1, 1)  # type: ignore[union-attr]
    return trunk


def densenet161() -> Trunk:
    """DenseNet-161 (Huang et al. 2017) of the multi-guided system (section 3.1): 2208 channels at 1/32 of the side.

    It keeps its last down-sampling, as the paper says. Its last map is normalised and rectified, as before the
    published network's mean.
    """
    layers = _timm("densenet161")
    return Trunk(layers, layers.num_features)


def hrnet_w18() -> Trunk:
    """HRNet-W18-C (Wang et al. 2019) of the multi-guided system (section 3.1): 2048 channels at 1/32 of the side.

    Four branches of 18, 36, 72 and 144 channels at 1/4 to 1/32 of the side run side by side and are fused again and
    again; the head (the C for classification) widens each and adds them up from fine to coarse. All of its
    normalisation is batch normalisation, as the paper says.
    """
    layers = _timm("hrnet_w18")
    return Trunk(layers, layers.num_features)


def _timm(name: str, **options: Any) -> Any:
    """One of timm's networks up to its last map."""
    import timm

    return timm.create_model(name, num_classes=0, global_pool="", **options)


def _pool(maps: Tensor) -> Tensor:
    """The mean, as the libraries' own networks take it: it rounds otherwise than :func:`reidlib.models.trunks.mean`."""
    return F.adaptive_avg_pool2d(maps, 1).flatten(1)
