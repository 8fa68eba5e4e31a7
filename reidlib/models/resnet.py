"""ResNet-50, AGNet's trunk (section III), and ResNet-50-IBN, the multi-guided system's (section 3.1)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from reidlib.models.trunks import Trunk
from reidlib.models.weights import fill, load_weights

DIM = 2048  # channels of the last map
HEAD = "fc."  # the classifier in a file of weights


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


def resnet50(*, pretrained: bool = False, weights: str | None = None) -> Trunk:
    """ResNet-50 (He et al. 2016) up to its last map: 2048 channels at 1/32 of the image's side, 7×7 at 224 pixels.

    Args:
        pretrained: start from torchvision's first ImageNet weights, which it downloads; those of the papers' time.
        weights: a local file with torchvision's names; its classifier may be there and is left out.

    Raises:
        ValueError: weights that do not fit.
        FileNotFoundError: ``weights`` is no file.
    """
    import torchvision

    model = _headless()
    if weights:
        load_weights(model, weights, ignored=(HEAD,))
    elif pretrained:
        source = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
        fill(model, source.get_state_dict(check_hash=True), source=str(source), ignored=(HEAD,))
    return _trunk(model)


def resnet50_ibn(*, weights: str | None = None) -> Trunk:
    """ResNet-50-IBN without its last down-sampling: 2048 channels at 1/16 of the side, 20×20 at 320 pixels.

    IBN stands for batch normalisation after the first 1×1 convolution of the residual branch in layers 1 to 3. The
    paper says "for each block" and names IBN-Net, whose published form (IBN-Net-a) leaves layer 4 plain: what tells
    identities apart shall not be normalised away where features are most specific. The paper's ImageNet weights exist
    for that form alone, so that form it is.

    Args:
        weights: a local file of the authors' weights (``resnet50_ibn_a``, names such as ``layer1.0.bn1.IN.weight``);
            its classifier may be there and is left out. Stride changes no weight, so they fit. There is no download.

    Raises:
        ValueError: weights that do not fit.
        FileNotFoundError: ``weights`` is no file.
    """
    model = _headless()
    for block in (*model.layer1, *model.layer2, *model.layer3):
        block.bn1 = IBN(block.conv1.out_channels)
    first = model.layer4[0]  # torchvision's blocks shrink the map in their 3×3 convolution and in the short cut
    first.conv2.stride = first.downsample[0].stride = (1, 1)
    if weights:
        load_weights(model, weights, ignored=(HEAD,))
    return _trunk(model)


def _headless() -> nn.Module:
    import torchvision

    model = torchvision.models.resnet50()
    model.fc = nn.Identity()
    return model


def _trunk(model: nn.Module) -> Trunk:
    layers = OrderedDict(model.named_children())
    del layers["avgpool"], layers["fc"]
    return Trunk(nn.Sequential(layers), DIM)
