"""Trunks: an image batch becomes one feature vector an image.

Every trunk is a module with ``dim``, the width of its features, and maps ``[N, 3, S, S]`` to ``[N, dim]``. Those whose
feature is the mean over a last map give the map too, ``maps``: ``[N, dim, s, s]``. Images come
as :mod:`reidlib.augment` leaves them: RGB, less ImageNet's mean, divided by its deviation.

timm and torchvision take seconds to load, so the trunks that are built from them import them themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from reidlib.backbones import check_trunk
from reidlib.models.densenet import densenet161
from reidlib.models.googlenet import GoogLeNet
from reidlib.models.hrnet import hrnet_w18
from reidlib.models.neck import BNNeck
from reidlib.models.resnet import IBN, resnet50, resnet50_ibn
from reidlib.models.stand_ins import small_dense, small_hr, small_ibn
from reidlib.models.trunks import MobileNetV1, Trunk, digits, small
from reidlib.models.vgg import VGGCNNM1024
from reidlib.models.weights import load_weights

__all__ = [
    "IBN",
    "BNNeck",
    "GoogLeNet",
    "MobileNetV1",
    "Trunk",
    "VGGCNNM1024",
    "build",
    "densenet161",
    "digits",
    "flops",
    "hrnet_w18",
    "load_weights",
    "resnet50",
    "resnet50_ibn",
    "small",
    "small_dense",
    "small_hr",
    "small_ibn",
]


def build(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | None = None,
    reduction: str = "stride",
    image_size: int = 224,
) -> nn.Module:
    """A trunk by name, channels last in memory (fastest on CPUs and GPUs alike).

    Args:
        name: ``small``, ``digits``, ``mobilenet_v1``, ``vgg_cnn_m_1024``, ``googlenet``, ``resnet50``,
            ``resnet50_ibn``, ``densenet161``, ``hrnet_w18``, or one of the stand-ins ``small_ibn``, ``small_dense``
            and ``small_hr``.
        pretrained: start from ImageNet weights, which timm or torchvision downloads.
        weights: a local file of weights, used instead of a download: timm's names for ``mobilenet_v1`` and
            ``hrnet_w18``, torchvision's for ``googlenet``, ``resnet50`` and ``densenet161``, IBN-Net's for
            ``resnet50_ibn``, those of :class:`VGGCNNM1024`.
        reduction: of ``digits`` alone.
        image_size: side of the images in pixels, which settles the size of ``vgg_cnn_m_1024``; the others take any that
            :func:`reidlib.backbones.check_trunk` lets pass.

    Raises:
        ValueError: unknown name, weights asked for a trunk that has none, weights that do not fit, or images of a size
            that the trunk cannot take.
        FileNotFoundError: ``weights`` is no file.
    """
    builders = {
        "small": small,
        "digits": lambda: digits(reduction=reduction),
        "mobilenet_v1": lambda: MobileNetV1(pretrained=pretrained, weights=weights),
        "vgg_cnn_m_1024": lambda: VGGCNNM1024(image_size, weights=weights),
        "googlenet": lambda: GoogLeNet(pretrained=pretrained, weights=weights),
        "resnet50": lambda: resnet50(pretrained=pretrained, weights=weights),
        "resnet50_ibn": lambda: resnet50_ibn(weights=weights),
        "densenet161": lambda: densenet161(pretrained=pretrained, weights=weights),
        "hrnet_w18": lambda: hrnet_w18(pretrained=pretrained, weights=weights),
        "small_ibn": small_ibn,
        "small_dense": small_dense,
        "small_hr": small_hr,
    }
    if name not in builders:
        raise ValueError(f"backbone = {name!r} is refused: allowed are {', '.join(builders)}")
    if weights and not Path(weights).is_file():
        raise FileNotFoundError(f"weights = {weights!r}: no such file")
    check_trunk(name, pretrained=pretrained, weights=weights, image_size=image_size)
    return builders[name]().to(memory_format=torch.channels_last)


def flops(network: nn.Module, shape: Sequence[int]) -> int:
    """Floating-point operations of one forward pass (two a multiply-add), counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    training = network.training
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(*shape, device=device))
    network.train(training)
    return counter.get_total_flops()
