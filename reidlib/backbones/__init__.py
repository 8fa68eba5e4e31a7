"""Trunks: an image batch becomes one feature vector an image.

Every trunk is a module with ``dim``, the width of its features, and maps ``[N, 3, S, S]`` to ``[N, dim]``. Images come
as :mod:`reidlib.augment` leaves them: RGB, less ImageNet's mean, divided by its deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from reidlib.backbones.googlenet import GoogLeNet
from reidlib.backbones.trunks import MobileNetV1, Trunk, digits, small
from reidlib.backbones.vgg import VGGCNNM1024
from reidlib.backbones.weights import load_weights
from reidlib.config import check_trunk

__all__ = ["GoogLeNet", "MobileNetV1", "Trunk", "VGGCNNM1024", "build", "digits", "flops", "load_weights", "small"]


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
        name: ``small``, ``digits``, ``mobilenet_v1``, ``vgg_cnn_m_1024`` or ``googlenet``.
        pretrained: start from ImageNet weights, which timm or torchvision downloads.
        weights: a local file of weights, used instead of a download: timm's names for ``mobilenet_v1``, torchvision's
            for ``googlenet``, those of :class:`VGGCNNM1024`.
        reduction: of ``digits`` alone.
        image_size: side of the images in pixels, which settles the size of ``vgg_cnn_m_1024``; the others take any.

    Raises:
        ValueError: unknown name, weights asked for a trunk that has none, weights that do not fit, or too small images.
        FileNotFoundError: ``weights`` is no file.
    """
    builders = {
        "small": small,
        "digits": lambda: digits(reduction=reduction),
        "mobilenet_v1": lambda: MobileNetV1(pretrained=pretrained, weights=weights),
        "vgg_cnn_m_1024": lambda: VGGCNNM1024(image_size, weights=weights),
        "googlenet": lambda: GoogLeNet(pretrained=pretrained, weights=weights),
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
