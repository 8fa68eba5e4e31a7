"""VGG_CNN_M_1024, the trunk of DRDL (sections 3.3 and 3.4)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.backbones import SMALLEST
from reidlib.models.weights import he_normal


class VGGCNNM1024(nn.Module):
    """VGG_CNN_M_1024 (Chatfield et al., BMVC 2014) up to fc6: ``[N, 3, S, S]`` → ``[N, 4096]``.

    Layers, local response normalisation and rounding are those of the authors' Caffe model: convolutions round a
    map's side down, poolings up. At 224 pixels the sides are 109, 54, 26, 13 and 6. What follows fc6 (fc7 of 1024, or
    DRDL's branches) is the paper's own; dropout after fc6 belongs to the trunk, so that branches share it.

    Args:
        image_size: side S of the images in pixels, at least 41; fc6 has 512 × s × s inputs, where s is the last
            map's side.

    Its fc6 fits one image size alone: ImageNet's fits 224. The authors' file of weights has to be converted first.

    Raises:
        ValueError: images too small.
    """

    dim = 4096

    def __init__(self, image_size: int = 224) -> None:
        super().__init__()
        side = last_side(image_size)
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        self.conv2 = nn.Conv2d(96, 256, 5, stride=2, padding=1)
        self.conv3 = nn.Conv2d(256, 512, 3, padding=1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv5 = nn.Conv2d(512, 512, 3, padding=1)
        self.fc6 = nn.Linear(512 * side**2, self.dim)
        self.image_size = image_size
        he_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Outputs of fc6, after ReLU and in training dropout: ``[N, 3, S, S]`` → ``[N, 4096]``.

        Raises:
            ValueError: the images are not of the size that fc6 was made for.
        """
        if images.shape[2:] != (self.image_size, self.image_size):
            raise ValueError(f"images of {tuple(images.shape[2:])} pixels: this trunk was made for {self.image_size}")
        maps = _pool(_normalise(F.relu(self.conv1(images))))  # [N, 96, 54, 54] at 224 pixels
        maps = _pool(_normalise(F.relu(self.conv2(maps))))  # [N, 256, 13, 13]
        maps = F.relu(self.conv4(F.relu(self.conv3(maps))))  # [N, 512, 13, 13]
        maps = _pool(F.relu(self.conv5(maps)))  # [N, 512, 6, 6]
        return F.dropout(F.relu(self.fc6(maps.flatten(1))), 0.5, self.training)


def last_side(image_size: int) -> int:
    """Side of the last map in pixels: 6 for images of 224.

    Raises:
        ValueError: no map is left.
    """
    side = _pooled((image_size - 7) // 2 + 1)  # conv1, pool1
    side = _pooled((side - 3) // 2 + 1)  # conv2 with its border of one, pool2
    side = _pooled(side)  # pool5
    if side < 1:
        raise ValueError(f"image_size = {image_size} is refused: allowed is a number >= {SMALLEST['vgg_cnn_m_1024']}")
    return side


def _pooled(side: int) -> int:
    """Side after :func:`_pool`: (side − 3) / 2 + 1 rounded up, and that is half of it rounded down."""
    return side // 2


def _normalise(maps: Tensor) -> Tensor:
    """x / (2 + 1e-4 Σ x²)^0.75, summed over five neighbouring channels: Caffe and torch both divide alpha by five."""
    return F.local_response_norm(maps, size=5, alpha=5e-4, beta=0.75, k=2.0)


def _pool(maps: Tensor) -> Tensor:
    """Maximum over 3×3 pixels at every second; a last, incomplete window counts."""
    return F.max_pool2d(maps, 3, stride=2, ceil_mode=True)
